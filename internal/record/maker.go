package record

import (
	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Maker makes traces. It is for one goroutine.
type Maker struct {
	opt   assemble.Options
	d     decoder
	spans []trace.Span
	nodes []trace.Node // of the largest trace so far
	large int64        // a trace that costs more is not held whole
}

// NewMaker makes traces of records whose names stand in n. A trace that costs more
// than large is not held whole.
func NewMaker(opt assemble.Options, n *Names, large int64) *Maker {
	return &Maker{opt: opt, d: decoder{names: n}, large: large}
}

// Trace makes a trace; duplicates is how many of its spans were copies of others.
// What the trace refers to stays as it is until reuse.
func (m *Maker) Trace(b Bundle) (t trace.Trace, duplicates int, err error) {
	if b.Cost > m.large {
		return m.outline(b)
	}
	m.spans = m.spans[:0]
	for text := range b.texts {
		for text != "" {
			record, rest, ok := cutFramed(text)
			if !ok {
				return t, 0, ErrDamaged
			}
			m.spans = append(m.spans, trace.Span{})
			if err := m.d.record(record, &m.spans[len(m.spans)-1]); err != nil {
				return t, 0, err
			}
			text = rest
		}
	}
	t, duplicates = assemble.Trace(b.ID, m.spans, m.opt)
	if m.opt.Room = nil; cap(t.Spans) > cap(m.nodes) && cap(t.Spans) <= maxNodes {
		m.nodes = t.Spans
	}
	return t, duplicates, nil
}

// outline makes a trace that is too large to be held whole: its nodes are read from
// their records one by one, each time when they are asked for.
func (m *Maker) outline(b Bundle) (t trace.Trace, duplicates int, err error) {
	n := 0
	for text := range b.texts {
		for text != "" {
			var ok bool
			if _, text, ok = cutFramed(text); !ok {
				return t, 0, ErrDamaged
			}
			n++
		}
	}
	records := make([]string, 0, n)
	for text := range b.texts {
		for text != "" {
			record, rest, _ := cutFramed(text)
			records = append(records, record)
			text = rest
		}
	}
	d := &decoder{names: m.d.names} // what m.d gave may still be needed
	o := assemble.NewOutline(n, func(i int) (s trace.Span) {
		_ = d.record(records[i], &s) // it was read before
		return s
	})
	var s trace.Span
	for _, record := range records {
		d.reuse()
		if err := d.record(record, &s); err != nil {
			return t, 0, err
		}
		o.Add(&s)
	}
	d.forget()
	t, duplicates = o.Trace(b.ID, m.opt)
	return t, duplicates, nil
}

// maxNodes is how many nodes are room for another trace at most.
const maxNodes = 4096

// Reuse makes room for the next trace of what the ones before it took.
func (m *Maker) Reuse() {
	m.d.reuse()
	poison.List(m.nodes)
	m.opt.Room = m.nodes
}

// Forget leaves to the traces what they took.
func (m *Maker) Forget() {
	m.d.forget()
	m.nodes = nil
}
