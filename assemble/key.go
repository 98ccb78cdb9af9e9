package assemble

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// A key is the decoded values of a span as bytes: two spans of one id are the
// same span exactly if their keys are equal. Trace id, id, origins and damage
// are no part of it. Floats count by number, so 16.0 is 1.6e1. A port or
// duration of None is one that is not there, and fields tomograph never had may
// stand in any order and are None without a value, since trace JSON keeps none of
// these apart. With exact set none
// of these allowances is made; it only serves to choose among equal spans.

func appendKey(dst []byte, s *trace.Span, exact bool) []byte {
	if s.HasParent {
		dst = append(dst, 1)
		dst = binary.BigEndian.AppendUint64(dst, s.ParentID.Hi)
		dst = binary.BigEndian.AppendUint64(dst, s.ParentID.Lo)
		dst = appendString(dst, s.ParentID.Odd)
	} else {
		dst = append(dst, 0)
	}
	dst = appendText(dst, s.Name)
	dst = binary.AppendUvarint(dst, uint64(len(s.Notes)))
	dst = appendNotes(dst, s.Notes, exact)
	if s.Dimensions == nil {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		dst = binary.AppendUvarint(dst, uint64(len(s.Dimensions)))
		dst = appendDimensions(dst, s.Dimensions, exact)
	}
	return appendFields(dst, s.Extra, exact)
}

// appendNotes appends notes one after the other. The end of each shows, so that
// the bytes of some notes begin with those of others exactly if the notes do.
func appendNotes(dst []byte, notes []trace.Note, exact bool) []byte {
	for i := range notes {
		dst = appendNote(dst, &notes[i], exact)
	}
	return dst
}

// appendDimensions appends dimensions as appendNotes does notes.
func appendDimensions(dst []byte, dimensions []trace.Dimension, exact bool) []byte {
	for i := range dimensions {
		dst = appendDimension(dst, &dimensions[i], exact)
	}
	return dst
}

func appendNote(dst []byte, n *trace.Note, exact bool) []byte {
	if n.HasTime {
		dst = append(dst, 1)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.Time))
	} else {
		dst = append(dst, 0)
	}
	dst = appendValue(dst, n.Value, exact)
	dst = appendText(dst, n.Service)
	dst = appendText(dst, n.Address)
	dst = appendOptional(dst, n.Port, exact)
	dst = appendOptional(dst, n.Duration, exact)
	return appendFields(dst, n.Extra, exact)
}

func appendDimension(dst []byte, d *trace.Dimension, exact bool) []byte {
	dst = appendText(dst, d.Key)
	dst = appendValue(dst, d.Value, exact)
	dst = appendText(dst, d.Service)
	dst = appendText(dst, d.Address)
	dst = appendOptional(dst, d.Port, exact)
	return appendFields(dst, d.Extra, exact)
}

func appendFields(dst []byte, fields []trace.Field, exact bool) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(fields)))
	if len(fields) > 1 && !exact {
		fields = slices.Clone(fields)
		slices.SortStableFunc(fields, func(a, b trace.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	for _, f := range fields {
		dst = appendString(dst, f.Name)
		if f.Value.Kind == trace.Absent && !exact {
			f.Value.Kind = trace.None
		}
		dst = appendValue(dst, f.Value, exact)
	}
	return dst
}

// appendOptional appends a value for which None means not there.
func appendOptional(dst []byte, v trace.Value, exact bool) []byte {
	if v.Kind == trace.None && !exact {
		v = trace.Value{}
	}
	return appendValue(dst, v, exact)
}

func appendValue(dst []byte, v trace.Value, exact bool) []byte {
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case trace.Absent, trace.None:
		return dst
	case trace.Float:
		if f, err := strconv.ParseFloat(v.Text, 64); err == nil && !exact {
			if f == 0 {
				f = 0 // and not -0.0
			}
			return binary.BigEndian.AppendUint64(append(dst, 1), math.Float64bits(f))
		}
		dst = append(dst, 0)
	}
	return appendString(dst, v.Text)
}

func appendText(dst []byte, t trace.Text) []byte {
	if !t.Set {
		return append(dst, 0)
	}
	return appendString(append(dst, 1), t.String)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
