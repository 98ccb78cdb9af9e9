package record

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// allocated is how many bytes work allocates, garbage included.
func allocated(work func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// What a span of a large trace takes beside its record is about outlineCost, whatever
// its parents are like.
func TestLargeTraceCost(t *testing.T) {
	const n = 20_000
	for name, parent := range map[string]func(i int) int{
		"a tree": func(i int) int { return i / 2 }, "a chain": func(i int) int { return i - 1 }, "children of one": func(int) int { return 0 },
	} {
		t.Run(name, func(t *testing.T) {
			table := &Names{}
			e := NewEncoder(table, false)
			var text []byte
			for i := range n {
				s := trace.Span{TraceID: trace.IDFromUint64(1), ID: trace.IDFromUint64(uint64(i + 1)), HasParent: i > 0,
					ParentID: trace.IDFromUint64(uint64(parent(i) + 1)), Name: trace.NewText("work"),
					Notes:  []trace.Note{{Time: int64(i), HasTime: true, Value: trace.Value{Kind: trace.String, Text: "start"}, Service: trace.NewText("nova")}, {Time: int64(i) + 5, HasTime: true, Value: trace.Value{Kind: trace.String, Text: "stop"}, Service: trace.NewText("nova")}},
					Origin: []trace.Origin{{File: "a.log", Line: int64(i)}}}
				text = AppendFramed(text, e.Append(nil, &s))
			}
			m := NewMaker(assemble.Options{}, table, 1)
			var tr trace.Trace
			var err error
			took := allocated(func() { tr, _, err = m.Trace(Bundle{ID: trace.IDFromUint64(1), Cost: 2, text: borrowed(text)}) })
			require.NoError(t, err)
			require.NotNil(t, tr.Large)
			require.Equal(t, n, tr.Len())
			require.Less(t, took, int64(n*OutlineCost*5/4), "the race detector takes some, too")
			require.Greater(t, took, int64(n*OutlineCost/2), "the constant says about what is true")
		})
	}
}
