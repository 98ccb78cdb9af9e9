package replay

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/zipkintest"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

// The request ids that the client of the real OpenStack was answered with find
// the traces of its requests.
func TestRequestIDFindsTheTrace(t *testing.T) {
	result, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, "real-openstack")}})
	require.NoError(t, err)
	every := all(t, result)
	logged := map[string]bool{}
	for _, tr := range every {
		for _, s := range tr.Spans {
			for _, o := range s.Origin {
				logged[o.RequestID] = true
			}
		}
	}
	found := 0
	readTruth(t, "real-openstack-ops.jsonl", func(line []byte) {
		var op struct {
			Op        string  `json:"op"`
			URL       string  `json:"url"`
			RequestID string  `json:"request_id"`
			Start     float64 `json:"start"`
			Stop      float64 `json:"stop"`
		}
		require.NoError(t, json.Unmarshal(line, &op))
		if !logged[op.RequestID] || op.RequestID == "" {
			return
		}
		traces := matching(t, query.Filter{RequestID: op.RequestID}, every)
		require.NotEmpty(t, traces, op.Op)
		matches := 0
		for _, tr := range traces {
			if start := float64(tr.Start) / 1e6; start > op.Start-0.1 && start < op.Stop+0.1 {
				matches++
			}
		}
		require.Positive(t, matches, "%s: no trace from the time of the request", op.Op)
		found++
	})
	require.Equal(t, 39, found)
}

// matching is the traces that match.
func matching(t *testing.T, f query.Filter, traces []trace.Trace) (list []trace.Trace) {
	selection, err := f.Begin()
	require.NoError(t, err)
	for i := range traces {
		if selection.Match(&traces[i]) {
			list = append(list, traces[i])
		}
	}
	return list
}

const zipkinPatience = time.Minute

// Zipkin answers with the trees that were assembled.
func TestRealZipkinAnswersWithOurTrees(t *testing.T) {
	server := zipkintest.Start(t)
	for folder, service := range map[string]string{"real-openstack": "rpcbuild_and_run_instance", "folsom": "rpcrun_instance"} {
		result, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, folder)}})
		require.NoError(t, err)
		sender, err := zipkinhttp.New(zipkinhttp.Options{URL: server.URL, Quarantine: filepath.Join(t.TempDir(), "quarantine.jsonl")})
		require.NoError(t, err)
		require.NoError(t, sender.Send(t.Context(), zipkinhttp.Nodes(result.Traces()), func(_ *trace.Node, o zipkinhttp.Outcome) {
			require.Equal(t, zipkinhttp.Delivered, o)
		}))
		require.NoError(t, sender.Close())
		require.Equal(t, ledger(t, result).Spans, sender.Report().Delivered)

		want := matching(t, query.Filter{Service: service}, all(t, result))
		require.NotEmpty(t, want)
		search := "/api/v2/traces?serviceName=" + service
		if window, ok := sender.Search(t.Context()); ok {
			u, err := url.Parse(window.API)
			require.NoError(t, err)
			search += "&" + u.RawQuery
		}
		var got [][]struct {
			TraceID  string `json:"traceId"`
			ID       string `json:"id"`
			ParentID string `json:"parentId"`
			Shared   bool   `json:"shared"`
		}
		require.Eventually(t, func() bool { // Zipkin stores behind its answer
			require.NoError(t, server.Get(search, &got))
			return len(got) == len(want)
		}, zipkinPatience, zipkinPatience/200)
		trees := map[string][]string{}
		for _, spans := range got {
			for _, s := range spans {
				if !s.Shared {
					trees[s.TraceID] = append(trees[s.TraceID], s.ID+" under "+s.ParentID)
				}
			}
			sort.Strings(trees[spans[0].TraceID])
		}
		for _, tr := range want {
			var tree []string
			for _, s := range tr.Spans {
				parent := ""
				if s.HasParent {
					parent = s.ParentID.Hex()
				}
				tree = append(tree, fmt.Sprintf("%s under %s", s.ID.Hex(), parent))
			}
			sort.Strings(tree)
			require.Equal(t, tree, trees[tr.ID.Hex()])
		}
	}
}
