package tracejson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/trace"
)

// errStop ends the reading of everything; the reason is in decoder.stop.
var errStop = errors.New("stop")

// fixedCost is what an element of a list or an object is counted as, in bytes,
// whatever its text: the size of a note, rounded up.
const fixedCost = 256

// decoder reads JSON token by token from a stream. It knows the position of what
// it reads and counts what it keeps. Its methods return a *DocumentError for what
// is wrong with the document, or errStop.
//
// A raw newline cannot stand within a JSON string, so a line that begins a
// document always does, also where the one before it was torn off.
type decoder struct {
	r      io.Reader
	buf    []byte // what was read and is not consumed
	room   []byte // that buf is a part of
	rerr   error  // the error r ended with
	file   string
	limit  int64
	offset int64
	line   int64
	bol    int64 // offset of the first byte of this line
	token  int64 // offset of the first byte of the token read last
	stop   error
	each   func(trace.Span) error

	documents   int64
	start       int64 // offset of this document
	inside      bool  // between the first and the last brace of a document
	first       []byte
	spans       int
	cost        int64 // bytes kept since the last release
	invalidUTF8 bool
	key         string // the one object read last
	scratch     []byte
	interned    map[string]string
}

func newDecoder(r io.Reader, file string, limit int64) *decoder {
	return &decoder{
		r: r, room: make([]byte, 64<<10), file: file, limit: limit, line: 1, interned: make(map[string]string),
	}
}

// begin notes where a document begins.
func (d *decoder) begin() {
	d.documents++
	d.start, d.inside, d.spans = d.offset, true, 0
	d.release()
	text := d.ahead(4096)
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text = text[:end]
	}
	d.first = append(d.first[:0], text...)
}

// release forgets what was counted, once it was handed over.
func (d *decoder) release() { d.cost = 0 }

func (d *decoder) keep(bytes int) error {
	if d.cost += int64(bytes); d.cost > d.limit {
		return d.fail(fmt.Sprintf("one span takes more than %d bytes", d.limit), "")
	}
	return nil
}

// fail is damage at the byte that comes next.
func (d *decoder) fail(reason, expected string) error { return d.failAt(d.offset, reason, expected) }

// failAt is damage at an offset in this line.
func (d *decoder) failAt(offset int64, reason, expected string) error {
	return &DocumentError{
		File: d.file, Document: d.documents, Line: d.line, Column: offset - d.bol + 1, Offset: offset,
		Reason: reason, Expected: expected, Spans: d.spans, Text: bytes.Clone(d.first),
	}
}

// ahead is what comes next, n bytes if there are as many; n is at most the size
// of room. It is valid until the next call.
func (d *decoder) ahead(n int) []byte {
	for empty := 0; len(d.buf) < n && d.rerr == nil; {
		if cap(d.buf) < n || len(d.buf) == 0 {
			d.buf = d.room[:copy(d.room, d.buf)]
		}
		read, err := d.r.Read(d.buf[len(d.buf):cap(d.buf)])
		d.buf = d.buf[:len(d.buf)+read]
		if d.rerr = err; read > 0 {
			empty = 0
		} else if empty++; empty == 100 && err == nil {
			d.rerr = io.ErrNoProgress
		}
	}
	return d.buf[:min(n, len(d.buf))]
}

// peek is the next byte, which is not consumed.
func (d *decoder) peek() (byte, error) {
	if len(d.buf) > 0 || len(d.ahead(1)) > 0 {
		return d.buf[0], nil
	}
	return 0, d.ended()
}

// ended is what it means that the input has no more bytes.
func (d *decoder) ended() error {
	switch {
	case d.rerr != io.EOF:
		d.stop = fmt.Errorf("%s: %w", d.file, d.rerr)
		return errStop
	case d.inside:
		return d.fail("the input ends within the document", "")
	}
	return io.EOF
}

func (d *decoder) consume(n int) {
	d.buf = d.buf[n:]
	d.offset += int64(n)
}

// next passes white space and is the byte behind it, which is not consumed.
func (d *decoder) next() (byte, error) {
	for {
		c, err := d.peek()
		if err != nil {
			return 0, err
		}
		d.token = d.offset
		switch c {
		case ' ', '\t', '\r':
			d.consume(1)
		case '\n':
			d.consume(1)
			d.line++
			d.bol = d.offset
		case '\xef':
			if d.offset > 0 || string(d.ahead(3)) != "\ufeff" {
				return c, nil
			}
			d.consume(3)
		case '{':
			if d.inside && d.offset == d.bol && d.offset > d.start {
				if IsDocument(d.ahead(128)) {
					return 0, d.fail("the document before this line ends too early", "")
				}
			}
			return c, nil
		default:
			return c, nil
		}
	}
}

// resume goes to the next line that begins with a brace, which may be this one,
// and is its number, 0 if there is none.
func (d *decoder) resume() int64 {
	d.inside = false
	for {
		c, err := d.peek()
		if err != nil {
			return 0
		}
		if c == '{' && d.offset == d.bol && d.offset > d.start {
			return d.line
		}
		for err == nil && c != '\n' {
			end := bytes.IndexByte(d.buf, '\n')
			if end < 0 {
				end = len(d.buf)
			}
			d.consume(end)
			c, err = d.peek()
		}
		if err != nil {
			return 0
		}
		d.consume(1)
		d.line++
		d.bol = d.offset
	}
}

// expect consumes one certain byte.
func (d *decoder) expect(want byte, expected string) error {
	c, err := d.next()
	if err != nil {
		return err
	}
	if c != want {
		return d.unexpected(c, expected)
	}
	d.consume(1)
	return nil
}

func (d *decoder) unexpected(c byte, expected string) error {
	if c < utf8.RuneSelf {
		return d.fail("found "+strconv.QuoteRune(rune(c)), expected)
	}
	return d.fail(fmt.Sprintf("found the byte %#x", c), expected)
}

// object reads an object and calls read for the value of each field, with its
// index in fields. Other fields, and one that comes twice, are damage; without
// fields any are right, and d.key is the name.
func (d *decoder) object(fields []string, read func(field int) error) error {
	if err := d.expect('{', "{"); err != nil {
		return err
	}
	if err := d.keep(fixedCost); err != nil {
		return err
	}
	var seen uint64
	guess := 0
	for n := 0; ; n++ {
		c, err := d.next()
		if err != nil {
			return err
		}
		if c == '}' && n == 0 {
			break
		}
		name, err := d.literal()
		if err != nil {
			return err
		}
		field := guess
		if fields == nil {
			d.key = d.stringOf(name)
			if err := d.keep(fixedCost); err != nil {
				return err
			}
		} else if guess == len(fields) || string(name) != fields[guess] {
			if field = slices.Index(fields, string(name)); field < 0 {
				return d.failAt(d.token, fmt.Sprintf("the unknown field %.40q", name), fmt.Sprintf("one of %q", fields))
			}
		}
		if fields != nil {
			if seen&(1<<field) != 0 {
				return d.failAt(d.token, fmt.Sprintf("the field %q for the second time", name), "it only once")
			}
			seen |= 1 << field
			guess = field + 1
		}
		if err := d.expect(':', ":"); err != nil {
			return err
		}
		if err := read(field); err != nil {
			return err
		}
		if c, err = d.next(); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if err := d.expect(',', ", or }"); err != nil {
			return err
		}
	}
	d.consume(1)
	return nil
}

// array reads an array and calls read for each of its elements.
func (d *decoder) array(read func() error) error {
	if err := d.expect('[', "["); err != nil {
		return err
	}
	for n := 0; ; n++ {
		c, err := d.next()
		if err != nil {
			return err
		}
		if c == ']' && n == 0 {
			break
		}
		if err := read(); err != nil {
			return err
		}
		if c, err = d.next(); err != nil {
			return err
		}
		if c == ']' {
			break
		}
		if err := d.expect(',', ", or ]"); err != nil {
			return err
		}
	}
	d.consume(1)
	return nil
}

func (d *decoder) text() (trace.Text, error) {
	s, err := d.string()
	return trace.Text{String: s, Set: err == nil}, err
}

func (d *decoder) string() (string, error) {
	text, err := d.literal()
	if err != nil {
		return "", err
	}
	return d.stringOf(text), nil
}

// literal reads a string and is its bytes, valid until the next call. Unpaired
// surrogates become U+FFFD and are noted.
func (d *decoder) literal() ([]byte, error) {
	if err := d.expect('"', "a string"); err != nil {
		return nil, err
	}
	d.scratch = d.scratch[:0]
	high := -1 // an escaped high surrogate at the end of scratch waits for its low one
	for {
		if _, err := d.peek(); err != nil {
			return nil, err
		}
		chunk := d.buf
		n := 0
		for n < len(chunk) && chunk[n] >= ' ' && chunk[n] != '"' && chunk[n] != '\\' {
			n++
		}
		if n > 0 {
			if err := d.keep(n); err != nil {
				return nil, err
			}
			d.consume(n)
			if n < len(chunk) && chunk[n] == '"' && len(d.scratch) == 0 {
				d.consume(1)
				return chunk[:n], nil
			}
			d.scratch = append(d.scratch, chunk[:n]...)
			d.invalidUTF8 = d.invalidUTF8 || high >= 0
			high = -1
			continue
		}
		switch c := chunk[0]; c {
		case '"':
			d.consume(1)
			d.invalidUTF8 = d.invalidUTF8 || high >= 0
			return d.scratch, nil
		case '\\':
			r, err := d.escape()
			if err != nil {
				return nil, err
			}
			if err := d.keep(3); err != nil {
				return nil, err
			}
			if high >= 0 {
				if pair := utf16.DecodeRune(rune(high), r); pair != utf8.RuneError {
					d.scratch = utf8.AppendRune(d.scratch[:len(d.scratch)-3], pair)
					high = -1
					continue
				}
				d.invalidUTF8 = true
			}
			high = -1
			if utf16.IsSurrogate(r) {
				if r < 0xdc00 {
					high = int(r)
				} else {
					d.invalidUTF8 = true
				}
				r = utf8.RuneError
			}
			d.scratch = utf8.AppendRune(d.scratch, r)
		case '\n':
			return nil, d.fail("the line ends within a string", `"`)
		default:
			return nil, d.unexpected(c, `a string in which control characters are escaped`)
		}
	}
}

// stringOf is the string of what was decoded; short ones that repeat share their
// memory.
func (d *decoder) stringOf(text []byte) string {
	if !utf8.Valid(text) {
		d.invalidUTF8 = true
		return string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
	}
	if len(text) > 64 {
		return string(text)
	}
	if s, ok := d.interned[string(text)]; ok {
		return s
	}
	s := string(text)
	if len(d.interned) < 8192 {
		d.interned[s] = s
	}
	return s
}

// escape reads what begins with a backslash: one rune, or half of a pair.
func (d *decoder) escape() (rune, error) {
	escape := d.ahead(6)
	if len(escape) >= 2 && escape[1] != 'u' {
		at := bytes.IndexByte([]byte(`"\/bfnrt`), escape[1])
		if at < 0 {
			return 0, d.fail(fmt.Sprintf("the escape %q", escape[:2]), `\" \\ \/ \b \f \n \r \t or \u and four digits`)
		}
		d.consume(2)
		return rune("\"\\/\b\f\n\r\t"[at]), nil
	}
	if len(escape) < 6 {
		return 0, d.ended()
	}
	n, err := strconv.ParseUint(string(escape[2:6]), 16, 16)
	if err != nil {
		return 0, d.fail(fmt.Sprintf("the escape %q", escape), `\u and four hexadecimal digits`)
	}
	d.consume(6)
	return rune(n), nil
}

// scalar reads a string, number, true, false or null.
func (d *decoder) scalar() (trace.Value, error) {
	const expected = "a string, a number, true, false or null"
	c, err := d.next()
	switch {
	case err != nil:
		return trace.Value{}, err
	case c == '"':
		s, err := d.string()
		return trace.Value{Kind: trace.String, Text: s}, err
	}
	word, err := d.word()
	if err != nil {
		return trace.Value{}, err
	}
	switch word {
	case "":
		return trace.Value{}, d.unexpected(c, expected)
	case "null":
		return trace.Value{Kind: trace.None}, nil
	case "true":
		return trace.Value{Kind: trace.Bool, Text: "True"}, nil
	case "false":
		return trace.Value{Kind: trace.Bool, Text: "False"}, nil
	}
	whole, ok := number(word)
	switch {
	case !ok:
		return trace.Value{}, d.failAt(d.token, fmt.Sprintf("found %.40q", word), expected)
	case whole:
		return trace.Value{Kind: trace.Int, Text: word}, nil
	}
	return trace.Value{Kind: trace.Float, Text: word}, nil
}

// word reads what a number or a JSON word can be made of.
func (d *decoder) word() (string, error) {
	d.scratch = d.scratch[:0]
	for {
		if _, err := d.peek(); err != nil {
			return "", err
		}
		n := 0
		for n < len(d.buf) && wordByte(d.buf[n]) {
			n++
		}
		if err := d.keep(n); err != nil {
			return "", err
		}
		d.scratch = append(d.scratch, d.buf[:n]...)
		d.consume(n)
		if len(d.buf) > 0 {
			return d.stringOf(d.scratch), nil
		}
	}
}

func wordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '+' || c == '.'
}

// integer reads a whole number of 64 bits.
func (d *decoder) integer() (int64, error) {
	v, err := d.scalar()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if v.Kind != trace.Int || err != nil {
		return 0, d.failAt(d.token, fmt.Sprintf("found %.40q", v.Text), "a whole number of 64 bits")
	}
	return n, nil
}
