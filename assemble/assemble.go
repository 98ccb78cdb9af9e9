// Package assemble turns spans into traces: it merges what was logged more than
// once, finds every span's place in the tree, and says in words what is wrong
// with a trace. It has no goroutine, no clock and does no I/O, and what it gives
// does not depend on the order in which spans arrive (only the order of a span's
// origins does).
//
//	spans ─ merge.go ─> one vertex a span ─ tree.go ─> parents ─ skew.go ─> times
//	      ─ tree.go ─> depth-first order ─ problem.go ─> trace.Trace
//
// Nothing here recurses and everything is near linear, so a chain of 100,000
// spans, 100,000 children of one parent or 100,000 twins of one id are ordinary.
package assemble

import (
	"cmp"
	"iter"
	"slices"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Options say how traces are assembled.
type Options struct {
	// AdjustSkew moves spans of another host that start before their parent; see
	// adjustSkew for the rule. Without it such spans are only reported.
	AdjustSkew bool
}

// Assembler collects spans in memory until they are asked for as traces.
type Assembler struct {
	opt               Options
	index             map[trace.ID]int // into groups
	groups            [][]trace.Span   // one trace each
	spans, duplicates int64
}

// New is an Assembler that holds nothing yet.
func New(opt Options) *Assembler {
	return &Assembler{opt: opt, index: make(map[trace.ID]int)}
}

// Add takes one span as it was read, and says whether it is the first of its
// trace. The assembler owns it, and what its slices refer to, from then on.
func (a *Assembler) Add(s trace.Span) (first bool) {
	i, known := a.index[s.TraceID]
	if !known {
		i = len(a.groups)
		a.index[s.TraceID] = i
		a.groups = append(a.groups, nil)
	}
	g := &a.groups[i]
	if len(*g) == 1 { // a trace of more than one span mostly has several
		*g = slices.Grow(*g, 3)
	}
	*g = append(*g, s)
	return !known
}

// Traces assembles all that was added, trace by trace in the order in which they
// were first heard of, and forgets each as it is handed over: the assembler is
// empty afterwards.
func (a *Assembler) Traces() iter.Seq[trace.Trace] {
	return func(yield func(trace.Trace) bool) {
		for spans := range a.Groups() {
			t, duplicates := Trace(spans[0].TraceID, spans, a.opt)
			a.spans += int64(len(t.Spans))
			a.duplicates += int64(duplicates)
			if !yield(t) {
				return
			}
		}
	}
}

// Groups hands over all that was added as it was added: the spans of one trace
// after those of another, each in order of arrival. The assembler forgets them
// and is empty afterwards.
func (a *Assembler) Groups() iter.Seq[[]trace.Span] {
	return func(yield func([]trace.Span) bool) {
		groups := a.groups
		a.groups = nil
		clear(a.index)
		for i, spans := range groups {
			groups[i] = nil
			if !yield(spans) {
				return
			}
		}
	}
}

// Counts says how many spans [Assembler.Traces] has handed over so far, and how
// many of the added ones were copies of these. Once Traces has run, what was
// added is spans + duplicates.
func (a *Assembler) Counts() (spans, duplicates int64) { return a.spans, a.duplicates }

// Order compares two traces by start, then id; those without a start come last.
func Order(a, b trace.Trace) int {
	if c := compareStart(a.Start, a.HasStart, b.Start, b.HasStart); c != 0 {
		return c
	}
	return a.ID.Compare(b.ID)
}

// Trace assembles the spans of one trace, given in order of arrival, and says
// how many of them were copies of others. All of them have the trace id; there
// may be none. The spans are read only, so they can be kept and assembled again
// when more of them have come; the result shares their notes, dimensions and
// strings.
func Trace(id trace.ID, spans []trace.Span, opt Options) (t trace.Trace, duplicates int) {
	r := rooms.Get().(*room)
	defer r.leave()
	spans = unmoved(spans)
	r.merge(spans)
	r.links()
	r.measureSkew(opt.AdjustSkew)
	r.sort()

	t = trace.Trace{ID: id, Spans: r.nodes()}
	for i := range r.vertices {
		v := &r.vertices[i]
		if !v.hasStart() {
			continue
		}
		if !t.HasStart {
			t.HasStart, t.Start, t.End = true, v.start, v.end
		}
		t.Start, t.End = min(t.Start, v.start), max(t.End, v.end)
	}
	t.Services = r.services()
	addProblems(&t, r.vertices, r.order)
	return t, len(spans) - len(r.vertices)
}

// compareStart orders two times of which each may be missing; missing is last.
func compareStart(a int64, hasA bool, b int64, hasB bool) int {
	switch {
	case hasA != hasB && hasA:
		return -1
	case hasA != hasB:
		return 1
	case !hasA:
		return 0
	}
	return cmp.Compare(a, b)
}
