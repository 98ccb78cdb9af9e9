package assemble

import (
	"slices"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Outline assembles a trace whose spans are too many to stand in memory. Of each it
// keeps what its place in the tree depends on, some 400 bytes until the tree stands
// and then a few; the rest is loaded again for each that is asked for.
type Outline struct {
	load    func(i int) trace.Span
	spans   []trace.Span // without lists; Notes is one that tells service and host
	extents []extent
	stopped []bool

	services scratch // its names
	hosts    map[hostKey][]trace.Note
	copies   map[int][]int // of the copy that speaks for them all
}

// hostKey is where a span's first note was taken.
type hostKey struct{ service, address trace.Text }

// maxHosts is of how many hosts the spans share what tells them.
const maxHosts = 4096

// NewOutline begins a trace of n spans. load gives the span with an index, in the
// order of Add, as it was given to Add; it belongs to the caller.
func NewOutline(n int, load func(i int) trace.Span) *Outline {
	return &Outline{load: load, spans: make([]trace.Span, 0, n), extents: make([]extent, 0, n),
		stopped: make([]bool, 0, n)}
}

// Add adds the next span. Its strings are kept, its lists are not.
func (o *Outline) Add(s *trace.Span) {
	if s.Moved != 0 {
		s = &unmoved([]trace.Span{*s})[0]
	}
	o.extents = append(o.extents, extentOf(s))
	stopped := false
	for i := range s.Notes {
		stopped = stopped || isStop(&s.Notes[i])
		o.services.note(s.Notes[i].Service.String)
	}
	o.stopped = append(o.stopped, stopped)
	light := *s
	light.Notes, light.Dimensions, light.Extra, light.Origin = o.host(s), nil, nil, nil
	o.spans = append(o.spans, light)
}

// host is a note that tells where a span's first note was taken.
func (o *Outline) host(s *trace.Span) []trace.Note {
	if len(s.Notes) == 0 {
		return nil
	}
	h := hostKey{s.Service(), s.Host()}
	notes := o.hosts[h]
	if notes == nil {
		notes = []trace.Note{{Service: h.service, Address: h.address}}
		if o.hosts == nil {
			o.hosts = make(map[hostKey][]trace.Note)
		}
		if len(o.hosts) < maxHosts {
			o.hosts[h] = notes
		}
	}
	return notes
}

// whole is a span with all that belongs to it, the origins of its copies, too, and
// its times as in the log.
func (o *Outline) whole(at int) *trace.Span {
	s := o.one(at)
	if copies := o.copies[at]; copies != nil {
		s.Origin = unionOf(len(copies), func(i int) []trace.Origin { return o.one(copies[i]).Origin })
	}
	return s
}

// one is a span as it was added, with its times as in the log.
func (o *Outline) one(at int) *trace.Span {
	one := unmoved([]trace.Span{o.load(at)})
	return &one[0]
}

// Trace assembles what was added, as [Trace] does, and says how many spans were
// copies of others. What it gives loads its nodes one by one. The outline is used up.
func (o *Outline) Trace(id trace.ID, opt Options) (t trace.Trace, duplicates int) {
	r := &scratch{outline: o, extents: o.extents, names: o.services.names}
	r.merge(o.spans)
	duplicates = len(o.spans) - len(r.vertices)
	r.plan(opt)
	problems := make(map[int][]trace.Problem)
	t = trace.Trace{ID: id, Large: r.large(problems)}
	r.sumUp(&t, opt, func(node int, of []trace.Problem) { problems[node] = of })
	o.spans, o.extents, o.stopped, o.hosts = nil, nil, nil, nil
	return t, duplicates
}

// add makes vertices of the spans at the given places, which have one id.
func (o *Outline) add(r *scratch, same []entry) {
	if len(same) == 1 {
		o.vertex(r, same[0].at)
		return
	}
	if best, equal := o.equals(same); equal {
		o.vertex(r, best)
		o.copies[best] = places(same)
		return
	}
	whole := make([]trace.Span, len(same))
	within := make([]entry, len(same)) // whole
	for i := range same {
		whole[i] = *o.one(same[i].at)
		within[i].at = i
	}
	classes := absorbCut(classify(whole, within))
	first := len(r.vertices)
	for _, c := range classes {
		members := make([]int, len(c.members))
		best := 0
		for i, at := range c.members {
			if members[i] = same[at].at; &whole[at] == c.best {
				best = members[i]
			}
		}
		v := o.vertex(r, best)
		if v.twins = len(classes); v.twins > 1 {
			v.key = c.key
		}
		if len(members) > 1 {
			slices.Sort(members)
			o.copies[best] = members
		}
	}
	slices.SortFunc(r.vertices[first:], func(a, b vertex) int { return a.compare(&b) })
}

func places(same []entry) []int {
	all := make([]int, len(same))
	for i := range same {
		all[i] = same[i].at
	}
	return all
}

// equals says whether spans are all equal, and which of them speaks for all; see
// copies.
func (o *Outline) equals(same []entry) (best int, all bool) {
	if o.copies == nil {
		o.copies = make(map[int][]int)
	}
	best = same[0].at
	first := o.one(best)
	for _, e := range same[1:] {
		s := o.one(e.at)
		if !equal(s, first) {
			return 0, false
		}
		if compareDamage(s.Damage, first.Damage) < 0 {
			best, first = e.at, s
		}
	}
	return best, true
}

// vertex appends a vertex for a span.
func (o *Outline) vertex(r *scratch, at int) *vertex {
	r.vertices = append(r.vertices, vertex{span: &o.spans[at], at: int32(at), extent: o.extents[at],
		stopped: o.stopped[at], twins: 1, parent: -1})
	return &r.vertices[len(r.vertices)-1]
}

// large is the nodes in depth-first order, once sort has run. problems are those of
// each node.
func (r *scratch) large(problems map[int][]trace.Problem) *trace.Large {
	type spot struct{ at, parent, depth int32 }
	o, spots, moved := r.outline, make([]spot, len(r.order)), make(map[int]int64)
	place := r.next // of each vertex
	l := &trace.Large{Count: len(r.order)}
	for node, i := range r.order {
		v := &r.vertices[i]
		place[i] = node
		spots[node] = spot{at: v.at, parent: -1}
		if v.parent >= 0 {
			spots[node].parent = int32(place[v.parent])
			spots[node].depth = spots[place[v.parent]].depth + 1
		} else {
			l.Roots++
		}
		if v.span.Moved != 0 {
			moved[node] = v.span.Moved
		}
	}
	l.Make = func(i int) *trace.Node {
		n := &trace.Node{Span: *o.whole(int(spots[i].at)), Depth: int(spots[i].depth), Parent: int(spots[i].parent),
			Problems: problems[i]}
		if by := moved[i]; by != 0 {
			n.Notes, n.Moved = later(n.Notes, by), by
		}
		return n
	}
	return l
}
