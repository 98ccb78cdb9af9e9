// Package codec has what all that unpacks shares: errors that can be told to
// people, limits, and a wall against the panics of libraries.
package codec

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// MaxWindow bounds the memory that one zstd or xz stream may ask for, in bytes.
	// It is what the zstd program accepts without being told to use more.
	MaxWindow = 128 << 20
	// KeptWindow is the largest that is kept for the next stream: what xz -6 asks for.
	KeptWindow = 8 << 20
	// MaxEmptyReads is how many times in a row a reader may give nothing.
	MaxEmptyReads = 100

	growth = 64 << 10 // bytes, the least by which ReadUpTo takes more room
)

// What can be wrong with any packed data. Data that end too early are
// io.ErrUnexpectedEOF.
var (
	ErrTrailing = errors.New("what follows is something else")
	ErrChecksum = errors.New("checksum mismatch")
	ErrWindow   = errors.New("window too large")
)

// SkipZeros goes to the next byte that is not zero; io.EOF if there is none.
func SkipZeros(br *bufio.Reader) error {
	for {
		head, err := br.Peek(1)
		if len(head) == 0 {
			return err
		}
		head, _ = br.Peek(br.Buffered())
		for i, b := range head {
			if b != 0 {
				br.Discard(i)
				return nil
			}
		}
		br.Discard(len(head))
	}
}

// NoEOF is err, or io.ErrUnexpectedEOF for io.EOF.
func NoEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadUpTo reads until r fails or ends, which is the error, or until there are
// limit bytes, without an error.
func ReadUpTo(r io.Reader, limit int64) ([]byte, error) {
	var buf []byte
	for int64(len(buf)) < limit {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, int(min(limit-int64(len(buf)), max(int64(len(buf)), growth))))
		}
		free := buf[len(buf):cap(buf)]
		n, err := r.Read(free[:min(int64(len(free)), limit-int64(len(buf)))])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// Read is one Read, a panic of a library turned into an error.
func Read(r io.Reader, p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, fmt.Errorf("%v", v)
		}
	}()
	return r.Read(p)
}

// Guard runs a library's function and turns its panic into an error.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	return f()
}
