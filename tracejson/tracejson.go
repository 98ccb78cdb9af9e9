// Package tracejson writes and reads the trace document: one trace as one line of
// JSON. docs/trace.schema.json is its JSON Schema.
//
// What only repeats or sums up other parts of a document (start, duration,
// verdict, services, depth, service, host, and the texts of problems) is written
// for its readers; [Read] gives back the spans, and assembling these gives the
// document again.
//
// Beyond what the schema shows:
//   - Numbers of any length are plain JSON digits, and floats have a point or an
//     exponent. nan, inf, -inf and number texts that JSON does not know are
//     strings beside "type":"float" or "type":"int".
//   - A port, a duration and an extra field that is no plain JSON value is an
//     object: {"value":"[1]","type":"repr"}.
//   - An extra field that a line has several times is {"values":[…]}.
//   - tomograph_parent_id stands only beside a parent_id that does not tell the
//     number, being the two's complement of a negative one or of over 128 bits.
package tracejson

import (
	"bytes"

	"github.com/tomoscrape/tomoscrape/trace"
)

// damages are the problems that a span brings along from its line; all others
// are found when its trace is assembled.
var damages = []struct {
	code trace.Code
	bit  trace.Damage
}{
	{trace.CodeTruncated, trace.Truncated},
	{trace.CodeTorn, trace.Torn},
	{trace.CodeBadTime, trace.BadTime},
	{trace.CodeInvalidUTF8, trace.InvalidUTF8},
}

// IsDocument says whether data that begins like this is trace documents: an
// object whose first two fields are trace_id, of hexadecimal digits, and
// tomograph_id. A prefix that ends before that is judged by what is there, but it
// must reach into the trace id. No log writes such lines.
func IsDocument(prefix []byte) bool {
	rest := bytes.TrimPrefix(prefix, []byte("\ufeff"))
	for i, token := range []string{"{", `"trace_id"`, ":", `"`, "", `"`, ",", `"tomograph_id"`, ":", `"`} {
		if token == "" {
			digits := len(rest) - len(bytes.TrimLeft(rest, "-0123456789abcdef"))
			if digits < 16 && digits < len(rest) || digits == 0 {
				return false
			}
			rest = rest[digits:]
			continue
		}
		if i < 4 || i > 5 { // not within the string
			rest = bytes.TrimLeft(rest, " \t\r\n")
		}
		if len(rest) < len(token) {
			return i > 4 && bytes.HasPrefix([]byte(token), rest)
		}
		if !bytes.HasPrefix(rest, []byte(token)) {
			return false
		}
		rest = rest[len(token):]
	}
	return true
}
