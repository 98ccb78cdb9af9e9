package zipkinhttp

import (
	"math/bits"

	"github.com/openzipkin/zipkin-go/model"
)

// memory is what was acknowledged and is still to be read back, within
// limits: whole traces, and when they become too many, a sample of them. Whether
// a trace is in the sample is decided by its id alone, so that a span that comes
// late finds the others.
type memory struct {
	limit    int // spans
	level    int // traces are in the sample whose mixed id ends in so many zero bits
	accepted int64
	spans    int
	partial  bool // not everything is remembered
	traces   map[model.TraceID]*remembered
}

// remembered is what is known of a trace.
type remembered struct {
	spans       []spanKey // at least one; one can be there twice
	service     string    // of the span that begins first, lower case, "" for none
	first, last int64     // the earliest and latest start, microseconds
}

// spanKey tells a v2 span among those that Zipkin gives back for a trace. It
// has no text in it, for Zipkin writes text in its own way (lower case by the
// rules of Java).
type spanKey struct {
	id     model.ID
	start  int64 // microseconds
	shared bool
}

// stored is a v2 span as it should be stored.
type stored struct {
	spanKey
	trace   model.TraceID
	service string
}

// defaultRemember spans need about 10 MB.
const defaultRemember = 200_000

func newZipkinMemory(limit int) *memory {
	if limit < 0 {
		limit = defaultRemember
	}
	return &memory{limit: limit, traces: map[model.TraceID]*remembered{}}
}

func storedForm(models []*model.SpanModel) []stored {
	list := make([]stored, len(models))
	for i, m := range models {
		list[i] = stored{spanKey: spanKey{m.ID, m.Timestamp.UnixMicro(), m.Shared}, trace: m.TraceID}
		if m.LocalEndpoint != nil {
			list[i].service = m.LocalEndpoint.ServiceName
		}
	}
	return list
}

func (m *memory) add(spans []stored) {
	m.accepted += int64(len(spans))
	for _, s := range spans {
		if !m.sampled(s.trace) {
			continue
		}
		t := m.traces[s.trace]
		if t == nil {
			t = &remembered{service: s.service, first: s.start, last: s.start}
			m.traces[s.trace] = t
		}
		if s.start < t.first {
			t.service = s.service
		}
		t.first, t.last = min(t.first, s.start), max(t.last, s.start)
		if len(t.spans) > m.limit/4 {
			m.partial = true
			continue // of a trace so large these are sample enough
		}
		t.spans = append(t.spans, s.spanKey)
		m.spans++
	}
	for m.spans > m.limit && m.level < 64 {
		m.level++
		m.partial = true
		m.forget()
	}
}

// forget forgets what is not in the sample.
func (m *memory) forget() {
	for id, t := range m.traces {
		if !m.sampled(id) {
			m.spans -= len(t.spans)
			delete(m.traces, id)
		}
	}
}

// take adds what another memory has.
func (m *memory) take(other *memory) {
	accepted := m.accepted + other.accepted
	m.level = max(m.level, other.level)
	m.partial = m.partial || other.partial
	m.forget()
	for id, t := range other.traces {
		for _, key := range t.spans {
			m.add([]stored{{key, id, t.service}}) // the service counts for the first span alone
		}
	}
	m.accepted = accepted
}

// sampled mixes the bits of the id (the finalizer of splitmix64), for ids that
// are not random.
func (m *memory) sampled(id model.TraceID) bool {
	x := id.Low ^ id.High*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return bits.TrailingZeros64(x^x>>31) >= m.level
}
