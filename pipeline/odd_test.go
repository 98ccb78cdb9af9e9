package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/query"
)

// oddID is a number that no id of 64 bits tells, and its digits in hexadecimal.
type oddID struct{ decimal, hex string }

var oddIDs = []oddID{
	{"-5", "fffffffffffffffb"},
	{"-9223372036854775808", "8000000000000000"},
	{"-9223372036854775809", "ffffffffffffffff7fffffffffffffff"},
	{"340282366920938463463374607431768211455", "ffffffffffffffffffffffffffffffff"},
	{"340282366920938463463374607431768211456", "100000000000000000000000000000000"},
	{"340282366920938463463374607431768211461", "100000000000000000000000000000005"},
	{"-340282366920938463463374607431768211461", "-100000000000000000000000000000005"},
	{"1" + strings.Repeat("0", 100), "1249ad2594c37ceb0b2784c4ce0bf38ace408e211a7caab24308a82e8f10000000000000000000000000"},
}

func oddLine(traceID, id, parent, name string, at int) string {
	return fmt.Sprintf("2023-11-14 22:13:20.000 42 INFO tomograph.backends.log [-] Span(trace_id=%s, parent_id=%s, id=%s, name='%s', "+
		"notes=[Note(time=%d.5, value='stop', service_name='nova', address='ctl', port=1, duration=0)], dimensions=[])\n",
		traceID, parent, id, name, 1700000000+at)
}

// oddLog is a log with a trace of each odd id, of three spans with ids that are odd
// as well, and many spans of other traces between the three.
func oddLog(others int) []byte {
	var log bytes.Buffer
	for i := range 3 {
		for at, id := range oddIDs {
			span := func(i int) string { return oddIDs[(at+i)%len(oddIDs)].decimal }
			parent := "None"
			if i > 0 {
				parent = span(i - 1)
			}
			log.WriteString(oddLine(id.decimal, span(i), parent, fmt.Sprintf("odd%d", i), at*10+i))
		}
		for n := range others {
			id := fmt.Sprint(1_000_000_000*(i+1) + n)
			log.WriteString(oddLine(id, id, "None", "other", 1000+n))
		}
	}
	return log.Bytes()
}

// oddDocument is what an odd trace's JSON says of ids.
type oddDocument struct {
	TraceID     string `json:"trace_id"`
	TomographID string `json:"tomograph_id"`
	Verdict     string `json:"verdict"`
	Spans       []struct {
		ID                string  `json:"id"`
		TomographID       string  `json:"tomograph_id"`
		ParentID          *string `json:"parent_id"`
		TomographParentID *string `json:"tomograph_parent_id"`
		Depth             int     `json:"depth"`
		Name              string  `json:"name"`
	} `json:"spans"`
}

// requireOdd checks the documents of the odd traces, which may stand among others;
// each line has to be JSON.
func requireOdd(t require.TestingT, file []byte, others int) {
	documents := map[string]oddDocument{}
	lines := 0
	for line := range bytes.Lines(file) {
		lines++
		if bytes.Contains(line, []byte(`"other"`)) {
			continue
		}
		var d oddDocument
		require.NoError(t, json.Unmarshal(line, &d), "%.200q", line)
		require.NotContains(t, documents, d.TomographID)
		documents[d.TomographID] = d
	}
	require.Equal(t, len(oddIDs)+others, lines)
	for at, id := range oddIDs {
		d := documents[id.decimal]
		require.Equal(t, id.hex, d.TraceID)
		require.Equal(t, "complete", d.Verdict, id.decimal)
		require.Len(t, d.Spans, 3, id.decimal)
		for i, s := range d.Spans {
			span := oddIDs[(at+i)%len(oddIDs)]
			require.Equal(t, []any{span.hex, span.decimal, i, fmt.Sprintf("odd%d", i)}, []any{s.ID, s.TomographID, s.Depth, s.Name})
			if i == 0 {
				require.Nil(t, s.ParentID)
				continue
			}
			parent := oddIDs[(at+i-1)%len(oddIDs)]
			require.Equal(t, parent.hex, *s.ParentID)
			if strings.HasPrefix(parent.decimal, "-") || len(parent.hex) > 32 {
				require.Equal(t, parent.decimal, *s.TomographParentID)
			} else {
				require.Nil(t, s.TomographParentID)
			}
		}
	}
}

// Ids that fit no 128 bits keep their number in every output, in memory and on
// disk, each time; and so in what is read back from our own JSON.
func TestOddIDsComeBack(t *testing.T) {
	for _, test := range []struct {
		others, runs int
		memory       []int64
	}{{50, 2, []int64{0, 1, 4 << 10}}, {3000, 4, []int64{0, 2 << 20}}} {
		dir := t.TempDir()
		log, file := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.json")
		require.NoError(t, os.WriteFile(log, oddLog(test.others), 0o600))
		for _, memory := range test.memory {
			give := func(path string, f query.Filter) (r *Result, file []byte) {
				result, err := Replay(t.Context(), Options{Paths: []string{path}, Memory: memory, Temp: dir, Filter: f})
				require.NoError(t, err)
				t.Cleanup(func() { result.Close() })
				require.Equal(t, memory > 0, ledger(t, result).Spill != nil)
				var out bytes.Buffer
				require.NoError(t, export.JSON(&out, result.Render, export.View{}))
				return result, out.Bytes()
			}
			for run := range test.runs {
				result, out := give(log, query.Filter{})
				requireOdd(t, out, 3*test.others)
				require.Zero(t, ledger(t, result).Incomplete)
				if run == 0 {
					require.NoError(t, os.WriteFile(file, out, 0o600))
					again, _ := give(file, query.Filter{})
					require.Equal(t, shown(t, result), shown(t, again))
				}
			}
			for _, id := range oddIDs {
				result, _ := give(log, query.Filter{TraceIDs: []string{id.decimal}})
				traces := all(t, result)
				require.Len(t, traces, 1)
				require.Equal(t, id.decimal, traces[0].ID.Decimal())
			}
		}
	}
}

// What of it has no form in Zipkin is kept with its number.
func TestOddIDsInQuarantine(t *testing.T) {
	dir := t.TempDir()
	log, quarantine := filepath.Join(dir, "a.log"), filepath.Join(dir, "quarantine.jsonl")
	require.NoError(t, os.WriteFile(log, oddLog(100), 0o600))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer server.Close()
	for _, memory := range []int64{0, 1} {
		require.NoError(t, errors.Join(os.RemoveAll(quarantine)))
		result, err := Replay(t.Context(), Options{Paths: []string{log}, Memory: memory, Temp: dir})
		require.NoError(t, err)
		z, err := export.NewZipkin(export.ZipkinOptions{URL: server.URL, Quarantine: quarantine})
		require.NoError(t, err)
		require.NoError(t, z.Send(t.Context(), export.Nodes(result.Traces()), nil))
		require.NoError(t, errors.Join(z.Close(), result.Close()))
		var wide []string // trace and span ids of what does not fit
		for at := range oddIDs {
			for i := range 3 {
				id, span := oddIDs[at], oddIDs[(at+i)%len(oddIDs)]
				if len(id.hex) > 32 || len(span.hex) > 16 {
					wide = append(wide, id.decimal+" "+span.decimal)
				}
			}
		}
		text, err := os.ReadFile(quarantine)
		require.NoError(t, err)
		var kept []string
		for line := range bytes.Lines(text) {
			var record struct {
				TraceID string      `json:"trace_id"`
				Trace   oddDocument `json:"trace"`
			}
			require.NoError(t, json.Unmarshal(line, &record), "%.200q", line)
			require.Equal(t, record.TraceID, record.Trace.TraceID)
			require.Len(t, record.Trace.Spans, 1)
			kept = append(kept, record.Trace.TomographID+" "+record.Trace.Spans[0].TomographID)
		}
		require.ElementsMatch(t, wide, kept)
	}
}

// Tail gives the same.
func TestOddIDsInTail(t *testing.T) {
	others := 1000
	log := oddLog(others)
	for range 3 {
		l := newTailed(t, t.TempDir())
		l.start()
		for part := log; len(part) > 0; {
			n := min(len(part), 100_000)
			l.write("a.log", part[:n])
			part = part[n:]
			l.caughtUp(int64(len(log)-len(part)) - 1000)
		}
		l.caughtUp(int64(len(log)))
		l.stop()
		// A trace that goes on is written again, so the documents are put together.
		result, err := Replay(t.Context(), Options{Paths: []string{l.out}})
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, export.JSON(&out, result.Render, export.View{}))
		requireOdd(t, out.Bytes(), 3*others)
		require.NoError(t, result.Close())
	}
}
