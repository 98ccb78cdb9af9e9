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
	"sync"
	"time"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Filter says which traces are wanted. Zero fields are no condition, so that the
// zero Filter chooses every trace.
type Filter struct {
	// TraceIDs chooses these traces: decimal numbers as in the log, or 16 or 32
	// hexadecimal digits as in Zipkin. See [Selection.End].
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

// Selection is a Filter on its way through traces that come one by one, each
// once and in any order. Its methods may be called by several goroutines.
type Selection struct {
	*matcher
	mu           sync.Mutex
	hits         [][]hit // by index of the id
	timed, other int     // that matched, with and without a start
}

// Begin starts a selection. The error is that of [Filter.Validate].
func (f Filter) Begin() (*Selection, error) {
	m, err := f.compile()
	if err != nil {
		return nil, err
	}
	return &Selection{matcher: m, hits: make([][]hit, len(m.ids))}, nil
}

// All says whether every trace is selected, as without a filter.
func (f Filter) All() bool {
	return len(f.TraceIDs) == 0 && f.RequestID == "" && f.Contains == "" && f.Service == "" && f.Span == "" &&
		f.AnnotationQuery == "" &&
		f.MinDuration == 0 && f.MaxDuration == 0 && f.Since.IsZero() && f.Until.IsZero() && f.Limit == 0
}

// Match says whether a trace matches. Among those that do the limit still has to
// choose; see [Selection.End].
func (s *Selection) Match(t *trace.Trace) bool {
	names := s.named(t.ID)
	matches := (len(s.ids) == 0 || len(names) > 0) && s.matches(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range names {
		s.hits[i] = append(s.hits[i], hit{t.ID, t.Start, t.HasStart})
	}
	switch {
	case matches && t.HasStart:
		s.timed++
	case matches:
		s.other++
	}
	return matches
}

// End says, once all traces were asked for, which of those that matched are
// selected: sorted by start, then id, those without a start last, the ones from
// first to before end. Named traces are looked for among all, whatever the other
// conditions: one that is not there is a [*NotFoundError], a text that names two an
// [*AmbiguousError]; nothing is selected then.
func (s *Selection) End() (first, end int, err error) {
	if err := s.checkNames(); err != nil {
		return 0, 0, err
	}
	first, end = 0, s.timed+s.other
	if s.limit > 0 && end > s.limit {
		// Among those with a start the newest stand last.
		first, end = max(0, s.timed-s.limit), max(s.timed, s.limit)
	}
	return first, end, nil
}
