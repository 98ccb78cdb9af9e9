package assemble

import (
	"cmp"
	"slices"

	"github.com/tomoscrape/tomoscrape/trace"
)

// misplaced is why a span does not hang under the parent its line names.
type misplaced uint8

const (
	inPlace misplaced = iota
	missingParent
	selfParent
)

// links finds every vertex its parent and cuts cycles, so that the links form a
// forest, and plants it. Children of an id that twins share hang under the
// earliest of these. A parent 0 means none where no span has the id 0.
func (r *scratch) links() {
	for i := range r.vertices {
		v := &r.vertices[i]
		if !v.span.HasParent {
			continue
		}
		if v.span.ParentID == v.span.ID {
			v.misplaced = selfParent
			continue
		}
		parent, found := r.find(&v.span.ParentID)
		switch {
		case found:
			v.parent = parent
		case !v.span.ParentID.IsZero():
			v.misplaced = missingParent
		}
	}
	if r.plant(r.vertices); len(r.order) < len(r.vertices) {
		cutCycles(r.vertices)
		r.plant(r.vertices)
	}
}

// find is the first vertex of an id.
func (r *scratch) find(id *trace.ID) (at int, found bool) {
	at, _ = slices.BinarySearchFunc(r.byID, id, func(p entry, id *trace.ID) int {
		if p.low != id.Lo {
			return cmp.Compare(p.low, id.Lo)
		}
		return compareIDs(&r.vertices[p.at].span.ID, id)
	})
	return at, at < len(r.vertices) && r.vertices[at].span.ID == *id
}

// cutCycles makes the earliest span of every cycle a root. Each vertex has one
// parent at most, so every walk upwards ends at a root, in a part walked before,
// or in a cycle of its own.
func cutCycles(vertices []vertex) {
	walk := make([]int, len(vertices)) // the walk that came by, from 1
	for i := range vertices {
		at := i
		for at >= 0 && walk[at] == 0 {
			walk[at] = i + 1
			at = vertices[at].parent
		}
		if at < 0 || walk[at] != i+1 {
			continue
		}
		first, length := at, 1
		for v := vertices[at].parent; v != at; v = vertices[v].parent {
			length++
			if vertices[v].compare(&vertices[first]) < 0 {
				first = v
			}
		}
		vertices[first].parent, vertices[first].ring = -1, length
	}
}

// tree holds the children of every vertex: those of i are
// kids[first[i]:first[i+1]], and those at depth 0 belong to an i of
// len(vertices). order lists all vertices that hang under these, parents before
// their children.
type tree struct {
	first, kids []int
	order       []int
	next        []int // no longer than order, for one step at a time
	space       []int // for all of these lists
}

// plant makes the tree of the parents. What stands in a cycle is not in order.
func (t *tree) plant(vertices []vertex) {
	n := len(vertices)
	t.space = slices.Grow(t.space[:0], 4*n+3)[:4*n+3]
	t.first, t.kids = t.space[:n+2], t.space[n+2:2*n+2]
	t.order, t.next = t.space[2*n+2:2*n+2:3*n+2], t.space[3*n+2:]
	above := func(i int) int {
		if p := vertices[i].parent; p >= 0 {
			return p
		}
		return n
	}
	clear(t.first)
	for i := range vertices {
		t.first[above(i)+1]++
	}
	for i := range n + 1 {
		t.first[i+1] += t.first[i]
	}
	copy(t.next, t.first)
	for i := range vertices {
		p := above(i)
		t.kids[t.next[p]] = i
		t.next[p]++
	}
	t.order = append(t.order, t.children(n)...)
	for i := 0; i < len(t.order); i++ {
		t.order = append(t.order, t.children(t.order[i])...)
	}
}

func (t *tree) children(i int) []int { return t.kids[t.first[i]:t.first[i+1]] }

// sort puts all children in order of start, then id, and order depth first.
func (r *scratch) sort() {
	n := len(r.vertices)
	for i := range n + 1 {
		if children := r.children(i); len(children) > 1 {
			slices.SortFunc(children, func(a, b int) int { return r.vertices[a].compare(&r.vertices[b]) })
		}
	}
	r.order = r.order[:0]
	stack := r.next[:0]
	push := func(i int) {
		for _, kid := range slices.Backward(r.children(i)) {
			stack = append(stack, kid)
		}
	}
	for push(n); len(stack) > 0; {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		r.order = append(r.order, i)
		push(i)
	}
}

// nodes are the spans in depth-first order, once sort has run.
func (r *scratch) nodes(in []trace.Node) []trace.Node {
	nodes := in[:0]
	if cap(nodes) < len(r.order) {
		nodes = make([]trace.Node, len(r.order))
	}
	nodes = nodes[:len(r.order):len(r.order)]
	place := r.next // of each vertex in nodes
	for at, i := range r.order {
		v, n := &r.vertices[i], &nodes[at]
		place[i] = at
		n.Span = *v.span
		n.Depth, n.Parent, n.Problems = 0, -1, nil
		if v.parent >= 0 {
			n.Parent = place[v.parent]
			n.Depth = nodes[n.Parent].Depth + 1
		}
	}
	return nodes
}
