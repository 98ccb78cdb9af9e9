package tracejson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/trace"
)

// errStop ends the reading of everything; the reason is in decoder.stop.
var errStop = errors.New("stop")

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
	limit  int64 // of what one span takes
	offset int64
	line   int64
	bol    int64 // offset of the first byte of this line
	lead   int64 // offset up to which this line holds nothing but white space
	token  int64 // offset of the first byte of the token read last
	stop   error
	each   func(trace.Span) error
	bad    func(*DocumentError) error
	other  func(line []byte, number, offset int64) error // nil to tell bad instead

	lists    int  // of documents, begun and not ended
	anyLists bool // there was one

	held      []trace.Span // spans of this document, until its trace id is known
	heldCost  int64
	heldLimit int64
	maxLine   int

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
	unknown     map[string]bool // names of ignored fields that were told
}

func newDecoder(r io.Reader, file string) *decoder {
	room := 64 << 10
	if short, ok := r.(interface{ Len() int }); ok { // such as a line in memory
		room = min(room, max(Lookahead, short.Len()+1))
	}
	return &decoder{
		r: r, room: make([]byte, room), file: file, line: 1,
		limit: maxSpan, heldLimit: maxHeld, maxLine: maxLine, interned: make(map[string]string),
	}
}

// begin notes where a document begins.
func (d *decoder) begin() {
	d.documents++
	d.start, d.inside, d.spans = d.offset, true, 0
	d.held, d.heldCost = nil, 0
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
	return d.errorAt(offset, reason, expected)
}

func (d *decoder) errorAt(offset int64, reason, expected string) *DocumentError {
	return &DocumentError{
		File: d.file, Document: d.documents, Line: d.line, Column: offset - d.bol + 1, Offset: offset,
		Reason: reason, Expected: expected, Spans: d.spans, Lost: len(d.held), Text: bytes.Clone(d.first),
	}
}

// tell tells what does not end a document.
func (d *decoder) tell(e *DocumentError) error {
	if d.stop = d.bad(e); d.stop != nil {
		return errStop
	}
	return nil
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

// blank consumes white space within a line.
func (d *decoder) blank(n int) {
	if d.lead == d.offset {
		d.lead += int64(n)
	}
	d.consume(n)
}

func (d *decoder) newline() {
	d.consume(1)
	d.line++
	d.bol, d.lead = d.offset, d.offset
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
			d.blank(1)
		case '\n':
			d.newline()
		case '{':
			if d.offset == d.bol && d.offset > d.start && IsDocument(d.ahead(Lookahead)) {
				return 0, d.fail("the document before this line ends too early", "")
			}
			return c, nil
		default:
			return c, nil
		}
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
