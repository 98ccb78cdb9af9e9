// Package query chooses traces: the filters that every command, the page and the
// API share.
//
// They match as Zipkin's do. All conditions must hold for a trace, each of them
// for any of its spans; with a service, each for a span that carries it. Names
// are compared without regard to case. Unlike Zipkin there is no limit and no
// window of time unless asked for, a longest duration may stand alone, and the
// time of a trace is its start, the earliest note of all its spans.
package query

import (
	"slices"
	"time"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Filter says which traces are wanted. Zero fields are no condition, so that the
// zero Filter chooses every trace.
type Filter struct {
	// TraceIDs chooses these traces: decimal numbers as in the log, or 16 or 32
	// hexadecimal digits as in Zipkin. See [Filter.Select].
	TraceIDs []string
	// RequestID is the request id or global request id that the log line of a
	// span carries, with or without its "req-".
	RequestID string
	// Contains is part of a span's name, of a service, address, key or value of
	// its notes and dimensions, or of a name or value of its extra fields, in
	// upper or lower case.
	Contains string
	// Service is the service of any note or dimension.
	Service string
	// Span is the name of a span.
	Span string
	// AnnotationQuery is terms joined by " and ", each a note's value or a
	// dimension's key, or key=value for a dimension; of several values for one
	// key the last counts. A value may hold "=", but not " and ".
	AnnotationQuery string
	// MinDuration and MaxDuration bound the duration of one span, inclusive. A
	// span with fewer than two timed notes has none and never matches.
	MinDuration, MaxDuration time.Duration
	// Since and Until bound the start of the trace, inclusive. A trace without a
	// start matches neither.
	Since, Until time.Time
	// Limit keeps the newest so many, those without a start last.
	Limit int
}

// Select is the traces that match, in the order given, which is by start with
// those without a start last. The traces are not changed. Named traces are looked
// for among all, whatever the other conditions: one that is not there is a
// [*NotFoundError], a text that names two an [*AmbiguousError]. What is wrong
// with the filter itself is a [*UsageError].
func (f Filter) Select(traces []trace.Trace) ([]trace.Trace, error) {
	m, err := f.compile()
	if err != nil {
		return nil, err
	}
	named, err := m.named(traces)
	if err != nil {
		return nil, err
	}
	selected := make([]trace.Trace, 0, min(len(traces), 1024))
	for i := range traces {
		if (len(m.ids) == 0 || named[i]) && m.matches(&traces[i]) {
			selected = append(selected, traces[i])
		}
	}
	if f.Limit > 0 && len(selected) > f.Limit {
		// Among those with a start the newest stand last.
		timed := slices.IndexFunc(selected, func(t trace.Trace) bool { return !t.HasStart })
		if timed < 0 {
			timed = len(selected)
		}
		first := max(0, timed-f.Limit)
		selected = selected[first:max(timed, f.Limit)]
	}
	return selected, nil
}
