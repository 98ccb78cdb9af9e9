// Package linereader cuts what is read into lines, in bounded memory.
package linereader

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/poison"
)

const blockSize = 256 << 10

// Line is one line.
type Line struct {
	// Text is the line without its newline; a carriage return before that
	// stays. It is valid until the next call of Next.
	Text []byte
	// Number counts the lines from 1.
	Number int64
	// Offset of Text in what is read, in bytes.
	Offset int64
	// Cut: the line is longer than the maximum. Text is its beginning, the rest
	// was passed over.
	Cut bool
	// Unterminated: the input ended without a newline.
	Unterminated bool
}

// Reader cuts a byte stream into lines. Its memory is bounded by the longest line
// that is allowed, whatever the input holds.
type Reader struct {
	r   io.Reader
	max int
	err error // of r

	buf        []byte
	lent       []byte // the text of the line given last
	start, end int    // what was read and not yet given
	offset     int64  // of start
	number     int64
}

// New gives the lines of r, of each at most its first max bytes.
func New(r io.Reader, max int) *Reader {
	return &Reader{r: r, max: max, buf: make([]byte, min(max, blockSize)+blockSize)}
}

// Err is the error that ended the input, nil if that was io.EOF.
func (l *Reader) Err() error {
	if l.err == io.EOF {
		return nil
	}
	return l.err
}

// Next gives the next line, or false after the last one.
//
// NULs in front of a line that is longer than the maximum are passed over, so
// that the megabytes of them that copytruncate leaves at the start of a log do
// not cost its first line.
func (l *Reader) Next() (Line, bool) {
	poison.Bytes(l.lent)
	searched, noZeros := 0, false
	for {
		if noZeros {
			searched = max(0, searched-l.dropZeros())
		}
		data := l.buf[l.start:l.end]
		length := len(data)
		i := bytes.IndexByte(data[searched:], '\n')
		if i >= 0 {
			length = searched + i
		}
		searched = length
		switch {
		case length > l.max && !noZeros && data[0] == 0:
			noZeros = true
		case length > l.max:
			return l.lendCut(), true
		case i >= 0:
			line := l.lend(length)
			l.skip(1)
			return line, true
		case l.err == nil:
			l.fill()
		case length == 0:
			return Line{}, false
		default:
			line := l.lend(length)
			line.Unterminated = true
			return line, true
		}
	}
}

func (l *Reader) skip(n int) {
	l.start += n
	l.offset += int64(n)
}

func (l *Reader) lend(length int) Line {
	l.number++
	line := Line{Text: l.buf[l.start : l.start+length], Number: l.number, Offset: l.offset}
	l.lent = line.Text
	l.skip(length)
	return line
}

// lendCut gives the first max bytes and reads on to the end of the line in what
// is free behind them.
func (l *Reader) lendCut() Line {
	l.compact()
	line := l.lend(l.max)
	line.Cut = true
	for {
		if i := bytes.IndexByte(l.buf[l.start:l.end], '\n'); i >= 0 {
			l.skip(i + 1)
			return line
		}
		l.skip(l.end - l.start)
		if l.err != nil {
			line.Unterminated = true
			return line
		}
		l.start, l.end = l.max, l.max
		l.read()
	}
}

// dropZeros passes over the NULs at the start and tells how many.
func (l *Reader) dropZeros() int {
	data := l.buf[l.start:l.end]
	n := len(data) - len(bytes.TrimLeft(data, "\x00"))
	l.skip(n)
	return n
}

// fill reads more, behind what is there.
func (l *Reader) fill() {
	if l.end == len(l.buf) {
		if l.start == 0 {
			buf := make([]byte, min(2*len(l.buf), l.max+blockSize))
			copy(buf, l.buf)
			l.buf = buf
		}
		l.compact()
	}
	l.read()
}

func (l *Reader) compact() {
	copy(l.buf, l.buf[l.start:l.end])
	l.start, l.end = 0, l.end-l.start
}

func (l *Reader) read() {
	for range codec.MaxEmptyReads {
		var n int
		n, l.err = l.r.Read(l.buf[l.end:])
		l.end += n
		if n > 0 || l.err != nil {
			return
		}
	}
	l.err = io.ErrNoProgress
}

// TooLong says that only so many bytes of a line were read.
func TooLong(line int64, bytes int) string {
	return fmt.Sprintf("line %d is longer than %d bytes: the rest of it was not read (--max-line sets the limit)", line,
		bytes)
}
