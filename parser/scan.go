package parser

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/trace"
)

// scanSpan decodes the text of a span that is just as tomograph's repr prints
// it: all fields of its era in their order, strings, numbers and constants for
// values. It is by far the fastest way (see docs/architecture.md) and knows
// nothing of damage: for all else ok is false, and the grammar is asked. end is
// the offset behind the span.
func scanSpan(text []byte, limit Options) (span trace.Span, end int, ok bool) {
	s := scanner{text: text, source: string(text), left: limit.maxNotes()}
	ok = s.run()
	return s.span, s.at, ok
}

type scanner struct {
	text   []byte
	source string // the same text; strings without escapes are parts of it
	at     int
	left   int // notes and dimensions that may still come
	span   trace.Span
}

// skip moves over the given text, if it stands there.
func (s *scanner) skip(literal string) bool {
	if strings.HasPrefix(s.source[s.at:], literal) {
		s.at += len(literal)
		return true
	}
	return false
}

func (s *scanner) run() bool {
	if !s.skip("Span(trace_id=") || !s.id(&s.span.TraceID) || !s.skip(", parent_id=") {
		return false
	}
	if !s.skip("None") {
		if !s.id(&s.span.ParentID) {
			return false
		}
		s.span.HasParent = true
	}
	if !s.skip(", id=") || !s.id(&s.span.ID) || !s.skip(", name=") || !s.name(&s.span.Name) ||
		!s.skip(", notes=[") || !s.notes() {
		return false
	}
	if s.skip(", dimensions=[") && !s.dimensions() {
		return false
	}
	return s.skip(")")
}

func (s *scanner) notes() bool {
	if s.skip("]") {
		return true
	}
	// Each note takes 70 bytes and more, so this never asks for much in vain.
	s.span.Notes = make([]trace.Note, 0, min(strings.Count(s.source[s.at:], "Note(time="), s.left))
	for {
		var n trace.Note
		if s.left--; s.left < 0 {
			return false
		}
		if !s.skip("Note(time=") || !s.time(&n) || !s.skip(", value=") || !s.value(&n.Value) ||
			!s.skip(", service_name=") || !s.name(&n.Service) || !s.skip(", address=") || !s.name(&n.Address) ||
			!s.skip(", port=") || !s.value(&n.Port) {
			return false
		}
		if s.skip(", duration=") && !s.value(&n.Duration) {
			return false
		}
		if !s.skip(")") {
			return false
		}
		s.span.Notes = append(s.span.Notes, n)
		if s.skip("]") {
			return true
		}
		if !s.skip(", ") {
			return false
		}
	}
}

func (s *scanner) dimensions() bool {
	s.span.Dimensions = []trace.Dimension{}
	if s.skip("]") {
		return true
	}
	for {
		var d trace.Dimension
		if s.left--; s.left < 0 {
			return false
		}
		if !s.skip("Tag(key=") || !s.name(&d.Key) || !s.skip(", value=") || !s.value(&d.Value) ||
			!s.skip(", service_name=") || !s.name(&d.Service) || !s.skip(", address=") || !s.name(&d.Address) ||
			!s.skip(", port=") || !s.value(&d.Port) || !s.skip(")") {
			return false
		}
		s.span.Dimensions = append(s.span.Dimensions, d)
		if s.skip("]") {
			return true
		}
		if !s.skip(", ") {
			return false
		}
	}
}

// id reads a trace or span id.
func (s *scanner) id(id *trace.ID) bool {
	size, float := numberEnd(s.text[s.at:])
	if size == 0 || float {
		return false
	}
	n, err := trace.ParseID(s.source[s.at : s.at+size])
	*id = n
	s.at += size
	return err == nil
}

func (s *scanner) time(n *trace.Note) bool {
	size, _ := numberEnd(s.text[s.at:])
	if size == 0 {
		return false
	}
	n.Time, n.HasTime = microseconds(s.text[s.at : s.at+size])
	if !n.HasTime {
		s.span.Damage |= trace.BadTime
	}
	s.at += size
	return true
}

// name reads a string or None.
func (s *scanner) name(t *trace.Text) bool {
	if s.skip("None") {
		return true
	}
	t.Set = s.string(&t.String)
	return t.Set
}

// string reads a string literal.
func (s *scanner) string(text *string) bool {
	rest := s.text[s.at:]
	if len(rest) > 0 && (rest[0] == '\'' || rest[0] == '"') {
		if n := bytes.IndexByte(rest[1:], rest[0]); n >= 0 {
			if body := rest[1 : n+1]; bytes.IndexByte(body, '\\') < 0 && utf8.Valid(body) {
				*text = s.source[s.at+1 : s.at+1+n]
				s.at += n + 2
				return true
			}
		}
	}
	size, ok := stringEnd(rest)
	if !ok || size < 0 {
		return false
	}
	decoded, invalid, bad := literalString(rest[:size])
	if bad >= 0 {
		return false
	}
	if invalid {
		s.span.Damage |= trace.InvalidUTF8
	}
	*text = decoded
	s.at += size
	return true
}

// value reads a string, a number or a constant.
func (s *scanner) value(v *trace.Value) bool {
	switch {
	case s.at == len(s.text):
		return false
	case s.skip("None"):
		v.Kind = trace.None
		return true
	case s.skip("True"):
		*v = trace.Value{Kind: trace.Bool, Text: "True"}
		return true
	case s.skip("False"):
		*v = trace.Value{Kind: trace.Bool, Text: "False"}
		return true
	}
	if size, float := numberEnd(s.text[s.at:]); size > 0 {
		v.Kind, v.Text = trace.Float, s.source[s.at:s.at+size]
		if !float {
			v.Kind, v.Text = trace.Int, strings.TrimSuffix(v.Text, "L")
		}
		s.at += size
		return true
	}
	v.Kind = trace.String
	return s.string(&v.Text)
}
