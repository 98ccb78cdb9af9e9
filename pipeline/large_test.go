package pipeline

import (
	"bytes"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
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
			e := encoder{names: &names{}}
			var text []byte
			for i := range n {
				s := trace.Span{TraceID: trace.IDFromUint64(1), ID: trace.IDFromUint64(uint64(i + 1)), HasParent: i > 0,
					ParentID: trace.IDFromUint64(uint64(parent(i) + 1)), Name: trace.NewText("work"),
					Notes:  []trace.Note{{Time: int64(i), HasTime: true, Value: trace.Value{Kind: trace.String, Text: "start"}, Service: trace.NewText("nova")}, {Time: int64(i) + 5, HasTime: true, Value: trace.Value{Kind: trace.String, Text: "stop"}, Service: trace.NewText("nova")}},
					Origin: []trace.Origin{{File: "a.log", Line: int64(i)}}}
				text = appendRecord(text, e.appendRecord(nil, &s))
			}
			m := &making{names: e.names, limit: 1}
			var tr trace.Trace
			var err error
			took := allocated(func() { tr, _, err = m.maker().trace(bundle{id: trace.IDFromUint64(1), cost: 2, text: borrowed(text)}) })
			require.NoError(t, err)
			require.NotNil(t, tr.Large)
			require.Equal(t, n, tr.Len())
			require.Less(t, took, int64(n*outlineCost*5/4), "the race detector takes some, too")
			require.Greater(t, took, int64(n*outlineCost/2), "the constant says about what is true")
		})
	}
}

// The document of a large trace is handed over in parts, which together are what
// it is in one piece.
func TestLargeTraceIsWrittenInParts(t *testing.T) {
	list := family(1, 5000, 300)
	whole, err := replay(t.Context(), Options{}, spans(list))
	require.NoError(t, err)
	large, err := replay(t.Context(), Options{Memory: 64 << 10, Temp: t.TempDir()}, spans(list))
	require.NoError(t, err)
	defer large.Close()
	for _, width := range []int{0, 80} {
		var want bytes.Buffer
		require.NoError(t, export.JSON(&want, whole.Render, export.View{Width: width}))
		got := parts{most: 600 << 10}
		require.NoError(t, export.JSON(&got, large.Render, export.View{Width: width}))
		require.Greater(t, got.n, 3)
		require.Zero(t, got.larger)
		require.True(t, bytes.Equal(want.Bytes(), got.all.Bytes()))
	}
	told, exact := all(t, whole)[0].Problems, int64(0)
	for _, p := range told {
		exact += int64(unsafe.Sizeof(p)) + int64(len(p.Text))
	}
	problems := int64(len(told)) * sentenceCost
	require.InEpsilon(t, exact, problems, 0.5)
	spill := ledger(t, large).Spill
	require.EqualValues(t, 1, spill.OversizedTraces)
	require.Greater(t, problems, int64(len(list)*100), "each is open")
	require.Greater(t, spill.OversizedBytes, problems+int64(len(list)*(outlineCost+300)))
	require.Less(t, spill.OversizedBytes, problems+int64(len(list)*(outlineCost+500)))
}

// parts counts what is written at once.
type parts struct {
	all             bytes.Buffer
	n, larger, most int
}

func (p *parts) Write(text []byte) (int, error) {
	if p.n++; len(text) > p.most {
		p.larger++
	}
	return p.all.Write(text)
}
