package sampletest

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

var update = flag.Bool("update", false, "rewrite the golden files of this package")

// Golden compares with a file in testdata, or rewrites it.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// Traces reads the traces of one folder of logs from their truth, so that
// drawing is tested on what tomograph really wrote without a parser.
func Traces(t testing.TB, folder string) []trace.Trace {
	t.Helper()
	f, err := os.Open(filepath.Join(Root(t), "testdata/truth/samples.jsonl"))
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
		sp.Dimensions = append(sp.Dimensions, trace.Dimension{Key: truthText(d.Key), Value: truthValue(d.Value),
			Address: truthText(d.Address)})
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
			p := trace.Problem{Code: trace.MissingParent, Span: n.ID, HasSpan: true, Text: "the parent " +
				n.ParentID.Hex() + " is in no line that was read"}
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
		t.Problems = append(t.Problems, trace.Problem{Code: trace.SeveralRoots, Text: safetext.Plural(int64(len(roots)),
			"span") + " have no parent here"})
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

// Each gives traces as the outputs take them.
func Each(traces ...trace.Trace) iter.Seq2[*trace.Trace, error] {
	return func(yield func(*trace.Trace, error) bool) {
		for i := range traces {
			if !yield(&traces[i], nil) {
				return
			}
		}
	}
}

// OddTraces are what logs seldom hold, but may.
func OddTraces() []trace.Trace {
	at := func(us int64, value string) trace.Note {
		return trace.Note{Time: us, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value},
			Service: trace.NewText("s"), Address: trace.NewText("h")}
	}
	span := func(id uint64, notes ...trace.Note) trace.Node {
		return trace.Node{Parent: -1, Span: trace.Span{ID: trace.IDFromUint64(id),
			Name: trace.NewText(fmt.Sprint("span ", id)), Notes: notes}}
	}
	under := func(n trace.Node, parent, depth int) trace.Node {
		n.Parent, n.Depth = parent, depth
		return n
	}
	const t0 = 1366250528495435
	const minute = 60 * 1000 * 1000
	long := strings.Repeat("a very long value, ", 60)
	traces := []trace.Trace{
		{Spans: []trace.Node{span(1, trace.Note{Value: trace.Value{Kind: trace.String, Text: "no time"}}),
			under(span(2), 0, 1)}},
		{Spans: []trace.Node{span(1, at(t0, "only one"))}},
		{Spans: []trace.Node{span(1, at(t0, "start"), at(t0, "stop")), under(span(2, at(t0, "start"), at(t0, "stop")),
			0, 1)}},
		{Spans: []trace.Node{span(1, at(t0+1000, "start"), at(t0+2000, "stop")),
			under(span(2, at(t0, "start"), at(t0+900, "stop")), 0, 1), under(span(3, at(t0+1900, "start"),
				at(t0+9000, "stop")), 0, 1)}},
		{Spans: []trace.Node{span(1, at(t0, "start"), at(t0+2000, "stop")),
			under(span(2, at(t0+500, "start"), at(t0+900, "stop")), 0, 1),
			span(3, at(t0+5*minute, "start"), at(t0+5*minute+1500, "stop")), span(4)}},
		{Spans: []trace.Node{span(1, at(math.MinInt64, "start"), at(math.MaxInt64, "stop"))}},
		{Spans: []trace.Node{{Parent: -1, Span: trace.Span{Name: trace.NewText(long), Notes: []trace.Note{at(t0, long),
			at(t0+7, "\x1b[2J\u202e\nstop")},
			Dimensions: []trace.Dimension{{Key: trace.NewText("k\x9b"), Value: trace.Value{Kind: trace.Repr,
				Text: "<object at 0x7f>"}}, {Value: trace.Value{Kind: trace.None, Text: "None"}}},
			Extra: []trace.Field{{Name: "flavour", Value: trace.Value{Kind: trace.String}}},
			Origin: []trace.Origin{{File: "sos\x1b.tar.xz!" + strings.Repeat("deep/", 40) + "nova-api.log",
				Line: 12, RequestID: "req-\x1b[1m"}}},
			Problems: []trace.Problem{{Code: trace.CodeTorn, Text: "the value\x1b[2J " + long}}}}},
		{},
	}
	for i := range traces {
		PlantTimes(&traces[i])
		traces[i].ID = trace.IDFromUint64(uint64(i + 1))
	}
	traces[6].ID, _ = trace.ParseID(strings.Repeat("9", 120))
	return traces
}

func PlantTimes(t *trace.Trace) {
	for i := range t.Spans {
		first, last, timed := t.Spans[i].Extent()
		if timed > 0 && (!t.HasStart || first < t.Start) {
			t.Start = first
		}
		if timed > 0 && (!t.HasStart || last > t.End) {
			t.End = last
		}
		t.HasStart = t.HasStart || timed > 0
	}
}
