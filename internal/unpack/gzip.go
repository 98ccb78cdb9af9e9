package unpack

import (
	"bufio"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

// The flags in a header of gzip (RFC 1952, 2.3.1).
const (
	gzipHeaderSum = 1 << 1
	gzipExtra     = 1 << 2
	gzipName      = 1 << 3
	gzipComment   = 1 << 4
)

var errGzip = errors.New("gzip: invalid header")

// gzipReader reads gzip members one after the other, and zeros behind them,
// which tapes and block devices leave. It takes headers of any length; the
// package gzip takes no name or comment of 512 bytes or more.
type gzipReader struct {
	in     *bufio.Reader
	z      io.Reader // what flate.NewReader gives, or nil
	begun  bool      // a member was begun
	inside bool      // and its end is still to come
	sum    uint32    // of what was unpacked of it
	size   uint32    // its bytes, as far as 32 bits go
	header error     // what is wrong with its header, which is no reason not to read it
}

func (g *gzipReader) reset(in *bufio.Reader) { g.in, g.begun, g.inside = in, false, false }

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		if !g.inside {
			if err := g.next(); err != nil {
				return 0, err
			}
		}
		n, err := g.z.Read(p)
		g.sum = crc32.Update(g.sum, crc32.IEEETable, p[:n])
		g.size += uint32(n)
		if err == io.EOF {
			err = g.end()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// next begins a member.
func (g *gzipReader) next() error {
	if g.begun {
		err := codec.SkipZeros(g.in)
		if err != nil {
			return err
		}
		if head, _ := g.in.Peek(2); string(head) != "\x1f\x8b" {
			return codec.ErrTrailing
		}
	}
	if g.header = g.readHeader(); g.header != nil && g.header != codec.ErrChecksum {
		return codec.NoEOF(g.header)
	}
	if g.z == nil {
		g.z = flate.NewReader(g.in)
	} else if err := g.z.(flate.Resetter).Reset(g.in, nil); err != nil {
		return err
	}
	g.begun, g.inside, g.sum, g.size = true, true, 0, 0
	return nil
}

// end compares a member with what stands behind it.
func (g *gzipReader) end() error {
	var b [8]byte
	if _, err := io.ReadFull(g.in, b[:]); err != nil {
		return codec.NoEOF(err)
	}
	g.inside = false
	if le.Uint32(b[:]) != g.sum || le.Uint32(b[4:]) != g.size {
		return codec.ErrChecksum
	}
	return g.header
}

// readHeader goes past a header. codec.ErrChecksum says that it does not match its sum.
func (g *gzipReader) readHeader() error {
	sum := uint32(0)
	read := func(b []byte) error {
		_, err := io.ReadFull(g.in, b)
		sum = crc32.Update(sum, crc32.IEEETable, b)
		return err
	}
	var b [10]byte
	if err := read(b[:]); err != nil {
		return err
	}
	if !isGzip(b[:]) {
		return errGzip
	}
	flags := b[3]
	if flags&gzipExtra != 0 {
		if err := read(b[:2]); err != nil {
			return err
		}
		if err := read(make([]byte, le.Uint16(b[:]))); err != nil {
			return err
		}
	}
	for _, text := range []byte{flags & gzipName, flags & gzipComment} {
		for b[0] = 1; text != 0 && b[0] != 0; {
			if err := read(b[:1]); err != nil {
				return err
			}
		}
	}
	if flags&gzipHeaderSum == 0 {
		return nil
	}
	want := uint16(sum)
	if err := read(b[:2]); err != nil {
		return err
	}
	if le.Uint16(b[:]) != want {
		return codec.ErrChecksum
	}
	return nil
}
