package assemble

import (
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
// forest. The vertices are sorted as merge gives them. Children of an id that
// twins share hang under the earliest of these. A parent 0 means none where no
// span has the id 0.
func links(vertices []vertex) {
	for i := range vertices {
		v := &vertices[i]
		id := v.span.ParentID
		if !v.span.HasParent {
			continue
		}
		if id == v.span.ID {
			v.misplaced = selfParent
			continue
		}
		parent, found := slices.BinarySearchFunc(vertices, id,
			func(w vertex, id trace.ID) int { return w.span.ID.Compare(id) })
		switch {
		case found:
			v.parent = parent
		case !id.IsZero():
			v.misplaced = missingParent
		}
	}
	if len(vertices) > 1 {
		cutCycles(vertices)
	}
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
// len(vertices). order lists all vertices, parents before their children.
type tree struct {
	first, kids []int
	order       []int
}

func newTree(vertices []vertex) *tree {
	n := len(vertices)
	room := make([]int, 4*n+4) // for all four lists, since most traces are small
	t := &tree{first: room[:n+2], kids: room[n+2 : 2*n+2], order: room[2*n+2 : 2*n+2 : 3*n+2]}
	next := room[3*n+2:]
	above := func(i int) int {
		if p := vertices[i].parent; p >= 0 {
			return p
		}
		return n
	}
	for i := range vertices {
		t.first[above(i)+1]++
	}
	for i := range n + 1 {
		t.first[i+1] += t.first[i]
	}
	copy(next, t.first)
	for i := range vertices {
		p := above(i)
		t.kids[next[p]] = i
		next[p]++
	}
	t.order = append(t.order, t.children(n)...)
	for i := 0; i < len(t.order); i++ {
		t.order = append(t.order, t.children(t.order[i])...)
	}
	return t
}

func (t *tree) children(i int) []int { return t.kids[t.first[i]:t.first[i+1]] }

// sort puts all children in order of start, then id, and order depth first.
func (t *tree) sort(vertices []vertex) {
	n := len(vertices)
	for i := range n + 1 {
		slices.SortFunc(t.children(i), func(a, b int) int { return vertices[a].compare(&vertices[b]) })
	}
	t.order = t.order[:0]
	var stack []int
	push := func(i int) {
		for _, kid := range slices.Backward(t.children(i)) {
			stack = append(stack, kid)
		}
	}
	for push(n); len(stack) > 0; {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		t.order = append(t.order, i)
		push(i)
	}
}

// nodes are the spans in depth-first order, once sort has run.
func (t *tree) nodes(vertices []vertex) []trace.Node {
	nodes := make([]trace.Node, len(t.order))
	place := make([]int, len(t.order)) // of each vertex in nodes
	for at, i := range t.order {
		v := &vertices[i]
		place[i] = at
		nodes[at] = trace.Node{Span: *v.span, Parent: -1}
		if v.parent >= 0 {
			nodes[at].Parent = place[v.parent]
			nodes[at].Depth = nodes[place[v.parent]].Depth + 1
		}
	}
	return nodes
}
