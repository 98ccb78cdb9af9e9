package parser

import (
	"fmt"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// JSONFormatter writes the span twice: as text under "message", and under "msg"
// as the nested array that JSON makes of named tuples. Where there is no
// message, the array is read:
//
//	[trace_id, parent_id, id, name, [[time, value, service_name, address, port(, duration)], …](,
//	 [[key, value, service_name, address, port], …])]

// jsonSpan decodes such an array.
func jsonSpan(array []byte, limit Options) (d decoded) {
	b := jsonBuilder{builder: builder{}, left: limit.maxNotes()}
	complete := jsonElements(array, func(value []byte, at int) {
		if b.damage == nil {
			b.field(value, at)
		}
	})
	d.span, d.has = b.span, b.hasTraceID && b.hasID
	switch {
	case b.damage != nil:
		d.damage = b.damage
	case !complete:
		d.damage = &damage{at: len(array), reason: "the record ends inside the array of a span",
			expected: "the array's end", cut: true}
	case b.fields < 5:
		d.damage = &damage{at: len(array), reason: fmt.Sprintf("a span's array has 5 elements or more, here are %d",
			b.fields)}
	default:
		d.end = len(array)
	}
	if d.damage != nil {
		d.span.Damage |= trace.Truncated
	}
	return d
}

type jsonBuilder struct {
	builder
	fields int
	left   int // notes and dimensions that may still come
}

func (b *jsonBuilder) field(value []byte, at int) {
	b.fields++
	switch b.fields {
	case 1:
		b.hasTraceID = b.jsonID(&b.span.TraceID, value, at)
	case 2:
		if string(value) != "null" {
			b.span.HasParent = b.jsonID(&b.span.ParentID, value, at)
		}
	case 3:
		b.hasID = b.jsonID(&b.span.ID, value, at)
	case 4:
		b.span.Name = b.jsonText(value)
	case 5:
		b.list(value, at, func(note []byte, at int) { b.jsonNote(note, at) })
	case 6:
		b.span.Dimensions = []trace.Dimension{}
		b.list(value, at, func(tag []byte, at int) { b.jsonTag(tag, at) })
	default:
		b.span.Extra = append(b.span.Extra, trace.Field{Name: fmt.Sprintf("field%d", b.fields),
			Value: b.jsonValue(value)})
		if len(b.span.Extra) > maxExtra {
			b.damage = &damage{at: at, reason: "too many elements in the array of a span"}
		}
	}
}

func (b *jsonBuilder) list(value []byte, at int, each func(value []byte, at int)) {
	ok := jsonElements(value, func(item []byte, offset int) {
		if b.left--; b.left < 0 && b.damage == nil {
			b.damage = &damage{at: at + offset, reason: "too many notes and dimensions in one span"}
		}
		if b.damage == nil {
			each(item, at+offset)
		}
	})
	if !ok && b.damage == nil {
		b.damage = notClosed(value, at)
	}
}

// notClosed is the damage of what should be an array.
func notClosed(value []byte, at int) *damage {
	if len(value) > 0 && value[0] == '[' {
		return &damage{at: at + len(value), reason: "the record ends inside an array", expected: "its end", cut: true}
	}
	return &damage{at: at, reason: "unexpected " + quoted(value), expected: "an array"}
}

func (b *jsonBuilder) jsonNote(array []byte, at int) {
	var n trace.Note
	i := 0
	ok := jsonElements(array, func(value []byte, _ int) {
		switch i++; i {
		case 1:
			if size, _ := numberEnd(value); size == len(value) && size > 0 {
				n.Time, n.HasTime = microseconds(value)
			}
			if !n.HasTime {
				b.span.Damage |= trace.BadTime
			}
		case 2:
			n.Value = b.jsonValue(value)
		case 3:
			n.Service = b.jsonText(value)
		case 4:
			n.Address = b.jsonText(value)
		case 5:
			n.Port = b.jsonValue(value)
		case 6:
			n.Duration = b.jsonValue(value)
		}
	})
	if !ok {
		b.damage = notClosed(array, at)
		return
	}
	if i < 5 || i > 6 {
		b.damage = &damage{at: at, reason: "unexpected " + quoted(array),
			expected: "an array [time, value, service_name, address, port, duration]"}
		return
	}
	b.span.Notes = append(b.span.Notes, n)
}

func (b *jsonBuilder) jsonTag(array []byte, at int) {
	var d trace.Dimension
	i := 0
	ok := jsonElements(array, func(value []byte, _ int) {
		switch i++; i {
		case 1:
			d.Key = b.jsonText(value)
		case 2:
			d.Value = b.jsonValue(value)
		case 3:
			d.Service = b.jsonText(value)
		case 4:
			d.Address = b.jsonText(value)
		case 5:
			d.Port = b.jsonValue(value)
		}
	})
	if !ok {
		b.damage = notClosed(array, at)
		return
	}
	if i != 5 {
		b.damage = &damage{at: at, reason: "unexpected " + quoted(array),
			expected: "an array [key, value, service_name, address, port]"}
		return
	}
	b.span.Dimensions = append(b.span.Dimensions, d)
}

func (b *jsonBuilder) jsonID(id *trace.ID, value []byte, at int) bool {
	size, float := numberEnd(value)
	if size == 0 || size != len(value) || float {
		b.damage = &damage{at: at, reason: "unexpected " + quoted(value), expected: "a whole number"}
		return false
	}
	n, err := trace.ParseID(string(value))
	if err != nil {
		b.damage = &damage{at: at, reason: err.Error(), expected: "a whole number"}
		return false
	}
	*id = n
	return true
}

func (b *jsonBuilder) jsonText(value []byte) trace.Text {
	v := b.jsonValue(value)
	if v.Kind == trace.None {
		return trace.Text{}
	}
	return trace.NewText(v.Text)
}

// jsonValue makes a value of JSON; arrays and objects are reprs, as they stand.
func (b *jsonBuilder) jsonValue(value []byte) trace.Value {
	switch string(value) {
	case "null":
		return trace.Value{Kind: trace.None}
	case "true":
		return trace.Value{Kind: trace.Bool, Text: "True"}
	case "false":
		return trace.Value{Kind: trace.Bool, Text: "False"}
	case "NaN":
		return trace.Value{Kind: trace.Float, Text: "nan"}
	case "Infinity", "-Infinity":
		return trace.Value{Kind: trace.Float, Text: strings.ToLower(strings.TrimSuffix(string(value), "inity"))}
	}
	if value[0] == '"' {
		decoded, _ := jsonString(value)
		text, invalid := validUTF8([]byte(decoded))
		if invalid {
			b.span.Damage |= trace.InvalidUTF8
		}
		return trace.Value{Kind: trace.String, Text: text}
	}
	if size, float := numberEnd(value); size == len(value) && size > 0 {
		if float {
			return trace.Value{Kind: trace.Float, Text: string(value)}
		}
		return trace.Value{Kind: trace.Int, Text: string(value)}
	}
	text, invalid := validUTF8(value)
	if invalid {
		b.span.Damage |= trace.InvalidUTF8
	}
	return trace.Value{Kind: trace.Repr, Text: text}
}
