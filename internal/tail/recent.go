package tail

import (
	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/trace"
)

// recent remembers in which trace spans were seen of late. Of more it says nothing:
// a tail knows neither what came before it nor what is still to come.
type recent struct {
	most  int
	order []trace.ID // a ring
	next  int
	in    map[trace.ID]trace.ID
}

// add remembers a span. The id of its trace is kept, that of the span may be
// borrowed.
func (r *recent) add(span, in trace.ID) {
	if _, known := r.in[span]; known {
		r.in[span] = in
		return
	}
	if len(span.Odd) > record.LongestOddID {
		return
	}
	if r.in == nil {
		r.in = make(map[trace.ID]trace.ID)
	}
	span = span.Clone()
	r.in[span] = in
	if len(r.order) < r.most {
		r.order = append(r.order, span)
		return
	}
	delete(r.in, r.order[r.next])
	r.order[r.next] = span
	r.next = (r.next + 1) % r.most
}

// elsewhere is what is known of a parent that a trace misses.
func (r *recent) elsewhere(parent trace.ID) assemble.Elsewhere {
	in, found := r.in[parent]
	return assemble.Elsewhere{In: in, Found: found}
}
