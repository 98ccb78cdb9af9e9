package parser

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/tomoscrape/tomoscrape/trace"
)

// scanner decodes the text of a span that is just as tomograph's repr prints it:
// all fields of its era in their order, strings, numbers and constants for
// values. It is by far the fastest way (see docs/architecture.md) and knows
// nothing of damage: where it gives up, the grammar is asked. What it gives is
// borrowed: strings without escapes from the text, lists until the next span is
// scanned, so that it allocates next to nothing. A scanner is for one goroutine.
type scanner struct {
	interner   *interner
	notes      []trace.Note // of the span at hand
	dimensions []trace.Dimension
	work       int // bytes that the grammar has read, again and again where it looks ahead

	text []byte
	at   int
	left int // notes and dimensions that may still come
	last endpoint
	span trace.Span
}

// endpoint is what notes and dimensions have in common, and nearly always share
// with the one before.
type endpoint struct {
	text    []byte // from ", service_name=" on
	service trace.Text
	address trace.Text
	port    trace.Value
}

func newScanner() *scanner { return &scanner{interner: newInterner()} }

// scan decodes the span that text begins with, into s.span; end is the offset
// behind it.
func (s *scanner) scan(text []byte, limit Options) (end int, ok bool) {
	s.text, s.at, s.left, s.last, s.span = text, 0, limit.maxNotes(), endpoint{}, trace.Span{}
	s.notes, s.dimensions = s.notes[:0], s.dimensions[:0]
	ok = s.run()
	return s.at, ok
}

// skip moves over the given text, if it stands there.
func (s *scanner) skip(literal string) bool {
	if rest := s.text[s.at:]; len(rest) >= len(literal) && string(rest[:len(literal)]) == literal {
		s.at += len(literal)
		return true
	}
	return false
}

// is moves over the given byte, if it stands there.
func (s *scanner) is(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
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
		!s.skip(", notes=[") || !s.noteList() {
		return false
	}
	if s.skip(", dimensions=[") && !s.dimensionList() {
		return false
	}
	return s.is(')')
}

func (s *scanner) noteList() bool {
	for first := true; !s.is(']'); first = false {
		if s.left--; s.left < 0 || !first && !s.skip(", ") {
			return false
		}
		s.notes = append(s.notes, trace.Note{})
		if !s.note(&s.notes[len(s.notes)-1]) {
			return false
		}
	}
	if n := len(s.notes); n > 0 {
		s.span.Notes = s.notes[:n:n]
	}
	return true
}

func (s *scanner) note(n *trace.Note) bool {
	if !s.skip("Note(time=") || !s.time(n) || !s.skip(", value=") || !s.value(&n.Value) || !s.endpoint() {
		return false
	}
	n.Service, n.Address, n.Port = s.last.service, s.last.address, s.last.port
	return s.is(')') || s.skip(", duration=") && s.value(&n.Duration) && s.is(')')
}

func (s *scanner) dimensionList() bool {
	for first := true; !s.is(']'); first = false {
		if s.left--; s.left < 0 || !first && !s.skip(", ") {
			return false
		}
		s.dimensions = append(s.dimensions, trace.Dimension{})
		if !s.dimension(&s.dimensions[len(s.dimensions)-1]) {
			return false
		}
	}
	if s.span.Dimensions = []trace.Dimension{}; len(s.dimensions) > 0 {
		s.span.Dimensions = slices.Clip(s.dimensions)
	}
	return true
}

func (s *scanner) dimension(d *trace.Dimension) bool {
	if !s.skip("Tag(key=") || !s.name(&d.Key) || !s.skip(", value=") || !s.value(&d.Value) || !s.endpoint() ||
		!s.is(')') {
		return false
	}
	d.Service, d.Address, d.Port = s.last.service, s.last.address, s.last.port
	return true
}

// endpoint reads what becomes the last endpoint.
func (s *scanner) endpoint() bool {
	rest, e := s.text[s.at:], &s.last
	if n := len(e.text); n > 0 && n < len(rest) && (rest[n] == ',' || rest[n] == ')') &&
		string(rest[:n]) == string(e.text) {
		s.at += n
		return true
	}
	from := s.at
	*e = endpoint{}
	if !s.skip(", service_name=") || !s.name(&e.service) || !s.skip(", address=") || !s.name(&e.address) ||
		!s.skip(", port=") || !s.value(&e.port) {
		return false
	}
	e.text = s.text[from:s.at]
	return true
}

// id reads a trace or span id.
func (s *scanner) id(id *trace.ID) bool {
	rest := s.text[s.at:]
	n, size := decimal(rest)
	if size > 0 && size < 20 && size < len(rest) && rest[size] == ',' && (rest[0] != '0' || size == 1) { // nearly all
		*id = trace.IDFromUint64(n)
		s.at += size
		return true
	}
	size, float := numberEnd(rest)
	if size == 0 || float {
		return false
	}
	var err error
	*id, err = trace.ParseID(string(rest[:size]))
	s.at += size
	return err == nil
}

// decimal is the number that text begins with, and its digits, of which it reads no
// more than 24. It is right up to 19 of them.
func decimal(text []byte) (n uint64, digits int) {
	for ; len(text) >= digits+8; digits += 8 {
		eight, size := eightDigits(text[digits:])
		if n = n*powers[size] + eight; size < 8 || digits == 16 {
			return n, digits + size
		}
	}
	for ; digits < len(text) && text[digits]-'0' < 10; digits++ {
		n = n*10 + uint64(text[digits]-'0')
	}
	return n, digits
}

// powers are those of ten.
var powers = [...]uint64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000}

// eightDigits is the number that eight bytes of text begin with, and how many of
// them are its digits. All bytes are looked at at once: each becomes its digit's
// value, then neighbours become numbers of two digits, of four, and of eight.
func eightDigits(text []byte) (n uint64, digits int) {
	n = binary.LittleEndian.Uint64(text) ^ 0x3030303030303030
	digits = 8
	// The highest bit of each byte that is no digit, or above one that is none.
	if others := (n | (n + 0x7676767676767676)) & 0x8080808080808080; others != 0 {
		digits = bits.TrailingZeros64(others) / 8
		n <<= 64 - 8*digits // zeros in front
	}
	n = n * (10<<8 + 1) >> 8 & 0x00ff00ff00ff00ff
	n = n * (100<<16 + 1) >> 16 & 0x0000ffff0000ffff
	n = n * (10_000<<32 + 1) >> 32
	return n, digits
}

func (s *scanner) time(n *trace.Note) bool {
	rest := s.text[s.at:]
	// Nearly all times have ten digits, a point, and up to seven more.
	if len(rest) > 19 && rest[10] == '.' && rest[0] != '0' {
		seconds, whole := decimal(rest[:10])
		if us, size := eightDigits(rest[11:]); whole == 10 && size > 0 && size < 8 && rest[11+size] == ',' {
			if size < 7 {
				us *= powers[6-size]
			} else { // half to even
				tenth := us % 10
				if us /= 10; tenth > 5 || tenth == 5 && us&1 == 1 {
					us++
				}
			}
			n.Time, n.HasTime = int64(seconds*1_000_000+us), true
			s.at += 11 + size
			return true
		}
	}
	size, _ := numberEnd(rest)
	if size == 0 {
		return false
	}
	n.Time, n.HasTime = microseconds(rest[:size])
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
	if n := plainString(rest); n > 0 { // nearly all
		*text = borrowed(rest[1 : n-1])
		s.at += n
		return true
	}
	size, ok := stringEnd(rest)
	if !ok || size < 0 {
		return false
	}
	s.at += size
	decoded, invalid, ok := s.interner.string(rest[:size])
	if invalid {
		s.span.Damage |= trace.InvalidUTF8
	}
	*text = decoded
	return ok
}

// value reads a string, a number or a constant.
func (s *scanner) value(v *trace.Value) bool {
	if s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '\'', '"', 'u', 'U', 'b', 'B':
		v.Kind = trace.String
		return s.string(&v.Text)
	case 'N':
		v.Kind = trace.None
		return s.skip("None")
	case 'T':
		*v = trace.Value{Kind: trace.Bool, Text: "True"}
		return s.skip("True")
	case 'F':
		*v = trace.Value{Kind: trace.Bool, Text: "False"}
		return s.skip("False")
	}
	size, float := numberEnd(s.text[s.at:])
	if size == 0 {
		return false
	}
	number := s.text[s.at : s.at+size]
	s.at += size
	v.Kind = trace.Float
	if !float {
		v.Kind, number = trace.Int, bytes.TrimSuffix(number, []byte("L"))
	}
	v.Text = borrowed(number)
	return true
}

// plainString returns the length of the string literal that text begins with, both
// quotes included, if what stands in it stands for itself: it has no prefix, and
// ASCII without a backslash inside. Otherwise it returns 0.
func plainString(text []byte) int {
	if len(text) == 0 || !isQuote(text[0]) {
		return 0
	}
	const low, high, slashes = 0x0101010101010101, 0x8080808080808080, 0x5c5c5c5c5c5c5c5c
	quote := text[0]
	quotes := uint64(quote) * low
	i := 1
	for ; i+8 <= len(text); i += 8 {
		// In a and b a byte is 0 where there is the quote, or a backslash; the
		// subtraction borrows into the highest bit of the first such byte.
		n := binary.LittleEndian.Uint64(text[i:])
		a, b := n^quotes, n^slashes
		if found := (n | (a-low)&^a | (b-low)&^b) & high; found != 0 {
			i += bits.TrailingZeros64(found) / 8
			if text[i] == quote {
				return i + 1
			}
			return 0
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == quote {
			return i + 1
		} else if c >= 0x80 || c == '\\' {
			return 0
		}
	}
	return 0
}

// borrowed is text as a string without a copy; it changes when text does.
func borrowed(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }
