package tracejson

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// maxSpan bounds what one span of a document may take in memory, in bytes.
const maxSpan = 64 << 20

// DocumentError is what is wrong with one document. The spans that stand before
// the damage were read; nothing behind it was, up to the line where reading went
// on.
type DocumentError struct {
	File         string
	Document     int64 // from 1
	Line, Column int64 // from 1, the column in bytes
	Offset       int64 // in bytes
	Reason       string
	Expected     string // what would have been right there, "" if nothing can be said
	Spans        int    // spans read from this document
	Resumed      int64  // the line where reading went on, 0 at the end of the input
	Text         []byte // the document as read, its first 4,096 bytes
}

func (e *DocumentError) Error() string {
	text := fmt.Sprintf("%s:%d:%d: trace document %d: %s", e.File, e.Line, e.Column, e.Document, e.Reason)
	if e.Expected != "" {
		text += "; expected " + e.Expected
	}
	if e.Spans > 0 {
		text += fmt.Sprintf(" (the %d spans before it are kept)", e.Spans)
	}
	if e.Resumed > e.Line+1 {
		text += fmt.Sprintf("; lines up to %d were skipped", e.Resumed-1)
	}
	return text
}

// Read reads the documents of r, one a line or one after the other, and calls
// each for every span, in order and as it was when it was written. A span belongs
// to whoever it is handed to. A document that is damaged is told to bad, and
// reading goes on with the next line that begins with "{"; a file is only named
// in what is told. An error of each, bad or r ends the reading and is returned.
//
// Documents and lines may have any length: what is held at a time is one span of
// 64 MiB at most. The fields of a document may stand in any order, but trace_id
// and tomograph_id before spans. A field that the schema does not have is damage,
// so that nothing a newer program wrote is lost in silence.
func Read(r io.Reader, file string, each func(trace.Span) error, bad func(*DocumentError) error) error {
	return read(newDecoder(r, file, maxSpan), each, bad)
}

func read(d *decoder, each func(trace.Span) error, bad func(*DocumentError) error) error {
	d.each = each
	for {
		more, err := d.document()
		if d.stop != nil {
			return d.stop
		}
		if damage, ok := err.(*DocumentError); ok {
			damage.Resumed = d.resume()
			if err = bad(damage); err == nil {
				err = d.stop
			}
		}
		if err != nil || !more {
			return err
		}
	}
}

var documentFields = []string{"trace_id", "tomograph_id", "start", "duration", "verdict", "problems", "services", "spans"}

// document reads one document; more is false at the end of the input.
func (d *decoder) document() (more bool, err error) {
	d.inside = false
	if _, err := d.next(); err != nil {
		return false, nil // the end, or d.stop
	}
	d.begin()
	var id idText
	err = d.object(documentFields, func(field int) (err error) {
		switch documentFields[field] {
		case "trace_id":
			id.hex, err = d.string()
		case "tomograph_id":
			id.decimal, err = d.string()
		case "start", "duration":
			_, err = d.integer()
		case "verdict":
			_, err = d.string()
		case "problems":
			_, err = d.problems()
		case "services":
			err = d.array(func() error {
				_, err := d.string()
				d.release()
				return err
			})
		case "spans":
			traceID, err := d.id(id, "trace_id", "tomograph_id")
			if err != nil {
				return err
			}
			return d.array(func() error { return d.span(traceID) })
		}
		d.release()
		return err
	})
	if err == nil {
		_, err = d.id(id, "trace_id", "tomograph_id")
	}
	return true, err
}

var spanFields = []string{"id", "tomograph_id", "parent_id", "tomograph_parent_id", "depth", "name", "service", "host",
	"start", "duration", "notes", "dimensions", "extra", "origin", "problems"}

func (d *decoder) span(traceID trace.ID) error {
	s := trace.Span{TraceID: traceID}
	var id, parent idText
	d.invalidUTF8 = false
	err := d.object(spanFields, func(field int) (err error) {
		switch spanFields[field] {
		case "id":
			id.hex, err = d.string()
		case "tomograph_id":
			id.decimal, err = d.string()
		case "parent_id":
			parent.hex, err = d.string()
			s.HasParent = true
		case "tomograph_parent_id":
			parent.decimal, err = d.string()
		case "depth", "start", "duration":
			_, err = d.integer()
		case "service", "host":
			_, err = d.string()
		case "name":
			s.Name, err = d.text()
		case "notes":
			err = d.array(func() error {
				note, err := d.note()
				s.Notes = append(s.Notes, note)
				return err
			})
		case "dimensions":
			s.Dimensions = []trace.Dimension{}
			err = d.array(func() error {
				dimension, err := d.dimension()
				s.Dimensions = append(s.Dimensions, dimension)
				return err
			})
		case "extra":
			s.Extra, err = d.extra()
		case "origin":
			err = d.array(func() error {
				origin, err := d.origin()
				s.Origin = append(s.Origin, origin)
				return err
			})
		case "problems":
			s.Damage, err = d.problems()
		}
		return err
	})
	if err != nil {
		return err
	}
	if s.ID, err = d.id(id, "id", "tomograph_id"); err != nil {
		return err
	}
	if s.HasParent || parent.decimal != "" {
		if parent.decimal == "" {
			if s.ParentID, err = trace.ParseHex(parent.hex); err != nil {
				return d.failAt(d.token, "parent_id: "+err.Error(), "")
			}
		} else if s.ParentID, err = d.id(parent, "parent_id", "tomograph_parent_id"); err != nil {
			return err
		}
	}
	if d.invalidUTF8 {
		s.Damage |= trace.InvalidUTF8
	}
	d.release()
	d.spans++
	if d.stop = d.each(s); d.stop != nil {
		return errStop
	}
	return nil
}

// idText is an ID as a document has it.
type idText struct{ hex, decimal string }

// id is the ID that the decimal number says, if the hexadecimal one agrees.
func (d *decoder) id(text idText, hexField, decimalField string) (trace.ID, error) {
	if text.hex == "" || text.decimal == "" {
		return trace.ID{}, d.failAt(d.token, fmt.Sprintf("%s or %s is missing, or comes too late", hexField, decimalField),
			"both, and those of a trace before its spans")
	}
	id, err := trace.ParseID(text.decimal)
	if err != nil {
		return id, d.failAt(d.token, decimalField+": "+err.Error(), "")
	}
	if d.scratch = id.AppendHex(d.scratch[:0]); string(d.scratch) != text.hex {
		return id, d.failAt(d.token, fmt.Sprintf("%s %.40q is not the number of %s %.40q", hexField, text.hex, decimalField, text.decimal),
			fmt.Sprintf("%.40q", id.Hex()))
	}
	return id, nil
}

var noteFields = []string{"time", "value", "type", "service", "address", "port", "duration", "extra"}

func (d *decoder) note() (n trace.Note, err error) {
	var v typedValue
	err = d.object(noteFields, func(field int) (err error) {
		switch noteFields[field] {
		case "time":
			n.Time, err = d.integer()
			n.HasTime = true
		case "value":
			v.value, err = d.scalar()
		case "type":
			v.kind, err = d.string()
		case "service":
			n.Service, err = d.text()
		case "address":
			n.Address, err = d.text()
		case "port":
			n.Port, err = d.value()
		case "duration":
			n.Duration, err = d.value()
		case "extra":
			n.Extra, err = d.extra()
		}
		return err
	})
	if err == nil {
		n.Value, err = d.typed(v)
	}
	return n, err
}

var dimensionFields = []string{"key", "value", "type", "service", "address", "port", "extra"}

func (d *decoder) dimension() (dim trace.Dimension, err error) {
	var v typedValue
	err = d.object(dimensionFields, func(field int) (err error) {
		switch dimensionFields[field] {
		case "key":
			dim.Key, err = d.text()
		case "value":
			v.value, err = d.scalar()
		case "type":
			v.kind, err = d.string()
		case "service":
			dim.Service, err = d.text()
		case "address":
			dim.Address, err = d.text()
		case "port":
			dim.Port, err = d.value()
		case "extra":
			dim.Extra, err = d.extra()
		}
		return err
	})
	if err == nil {
		dim.Value, err = d.typed(v)
	}
	return dim, err
}

var originFields = []string{"file", "line", "request_id", "global_request_id", "pid", "log_host", "log_time"}

func (d *decoder) origin() (o trace.Origin, err error) {
	err = d.object(originFields, func(field int) (err error) {
		switch originFields[field] {
		case "file":
			o.File, err = d.string()
		case "line":
			o.Line, err = d.integer()
		case "request_id":
			o.RequestID, err = d.string()
		case "global_request_id":
			o.GlobalRequestID, err = d.string()
		case "pid":
			o.PID, err = d.integer()
		case "log_host":
			o.LogHost, err = d.string()
		case "log_time":
			o.LogTime, err = d.integer()
		}
		return err
	})
	return o, err
}

var problemFields = []string{"code", "span", "text"}

// problems reads a list of problems and gives those that a span brings along.
func (d *decoder) problems() (damage trace.Damage, err error) {
	err = d.array(func() error {
		before := d.cost
		defer func() { d.cost = before }() // nothing of it is kept
		return d.object(problemFields, func(field int) error {
			text, err := d.string()
			if problemFields[field] == "code" {
				for _, known := range damages {
					if text == string(known.code) {
						damage |= known.bit
					}
				}
			}
			return err
		})
	})
	return damage, err
}

// extra reads the fields tomograph never had.
func (d *decoder) extra() (fields []trace.Field, err error) {
	err = d.object(nil, func(int) error {
		name := d.key
		values, err := d.values(true)
		for _, v := range values {
			fields = append(fields, trace.Field{Name: name, Value: v})
		}
		return err
	})
	return fields, err
}

// value reads a port or duration: a plain value or {"value":…,"type":…}.
func (d *decoder) value() (trace.Value, error) {
	values, err := d.values(false)
	if err != nil {
		return trace.Value{}, err
	}
	return values[0], nil
}

var valueFields = []string{"value", "type", "values"}

// values reads a plain value, {"value":…,"type":…} or, if there may be several,
// {"values":[…]} of these. Without an error it gives one value at least.
func (d *decoder) values(several bool) ([]trace.Value, error) {
	c, err := d.next()
	if err != nil {
		return nil, err
	}
	if c != '{' {
		v, err := d.scalar()
		return []trace.Value{v}, err
	}
	var all []trace.Value
	var v typedValue
	fields := valueFields
	if !several {
		fields = fields[:2]
	}
	err = d.object(fields, func(field int) (err error) {
		switch fields[field] {
		case "value":
			v.value, err = d.scalar()
		case "type":
			v.kind, err = d.string()
		case "values":
			err = d.array(func() error {
				one, err := d.value()
				all = append(all, one)
				return err
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		if v != (typedValue{}) {
			return nil, d.failAt(d.token, `"values" stands beside "value" or "type"`, "one of them")
		}
		return all, nil
	}
	one, err := d.typed(v)
	if err == nil && one.Kind == trace.Absent {
		err = d.failAt(d.token, "an object without a value", `"value" and "type"`)
	}
	return []trace.Value{one}, err
}

// typedValue is a value and the word beside it that tells its type.
type typedValue struct {
	value trace.Value
	kind  string
}

// typed is the value that the two fields mean.
func (d *decoder) typed(v typedValue) (trace.Value, error) {
	if v.kind == "" {
		return v.value, nil
	}
	if v.value.Kind != trace.String {
		return v.value, d.failAt(d.token, `"type" stands beside a value that is no string`, "a string, or no type")
	}
	text := v.value.Text
	switch v.kind {
	case typeRepr:
		return trace.Value{Kind: trace.Repr, Text: text}, nil
	case typeFloat:
		if _, err := strconv.ParseFloat(text, 64); err == nil || errors.Is(err, strconv.ErrRange) {
			return trace.Value{Kind: trace.Float, Text: text}, nil
		}
	case typeInt:
		if digits := strings.TrimLeft(text, "+-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
			return trace.Value{Kind: trace.Int, Text: text}, nil
		}
	default:
		return v.value, d.failAt(d.token, fmt.Sprintf("the type %.40q", v.kind),
			strings.Join([]string{typeRepr, typeFloat, typeInt}, ", "))
	}
	return v.value, d.failAt(d.token, fmt.Sprintf("%.40q is no %s", text, v.kind), "the text of a number")
}
