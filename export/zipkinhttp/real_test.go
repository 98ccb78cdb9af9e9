package zipkinhttp

import (
	"bufio"
	"encoding/json"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/internal/zipkintest"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// loggedSpan is a span in the truth files beside the sample logs. Times are
// seconds in those of the real cloud, microseconds in the others.
type loggedSpan struct {
	TraceID  json.Number  `json:"trace_id"`
	ID       json.Number  `json:"id"`
	ParentID *json.Number `json:"parent_id"`
	Name     any          `json:"name"`
	Notes    []struct {
		Time    *json.Number `json:"time"`
		Micros  *int64       `json:"time_us"`
		Value   any          `json:"value"`
		Service any          `json:"service_name"`
		Address any          `json:"address"`
		Port    any          `json:"port"`
	} `json:"notes"`
}

// loggedText is a string, plain or typed ({"str":…}, {"int":…}).
func loggedText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case map[string]any:
		for _, inner := range v {
			return loggedText(inner)
		}
	}
	return ""
}

func (l *loggedSpan) node(t *testing.T) trace.Node {
	id := func(n json.Number) trace.ID {
		id, err := trace.ParseID(n.String())
		require.NoError(t, err)
		return id
	}
	var n trace.Node
	n.TraceID, n.ID, n.Name = id(l.TraceID), id(l.ID), trace.NewText(loggedText(l.Name))
	if l.ParentID != nil {
		n.ParentID, n.HasParent = id(*l.ParentID), true
	}
	for _, note := range l.Notes {
		m := trace.Note{
			HasTime: true, Value: trace.Value{Kind: trace.String, Text: loggedText(note.Value)},
			Service: trace.NewText(loggedText(note.Service)), Address: trace.NewText(loggedText(note.Address)),
			Port: trace.Value{Kind: trace.Int, Text: loggedText(note.Port)},
		}
		if note.Micros != nil {
			m.Time = *note.Micros
		} else {
			seconds, ok := new(big.Rat).SetString(note.Time.String())
			require.True(t, ok)
			micros, err := strconv.ParseInt(seconds.Mul(seconds, big.NewRat(1e6, 1)).FloatString(0), 10, 64)
			require.NoError(t, err)
			m.Time = micros
		}
		n.Notes = append(n.Notes, m)
	}
	return n
}

// loggedNodes are the spans of a truth file of which keep is true, sorted by
// trace as they first appear.
func loggedNodes(t *testing.T, file string, keep func(line map[string]json.RawMessage) json.RawMessage) []trace.Node {
	f, err := os.Open(filepath.Join(sampletest.Root(t), "testdata", "truth", file))
	require.NoError(t, err)
	defer f.Close()
	byTrace := map[trace.ID][]trace.Node{}
	var order []trace.ID
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		raw := keep(line)
		if raw == nil {
			continue
		}
		var span loggedSpan
		decoder := json.NewDecoder(strings.NewReader(string(raw)))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&span))
		n := span.node(t)
		if byTrace[n.TraceID] == nil {
			order = append(order, n.TraceID)
		}
		byTrace[n.TraceID] = append(byTrace[n.TraceID], n)
	}
	require.NoError(t, lines.Err())
	var nodes []trace.Node
	for _, id := range order {
		nodes = append(nodes, byTrace[id]...)
	}
	return nodes
}

// storedSpan is what the tests look at of a span that Zipkin gives back.
type storedSpan struct {
	TraceID, ID, ParentID, Name, Kind string
	Tags                              map[string]string
}

// asStored is what Zipkin should give back for the nodes.
func asStored(t *testing.T, nodes []trace.Node, opt zipkin.Options) (spans []*model.SpanModel) {
	for i := range nodes {
		models, err := zipkin.Map(&nodes[i], opt)
		require.NoError(t, err)
		spans = append(spans, models...)
	}
	return spans
}

// TestRealZipkin delivers to Zipkin itself and reads back.
func TestRealZipkin(t *testing.T) {
	server := zipkintest.Start(t)

	// find gives the traces that a search finds for a service.
	find := func(t *testing.T, search Search, service string) (traces [][]storedSpan) {
		at, err := url.Parse(search.API)
		require.NoError(t, err)
		query := at.Query()
		if service != "" {
			query.Set("serviceName", service)
		}
		require.NoError(t, server.Get(at.Path+"?"+query.Encode(), &traces))
		return traces
	}
	// requireTrees compares the trees found for a service with those logged.
	requireTrees := func(t *testing.T, nodes []trace.Node, search Search, service string) {
		t.Helper()
		parents := map[string]map[string]string{} // by trace and span
		with := map[string]bool{}                 // traces in which the service is
		for i := range nodes {
			n := &nodes[i]
			id, parent := n.TraceID.Hex(), ""
			if n.HasParent {
				parent = n.ParentID.Hex()
			}
			if parents[id] == nil {
				parents[id] = map[string]string{}
			}
			parents[id][n.ID.Hex()] = parent
			for _, note := range n.Notes {
				if note.Service.String == service {
					with[id] = true
				}
			}
		}
		found := find(t, search, service)
		require.NotEmpty(t, found)
		require.Len(t, found, len(with))
		for _, spans := range found {
			got := map[string]string{}
			for _, s := range spans {
				got[s.ID] = s.ParentID
			}
			require.True(t, with[spans[0].TraceID])
			require.Equal(t, parents[spans[0].TraceID], got)
		}
	}

	t.Run("a real cloud", func(t *testing.T) {
		nodes := loggedNodes(t, "real-openstack.jsonl", func(line map[string]json.RawMessage) json.RawMessage { return line["span"] })
		require.Len(t, nodes, 396)
		want := asStored(t, nodes, zipkin.Options{})
		for range 2 { // what arrives twice is there once
			d := deliverTo(t.Context(), t, server.URL, nodes, Options{BatchBytes: 64 << 10})
			require.NoError(t, d.err)
			require.Equal(t, 396, d.count(Delivered))
			require.Greater(t, d.report.Batches, int64(2))
			require.Len(t, find(t, d.search, ""), 208, "the search finds all traces")
			requireTrees(t, nodes, d.search, "rpcbuild_and_run_instance")
			require.Contains(t, d.search.Page, server.URL+"/zipkin/?")
		}
		server.RequireStored(t, want)
	})

	t.Run("old traces", func(t *testing.T) {
		nodes := loggedNodes(t, "samples.jsonl", func(line map[string]json.RawMessage) json.RawMessage {
			if string(line["folder"]) != `"folsom"` {
				return nil
			}
			raw, err := json.Marshal(line)
			require.NoError(t, err)
			return raw
		})
		d := deliverTo(t.Context(), t, server.URL+"/zipkin/", nodes, Options{})
		require.NoError(t, d.err)
		require.Equal(t, len(nodes), d.count(Delivered))
		require.NotEmpty(t, d.search.Old)
		requireTrees(t, nodes, d.search, "rpcrun_instance")
		server.RequireStored(t, asStored(t, nodes, zipkin.Options{}))
	})

	t.Run("moved to the present", func(t *testing.T) {
		nodes := testNodes(3)
		for i := range nodes {
			nodes[i].TraceID = trace.IDFromUint64(0xabc)
		}
		shift, err := ShiftToNow(sampletest.Each(trace.Trace{HasStart: true, End: nodes[2].Notes[1].Time}), time.Now())
		require.NoError(t, err)
		d := deliverTo(t.Context(), t, server.URL, nodes, Options{Mapping: zipkin.Options{Shift: shift}})
		require.NoError(t, d.err)
		require.Empty(t, d.search.Old)
		var found [][]storedSpan
		require.NoError(t, server.Get("/api/v2/traces?serviceName=nova-api&annotationQuery=tomograph.original_start", &found))
		require.Len(t, found, 1, "found without endTs and lookback")
		require.Equal(t, "2013-03-11T23:59:51.123456Z", found[0][0].Tags["tomograph.original_start"])
	})

	t.Run("odd spans", func(t *testing.T) {
		nodes := testNodes(7)
		other := nodes[0].Notes[0]
		other.Service = trace.NewText("FaultWrapper")
		for i, id := range []string{"7001", "18446744073709551616", "340282366920938463463374607431768211455", "-5", "7005", "7006", "7007"} {
			var err error
			nodes[i].TraceID, err = trace.ParseID(id)
			require.NoError(t, err)
		}
		tag := func(value string) []trace.Dimension {
			return []trace.Dimension{{Key: trace.NewText("k"), Value: trace.Value{Kind: trace.String, Text: value}}, {Key: trace.NewText("")}, {Key: trace.NewText("empty")}}
		}
		nodes[0].Notes = append(nodes[0].Notes, other)
		nodes[4].Name = trace.NewText("İΣ <&>\u2028\x00\"\\")
		// Client takes these for v1 in JSON; the root has no parent in proto3.
		nodes[5].Dimensions, nodes[6].Dimensions = tag("binaryAnnotations"), tag("xyAnnotations")
		nodes[6].ParentID, nodes[6].HasParent = trace.IDFromUint64(3), true
		nodes[6].Notes = append(nodes[6].Notes, other)
		nodes[6].Notes[1].Value, nodes[4].Notes[1].Value = trace.Value{}, trace.Value{}
		d := deliverTo(t.Context(), t, server.URL, nodes, Options{})
		require.NoError(t, d.err)
		require.Equal(t, 7, d.count(Delivered), "%v", d.records)
		require.EqualValues(t, 2, d.report.Batches)
		nodes[6].Notes[1].Value.Text = "''" // what an empty text is in proto3
		server.RequireStored(t, asStored(t, nodes, zipkin.Options{}))
	})

	t.Run("a body beyond the limit of Zipkin", func(t *testing.T) {
		z, err := New(Options{URL: server.URL})
		require.NoError(t, err)
		got := z.send(t.Context(), zipkin.JSON, make([]byte, 11<<20), true)
		require.NoError(t, got.err)
		require.Equal(t, refused, got.verdict(), "it is halved like any other that is refused: %v", got)
		require.Contains(t, got.words, "413")
	})

	t.Run("read back", func(t *testing.T) {
		nodes := loggedNodes(t, "real-openstack.jsonl", func(line map[string]json.RawMessage) json.RawMessage { return line["span"] })
		v, err := verify(t, server.URL, nodes, Options{}, 10*time.Second)
		require.NoError(t, err)
		require.True(t, v.OK())
		require.Empty(t, v.Unfound, v.Lines())
		require.Zero(t, v.Unsure)
		require.GreaterOrEqual(t, v.Spans, 396)
	})

	t.Run("faults of the network", func(t *testing.T) {
		nodes := sufferFaults(t, server.URL, uint64(time.Now().UnixNano()))
		server.RequireStored(t, asStored(t, nodes, zipkin.Options{}))
	})

	t.Run("wrong addresses", func(t *testing.T) {
		for address, want := range map[string]string{
			server.URL + "/zipkin/api/v2/spans":               "it takes no spans there (405 Method Not Allowed",
			server.URL + "/elsewhere":                         "it has no /api/v2/spans there (404 Not Found",
			strings.Replace(server.URL, "http:", "https:", 1): "it does not agree with us on TLS",
		} {
			d := deliverTo(t.Context(), t, address, testNodes(1), Options{})
			require.ErrorContains(t, d.err, want)
			require.Empty(t, d.outcomes)
		}
	})
}
