package follow

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// maxRanges is how many acknowledged ranges above the mark a checkpoint keeps of
// one generation. What is beyond them is given out again after a crash.
const maxRanges = 1024

// span is a range of bytes, from start up to end.
type span struct{ start, end int64 }

// InFlight keeps a range of lines of a generation from being acknowledged.
type InFlight struct {
	start, end int64
	line       int64 // number of the line at start
	done       atomic.Bool
	of         *acks
}

// Done acknowledges the range, as far as no other InFlight keeps it. It may be called
// from any goroutine, and again.
func (h *InFlight) Done() {
	if !h.done.Swap(true) {
		h.of.changed()
	}
}

// acks is what was acknowledged of one generation: all that was taken, but for
// what is held. Its mark is the end of the whole beginning that was.
type acks struct {
	changed func() // something was acknowledged

	mu       sync.Mutex
	taken    int64       // end of what was taken
	lines    int64       // before taken
	inFlight []*InFlight // not done when last looked at, in the order they were made
	limit    int         // of len(holds), beyond which done ones are sorted out
	old      []span      // acknowledged by an earlier process, above its mark; sorted
}

// begin keeps [start,end) back, of which the first line has the given number.
func (a *acks) begin(start, end, line int64) *InFlight {
	h := &InFlight{start: start, end: end, line: line, of: a}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.inFlight) >= max(a.limit, 1024) {
		a.sortOut()
		a.limit = 2 * len(a.inFlight)
	}
	a.inFlight = append(a.inFlight, h)
	return h
}

// advance says that all up to end was taken, with so many lines before it.
func (a *acks) advance(end, lines int64) {
	a.mu.Lock()
	a.taken, a.lines = end, lines
	for len(a.old) > 0 && a.old[0].end <= end && len(a.inFlight) == 0 {
		a.old = a.old[1:]
	}
	a.mu.Unlock()
	a.changed()
}

// back takes back that the last line, from start up to end, was taken. If it comes
// again just as it was, it was acknowledged all the same.
func (a *acks) back(start, end int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sortOut()
	a.taken = start
	a.lines--
	if !slices.ContainsFunc(a.inFlight, func(h *InFlight) bool { return h.end > start }) {
		a.old = append(a.old, span{start, end})
	}
}

// sortOut forgets what is done.
func (a *acks) sortOut() {
	a.inFlight = slices.DeleteFunc(a.inFlight, func(h *InFlight) bool { return h.done.Load() })
}

// acked tells whether an earlier process acknowledged all of [start,end).
func (a *acks) acked(start, end int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.old {
		if s.start <= start && end <= s.end {
			return true
		}
	}
	return false
}

// acknowledged is the end of all that an earlier process acknowledged.
func (a *acks) acknowledged() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.old) == 0 {
		return 0
	}
	return a.old[len(a.old)-1].end
}

// position is the state of acknowledgement.
type position struct {
	mark   int64
	line   int64  // lines before the mark
	taken  int64  // end of what was taken
	ranges []span // acknowledged above the mark, sorted, apart from each other
	// crowded are the holds that make more than maxRanges of them, which are not
	// among ranges.
	crowded []*InFlight
}

// position gives the state of acknowledgement.
func (a *acks) position() position {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sortOut()
	byStart := func(x, y *InFlight) int { return cmp.Compare(x.start, y.start) }
	if !slices.IsSortedFunc(a.inFlight, byStart) {
		slices.SortStableFunc(a.inFlight, byStart)
	}
	p := position{mark: a.taken, line: a.lines, taken: a.taken}
	at := int64(0) // all before it is accounted for
	for i, h := range a.inFlight {
		if h.start >= a.taken {
			break
		}
		if i == 0 {
			p.mark, p.line, at = h.start, h.line-1, h.start
		}
		if h.start > at {
			p.ranges = append(p.ranges, span{at, h.start})
		}
		at = max(at, h.end)
	}
	if p.mark < a.taken && at < a.taken {
		p.ranges = append(p.ranges, span{at, a.taken})
	}
	p.ranges = union(p.ranges, a.old, p.mark)
	if n := len(p.ranges); n > maxRanges {
		end := p.ranges[n-maxRanges-1].start
		for _, h := range a.inFlight {
			if h.start < end {
				p.crowded = append(p.crowded, h)
			}
		}
		p.ranges = p.ranges[:maxRanges]
	}
	return p
}

// union merges two sorted lists, as far as they lie above the mark.
func union(a, b []span, mark int64) []span {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y span) int { return cmp.Compare(x.start, y.start) })
	var out []span
	for _, s := range all {
		s.start = max(s.start, mark)
		switch last := len(out) - 1; {
		case s.start >= s.end:
		case last >= 0 && s.start <= out[last].end:
			out[last].end = max(out[last].end, s.end)
		default:
			out = append(out, s)
		}
	}
	return out
}

// pending tells whether something that was taken is not acknowledged.
func (a *acks) pending() bool {
	p := a.position()
	return p.mark < p.taken
}

// number tells how many lines stand before the mark, where that was not known.
func (a *acks) number(offset, lines int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken == offset && a.lines < 0 {
		a.lines = lines
	}
}
