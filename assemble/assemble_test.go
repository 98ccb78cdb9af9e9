package assemble_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

var epoch = int64(1_366_250_528_000_000)

// at makes a whole span on a host, from start to stop in microseconds since the
// epoch of these tests.
func at(id, parent uint64, host string, start, stop int64) trace.Span {
	note := func(us int64, value string) trace.Note {
		return trace.Note{
			Time: epoch + us, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value},
			Service: trace.NewText("service"), Address: trace.NewText(host),
		}
	}
	s := trace.Span{
		TraceID: trace.IDFromUint64(1), ID: trace.IDFromUint64(id), Name: trace.NewText(fmt.Sprint("span ", id)),
		Notes: []trace.Note{note(start, "start"), note(stop, "stop")},
	}
	if parent != 0 {
		s.ParentID, s.HasParent = trace.IDFromUint64(parent), true
	}
	return s
}

// requireTrees checks what holds for every trace, whatever its spans.
func requireTrees(t require.TestingT, traces []trace.Trace) {
	require.True(t, slices.IsSortedFunc(traces, assemble.Order))
	for i := range traces {
		tr := &traces[i]
		problems := 0
		lastSibling := make(map[int]int)
		for j := range tr.Spans {
			node := &tr.Spans[j]
			require.Equal(t, tr.ID, node.TraceID)
			require.Less(t, node.Parent, j)
			if node.Parent < 0 {
				require.Zero(t, node.Depth)
			} else {
				require.Equal(t, tr.Spans[node.Parent].Depth+1, node.Depth)
				require.Equal(t, tr.Spans[node.Parent].ID, node.ParentID)
			}
			if j > 0 {
				require.LessOrEqual(t, node.Depth, tr.Spans[j-1].Depth+1, "depth first")
			}
			if before, ok := lastSibling[node.Parent]; ok {
				a, _, timedA := tr.Spans[before].Extent()
				b, _, timedB := node.Extent()
				require.False(t, timedA == 0 && timedB > 0)
				require.False(t, timedA > 0 && timedB > 0 && a > b)
				if timedA == 0 && timedB == 0 || timedA > 0 && timedB > 0 && a == b {
					require.LessOrEqual(t, tr.Spans[before].ID.Compare(node.ID), 0)
				}
			}
			lastSibling[node.Parent] = j
			for _, p := range node.Problems {
				require.Equal(t, node.ID, p.Span)
				require.True(t, p.HasSpan)
			}
			problems += len(node.Problems)
		}
		for _, p := range tr.Problems {
			if !p.HasSpan {
				problems++
			}
		}
		require.Len(t, tr.Problems, problems)
		require.True(t, slices.IsSorted(tr.Services))
	}
}

// anySpans draws spans of few ids, so that twins, copies, cycles and missing
// parents are common, and cut copies of some of them. Each has an origin of its
// own.
func anySpans(t *rapid.T) []trace.Span {
	number := rapid.Uint64Range(0, 7)
	word := rapid.SampledFrom([]string{"", "a", "stop", "b\n", "ctl", "cmp", "127.0.0.1"})
	text := rapid.Custom(func(t *rapid.T) trace.Text {
		if rapid.Bool().Draw(t, "set") {
			return trace.NewText(word.Draw(t, "text"))
		}
		return trace.Text{}
	})
	value := rapid.SampledFrom([]trace.Value{
		{}, {Kind: trace.None}, {Kind: trace.String, Text: "stop"}, {Kind: trace.Float, Text: "16.0"},
		{Kind: trace.Float, Text: "1.6e1"}, {Kind: trace.Int, Text: "16"}, {Kind: trace.Repr, Text: "[1]"},
	})
	fields := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) trace.Field {
		return trace.Field{Name: word.Draw(t, "field"), Value: value.Draw(t, "value")}
	}), 0, 2)
	span := rapid.Custom(func(t *rapid.T) trace.Span {
		s := trace.Span{
			TraceID:   trace.IDFromUint64(rapid.Uint64Range(1, 2).Draw(t, "trace")),
			ID:        trace.IDFromUint64(number.Draw(t, "id")),
			HasParent: rapid.Bool().Draw(t, "child"),
			Name:      text.Draw(t, "name"),
			Damage:    trace.Damage(rapid.Uint8Range(0, 15).Draw(t, "damage")),
		}
		if extra := fields.Draw(t, "extra"); len(extra) > 0 {
			s.Extra = extra
		}
		if s.HasParent {
			s.ParentID = trace.IDFromUint64(number.Draw(t, "parent"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "notes") {
			n := trace.Note{
				HasTime: rapid.Bool().Draw(t, "timed"), Value: value.Draw(t, "value"), Port: value.Draw(t, "port"),
				Service: text.Draw(t, "service"), Address: text.Draw(t, "address"), Duration: value.Draw(t, "duration"),
			}
			if n.HasTime {
				n.Time = rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64()).Draw(t, "time")
			}
			s.Notes = append(s.Notes, n)
		}
		if rapid.Bool().Draw(t, "era 3") {
			s.Dimensions = []trace.Dimension{}
			for range rapid.IntRange(0, 2).Draw(t, "dimensions") {
				s.Dimensions = append(s.Dimensions, trace.Dimension{Key: text.Draw(t, "key"), Value: value.Draw(t, "value")})
			}
		}
		return s
	})
	spans := rapid.SliceOfN(span, 0, 12).Draw(t, "spans")
	for range rapid.IntRange(0, 6).Draw(t, "copies") {
		if len(spans) == 0 {
			break
		}
		s := spans[rapid.IntRange(0, len(spans)-1).Draw(t, "of")]
		if rapid.Bool().Draw(t, "cut") {
			s.Damage |= trace.Truncated
			s.Notes = s.Notes[:rapid.IntRange(0, len(s.Notes)).Draw(t, "whole notes")]
			s.Dimensions, s.Extra = nil, nil
			if len(s.Notes) == 0 && rapid.Bool().Draw(t, "early") {
				s.Name = trace.Text{}
			}
		}
		spans = append(spans, s)
	}
	for i := range spans {
		spans[i].Origin = []trace.Origin{{File: "f", Line: int64(i + 1)}}
	}
	return spans
}

// assembleAll makes traces of spans, in order, and counts what they hold.
func assembleAll(spans []trace.Span, opt assemble.Options) (traces []trace.Trace, kept, duplicates int64) {
	groups := map[trace.ID][]trace.Span{}
	for _, s := range spans {
		groups[s.TraceID] = append(groups[s.TraceID], s)
	}
	for id, group := range groups {
		t, copies := assemble.Trace(id, group, opt)
		traces = append(traces, t)
		kept += int64(len(t.Spans))
		duplicates += int64(copies)
	}
	slices.SortFunc(traces, assemble.Order)
	return traces, kept, duplicates
}

var placeInText = regexp.MustCompile(`, f:\d+\)`)

// withoutOrder takes away what depends on the order of arrival.
func withoutOrder(traces []trace.Trace) []trace.Trace {
	for i := range traces {
		for j := range traces[i].Spans {
			slices.SortFunc(traces[i].Spans[j].Origin, func(a, b trace.Origin) int { return int(a.Line - b.Line) })
		}
		for j := range traces[i].Problems { // the spans' problems are parts of these
			traces[i].Problems[j].Text = placeInText.ReplaceAllString(traces[i].Problems[j].Text, ")")
		}
	}
	return traces
}

func TestAnySpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans := anySpans(t)
		opt := assemble.Options{AdjustSkew: rapid.Bool().Draw(t, "adjust")}
		traces, kept, duplicates := assembleAll(slices.Clone(spans), opt)
		requireTrees(t, traces)
		require.Equal(t, int64(len(spans)), kept+duplicates)

		// Every span is there, in exactly one place.
		var lines []int64
		for i := range traces {
			for j := range traces[i].Spans {
				for _, origin := range traces[i].Spans[j].Origin {
					lines = append(lines, origin.Line)
					require.Equal(t, spans[origin.Line-1].ID, traces[i].Spans[j].ID)
				}
			}
		}
		slices.Sort(lines)
		require.Len(t, lines, len(spans))
		require.Len(t, slices.Compact(lines), len(spans))

		// The order of arrival does not matter.
		shuffled := rapid.Permutation(spans).Draw(t, "order")
		again, _, _ := assembleAll(shuffled, opt)
		require.Equal(t, withoutOrder(traces), withoutOrder(again))
	})
}

func TestAssembledAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		traces, kept, _ := assembleAll(anySpans(t), assemble.Options{})
		var spans []trace.Span
		for i := range traces {
			for j := range traces[i].Spans {
				spans = append(spans, traces[i].Spans[j].Span)
			}
		}
		again, keptAgain, duplicates := assembleAll(spans, assemble.Options{})
		require.Equal(t, traces, again)
		require.Equal(t, kept, keptAgain)
		require.Zero(t, duplicates)
	})
}

func TestHostileShapes(t *testing.T) {
	const n = 10_000
	random := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func(i uint64) trace.Span{
		"chain":          func(i uint64) trace.Span { return at(i+1, i, "h", int64(i), n) },
		"star":           func(i uint64) trace.Span { return at(i+1, min(i, 1), "h", int64(n-i), n) },
		"one ring":       func(i uint64) trace.Span { return at(i+1, (i+1)%n+1, "h", int64(i), n) },
		"all lost":       func(i uint64) trace.Span { return at(i+1, i+n+1, "h", int64(i), n) },
		"random parents": func(i uint64) trace.Span { return at(i+1, random.Uint64N(n)+1, "h", int64(i), n) },
		"equal copies":   func(uint64) trace.Span { return at(7, 1, "h", 3, n) },
		"twins":          func(i uint64) trace.Span { return at(7, 1, "h", int64(i), n) },
		"cut twins": func(i uint64) trace.Span {
			s := at(7, 1, "h", int64(i), n)
			s.Damage = trace.Truncated
			return s
		},
		"skewed chain": func(i uint64) trace.Span { return at(i+1, i, fmt.Sprint("h", i%3), -int64(i), n) },
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			spans := make([]trace.Span, n)
			for i := range spans {
				spans[i] = shape(uint64(i))
			}
			random.Shuffle(n, func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
			begin := time.Now()
			tr, duplicates := assemble.Trace(trace.IDFromUint64(1), spans, assemble.Options{AdjustSkew: true})
			t.Log(time.Since(begin))
			require.Equal(t, n, len(tr.Spans)+duplicates)
			for _, p := range tr.Problems {
				require.Less(t, len(p.Text), 1000)
			}
		})
	}
}

func TestProblemsOfHostileText(t *testing.T) {
	s := at(1, 99, "h", 0, 1)
	s.Name = trace.NewText("\x1b[31m" + strings.Repeat("é", 10_000))
	s.Origin = []trace.Origin{{File: strings.Repeat("d/", 3000) + "\x1b]0;api.log", Line: 3}}
	tr, _ := assemble.Trace(s.TraceID, []trace.Span{s}, assemble.Options{})
	require.Len(t, tr.Problems, 1)
	require.NotContains(t, tr.Problems[0].Text, "\x1b")
	require.Contains(t, tr.Problems[0].Text, `]0;api.log":3)`)
	require.Less(t, len(tr.Problems[0].Text), 1000)
}

func TestCutCopies(t *testing.T) {
	whole := at(7, 1, "h", 0, 9)
	whole.Dimensions = []trace.Dimension{{Key: trace.NewText("k")}}
	cut := func(notes int, change func(*trace.Span)) trace.Span {
		s := whole
		s.Damage = trace.Truncated
		s.Notes = slices.Clone(whole.Notes[:notes])
		s.Dimensions = nil
		if change != nil {
			change(&s)
		}
		return s
	}
	tests := map[string]struct {
		spans []trace.Span
		kept  int
	}{
		"several cut, whole last": {[]trace.Span{cut(0, nil), cut(2, nil), cut(1, nil), whole}, 1},
		"whole first":             {[]trace.Span{whole, cut(1, nil)}, 1},
		"only cut ones":           {[]trace.Span{cut(1, nil), cut(2, nil), cut(0, nil)}, 1},
		"no name, no parent": {[]trace.Span{cut(0, func(s *trace.Span) {
			s.Name, s.HasParent, s.ParentID = trace.Text{}, false, trace.ID{}
		}), whole}, 1},
		"equal but for the damage": {[]trace.Span{cut(2, func(s *trace.Span) { s.Dimensions = whole.Dimensions }), whole}, 1},
		"another name":             {[]trace.Span{cut(1, func(s *trace.Span) { s.Name.String = "other" }), whole}, 2},
		"another note":             {[]trace.Span{cut(2, func(s *trace.Span) { s.Notes[1].Time++ }), whole}, 2},
		"another parent":           {[]trace.Span{cut(0, func(s *trace.Span) { s.ParentID.Lo++ }), whole}, 2},
		"a dimension too many": {[]trace.Span{cut(2, func(s *trace.Span) {
			s.Dimensions = append(slices.Clone(whole.Dimensions), trace.Dimension{})
		}), whole}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for i := range test.spans {
				test.spans[i].Origin = []trace.Origin{{File: "f", Line: int64(i + 1)}}
			}
			tr, duplicates := assemble.Trace(whole.TraceID, test.spans, assemble.Options{})
			require.Len(t, tr.Spans, test.kept)
			require.Equal(t, len(test.spans)-test.kept, duplicates)
			if test.kept == 1 {
				require.Len(t, tr.Spans[0].Origin, len(test.spans))
				require.True(t, slices.IsSortedFunc(tr.Spans[0].Origin, func(a, b trace.Origin) int { return int(a.Line - b.Line) }))
			} else {
				require.Equal(t, 2, codes(tr)[trace.ConflictingTwin])
			}
			if name != "only cut ones" {
				require.Equal(t, test.kept-1, codes(tr)[trace.CodeTruncated])
				require.Zero(t, codes(tr)[trace.Open])
			}
		})
	}
}

func TestOriginsAreCountedOnce(t *testing.T) {
	a, b := at(7, 0, "h", 0, 9), at(7, 0, "h", 0, 9)
	a.Origin = []trace.Origin{{File: "x", Line: 2}, {File: "x", Line: 1}}
	b.Origin = []trace.Origin{{File: "x", Line: 1}, {File: "y", Line: 1}}
	tr, duplicates := assemble.Trace(a.TraceID, []trace.Span{a, b}, assemble.Options{})
	require.Equal(t, 1, duplicates)
	require.Equal(t, []trace.Origin{{File: "x", Line: 2}, {File: "x", Line: 1}, {File: "y", Line: 1}}, tr.Spans[0].Origin)
	require.Len(t, a.Origin, 2)
}

func TestRoots(t *testing.T) {
	tests := map[string]struct {
		spans    []trace.Span
		codes    map[trace.Code]int
		complete bool
	}{
		"nothing":                {nil, map[trace.Code]int{}, false},
		"one":                    {[]trace.Span{at(1, 0, "h", 0, 9)}, map[trace.Code]int{}, true},
		"two":                    {[]trace.Span{at(1, 0, "h", 0, 9), at(2, 0, "h", 1, 9)}, map[trace.Code]int{trace.SeveralRoots: 1}, false},
		"one and a lost parent":  {[]trace.Span{at(1, 0, "h", 0, 9), at(2, 9, "h", 1, 9)}, map[trace.Code]int{trace.MissingParent: 1}, false},
		"two with a lost parent": {[]trace.Span{at(1, 9, "h", 0, 9), at(2, 9, "h", 1, 9)}, map[trace.Code]int{trace.MissingParent: 2}, false},
		"ring and root": {[]trace.Span{at(1, 2, "h", 0, 9), at(2, 1, "h", 1, 9), at(3, 0, "h", 1, 9)},
			map[trace.Code]int{trace.Cycle: 1, trace.SeveralRoots: 1}, false},
		"trees hang off a ring": {[]trace.Span{at(1, 2, "h", 0, 9), at(2, 1, "h", 1, 9), at(3, 2, "h", 1, 9), at(4, 3, "h", 1, 9)},
			map[trace.Code]int{trace.Cycle: 1}, false},
		"two rings": {[]trace.Span{at(1, 2, "h", 0, 9), at(2, 1, "h", 1, 9), at(3, 4, "h", 1, 9), at(4, 3, "h", 1, 9)},
			map[trace.Code]int{trace.Cycle: 2, trace.SeveralRoots: 1}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tr, _ := assemble.Trace(trace.IDFromUint64(1), test.spans, assemble.Options{})
			require.Equal(t, test.codes, codes(tr))
			require.Equal(t, test.complete, tr.Complete())
			requireTrees(t, []trace.Trace{tr})
		})
	}
}

func TestParentZeroMeansNone(t *testing.T) {
	s := at(1, 0, "h", 0, 9)
	s.HasParent = true
	tr, _ := assemble.Trace(s.TraceID, []trace.Span{s}, assemble.Options{})
	require.Empty(t, tr.Problems)
	require.True(t, tr.Complete())
	require.True(t, tr.Spans[0].HasParent, "what the log says is kept")
}

func TestOpen(t *testing.T) {
	s := at(1, 0, "h", 0, 9)
	s.Notes = s.Notes[:1]
	tr, _ := assemble.Trace(s.TraceID, []trace.Span{s}, assemble.Options{})
	require.Equal(t, map[trace.Code]int{trace.Open: 1}, codes(tr))
	s.Damage = trace.Truncated
	tr, _ = assemble.Trace(s.TraceID, []trace.Span{s}, assemble.Options{})
	require.Equal(t, map[trace.Code]int{trace.CodeTruncated: 1}, codes(tr))
}

func TestSkew(t *testing.T) {
	tests := map[string]struct {
		spans   []trace.Span
		starts  []int64 // in depth-first order, once adjusted
		says    string  // in the text of the only clock-skew
		skewed  int
		changed bool
	}{
		"fits: into the middle": {[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "cmp", -500, 100)},
			[]int64{0, 200}, "starts 500µs before", 1, true},
		"longer: 1 µs behind": {[]trace.Span{at(1, 0, "ctl", 0, 100), at(2, 1, "cmp", -500, 100)},
			[]int64{0, 1}, "moved 501µs later", 1, true},
		"those below of the same host follow": {
			[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "cmp", -500, 100), at(3, 2, "CMP", -400, 0), at(4, 3, "127.0.0.1", -300, 0)},
			[]int64{0, 200, 300, 400}, "it and 2 spans below it were moved 700µs later", 1, true},
		"another host below does not": {
			[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "cmp", -500, 100), at(3, 2, "ctl", 350, 400)},
			[]int64{0, 200, 350}, "it was moved 700µs later", 1, true},
		"another host below loopback does not": {
			[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "cmp", -500, 100), at(3, 2, "127.0.0.1", -400, 0), at(4, 3, "ctl", 350, 400)},
			[]int64{0, 200, 300, 350}, "it and 1 span below it were moved 700µs later", 1, true},
		"the same host stays":       {[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "ctl", -500, 100)}, []int64{0, -500}, "set back", 1, false},
		"an unknown host stays":     {[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "unknown", -500, 100)}, []int64{0, -500}, "set back", 1, false},
		"loopback stays":            {[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "127.0.0.1", -500, 100)}, []int64{0, -500}, "set back", 1, false},
		"a cast is no skew":         {[]trace.Span{at(1, 0, "ctl", 0, 10), at(2, 1, "cmp", 500, 600)}, []int64{0, 500}, "", 0, false},
		"the order is that of then": {[]trace.Span{at(1, 0, "ctl", 0, 1000), at(2, 1, "ctl", 1, 2), at(3, 1, "cmp", -500, 500)}, []int64{0, 1, 1}, "1µs", 1, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := fmt.Sprint(test.spans)
			tr, _ := assemble.Trace(trace.IDFromUint64(1), test.spans, assemble.Options{AdjustSkew: true})
			requireTrees(t, []trace.Trace{tr})
			var starts []int64
			for i := range tr.Spans {
				first, _, _ := tr.Spans[i].Extent()
				starts = append(starts, first-epoch)
			}
			require.Equal(t, test.starts, starts)
			require.Len(t, tr.Problems, test.skewed)
			if test.skewed > 0 {
				require.Contains(t, tr.Problems[0].Text, test.says)
				require.Equal(t, test.changed, strings.Contains(tr.Problems[0].Text, "its times were changed"))
			}
			require.Equal(t, before, fmt.Sprint(test.spans), "the spans handed in stay as they were")
			require.True(t, tr.Complete())
		})
	}
}

func TestSkewBeyondAllDates(t *testing.T) {
	far := at(2, 1, "cmp", 0, 0)
	far.Notes[0].Time = -1 << 63
	tr, _ := assemble.Trace(far.TraceID, []trace.Span{at(1, 0, "ctl", 0, 9), far}, assemble.Options{AdjustSkew: true})
	require.Len(t, tr.Problems, 1)
	require.Contains(t, tr.Problems[0].Text, "starts 9223372036854775807µs before its parent")
	require.Equal(t, int64(-1<<63), tr.Start, "such a span is not moved")
}

func TestServicesAndTimes(t *testing.T) {
	a, b := at(1, 0, "h", 5, 9), at(2, 1, "h", 7, 20)
	b.Notes[0].Service, b.Notes[1].Service = trace.NewText("Nova"), trace.NewText("")
	tr, _ := assemble.Trace(a.TraceID, []trace.Span{b, a}, assemble.Options{})
	require.Equal(t, []string{"Nova", "service"}, tr.Services)
	require.Equal(t, []int64{epoch + 5, epoch + 20}, []int64{tr.Start, tr.End})
}

func TestTracesInOrder(t *testing.T) {
	var spans []trace.Span
	for id, start := range map[uint64]int64{1: 9, 2: 3, 3: 3, 4: 1} {
		s := at(1, 0, "h", start, 100)
		if s.TraceID = trace.IDFromUint64(id); id == 4 {
			s.Notes = nil
		}
		spans = append(spans, s)
	}
	var order []uint64
	traces, _, _ := assembleAll(spans, assemble.Options{})
	for _, tr := range traces {
		order = append(order, tr.ID.Lo)
	}
	require.Equal(t, []uint64{2, 3, 1, 4}, order)
}

func BenchmarkManyTraces(b *testing.B) {
	s := []trace.Span{at(1, 0, "h", 0, 9)}
	for b.Loop() {
		for i := range 100_000 {
			s[0].TraceID.Lo = uint64(i)
			assemble.Trace(s[0].TraceID, s, assemble.Options{})
		}
	}
}

func BenchmarkOneTrace(b *testing.B) {
	spans := make([]trace.Span, 20_000)
	for i := range spans {
		spans[i] = at(uint64(i+1), uint64(i/2), "h", int64(i), 20_000)
	}
	for b.Loop() {
		assemble.Trace(spans[0].TraceID, spans, assemble.Options{})
	}
}
