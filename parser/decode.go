package parser

import (
	"github.com/tomoscrape/tomoscrape/trace"
)

// decodeSpan decodes the span that text begins with ("Span("); what follows the
// span is not looked at. A NUL ends the text: whatever follows it is not what the
// service wrote; nul is the offset of the first, -1 if there is none. syslog says
// that control characters outside string literals stand as #ooo.
func (s *scanner) decodeSpan(text []byte, limit Options, syslog bool, nul int) (d decoded) {
	if nul >= 0 {
		text = text[:nul]
	}
	if end, ok := s.scan(text, limit); ok {
		d.span, d.has, d.end = s.span, true, end
	} else {
		d = s.grammarSpan(text, limit, syslog)
	}
	if d.damage == nil {
		// A log header in a string of a whole span: anywhere else it would be damage.
		if recordHeader(text[:d.end]) >= 0 {
			d.span.Damage |= trace.Torn
		}
		return d
	}
	d.span.Damage |= trace.Truncated
	switch at := d.damage.at; {
	case nul >= 0 && d.damage.cut:
		d.damage = &damage{at: nul, reason: "NUL bytes in the record", expected: d.damage.expected}
	case !d.damage.cut && !d.damage.torn: // what is wrong may be another writer's line
		near := max(0, at-len("2006-01-02 15:04:05"))
		if h := recordHeader(text[near:min(len(text), near+100)]); h >= 0 && near+h <= at {
			d.damage = &damage{at: near + h, reason: "another record begins here", expected: d.damage.expected,
				torn: true}
		}
	}
	return d
}
