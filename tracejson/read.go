package tracejson

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
)

// The most that is held in memory, in bytes: of one span, of the spans of a
// document whose trace id comes behind them, and of a line that is handed on.
const (
	maxSpan = 64 << 20
	maxHeld = 1 << 30
	maxLine = 8 << 20
)

// Read reads the documents of r, one a line, one after the other or as the
// elements of a list, and calls each for every span, in order and as it was when
// it was written. A span belongs to whoever it is handed to. What is damaged is
// told to bad, and reading goes on with the next line that begins a document; a
// file is only named in what is told. An error of each, bad or r ends the reading
// and is returned.
//
// The fields of a document and its parts may stand in any order. Fields that the
// schema does not have are ignored and told to bad, so that nothing a newer
// program wrote is lost in silence.
//
// Documents may have any length. What is held at a time is one span, of 64 MiB at
// most. Only if trace_id and tomograph_id do not come before the spans, as in
// documents with sorted fields, the spans are held until they do; more than 1 GiB
// of them is damage.
//
// other, unless it is nil, takes what stands between documents: a line outside of
// documents that does not begin one, and the rest of a line behind a document,
// without its newline, with the line's number from 1 and the offset of its first
// byte, both counted in r. It is valid until other returns. Of a line beyond 8 MiB
// that is its beginning; bad is told before. After damage the lines from the next one
// on are handed on in the same way, none is skipped. An error of other ends the
// reading and is returned. If other is nil, such lines are damage.
func Read(r io.Reader, file string, each func(trace.Span) error, bad func(*DocumentError) error,
	other func(line []byte, number, offset int64) error) error {
	return read(newDecoder(r, file), each, bad, other)
}

func read(d *decoder, each func(trace.Span) error, bad func(*DocumentError) error,
	other func([]byte, int64, int64) error) error {
	d.each, d.bad, d.other = each, bad, other
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

var documentFields = []string{"trace_id", "tomograph_id", "start", "duration", "verdict", "problems", "services",
	"spans"}

// document reads one document; more is false at the end of the input.
func (d *decoder) document() (more bool, err error) {
	if more, err := d.between(); !more || err != nil {
		return more, err
	}
	d.begin()
	var id idText
	var traceID trace.ID
	known := false
	identify := func() (err error) {
		if id.hex != "" && id.decimal != "" {
			if traceID, err = d.id(id, "trace_id", "tomograph_id"); err == nil {
				known = true
				err = d.handHeld(traceID)
			}
		}
		return err
	}
	err = d.object(documentFields, func(field int) (err error) {
		switch documentFields[field] {
		case "trace_id":
			if id.hex, err = d.string(); err == nil {
				err = identify()
			}
		case "tomograph_id":
			if id.decimal, err = d.string(); err == nil {
				err = identify()
			}
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
			return d.array(func() error {
				s, err := d.span()
				switch {
				case err != nil:
					return err
				case known:
					return d.hand(s, traceID)
				}
				return d.hold(s)
			})
		}
		d.release()
		return err
	})
	if err == nil && !known {
		_, err = d.id(id, "trace_id", "tomograph_id")
	}
	return true, err
}

// hold keeps a span until its trace id is known.
func (d *decoder) hold(s trace.Span) error {
	if d.heldCost += d.cost; d.heldCost > d.heldLimit {
		return d.fail(fmt.Sprintf("the spans before trace_id and tomograph_id take more than %d bytes", d.heldLimit),
			"these two before the spans")
	}
	d.release()
	d.held = append(d.held, s)
	return nil
}

// handHeld hands over the spans whose trace id was not known.
func (d *decoder) handHeld(id trace.ID) error {
	held := d.held
	d.held, d.heldCost = nil, 0
	for _, s := range held {
		if err := d.hand(s, id); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) hand(s trace.Span, id trace.ID) error {
	s.TraceID = id
	d.release()
	poison.Bytes(d.room[:len(d.room)-cap(d.buf)]) // what was consumed
	d.spans++
	if d.stop = d.each(s); d.stop != nil {
		return errStop
	}
	return nil
}

var spanFields = []string{"id", "tomograph_id", "parent_id", "tomograph_parent_id", "depth", "name", "service", "host",
	"start", "duration", "moved", "notes", "dimensions", "extra", "origin", "problems"}

// span reads a span; its trace id stands elsewhere.
func (d *decoder) span() (s trace.Span, err error) {
	var id, parent idText
	d.invalidUTF8 = false
	err = d.object(spanFields, func(field int) (err error) {
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
		case "moved":
			s.Moved, err = d.integer()
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
		return s, err
	}
	if s.ID, err = d.id(id, "id", "tomograph_id"); err != nil {
		return s, err
	}
	if s.HasParent || parent.decimal != "" {
		if parent.decimal == "" {
			if s.ParentID, err = trace.ParseHex(parent.hex); err != nil {
				return s, d.failAt(d.token, "parent_id: "+err.Error(), "")
			}
		} else if s.ParentID, err = d.id(parent, "parent_id", "tomograph_parent_id"); err != nil {
			return s, err
		}
	}
	if d.invalidUTF8 {
		s.Damage |= trace.InvalidUTF8
	}
	return s, nil
}

// idText is an ID as a document has it.
type idText struct{ hex, decimal string }

// id is the ID that the decimal number says, if the hexadecimal one agrees.
func (d *decoder) id(text idText, hexField, decimalField string) (trace.ID, error) {
	if text.hex == "" || text.decimal == "" {
		return trace.ID{}, d.failAt(d.token, fmt.Sprintf("%s or %s is missing", hexField, decimalField), "both")
	}
	id, err := trace.ParseID(text.decimal)
	if err != nil {
		return id, d.failAt(d.token, decimalField+": "+err.Error(), "")
	}
	if d.scratch = id.AppendHex(d.scratch[:0]); string(d.scratch) != text.hex {
		return id, d.failAt(d.token, fmt.Sprintf("%s %.40q is not the number of %s %.40q", hexField, text.hex,
			decimalField, text.decimal),
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
