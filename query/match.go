package query

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/trace"
)

// maxTerms is the number of terms an annotation query is split into; the last
// holds the rest. The number is Zipkin's.
const maxTerms = 100

// term is one condition of an annotation query: a note's value or a dimension's
// key if value is "", else a dimension with key and value.
type term struct{ key, value string }

// matcher is a Filter made ready.
type matcher struct {
	ids                     []wantedID
	wanted                  map[[2]uint64][]int // indexes into ids, see byNumber
	limit                   int                 // 0 for none
	service                 string
	since, until            int64 // µs; the whole range without a condition
	timed                   bool  // there is a condition on the start
	span, request, contains string
	terms                   []term
	min, max                int64 // µs
	bounded                 bool  // there is a condition on the duration
}

// Validate says what is wrong with a filter, as a [*UsageError]: an id that is
// none, or values that contradict each other.
func (f Filter) Validate() error {
	_, err := f.compile()
	return err
}

func (f Filter) compile() (*matcher, error) {
	usage := func(option, value, problem, expected string) error {
		return &UsageError{Option: option, Value: value, Problem: problem, Expected: expected}
	}
	switch {
	case f.RequestID != "" && blank(bareRequest(strings.TrimSpace(f.RequestID))):
		return nil, usage("--request-id", f.RequestID, "names no request", "the id that stands in the log, req-…")
	case f.Service != "" && blank(f.Service):
		return nil, usage("--service", f.Service, "is blank", "the name of a service")
	case f.Span != "" && blank(f.Span):
		return nil, usage("--span", f.Span, "is blank", "the name of a span")
	case f.AnnotationQuery != "" && slices.ContainsFunc(parseTerms(f.AnnotationQuery),
		func(t term) bool { return t.key == "" }):
		return nil, usage("--annotation-query", f.AnnotationQuery, "has a term without a word",
			`terms such as "error and http.method=GET"`)
	case f.MinDuration < 0:
		return nil, usage("--min-duration", f.MinDuration.String(), "is negative", "a duration such as 100ms")
	case f.MaxDuration < 0:
		return nil, usage("--max-duration", f.MaxDuration.String(), "is negative", "a duration such as 100ms")
	case f.MaxDuration > 0 && f.MaxDuration < f.MinDuration:
		return nil, usage("--max-duration", f.MaxDuration.String(), "is shorter than --min-duration",
			f.MinDuration.String()+" or more")
	case !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since):
		return nil, usage("--until", f.Until.Format(time.RFC3339Nano), "is before --since",
			f.Since.Format(time.RFC3339Nano)+" or later")
	case f.Limit < 0:
		return nil, usage("--limit", strconv.Itoa(f.Limit), "is negative", "a number of traces, or 0 for all")
	}
	m := &matcher{
		service: f.Service, span: f.Span, request: bareRequest(strings.TrimSpace(f.RequestID)), contains: f.Contains,
		terms: parseTerms(f.AnnotationQuery),
		since: math.MinInt64, until: math.MaxInt64, timed: !f.Since.IsZero() || !f.Until.IsZero(),
		limit: f.Limit, min: 0, max: math.MaxInt64, bounded: f.MinDuration > 0 || f.MaxDuration > 0,
	}
	for _, text := range f.TraceIDs {
		id, err := parseID(text)
		if err != nil {
			return nil, err
		}
		m.ids = append(m.ids, id)
	}
	m.wanted = byNumber(m.ids)
	// A microsecond counts if the bound lies on it or leaves it inside.
	if !f.Since.IsZero() {
		m.since = f.Since.Add(time.Microsecond - 1).UnixMicro()
	}
	if !f.Until.IsZero() {
		m.until = f.Until.UnixMicro()
	}
	m.min = int64(f.MinDuration / time.Microsecond)
	if f.MinDuration%time.Microsecond > 0 {
		m.min++
	}
	if f.MaxDuration > 0 {
		m.max = int64(f.MaxDuration / time.Microsecond)
	}
	return m, nil
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }

// parseTerms splits an annotation query as Zipkin does: at " and ", then at the
// first "=". The last value of a key counts, and a bare word never takes the
// place of a value. No part can be quoted.
func parseTerms(query string) (terms []term) {
	if query == "" {
		return nil
	}
	index := make(map[string]int)
	for _, part := range strings.SplitN(query, " and ", maxTerms) {
		key, value, hasValue := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if i, known := index[key]; !known {
			index[key] = len(terms)
			terms = append(terms, term{key, value})
		} else if hasValue {
			terms[i].value = value
		}
	}
	return terms
}

// matches says whether every condition holds for some span of the trace.
func (m *matcher) matches(t *trace.Trace) bool {
	if m.timed && (!t.HasStart || t.Start < m.since || t.Start > m.until) {
		return false
	}
	service, span, request := m.service == "", m.span == "", m.request == ""
	contains, duration := m.contains == "", !m.bounded
	var metTerms [maxTerms]bool
	openTerms := len(m.terms)
	for i := range t.Len() {
		if service && span && request && contains && duration && openTerms == 0 {
			return true
		}
		s := &t.Node(i).Span
		if m.service != "" {
			if !carries(s, m.service) {
				continue
			}
			service = true
		}
		span = span || s.Name.Set && strings.EqualFold(s.Name.String, m.span)
		request = request || m.requested(s)
		contains = contains || holds(s, m.contains)
		if !duration {
			first, last, timed := s.Extent()
			duration = timed > 1 && m.lasts(first, last)
		}
		for j := range m.terms {
			if !metTerms[j] && m.terms[j].met(s) {
				metTerms[j] = true
				openTerms--
			}
		}
	}
	return service && span && request && contains && duration && openTerms == 0
}

// lasts compares the time from first to last with the bounds. Times beyond all
// dates, whose difference no int64 holds, are longer than any bound.
func (m *matcher) lasts(first, last int64) bool {
	length := last - first
	if length < 0 {
		length = math.MaxInt64
	}
	return m.min <= length && length <= m.max
}

// carries says whether a note or dimension of the span is of the service.
func carries(s *trace.Span, service string) bool {
	for i := range s.Notes {
		if n := &s.Notes[i]; n.Service.Set && strings.EqualFold(n.Service.String, service) {
			return true
		}
	}
	for i := range s.Dimensions {
		if d := &s.Dimensions[i]; d.Service.Set && strings.EqualFold(d.Service.String, service) {
			return true
		}
	}
	return false
}

func (m *matcher) requested(s *trace.Span) bool {
	for i := range s.Origin {
		o := &s.Origin[i]
		if strings.EqualFold(bareRequest(o.RequestID), m.request) || strings.EqualFold(bareRequest(o.GlobalRequestID),
			m.request) {
			return true
		}
	}
	return false
}

// bareRequest is a request id without its "req-". As all of it does, that counts in
// any case.
func bareRequest(id string) string {
	const prefix = "req-"
	if len(id) >= len(prefix) && strings.EqualFold(id[:len(prefix)], prefix) {
		return id[len(prefix):]
	}
	return id
}

// met says whether a span fulfils the term.
func (t term) met(s *trace.Span) bool {
	if t.value == "" {
		for i := range s.Notes {
			if text, is := plain(s.Notes[i].Value); is && text == t.key {
				return true
			}
		}
	}
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		if !d.Key.Set || d.Key.String != t.key {
			continue
		}
		if text, is := plain(d.Value); t.value == "" || is && text == t.value {
			return true
		}
	}
	return false
}

// plain is the text of a value as Python's str shows it.
func plain(v trace.Value) (text string, is bool) {
	switch v.Kind {
	case trace.Absent:
		return "", false
	case trace.None:
		return "None", true
	}
	return v.Text, true
}

// holds says whether part stands in any text of the span.
func holds(s *trace.Span, part string) bool {
	in := func(text string) bool { return containsFold(text, part) }
	inValue := func(v trace.Value) bool {
		text, is := plain(v)
		return is && in(text)
	}
	inExtra := func(fields []trace.Field) bool {
		for _, f := range fields {
			if in(f.Name) || inValue(f.Value) {
				return true
			}
		}
		return false
	}
	if in(s.Name.String) || inExtra(s.Extra) {
		return true
	}
	for i := range s.Notes {
		n := &s.Notes[i]
		if inValue(n.Value) || in(n.Service.String) || in(n.Address.String) || inExtra(n.Extra) {
			return true
		}
	}
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		if in(d.Key.String) || inValue(d.Value) || in(d.Service.String) || in(d.Address.String) || inExtra(d.Extra) {
			return true
		}
	}
	return false
}

// containsFold says whether part stands in text, in upper or lower case.
func containsFold(text, part string) bool {
	if len(part) == 0 {
		return true
	}
	first, _ := utf8.DecodeRuneInString(part)
	if first >= utf8.RuneSelf || hasWide(part) {
		return strings.Contains(strings.Map(fold, text), strings.Map(fold, part))
	}
	lower, upper := part[0]|0x20, part[0]&^0x20
	if c := part[0]; c|0x20 < 'a' || c|0x20 > 'z' {
		lower, upper = c, c
	}
	for i := 0; i+len(part) <= len(text); i++ {
		if c := text[i]; (c == lower || c == upper) && strings.EqualFold(text[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// hasWide says whether text is more than ASCII.
func hasWide(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// fold is one rune that stands for all that differ from r in case only.
func fold(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }
