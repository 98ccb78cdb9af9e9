package pipeline

import (
	"encoding/binary"
	"errors"

	"github.com/tomoscrape/tomoscrape/trace"
)

// The form of spans and traces in temporary files: fields in the order of their
// structs without names, numbers as varints, strings and lists behind their
// length, lists with one added to it so that 0 is nil. It lives as long as one
// run of the program and is read by that run alone. What is not there (a Text
// that is not set, the time of a note without one) has no content.

// errCodec means that a temporary file does not hold what was written to it.
var errCodec = errors.New("it does not hold what was written to it")

// maxNames bounds a names table; an ordinary run has far fewer files.
const maxNames = 1 << 16

// names are strings that stand in temporary files as their number: the names of
// the files that were read, which most spans share.
type names struct {
	numbers map[string]uint64 // from 1
	list    []string
	closed  bool // no more are taken; several goroutines may read it then
}

// number gives 0 for a name that has none.
func (n *names) number(name string) uint64 {
	number, known := n.numbers[name]
	if !known && !n.closed && len(n.list) < maxNames {
		if n.numbers == nil {
			n.numbers = make(map[string]uint64)
		}
		n.list = append(n.list, name)
		number = uint64(len(n.list))
		n.numbers[name] = number
	}
	return number
}

// appendTrace appends a trace that package assemble made, without its head.
func (n *names) appendTrace(dst []byte, t *trace.Trace) []byte {
	dst = binary.AppendVarint(dst, t.End)
	dst = appendLength(dst, t.Services)
	for _, s := range t.Services {
		dst = appendString(dst, s)
	}
	dst = appendLength(dst, t.Problems)
	for i := range t.Problems {
		dst = appendProblem(dst, &t.Problems[i])
	}
	dst = appendLength(dst, t.Spans)
	// The problems of the spans are the end of the trace's, in the same order.
	own := len(t.Problems)
	for i := range t.Spans {
		own -= len(t.Spans[i].Problems)
	}
	dst = binary.AppendUvarint(dst, uint64(own))
	for i := range t.Spans {
		node := &t.Spans[i]
		dst = binary.AppendUvarint(dst, uint64(node.Parent+1))
		dst = binary.AppendUvarint(dst, uint64(len(node.Problems)))
		dst = n.appendSpan(dst, &node.Span)
	}
	return dst
}

// appendHead appends what the order of traces goes by.
func appendHead(dst []byte, t *trace.Trace) []byte {
	return binary.AppendVarint(appendID(appendBool(dst, t.HasStart), t.ID), t.Start)
}

func appendProblem(dst []byte, p *trace.Problem) []byte {
	dst = appendString(dst, string(p.Code))
	dst = appendID(appendBool(dst, p.HasSpan), p.Span)
	return appendString(dst, p.Text)
}

// appendSpan appends a span without its trace id.
func (n *names) appendSpan(dst []byte, s *trace.Span) []byte {
	dst = appendID(dst, s.ID)
	if dst = appendBool(dst, s.HasParent); s.HasParent {
		dst = appendID(dst, s.ParentID)
	}
	dst = append(appendText(dst, s.Name), byte(s.Damage))
	dst = binary.AppendVarint(dst, s.Moved)
	dst = appendLength(dst, s.Notes)
	last := int64(0) // the times of a span are close to each other
	for i := range s.Notes {
		note := &s.Notes[i]
		if dst = appendBool(dst, note.HasTime); note.HasTime {
			dst = binary.AppendVarint(dst, note.Time-last)
			last = note.Time
		}
		dst = appendValue(dst, note.Value)
		dst = appendText(dst, note.Service)
		dst = appendText(dst, note.Address)
		dst = appendValue(dst, note.Port)
		dst = appendValue(dst, note.Duration)
		dst = appendFields(dst, note.Extra)
	}
	dst = appendLength(dst, s.Dimensions)
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		dst = appendText(dst, d.Key)
		dst = appendValue(dst, d.Value)
		dst = appendText(dst, d.Service)
		dst = appendText(dst, d.Address)
		dst = appendValue(dst, d.Port)
		dst = appendFields(dst, d.Extra)
	}
	dst = appendFields(dst, s.Extra)
	dst = appendLength(dst, s.Origin)
	for i := range s.Origin {
		dst = n.appendOrigin(dst, &s.Origin[i])
	}
	return dst
}

func (n *names) appendOrigin(dst []byte, o *trace.Origin) []byte {
	number := n.number(o.File)
	if dst = binary.AppendUvarint(dst, number); number == 0 {
		dst = appendString(dst, o.File)
	}
	dst = binary.AppendVarint(dst, o.Line)
	dst = appendString(dst, o.RequestID)
	dst = appendString(dst, o.GlobalRequestID)
	dst = binary.AppendVarint(dst, o.PID)
	dst = appendString(dst, o.LogHost)
	return binary.AppendVarint(dst, o.LogTime)
}

func appendFields(dst []byte, fields []trace.Field) []byte {
	dst = appendLength(dst, fields)
	for i := range fields {
		dst = appendValue(appendString(dst, fields[i].Name), fields[i].Value)
	}
	return dst
}

func appendID(dst []byte, id trace.ID) []byte {
	dst = binary.AppendUvarint(dst, id.Hi)
	dst = binary.LittleEndian.AppendUint64(dst, id.Lo)
	return appendString(dst, id.Odd)
}

func appendValue(dst []byte, v trace.Value) []byte {
	return appendString(append(dst, byte(v.Kind)), v.Text)
}

func appendText(dst []byte, t trace.Text) []byte {
	if !t.Set {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(t.String))+1), t.String...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendLength[T any](dst []byte, list []T) []byte {
	if list == nil {
		return append(dst, 0)
	}
	return binary.AppendUvarint(dst, uint64(len(list))+1)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// decoder reads what was appended. Strings it gives are parts of text. After bad
// all that it gives is worthless.
type decoder struct {
	names *names
	text  string // what is left
	bad   bool

	// Room for what lists hold, so that not each one is allocated by itself.
	notes      []trace.Note
	dimensions []trace.Dimension
	origins    []trace.Origin
}

// trace reads what appendTrace appended, behind what head read.
func (d *decoder) trace(t trace.Trace, text string) (*trace.Trace, error) {
	d.text, d.bad = text, false
	t.End = d.varint()
	if n, some := d.length(); some {
		t.Services = make([]string, n)
		for i := range t.Services {
			t.Services[i] = d.string()
		}
	}
	if n, some := d.length(); some {
		t.Problems = make([]trace.Problem, n)
		for i := range t.Problems {
			t.Problems[i] = d.problem()
		}
	}
	n, some := d.length()
	if some {
		t.Spans = make([]trace.Node, n)
	}
	problem := d.uvarint()
	for i := range t.Spans {
		node := &t.Spans[i]
		if node.Parent = int(d.uvarint()) - 1; node.Parent >= i {
			d.bad = true
		}
		if end := problem + d.uvarint(); end > uint64(len(t.Problems)) || end < problem {
			d.bad = true
		} else if end > problem {
			node.Problems = t.Problems[problem:end:end]
			problem = end
		}
		if d.span(&node.Span); d.bad {
			break
		}
		node.TraceID = t.ID
		if node.Parent >= 0 {
			node.Depth = t.Spans[node.Parent].Depth + 1
		}
	}
	return &t, d.end()
}

// head reads what appendHead appended: id and start.
func (d *decoder) head(text string) (t trace.Trace, err error) {
	d.text, d.bad = text, false
	t.HasStart = d.bool()
	t.ID = d.id()
	t.Start = d.varint()
	return t, d.end()
}

func (d *decoder) problem() (p trace.Problem) {
	p.Code = trace.Code(d.string())
	p.HasSpan = d.bool()
	p.Span = d.id()
	p.Text = d.string()
	return p
}

// end says whether everything was read, and read well.
func (d *decoder) end() error {
	if d.bad || d.text != "" {
		return errCodec
	}
	return nil
}

// span reads what appendSpan appended.
func (d *decoder) span(s *trace.Span) {
	s.ID = d.id()
	if s.HasParent = d.bool(); s.HasParent {
		s.ParentID = d.id()
	}
	s.Name = d.getText()
	s.Damage = trace.Damage(d.byte())
	s.Moved = d.varint()
	if n, some := d.length(); some {
		s.Notes = take(&d.notes, n)
	}
	last := int64(0)
	for i := range s.Notes {
		note := &s.Notes[i]
		if note.HasTime = d.bool(); note.HasTime {
			note.Time = last + d.varint()
			last = note.Time
		}
		note.Value = d.value()
		note.Service = d.getText()
		note.Address = d.getText()
		note.Port = d.value()
		note.Duration = d.value()
		note.Extra = d.fields()
	}
	if n, some := d.length(); some {
		s.Dimensions = take(&d.dimensions, n)
	}
	for i := range s.Dimensions {
		dimension := &s.Dimensions[i]
		dimension.Key = d.getText()
		dimension.Value = d.value()
		dimension.Service = d.getText()
		dimension.Address = d.getText()
		dimension.Port = d.value()
		dimension.Extra = d.fields()
	}
	s.Extra = d.fields()
	if n, some := d.length(); some {
		s.Origin = take(&d.origins, n)
	}
	for i := range s.Origin {
		d.origin(&s.Origin[i])
	}
}

func (d *decoder) origin(o *trace.Origin) {
	switch number := d.uvarint(); {
	case number == 0:
		o.File = d.string()
	case number <= uint64(len(d.names.list)):
		o.File = d.names.list[number-1]
	default:
		d.bad = true
	}
	o.Line = d.varint()
	o.RequestID = d.string()
	o.GlobalRequestID = d.string()
	o.PID = d.varint()
	o.LogHost = d.string()
	o.LogTime = d.varint()
}

func (d *decoder) fields() []trace.Field {
	n, some := d.length()
	if !some {
		return nil
	}
	fields := make([]trace.Field, n)
	for i := range fields {
		fields[i] = trace.Field{Name: d.string(), Value: d.value()}
	}
	return fields
}

func (d *decoder) id() (id trace.ID) {
	id.Hi = d.uvarint()
	if len(d.text) < 8 {
		d.bad, d.text = true, ""
		return id
	}
	for i := range 8 {
		id.Lo |= uint64(d.text[i]) << (8 * i)
	}
	d.text = d.text[8:]
	id.Odd = d.string()
	return id
}

func (d *decoder) value() trace.Value {
	return trace.Value{Kind: trace.Kind(d.byte()), Text: d.string()}
}

func (d *decoder) getText() trace.Text {
	n := d.uvarint()
	if n == 0 {
		return trace.Text{}
	}
	return trace.NewText(d.part(n - 1))
}

func (d *decoder) string() string { return d.part(d.uvarint()) }

func (d *decoder) part(n uint64) string {
	if n > uint64(len(d.text)) {
		d.bad, d.text = true, ""
		return ""
	}
	part := d.text[:n]
	d.text = d.text[n:]
	return part
}

// length is that of a list; some is false for nil. Each element takes a byte at
// least.
func (d *decoder) length() (n int, some bool) {
	length := d.uvarint()
	if length > uint64(len(d.text))+1 {
		d.bad, d.text = true, ""
		return 0, false
	}
	return int(length) - 1, length > 0
}

func (d *decoder) bool() bool { return d.byte() != 0 }

func (d *decoder) byte() byte {
	if d.text == "" {
		d.bad = true
		return 0
	}
	b := d.text[0]
	d.text = d.text[1:]
	return b
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) uvarint() (n uint64) {
	for i := 0; i < len(d.text) && i < binary.MaxVarintLen64; i++ {
		b := d.text[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.text = d.text[i+1:]
			return n
		}
	}
	d.bad, d.text = true, ""
	return 0
}

// take gives room for n elements, and makes new room when there is none left.
func take[T any](room *[]T, n int) []T {
	if n == 0 {
		return []T{}
	}
	if n > len(*room) {
		*room = make([]T, max(n, 256))
	}
	part := (*room)[:n:n]
	*room = (*room)[n:]
	return part
}
