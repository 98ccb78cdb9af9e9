package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/trace"
)

// misses are lines of traces whose spans miss their parents, with what is told of
// each.
func misses(t *testing.T) (log []byte, told map[string]string) {
	var text bytes.Buffer
	told = map[string]string{}
	line := func(traceID, id, parent, words string) {
		text.WriteString(oddLine(traceID, id, parent, "n"+id, len(told)))
		if words != "" {
			told[traceID+" "+id] = words
		}
	}
	long := "1" + strings.Repeat("0", 100)
	line("300", "1", "None", "")
	line("200", "1", "None", "")
	line("400", "1", "None", "")
	line("5", "51", "1", "0000000000000001 (in the log: 1), which is not in this trace but in the trace 00000000000000c8 (in the log: 200); it stands at depth 0.")
	line("5", "52", "99", "0000000000000063 (in the log: 99), which is nowhere in what was read; it stands at depth 0.")
	line("5", "53", "52", "")
	line("6", "61", "51", "0000000000000033 (in the log: 51), which is not in this trace but in the trace 0000000000000005 (in the log: 5); it stands at depth 0.")
	line("-7", "-71", "None", "")
	line("8", "81", "-71", "ffffffffffffffb9 (in the log: -71), which is not in this trace but in the trace fffffffffffffff9 (in the log: -7); it stands at depth 0.")
	line("8", "82", "-72", "ffffffffffffffb8 (in the log: -72), which is nowhere in what was read; it stands at depth 0.")
	line("9", "91", "18446744073709551545", "ffffffffffffffb9 (in the log: 18446744073709551545), which is nowhere in what was read; it stands at depth 0.")
	line("9", long, "None", "")
	line("10", "101", long, "not in this trace;")
	return text.Bytes(), told
}

// What is told of a parent that is not in its child's trace is true, and the same
// with a spill, in a tree and in a document.
func TestWhereAMissingParentIs(t *testing.T) {
	log, told := misses(t)
	path := filepath.Join(t.TempDir(), "a.log")
	require.NoError(t, os.WriteFile(path, log, 0o600))
	for _, memory := range []int64{0, 1, 1 << 10, 4 << 10} {
		result, err := Replay(t.Context(), Options{Paths: []string{path}, Memory: memory, Temp: t.TempDir()})
		require.NoError(t, err)
		requireTold(t, told, documentsOf(t, result))
		list := shown(t, result)
		require.Contains(t, list, "but in the trace 00000000000000c8")
		require.NoError(t, result.Close())

		broken := filepath.Join(t.TempDir(), "b.log")
		require.NoError(t, os.WriteFile(broken, []byte("2013-03-12 10:00:00,000 INFO tomograph.backends.log Span(trace_id=5, parent_id=None, id=99\n"), 0o600))
		less := map[string]string{}
		for span, words := range told {
			less[span] = strings.Replace(words, "which is nowhere in what was read", "which is in no span that was read, but perhaps in a line that was rejected", 1)
		}
		result, err = Replay(t.Context(), Options{Paths: []string{path, broken}, Memory: memory, Temp: t.TempDir()})
		require.NoError(t, err)
		require.EqualValues(t, 1, result.ledger.Rejected)
		requireTold(t, less, documentsOf(t, result))
		require.NoError(t, result.Close())
	}
	requireSame(t, t.Context(), Options{Paths: []string{path}}, read, 1, t.TempDir())
}

func documentsOf(t require.TestingT, r *Result) []byte {
	var out bytes.Buffer
	require.NoError(t, export.JSON(&out, r.Render, export.View{}))
	return out.Bytes()
}

// requireTold compares what documents tell of missing parents.
func requireTold(t require.TestingT, want map[string]string, file []byte) {
	got := map[string]string{}
	for line := range bytes.Lines(file) {
		var d struct {
			TomographID string `json:"tomograph_id"`
			Spans       []struct {
				TomographID string `json:"tomograph_id"`
				Problems    []struct{ Code, Text string }
			}
		}
		require.NoError(t, json.Unmarshal(line, &d))
		for _, s := range d.Spans {
			for _, p := range s.Problems {
				if p.Code == string(trace.MissingParent) {
					got[d.TomographID+" "+s.TomographID] = p.Text
				}
			}
		}
	}
	require.Len(t, got, len(want))
	for span, words := range want {
		require.Contains(t, got[span], words, span)
	}
}

// A tail knows what it saw of late, and claims no more.
func TestWhereAMissingParentIsInATail(t *testing.T) {
	log, told := misses(t)
	for span, words := range told {
		told[span] = strings.Replace(words, "which is nowhere in what was read", "which is not in this trace", 1)
		if strings.HasSuffix(span, " 51") { // the last one that was seen
			told[span] = strings.Replace(words, "00000000000000c8 (in the log: 200)", "0000000000000190 (in the log: 400)", 1)
		}
	}
	l := newTailed(t, t.TempDir())
	l.live = LiveOptions{Settle: time.Hour, Idle: time.Hour, Longest: 24 * time.Hour} // all in the end
	l.start()
	l.write("a.log", log)
	l.caughtUp(int64(len(log)))
	l.stop()
	text, err := os.ReadFile(l.out)
	require.NoError(t, err)
	requireTold(t, told, text)
}

func TestRecentForgets(t *testing.T) {
	r := recent{most: 3}
	id := func(n int) trace.ID { return trace.IDFromUint64(uint64(n)) }
	for n := range 5 {
		r.add(id(n), id(100+n))
	}
	r.add(id(4), id(200))
	require.Len(t, r.in, 3)
	for n, want := range []string{"", "", "102", "103", "200"} {
		e := r.elsewhere(id(n))
		require.False(t, e.Nowhere)
		require.Equal(t, want != "", e.Found)
		if e.Found {
			require.Equal(t, want, fmt.Sprint(e.In.Decimal()))
		}
	}
}
