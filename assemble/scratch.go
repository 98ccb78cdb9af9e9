package assemble

import (
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/trace"
)

// scratch is what the steps work in, from merge to the last one. Traces are mostly
// small and many, so that each is assembled in the room that another has left.
type scratch struct {
	byID     []entry  // the spans; once they are merged, the vertices
	vertices []vertex // by id, and twins by start
	extents  []extent // of the spans
	names    []string // services, see note
	outline  *Outline // where the spans are not whole
	tree
}

// maxRoom is the number of spans up to which a trace's room is used again.
const maxRoom = 4096

var rooms = sync.Pool{New: func() any { return new(scratch) }}

// whole is the span of a vertex with all that belongs to it.
func (r *scratch) whole(v *vertex) *trace.Span {
	if r.outline != nil {
		return r.outline.whole(int(v.at))
	}
	return v.span
}

// leave makes room for another trace, and holds nothing of this one.
func (r *scratch) leave() {
	if cap(r.byID) > maxRoom || cap(r.names) > maxRoom {
		return
	}
	clear(r.vertices)
	clear(r.names)
	r.byID, r.vertices, r.extents, r.names = r.byID[:0], r.vertices[:0], r.extents[:0], r.names[:0]
	rooms.Put(r)
}

// add appends a vertex for a span.
func (r *scratch) add(s *trace.Span, e extent) *vertex {
	r.vertices = append(r.vertices, vertex{span: s, extent: e, twins: 1, parent: -1})
	v := &r.vertices[len(r.vertices)-1]
	for i := range s.Notes {
		n := &s.Notes[i]
		if isStop(n) {
			v.stopped = true
		}
		r.note(n.Service.String)
	}
	return v
}

// isStop says whether a note is what tomograph writes at the end of a span.
func isStop(n *trace.Note) bool { return n.Value.Text == "stop" && n.Value.Kind == trace.String }

// note takes the name of a service; an empty one is none. Neighbours mostly
// repeat each other, and traces have few services: the few looked at keep the
// list short, services does the rest.
func (r *scratch) note(service string) {
	const few = 16
	last := len(r.names) - 1
	if service == "" || last >= 0 && r.names[last] == service || slices.Contains(r.names[max(0, last-few):], service) {
		return
	}
	r.names = append(r.names, service)
}

// services are the services of all notes, sorted, each once.
func (r *scratch) services() []string {
	slices.Sort(r.names)
	return append([]string(nil), slices.Compact(r.names)...)
}
