package assemble

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// maxTwins is the number of different spans of one id that a cut copy is
// compared with. One id has one span in an honest log; the limit keeps a log
// with 100,000 of them from costing 100,000 times 100,000 comparisons. What it
// leaves unmerged is reported as a conflicting twin.
const maxTwins = 64

// vertex is one span of a trace and what the following steps find out about it.
type vertex struct {
	span    *trace.Span // the caller's, or a copy where something was changed
	extent              // of its notes
	at      int32       // its index among the spans, if these are not whole
	stopped bool        // it has a note "stop"
	twins   int         // spans of the trace with this id, itself among them
	key     string      // of its values; only set if there are twins

	parent    int       // index of the vertex it hangs under, -1 at depth 0
	misplaced misplaced // why it does not hang where its line says
	ring      int       // spans in the cycle that was cut here, 0 if none
	skew      skew
}

// extent is what [trace.Span.Extent] says of a span.
type extent struct {
	start, end int64 // valid if hasStart
	timed      int
}

func extentOf(s *trace.Span) (e extent) {
	e.start, e.end, e.timed = s.Extent()
	return e
}

func (e extent) hasStart() bool { return e.timed > 0 }

// compare orders vertices by start, then id; twins that started together by
// their values, so that the order of arrival never shows.
func (v *vertex) compare(w *vertex) int {
	if c := compareStart(v.start, v.hasStart(), w.start, w.hasStart()); c != 0 {
		return c
	}
	if c := v.span.ID.Compare(w.span.ID); c != 0 {
		return c
	}
	return strings.Compare(v.key, w.key)
}

// entry is where a span or a vertex stands, under the low half of its id, which
// mostly tells it from all others.
type entry struct {
	low uint64
	at  int
}

// compareIDs orders ids in the way that is the quickest to tell.
func compareIDs(a, b *trace.ID) int {
	if c := cmp.Compare(a.Lo, b.Lo); c != 0 {
		return c
	}
	return a.Compare(*b)
}

// merge makes one vertex for each different span, sorted by id and twins by
// start, the earliest first. The notes lie all over the memory: a first loop that
// only finds the extents fetches them several at a time.
func (r *scratch) merge(spans []trace.Span) {
	r.byID = slices.Grow(r.byID, len(spans))
	r.vertices = slices.Grow(r.vertices, len(spans))
	if r.outline == nil { // it has them
		r.extents = slices.Grow(r.extents, len(spans))
	}
	for i := range spans {
		r.byID = append(r.byID, entry{spans[i].ID.Lo, i})
		if r.outline == nil {
			r.extents = append(r.extents, extentOf(&spans[i]))
		}
	}
	slices.SortFunc(r.byID, func(a, b entry) int {
		if a.low != b.low {
			return cmp.Compare(a.low, b.low)
		}
		if c := compareIDs(&spans[a.at].ID, &spans[b.at].ID); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	for rest := r.byID; len(rest) > 0; {
		first, n := &spans[rest[0].at], 1
		for n < len(rest) && rest[n].low == rest[0].low && spans[rest[n].at].ID == first.ID {
			n++
		}
		switch {
		case r.outline != nil:
			r.outline.add(r, rest[:n])
		case n == 1:
			r.add(first, r.extents[rest[0].at])
		default:
			r.addMerged(spans, rest[:n])
		}
		rest = rest[n:]
	}
	r.byID = r.byID[:len(r.vertices)]
	for i := range r.byID {
		r.byID[i] = entry{r.vertices[i].span.ID.Lo, i}
	}
}

// class is a set of copies of one span: equal ones, and cut ones that agree.
type class struct {
	key     string
	best    *trace.Span // the copy with the least damage
	members []int       // indexes of the copies

	notes, dimensions string // their part of the key, while cut copies are compared
}

// addMerged merges the spans at the given places, which have one id.
func (r *scratch) addMerged(spans []trace.Span, same []entry) {
	classes := []*class{copies(spans, same)}
	if classes[0] == nil {
		classes = absorbCut(classify(spans, same))
	}
	first := len(r.vertices)
	for _, c := range classes {
		s := withOrigins(c, spans)
		v := r.add(s, extentOf(s))
		if v.twins = len(classes); v.twins > 1 {
			v.key = c.key
		}
	}
	if len(classes) > 1 {
		slices.SortFunc(r.vertices[first:], func(a, b vertex) int { return a.compare(&b) })
	}
}

// copies is the class of spans that are all equal, as those of a log that was
// read twice; nil if they are not. It has no key, there being no other class.
func copies(spans []trace.Span, same []entry) *class {
	c := &class{best: &spans[same[0].at]}
	for _, e := range same {
		s := &spans[e.at]
		if !equal(s, c.best) {
			return nil
		}
		if compareDamage(s.Damage, c.best.Damage) < 0 {
			c.best = s
		}
		c.members = append(c.members, e.at)
	}
	return c
}

// classify puts spans of equal values together.
func classify(spans []trace.Span, same []entry) []*class {
	var classes []*class
	byKey := make(map[string]*class)
	var key, exactBest, exact []byte
	for _, e := range same {
		s := &spans[e.at]
		key = appendKey(key[:0], s, false)
		c := byKey[string(key)]
		if c == nil {
			c = &class{key: string(key), best: s}
			byKey[c.key] = c
			classes = append(classes, c)
		}
		c.members = append(c.members, e.at)
		// Of equal copies the one with the least damage speaks, and of those
		// the one whose numbers are written shortest, so that the choice does
		// not depend on which came first.
		if d := compareDamage(s.Damage, c.best.Damage); d < 0 {
			c.best = s
		} else if d == 0 && s != c.best {
			exactBest = appendKey(exactBest[:0], c.best, true)
			exact = appendKey(exact[:0], s, true)
			if len(exact) < len(exactBest) || len(exact) == len(exactBest) && string(exact) < string(exactBest) {
				c.best = s
			}
		}
	}
	return classes
}

// compareDamage puts what is whole before what is cut.
func compareDamage(a, b trace.Damage) int {
	if c := cmp.Compare(a&trace.Truncated, b&trace.Truncated); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// absorbCut gives cut copies to the fullest span they agree with. One that
// agrees with none stays a span of its own.
func absorbCut(classes []*class) []*class {
	cut := func(c *class) bool { return c.best.Damage&trace.Truncated != 0 }
	if len(classes) < 2 || !slices.ContainsFunc(classes, cut) {
		return classes
	}
	// Fullest first: then whatever a cut copy agrees with stands before it.
	slices.SortFunc(classes, func(a, b *class) int {
		if ca, cb := cut(a), cut(b); ca != cb {
			if cb {
				return -1
			}
			return 1
		}
		fa, fb := fullness(a.best), fullness(b.best)
		if c := slices.Compare(fb[:], fa[:]); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	for _, c := range classes {
		c.notes = string(appendNotes(nil, c.best.Notes, false))
		c.dimensions = string(appendDimensions(nil, c.best.Dimensions, false))
	}
	kept := classes[:0:0]
	for _, c := range classes {
		var home *class
		if cut(c) {
			for _, candidate := range kept[:min(len(kept), maxTwins)] {
				if c.agrees(candidate) {
					home = candidate
					break
				}
			}
		}
		if home == nil {
			kept = append(kept, c)
		} else {
			home.members = append(home.members, c.members...)
		}
	}
	return kept
}

// fullness counts what a span holds. If a agrees with b, no count of a is above
// that of b.
func fullness(s *trace.Span) [5]int {
	f := [5]int{len(s.Notes), len(s.Dimensions), len(s.Extra), 0, 0}
	if s.Dimensions != nil {
		f[1]++
	}
	if s.Name.Set {
		f[3] = 1
	}
	if s.HasParent {
		f[4] = 1
	}
	return f
}

// agrees says whether everything a cut copy holds stands in the fuller one, its
// lists at the beginning of the fuller one's.
func (c *class) agrees(fuller *class) bool {
	cut, full := c.best, fuller.best
	if cut.HasParent && (!full.HasParent || cut.ParentID != full.ParentID) ||
		cut.Name.Set && cut.Name != full.Name ||
		cut.Dimensions != nil && full.Dimensions == nil ||
		!strings.HasPrefix(fuller.notes, c.notes) || !strings.HasPrefix(fuller.dimensions, c.dimensions) ||
		len(cut.Extra) > len(full.Extra) {
		return false
	}
	return len(cut.Extra) == 0 ||
		string(appendFields(nil, cut.Extra, false)) == string(appendFields(nil, full.Extra[:len(cut.Extra)], false))
}

// withOrigins is the span of a class with the origins of all its copies, each
// once, in order of arrival.
func withOrigins(c *class, spans []trace.Span) *trace.Span {
	if len(c.members) == 1 {
		return c.best
	}
	slices.Sort(c.members)
	merged := *c.best
	merged.Origin = unionOf(len(c.members), func(i int) []trace.Origin { return spans[c.members[i]].Origin })
	return &merged
}

// unionOf is the origins of so many copies, each once, in the order of the copies.
func unionOf(copies int, of func(i int) []trace.Origin) (all []trace.Origin) {
	seen := make(map[trace.Origin]bool)
	for i := range copies {
		for _, origin := range of(i) {
			if !seen[origin] {
				seen[origin] = true
				all = append(all, origin)
			}
		}
	}
	return all
}
