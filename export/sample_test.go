package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

var update = flag.Bool("update", false, "rewrite the golden files of this package")

// golden compares with a file in testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// samples reads the traces of one folder of logs from their truth, so that
// drawing is tested on what tomograph really wrote without a parser.
func samples(t *testing.T, folder string) []trace.Trace {
	t.Helper()
	f, err := os.Open("../testdata/truth/samples.jsonl")
	require.NoError(t, err)
	defer f.Close()
	var traces []trace.Trace
	at := map[uint64]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s truthSpan
		if !strings.Contains(lines.Text(), `"kind":"span"`) {
			continue
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s))
		if s.Folder != folder || s.TraceID == 0 {
			continue
		}
		i, ok := at[s.TraceID]
		if !ok {
			i = len(traces)
			at[s.TraceID] = i
			traces = append(traces, trace.Trace{ID: trace.IDFromUint64(s.TraceID)})
		}
		traces[i].Spans = append(traces[i].Spans, trace.Node{Span: s.span(), Parent: -1})
	}
	require.NoError(t, lines.Err())
	for i := range traces {
		plant(&traces[i])
	}
	slices.SortFunc(traces, func(a, b trace.Trace) int { return int(a.Start - b.Start) })
	return traces
}

type truthSpan struct {
	Folder   string
	TraceID  uint64  `json:"trace_id"`
	ParentID *uint64 `json:"parent_id"`
	ID       uint64
	Name     any
	Notes    []struct {
		Address, ServiceName any
		Service              any `json:"service_name"`
		Port                 any
		Value                map[string]any
		Time                 *int64 `json:"time_us"`
	}
	Dimensions []struct {
		Key, Address any
		Value        map[string]any
	}
	Files []struct {
		File string
		Line int64
	}
}

func (s *truthSpan) span() trace.Span {
	sp := trace.Span{TraceID: trace.IDFromUint64(s.TraceID), ID: trace.IDFromUint64(s.ID), Name: truthText(s.Name)}
	if s.ParentID != nil {
		sp.ParentID, sp.HasParent = trace.IDFromUint64(*s.ParentID), true
	}
	for _, n := range s.Notes {
		note := trace.Note{Value: truthValue(n.Value), Service: truthText(n.Service), Address: truthText(n.Address)}
		if n.Time != nil {
			note.Time, note.HasTime = *n.Time, true
		}
		if port, ok := n.Port.(float64); ok {
			text, _ := json.Marshal(int(port))
			note.Port = trace.Value{Kind: trace.Int, Text: string(text)}
		}
		sp.Notes = append(sp.Notes, note)
	}
	for _, d := range s.Dimensions {
		sp.Dimensions = append(sp.Dimensions, trace.Dimension{Key: truthText(d.Key), Value: truthValue(d.Value), Address: truthText(d.Address)})
	}
	for _, f := range s.Files {
		sp.Origin = append(sp.Origin, trace.Origin{File: f.File, Line: f.Line})
	}
	return sp
}

func truthText(v any) trace.Text {
	switch v := v.(type) {
	case string:
		return trace.NewText(v)
	case map[string]any:
		return trace.NewText(truthValue(v).Text)
	}
	return trace.Text{}
}

func truthValue(v map[string]any) trace.Value {
	for kind, x := range v {
		if text, ok := x.(string); ok {
			return trace.Value{Kind: trace.String, Text: text}
		}
		text, _ := json.Marshal(x)
		return trace.Value{Kind: trace.Repr, Text: strings.Trim(kind+string(text), "int")}
	}
	return trace.Value{Kind: trace.None, Text: "None"}
}

// plant links the spans of a trace to a tree in depth-first order and names the
// problems that matter for drawing.
func plant(t *trace.Trace) {
	children := map[trace.ID][]trace.Node{}
	there := map[trace.ID]bool{}
	for _, n := range t.Spans {
		there[n.ID] = true
	}
	var roots []trace.Node
	services := map[string]bool{}
	for _, n := range t.Spans {
		for _, note := range n.Notes {
			services[note.Service.String] = true
		}
		first, last, timed := n.Extent()
		if timed > 0 {
			if !t.HasStart || first < t.Start {
				t.Start = first
			}
			if !t.HasStart || last > t.End {
				t.End = last
			}
			t.HasStart = true
		}
		switch {
		case !n.HasParent || n.ParentID == n.ID:
			roots = append(roots, n)
		case !there[n.ParentID]:
			p := trace.Problem{Code: trace.MissingParent, Span: n.ID, HasSpan: true, Text: "the parent " + n.ParentID.Hex() + " is in no line that was read"}
			n.Problems = append(n.Problems, p)
			t.Problems = append(t.Problems, p)
			roots = append(roots, n)
		default:
			children[n.ParentID] = append(children[n.ParentID], n)
		}
	}
	for s := range services {
		t.Services = append(t.Services, s)
	}
	slices.Sort(t.Services)
	if len(roots) > 1 {
		t.Problems = append(t.Problems, trace.Problem{Code: trace.SeveralRoots, Text: safetext.Plural(int64(len(roots)), "span") + " have no parent here"})
	}
	t.Spans = nil
	var grow func(nodes []trace.Node, parent, depth int)
	grow = func(nodes []trace.Node, parent, depth int) {
		slices.SortStableFunc(nodes, func(a, b trace.Node) int {
			x, _, _ := a.Extent()
			y, _, _ := b.Extent()
			return int(x - y)
		})
		for _, n := range nodes {
			n.Parent, n.Depth = parent, depth
			below := children[n.ID]
			delete(children, n.ID)
			t.Spans = append(t.Spans, n)
			grow(below, len(t.Spans)-1, depth+1)
		}
	}
	grow(roots, -1, 0)
}

// each gives traces as the outputs take them.
func each(traces ...trace.Trace) iter.Seq2[*trace.Trace, error] {
	return func(yield func(*trace.Trace, error) bool) {
		for i := range traces {
			if !yield(&traces[i], nil) {
				return
			}
		}
	}
}

// rendered renders traces one after the other.
func rendered(traces iter.Seq2[*trace.Trace, error]) Render {
	return func(work func([]byte, *trace.Trace, func([]byte) []byte) []byte, take func([]byte) bool) error {
		for t, err := range traces {
			if err != nil {
				return err
			}
			if !take(work(nil, t, nil)) {
				return nil
			}
		}
		return nil
	}
}

// The outputs stop at an error among the traces, and return it.
func TestErrorAmongTraces(t *testing.T) {
	broken := errors.New("the disk is broken")
	traces := func(yield func(*trace.Trace, error) bool) {
		for tr := range each(oddTraces()[:2]...) {
			if !yield(tr, nil) {
				return
			}
		}
		yield(nil, broken)
	}
	require.ErrorIs(t, JSON(io.Discard, rendered(traces), View{}), broken)
	require.ErrorIs(t, List(io.Discard, traces, View{}), broken)
	_, err := ShiftToNow(traces, time.Now())
	require.ErrorIs(t, err, broken)
	z, err := NewZipkin(ZipkinOptions{URL: "http://localhost:1", Quarantine: filepath.Join(t.TempDir(), "quarantine.jsonl")})
	require.NoError(t, err)
	require.ErrorIs(t, z.Send(t.Context(), Nodes(traces), nil), broken)
	require.NoError(t, z.Close())
}
