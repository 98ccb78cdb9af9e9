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

	"github.com/tomoscrape/tomoscrape/trace"
)

// Options say how traces are assembled.
type Options struct {
	// AdjustSkew moves spans of another host that start before their parent; see
	// adjustSkew for the rule. Without it such spans are only reported.
	AdjustSkew bool
	// Elsewhere, if not nil, says where the parent was read that a span of this
	// trace names and this trace does not have.
	Elsewhere func(parent trace.ID) Elsewhere
	// Room, if it is large enough, is where the nodes of the trace are made, over
	// whatever stands there.
	Room []trace.Node
}

// Elsewhere is what is known of a span that a trace lacks. The zero value is
// nothing.
type Elsewhere struct {
	In      trace.ID // a trace that has it, valid if Found
	Found   bool
	Nowhere bool // it is in no trace of all that was read
	// Rejected says that span lines were read of which not even the id is known.
	Rejected bool
}

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
	r := rooms.Get().(*scratch)
	defer r.leave()
	spans = unmoved(spans)
	r.merge(spans)
	r.plan(opt)
	t = trace.Trace{ID: id, Spans: r.nodes(opt.Room)}
	r.sumUp(&t, opt, func(node int, problems []trace.Problem) { t.Spans[node].Problems = problems })
	return t, len(spans) - len(r.vertices)
}

// plan finds the place of each vertex.
func (r *scratch) plan(opt Options) {
	r.links()
	r.measureSkew(opt.AdjustSkew)
	r.sort()
}

// sumUp says of a trace what concerns it as a whole, and tells the problems of each
// node that has some.
func (r *scratch) sumUp(t *trace.Trace, opt Options, tell func(node int, problems []trace.Problem)) {
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
	r.addProblems(t, opt.Elsewhere, tell)
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
