// Package tracejson writes and reads the trace document: one trace as one line of
// JSON. docs/trace.schema.json is its JSON Schema.
//
// What only repeats or sums up other parts of a document (start, duration,
// verdict, services, depth, service, host, and the texts of problems) is written
// for its readers; [Read] gives back the spans, and assembling these gives the
// document again. Documents that other programs have written again, with their
// fields in another order, indented or in a list, are read as well.
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

import "github.com/tomoscrape/tomoscrape/trace"

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
