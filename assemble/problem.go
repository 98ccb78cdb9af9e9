package assemble

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

const (
	maxQuoted = 80 // runes of a name from the log in a problem's text
	maxListed = 5  // roots named in the text of several-roots
)

// addProblems finds what is wrong with a trace that is otherwise done: first
// what concerns it as a whole, then span by span in the order of the tree, which are
// told node by node.
//
// Roots are what stands at depth 0 and does not miss a parent. More than one is
// a problem of the trace; spans that miss their parent say so themselves and do
// not count, since they most often hang under one span that was never logged.
func (r *scratch) addProblems(t *trace.Trace, elsewhere func(trace.ID) Elsewhere,
	told func(node int, problems []trace.Problem)) {
	var roots []*vertex
	rootCount := 0
	for _, i := range r.order {
		if v := &r.vertices[i]; v.parent < 0 && v.misplaced != missingParent {
			if rootCount++; rootCount <= maxListed && len(r.order) > 1 {
				roots = append(roots, v)
			}
		}
	}
	if rootCount > 1 {
		t.Problems = append(t.Problems, trace.Problem{Code: trace.SeveralRoots, Text: r.severalRoots(rootCount, roots)})
	}
	var bounds []struct{ node, problem int } // where the problems of a node begin
	for at, i := range r.order {
		v := &r.vertices[i]
		if v.sound() {
			continue
		}
		bounds = append(bounds, struct{ node, problem int }{at, len(t.Problems)})
		r.problems(v, elsewhere, func(code trace.Code, format string, args ...any) {
			t.Problems = append(t.Problems, trace.Problem{
				Code: code, Span: v.span.ID, HasSpan: true, Text: "S" + fmt.Sprintf(format, args...)[1:],
			})
		})
	}
	end := len(t.Problems)
	for _, b := range slices.Backward(bounds) {
		told(b.node, t.Problems[b.problem:end:end])
		end = b.problem
	}
}

// severalRoots names the first of n roots.
func (r *scratch) severalRoots(n int, first []*vertex) string {
	names := make([]string, len(first))
	for i, v := range first {
		names[i] = describe(r.whole(v))
	}
	more := ""
	if n > len(first) {
		more = fmt.Sprintf("; and %d more", n-len(first))
	}
	return fmt.Sprintf("%d spans stand at the top of this trace: %s%s.", n, strings.Join(names, "; "), more)
}

// sound says whether a span has no problem.
func (v *vertex) sound() bool {
	return v.misplaced == inPlace && v.ring == 0 && v.twins == 1 && v.span.Damage == 0 && v.stopped && v.skew.early == 0
}

// problems tells each problem of a vertex, in a sentence that begins with its span.
func (r *scratch) problems(v *vertex, elsewhere func(trace.ID) Elsewhere, tell func(trace.Code, string, ...any)) {
	s := r.whole(v)
	switch v.misplaced {
	case missingParent:
		tell(trace.MissingParent, "%s has the parent %s, which is %s; it stands at depth 0.", describe(s),
			number(s.ParentID), where(s.ParentID, elsewhere))
	case selfParent:
		tell(trace.SelfParent, "%s names itself as its parent; it stands as a root.", describe(s))
	}
	if v.ring > 0 {
		tell(trace.Cycle,
			"%s is one of %d spans that stand in a circle, each below the next; the circle is cut here, at its "+
				"earliest span, which stands as a root.",
			describe(s), v.ring)
	}
	if v.twins > 1 {
		tell(trace.ConflictingTwin,
			"%s is one of %d different spans with the same id; all are kept, and children of that id stand under "+
				"the earliest.",
			describe(s), v.twins)
	}
	if s.Damage&trace.Truncated != 0 {
		tell(trace.CodeTruncated,
			"%s is cut or damaged in the log; what stood whole before the damage was kept: %s and %s.",
			describe(s), safetext.Plural(int64(len(s.Notes)), "note"), safetext.Plural(int64(len(s.Dimensions)),
				"dimension"))
	}
	if s.Damage&trace.Torn != 0 {
		tell(trace.CodeTorn,
			"%s has a string with the header of a log line in it; probably two writers wrote into one line.", describe(s))
	}
	if s.Damage&trace.Truncated == 0 && !v.stopped {
		tell(trace.Open, "%s has no note \"stop\"; when it ended is not known.", describe(s))
	}
	if s.Damage&trace.BadTime != 0 {
		tell(trace.CodeBadTime,
			"%s has a note whose time is no point in time (nan, infinite, None or out of range); the note is kept "+
				"without a time.", describe(s))
	}
	if s.Damage&trace.InvalidUTF8 != 0 {
		tell(trace.CodeInvalidUTF8,
			"%s held bytes that are no UTF-8, or unpaired surrogates; they were replaced by U+FFFD.", describe(s))
	}
	if v.skew.early > 0 {
		tell(trace.ClockSkew, "%s", v.skewText(s, r.whole(&r.vertices[v.parent])))
	}
}

// where says where a parent is that is not in its child's trace.
func where(parent trace.ID, elsewhere func(trace.ID) Elsewhere) string {
	var e Elsewhere
	if elsewhere != nil {
		e = elsewhere(parent)
	}
	switch {
	case e.Found:
		return "not in this trace but in the trace " + number(e.In)
	case e.Nowhere && e.Rejected:
		return "in no span that was read, but perhaps in a line that was rejected"
	case e.Nowhere:
		return "nowhere in what was read"
	}
	return "not in this trace"
}

// number is an id as it is shown, and as it is logged.
func number(id trace.ID) string {
	return fmt.Sprintf("%s (in the log: %s)", capped(id.Hex(), maxQuoted), capped(id.Decimal(), maxQuoted))
}

func (v *vertex) skewText(s, parent *trace.Span) string {
	text := fmt.Sprintf("%s on %s starts %s before its parent, %s on %s",
		describe(s), host(s), length(v.skew.early), describe(parent), host(parent))
	switch {
	case !v.skew.leads:
		return text + "; a clock was wrong or was set back."
	case v.skew.below == 0:
		return fmt.Sprintf("%s; its times were changed: it was moved %s later.", text, length(v.skew.moved))
	default:
		return fmt.Sprintf("%s; its times were changed: it and %s below it were moved %s later.",
			text, safetext.Plural(int64(v.skew.below), "span"), length(v.skew.moved))
	}
}

// describe names a span: its name, service, id and the place where it was read
// first.
func describe(s *trace.Span) string {
	var b strings.Builder
	b.WriteString("span ")
	if s.Name.Set {
		b.WriteString(quoted(s.Name.String))
	} else {
		b.WriteString("without a name")
	}
	if service := s.Service(); service.Set {
		b.WriteString(" of ")
		b.WriteString(quoted(service.String))
	}
	b.WriteString(" (")
	b.WriteString(capped(s.ID.Hex(), maxQuoted))
	if len(s.Origin) > 0 && s.Origin[0].File != "" {
		b.WriteString(", ")
		b.WriteString(place(s.Origin[0]))
	}
	b.WriteString(")")
	return b.String()
}

// place is file:line. A path keeps its end if it is long, and is quoted only if
// something in it must not reach a terminal.
func place(o trace.Origin) string {
	file := o.File
	if runes := utf8.RuneCountInString(file); runes > 2*maxQuoted {
		for range runes - 2*maxQuoted {
			_, size := utf8.DecodeRuneInString(file)
			file = file[size:]
		}
		file = "…" + file
	}
	if q := strconv.Quote(file); q != `"`+file+`"` {
		file = q
	}
	if o.Line > 0 {
		return file + ":" + strconv.FormatInt(o.Line, 10)
	}
	return file
}

func host(s *trace.Span) string {
	if h := s.Host(); h.Set {
		return quoted(h.String)
	}
	return "an unnamed host"
}

// quoted makes text from a log harmless and short.
func quoted(text string) string { return strconv.Quote(capped(text, maxQuoted)) }

func capped(text string, runes int) string {
	for i := range text {
		if runes == 0 {
			return text[:i] + "…"
		}
		runes--
	}
	return text
}

// length is a number of microseconds for people.
func length(us int64) string {
	if us > int64(1<<63-1)/1000 {
		return strconv.FormatInt(us, 10) + "µs"
	}
	return (time.Duration(us) * time.Microsecond).String()
}
