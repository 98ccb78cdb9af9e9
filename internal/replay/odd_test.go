package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/query"
)

// Ids that fit no 128 bits keep their number in every output, in memory and on
// disk, each time; and so in what is read back from our own JSON.
func TestOddIDsComeBack(t *testing.T) {
	for _, test := range []struct {
		others, runs int
		memory       []int64
	}{{50, 2, []int64{0, 1, 4 << 10}}, {3000, 4, []int64{0, 2 << 20}}} {
		dir := t.TempDir()
		log, file := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.json")
		require.NoError(t, os.WriteFile(log, sampletest.OddLog(test.others), 0o600))
		for _, memory := range test.memory {
			give := func(path string, f query.Filter) (r *Result, file []byte) {
				result, err := Run(t.Context(), Options{Paths: []string{path}, Memory: memory, Temp: dir, Filter: f})
				require.NoError(t, err)
				t.Cleanup(func() { result.Close() })
				require.Equal(t, memory > 0, ledger(t, result).Spill != nil)
				var out bytes.Buffer
				require.NoError(t, export.JSON(&out, result.Render, false))
				return result, out.Bytes()
			}
			for run := range test.runs {
				result, out := give(log, query.Filter{})
				sampletest.RequireOdd(t, out, 3*test.others)
				require.Zero(t, ledger(t, result).Incomplete)
				if run == 0 {
					require.NoError(t, os.WriteFile(file, out, 0o600))
					again, _ := give(file, query.Filter{})
					require.Equal(t, shown(t, result), shown(t, again))
				}
			}
			for _, id := range sampletest.OddIDs {
				result, _ := give(log, query.Filter{TraceIDs: []string{id.Decimal}})
				traces := all(t, result)
				require.Len(t, traces, 1)
				require.Equal(t, id.Decimal, traces[0].ID.Decimal())
			}
		}
	}
}

// What of it has no form in Zipkin is kept with its number.
func TestOddIDsInQuarantine(t *testing.T) {
	dir := t.TempDir()
	log, quarantine := filepath.Join(dir, "a.log"), filepath.Join(dir, "quarantine.jsonl")
	require.NoError(t, os.WriteFile(log, sampletest.OddLog(100), 0o600))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer server.Close()
	for _, memory := range []int64{0, 1} {
		require.NoError(t, errors.Join(os.RemoveAll(quarantine)))
		result, err := Run(t.Context(), Options{Paths: []string{log}, Memory: memory, Temp: dir})
		require.NoError(t, err)
		z, err := zipkinhttp.New(zipkinhttp.Options{URL: server.URL, Quarantine: quarantine})
		require.NoError(t, err)
		require.NoError(t, z.Send(t.Context(), zipkinhttp.Nodes(result.Traces()), nil))
		require.NoError(t, errors.Join(z.Close(), result.Close()))
		var wide []string // trace and span ids of what does not fit
		for at := range sampletest.OddIDs {
			for i := range 3 {
				id, span := sampletest.OddIDs[at], sampletest.OddIDs[(at+i)%len(sampletest.OddIDs)]
				if len(id.Hex) > 32 || len(span.Hex) > 16 {
					wide = append(wide, id.Decimal+" "+span.Decimal)
				}
			}
		}
		text, err := os.ReadFile(quarantine)
		require.NoError(t, err)
		var kept []string
		for line := range bytes.Lines(text) {
			var record struct {
				TraceID string                 `json:"trace_id"`
				Trace   sampletest.OddDocument `json:"trace"`
			}
			require.NoError(t, json.Unmarshal(line, &record), "%.200q", line)
			require.Equal(t, record.TraceID, record.Trace.TraceID)
			require.Len(t, record.Trace.Spans, 1)
			kept = append(kept, record.Trace.TomographID+" "+record.Trace.Spans[0].TomographID)
		}
		require.ElementsMatch(t, wide, kept)
	}
}
