package parser

import (
	"bytes"

	"github.com/tomoscrape/tomoscrape/trace"
)

// decodeSpan decodes the span that text begins with ("Span("); what follows the
// span is not looked at. syslog says that control characters outside string
// literals stand as #ooo.
func decodeSpan(text []byte, limit Options, syslog bool) decoded {
	nul := bytes.IndexByte(text, 0)
	if nul >= 0 {
		text = text[:nul] // whatever follows a NUL is not what the service wrote
	}
	if !syslog || bytes.IndexByte(text, '#') < 0 {
		syslog = false
	}
	var d decoded
	if span, end, ok := scanSpan(text, limit); ok {
		d = decoded{span: span, has: true, end: end}
	} else {
		d = grammarSpan(text, limit, syslog)
	}
	if d.damage == nil {
		if recordHeader(text[:d.end]) >= 0 { // in a string: it would be damage anywhere else
			d.span.Damage |= trace.Torn
		}
		return d
	}
	d.span.Damage |= trace.Truncated
	if near := max(0, d.damage.at-len("2006-01-02 15:04:05")); !d.damage.cut && !d.damage.torn {
		if h := recordHeader(text[near:min(len(text), near+100)]); h >= 0 && near+h <= d.damage.at {
			d.damage = &damage{at: near + h, reason: "another record begins here", expected: d.damage.expected, torn: true}
		}
	}
	if nul >= 0 && d.damage.cut {
		d.damage = &damage{at: nul, reason: "NUL bytes in the record", expected: d.damage.expected}
	}
	return d
}
