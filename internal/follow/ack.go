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

// Hold keeps a range of lines of a generation from being acknowledged.
type Hold struct {
	start, end int64
	line       int64 // number of the line at start
	done       atomic.Bool
	of         *acks
}

// Done acknowledges the range, as far as no other Hold keeps it. It may be called
// from any goroutine, and again.
func (h *Hold) Done() {
	if !h.done.Swap(true) {
		h.of.changed()
	}
}

// acks is what was acknowledged of one generation: all that was taken, but for
// what is held. Its mark is the end of the whole beginning that was.
type acks struct {
	changed func() // something was acknowledged

	mu    sync.Mutex
	taken int64   // end of what was taken
	lines int64   // before taken
	holds []*Hold // not done when last looked at, in the order they were made
	limit int     // of len(holds), beyond which done ones are sorted out
	old   []span  // acknowledged by an earlier process, above its mark; sorted
}

// hold keeps [start,end) back, of which the first line has the given number.
func (a *acks) hold(start, end, line int64) *Hold {
	h := &Hold{start: start, end: end, line: line, of: a}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.holds) >= max(a.limit, 1024) {
		a.sortOut()
		a.limit = 2 * len(a.holds)
	}
	a.holds = append(a.holds, h)
	return h
}

// advance says that all up to end was taken, with so many lines before it.
func (a *acks) advance(end, lines int64) {
	a.mu.Lock()
	a.taken, a.lines = end, lines
	for len(a.old) > 0 && a.old[0].end <= end && len(a.holds) == 0 {
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
	if !slices.ContainsFunc(a.holds, func(h *Hold) bool { return h.end > start }) {
		a.old = append(a.old, span{start, end})
	}
}

// sortOut forgets what is done.
func (a *acks) sortOut() {
	a.holds = slices.DeleteFunc(a.holds, func(h *Hold) bool { return h.done.Load() })
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

// known is the end of all that an earlier process acknowledged.
func (a *acks) known() int64 {
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
	crowded []*Hold
}

// position gives the state of acknowledgement.
func (a *acks) position() position {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sortOut()
	byStart := func(x, y *Hold) int { return cmp.Compare(x.start, y.start) }
	if !slices.IsSortedFunc(a.holds, byStart) {
		slices.SortStableFunc(a.holds, byStart)
	}
	p := position{mark: a.taken, line: a.lines, taken: a.taken}
	at := int64(0) // all before it is accounted for
	for i, h := range a.holds {
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
		for _, h := range a.holds {
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

// held tells whether something that was taken is not acknowledged.
func (a *acks) held() bool {
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
