package terminal

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/internal/screentest"
	"github.com/tomoscrape/tomoscrape/trace"
)

var views = map[string]View{"60": {Width: 60}, "80": {Width: 80}, "120": {Width: 120}, "200": {Width: 200}, "pipe": {}, "color": {Width: 100, Color: true}}

func TestList(t *testing.T) {
	for name, v := range views {
		var out strings.Builder
		require.NoError(t, List(&out, sampletest.Each(append(sampletest.Traces(t, "havana"), sampletest.OddTraces()...)...), v))
		sampletest.Golden(t, "list-"+name+".txt", out.String())
		fits(t, out.String(), v)
	}
}

func TestTree(t *testing.T) {
	for name, v := range views {
		var out strings.Builder
		for _, folder := range []string{"basic-a8d619c", "odd-trees"} {
			for _, tr := range sampletest.Traces(t, folder) {
				require.NoError(t, Tree(&out, &tr, v))
				out.WriteByte('\n')
			}
		}
		for _, tr := range sampletest.Traces(t, "folsom")[:2] {
			require.NoError(t, Tree(&out, &tr, v))
			out.WriteByte('\n')
		}
		sampletest.Golden(t, "tree-"+name+".txt", out.String())
		fits(t, out.String(), v)
	}
}

func TestTreeOfOddTraces(t *testing.T) {
	for name, v := range views {
		var out strings.Builder
		for _, tr := range sampletest.OddTraces() {
			require.NoError(t, Tree(&out, &tr, v))
			out.WriteByte('\n')
		}
		sampletest.Golden(t, "odd-"+name+".txt", out.String())
		fits(t, out.String(), v)
	}
}

// What differs in the log differs in the drawing.
func TestValues(t *testing.T) {
	values := map[string]trace.Value{
		"-": {}, "None": {Kind: trace.None}, `""`: {Kind: trace.String}, `"None"`: {Kind: trace.String, Text: "None"},
		"x y": {Kind: trace.String, Text: "x y"}, "True": {Kind: trace.Bool, Text: "True"}, "1.0": {Kind: trace.Float, Text: "1.0"},
	}
	for want, value := range values {
		tr := trace.Trace{Spans: []trace.Node{{Parent: -1, Span: trace.Span{
			Notes:      []trace.Note{{Value: value}},
			Dimensions: []trace.Dimension{{Key: trace.NewText("key"), Value: value}},
			Extra:      []trace.Field{{Name: "field", Value: value}},
		}}}}
		var out strings.Builder
		require.NoError(t, Tree(&out, &tr, View{}))
		require.Contains(t, out.String(), "(no time) "+want+between+"key = "+want+between+"field = "+want+"\n")
	}
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// fits checks that nothing but colours steers the terminal, and that no line is
// wider than it.
func fits(t require.TestingT, text string, v View) {
	if v.Color {
		text = sgr.ReplaceAllString(text, "")
	}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		screentest.Harmless(t, line)
		if v.Width > 0 {
			require.LessOrEqual(t, screentest.Width(line), v.Width, "%q", line)
		}
	}
}

func TestAnyTraceFits(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) trace.Text {
		return trace.Text{String: string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "b")) + rapid.StringN(0, 20, -1).Draw(t, "s"), Set: rapid.Bool().Draw(t, "set")}
	})
	times := rapid.OneOf(rapid.Int64(), rapid.Int64Range(1366250528495435, 1366250538495435))
	rapid.Check(t, func(t *rapid.T) {
		var tr trace.Trace
		for i := range rapid.IntRange(0, 12).Draw(t, "spans") {
			n := trace.Node{Parent: -1, Span: trace.Span{Name: text.Draw(t, "name")}}
			if i > 0 && rapid.IntRange(0, 5).Draw(t, "root") > 0 { // under the last one or one of its ancestors
				n.Parent = i - 1
				for n.Parent > 0 && tr.Spans[n.Parent].Parent >= 0 && rapid.Bool().Draw(t, "up") {
					n.Parent = tr.Spans[n.Parent].Parent
				}
				n.Depth = tr.Spans[n.Parent].Depth + 1
			}
			for range rapid.IntRange(0, 3).Draw(t, "notes") {
				note := trace.Note{HasTime: rapid.Bool().Draw(t, "timed"), Service: text.Draw(t, "service"), Value: trace.Value{Kind: trace.String, Text: text.Draw(t, "value").String}}
				if note.HasTime {
					note.Time = times.Draw(t, "time")
				}
				if note.Service.Set {
					tr.Services = append(tr.Services, note.Service.String)
				}
				n.Notes = append(n.Notes, note)
			}
			if rapid.Bool().Draw(t, "problem") {
				n.Problems = []trace.Problem{{Code: trace.Open, Text: text.Draw(t, "text").String}}
			}
			n.Origin = []trace.Origin{{File: text.Draw(t, "file").String, RequestID: text.Draw(t, "request").String}}
			tr.Spans = append(tr.Spans, n)
		}
		sampletest.PlantTimes(&tr)
		v := View{Width: rapid.SampledFrom([]int{0, 60, 80, 133}).Draw(t, "width")}
		var out strings.Builder
		require.NoError(t, Tree(&out, &tr, View{Width: 30}))
		fits(t, out.String(), View{Width: 30})
		out.Reset()
		require.NoError(t, Tree(&out, &tr, v))
		require.NoError(t, List(&out, sampletest.Each(tr), v))
		fits(t, out.String(), v)
	})
}

// A big or deep trace is drawn at once, and its indentation is bounded.
func TestBigTraces(t *testing.T) {
	for name, shape := range map[string]func(i int) (parent, depth int){
		"flat": func(i int) (int, int) { return 0, 1 },
		"deep": func(i int) (int, int) { return i - 1, i },
	} {
		var tr trace.Trace
		for i := range 20000 {
			n := trace.Node{Parent: -1, Span: trace.Span{ID: trace.IDFromUint64(uint64(i)), Name: trace.NewText("execute"),
				Notes: []trace.Note{{Time: int64(i), HasTime: true, Value: trace.Value{Kind: trace.String, Text: "start"}}}}}
			if i > 0 {
				n.Parent, n.Depth = shape(i)
			}
			tr.Spans = append(tr.Spans, n)
		}
		sampletest.PlantTimes(&tr)
		for _, v := range []View{{Width: 80}, {}} {
			var size counter
			require.NoError(t, Tree(&size, &tr, v))
			require.Less(t, int(size), 20000*600, name)
		}
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestDeepLevelsAreNumbered(t *testing.T) {
	var tr trace.Trace
	for i := range 40 {
		tr.Spans = append(tr.Spans, trace.Node{Parent: i - 1, Depth: i, Span: trace.Span{Name: trace.NewText("f")}})
	}
	var out strings.Builder
	require.NoError(t, Tree(&out, &tr, View{Width: 40}))
	require.Contains(t, out.String(), "\n…39     └╴f ")
}

func TestDrawingTellsWriteErrors(t *testing.T) {
	tr := sampletest.OddTraces()
	_, w := io.Pipe()
	require.NoError(t, w.Close())
	require.ErrorIs(t, List(w, sampletest.Each(tr...), View{}), io.ErrClosedPipe)
	require.ErrorIs(t, Tree(w, &tr[0], View{}), io.ErrClosedPipe)
}

// A tree that is as large as a log ends between two spans.
func TestTreeEnds(t *testing.T) {
	for _, at := range []int{1, 500, 1500, 2500, 3500} {
		made, done := 0, make(chan struct{})
		large := &trace.Trace{Large: &trace.Large{Count: 1000, Roots: 1000, Make: func(int) *trace.Node {
			if made++; made == at {
				close(done)
			}
			return &trace.Node{Parent: -1}
		}}}
		require.ErrorIs(t, Tree(io.Discard, large, View{Done: done}), context.Canceled)
		require.LessOrEqual(t, made, at)
	}
}

// A list stops at an error among the traces, and returns it.
func TestListGivesTheError(t *testing.T) {
	broken := errors.New("the disk is broken")
	require.ErrorIs(t, List(io.Discard, func(yield func(*trace.Trace, error) bool) { yield(nil, broken) }, View{}), broken)
}
