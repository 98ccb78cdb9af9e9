package assemble

import (
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/trace"
)

// room is what the steps work in, from merge to the last one. Traces are mostly
// small and many, so that each is assembled in the room that another has left.
type room struct {
	byID     []entry  // the spans; once they are merged, the vertices
	vertices []vertex // by id, and twins by start
	names    []string // services, see note
	tree
}

// maxRoom is the number of spans up to which a trace's room is used again.
const maxRoom = 4096

var rooms = sync.Pool{New: func() any { return new(room) }}

// leave makes room for another trace, and holds nothing of this one.
func (r *room) leave() {
	if len(r.byID) > maxRoom || len(r.names) > maxRoom {
		return
	}
	clear(r.vertices)
	clear(r.names)
	r.byID, r.vertices, r.names = r.byID[:0], r.vertices[:0], r.names[:0]
	rooms.Put(r)
}

// add appends a vertex for a span.
func (r *room) add(s *trace.Span) *vertex {
	r.vertices = append(r.vertices, vertex{span: s, twins: 1, parent: -1})
	v := &r.vertices[len(r.vertices)-1]
	for i := range s.Notes {
		n := &s.Notes[i]
		if n.HasTime {
			if v.timed++; v.timed == 1 {
				v.start, v.end = n.Time, n.Time
			}
			v.start, v.end = min(v.start, n.Time), max(v.end, n.Time)
		}
		// What tomograph writes at the end of a span.
		if n.Value.Text == "stop" && n.Value.Kind == trace.String {
			v.stopped = true
		}
		r.note(n.Service.String)
	}
	return v
}

// note takes the name of a service; an empty one is none. Neighbours mostly
// repeat each other, and traces have few services: the few looked at keep the
// list short, services does the rest.
func (r *room) note(service string) {
	const few = 16
	last := len(r.names) - 1
	if service == "" || last >= 0 && r.names[last] == service || slices.Contains(r.names[max(0, last-few):], service) {
		return
	}
	r.names = append(r.names, service)
}

// services are the services of all notes, sorted, each once.
func (r *room) services() []string {
	slices.Sort(r.names)
	return append([]string(nil), slices.Compact(r.names)...)
}
