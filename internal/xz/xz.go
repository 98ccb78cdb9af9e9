// Package xz decodes .xz files, several blocks at once where their headers allow it.
package xz

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

// Reader reads the streams of an .xz file and the padding between them, as
// "The .xz File Format" 1.2.1 (tukaani.org/xz/xz-file-format.txt) has them. Of
// the filters it knows LZMA2, which is what logs are packed with.
//
// It holds the container and the decoder itself, because the common Go library
// drops up to 2 MiB that it has decoded when it meets damage, and takes as much
// memory as a header asks for. Reset makes it ready, Close ends its goroutines.
type Reader struct {
	in    *bufio.Reader
	begun bool // a stream was begun
	flags [2]byte
	state func(p []byte) (int, error) // what comes next

	slots chan struct{}  // one for each block that is decoded beside others; nil for none
	queue []*queuedBlock // those being decoded, in order
	then  error          // what comes behind them, if that is known
	free  []*block       // to be used again

	// All blocks of the stream, to be compared with its index.
	blocks  uint64
	records hash.Hash32
}

const (
	Magic       = "\xfd7zXZ\x00"
	footerMagic = "YZ"
	filterLZMA2 = 0x21
	maxVarint   = 9
)

// checkSizes are the sizes of the check by its id.
var checkSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

var (
	errXZ     = errors.New("the container is inconsistent")
	ErrFilter = errors.New("a filter other than LZMA2")
	crc64ECMA = crc64.MakeTable(crc64.ECMA)
	le        = binary.LittleEndian
)

// Reset begins with what stands at in. One block more is decoded at once for each of
// slots, a channel that all readers of one run share, that is free; nil is for none.
func (x *Reader) Reset(in *bufio.Reader, slots chan struct{}) {
	x.in, x.begun, x.slots, x.then, x.records = in, false, slots, nil, crc32.NewIEEE()
	x.state = x.readStreamHeader
}

// Read implements io.Reader. Its errors are those of package codec, ErrFilter, or
// what is wrong with the data in words.
func (x *Reader) Read(p []byte) (int, error) {
	for {
		n, err := x.state(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (x *Reader) readStreamHeader([]byte) (int, error) {
	if x.begun {
		if err := codec.SkipZeros(x.in); err != nil {
			return 0, err
		}
		if head, _ := x.in.Peek(len(Magic)); !bytes.HasPrefix([]byte(Magic), head) {
			return 0, codec.ErrTrailing
		}
	}
	var h [12]byte
	if _, err := io.ReadFull(x.in, h[:]); err != nil {
		return 0, codec.NoEOF(err)
	}
	x.flags = [2]byte(h[6:8])
	if string(h[:6]) != Magic || crc32.ChecksumIEEE(h[6:8]) != le.Uint32(h[8:]) {
		return 0, errXZ
	}
	if h[6] != 0 || h[7] > 15 {
		return 0, fmt.Errorf("unknown flags %#x", h[6:8])
	}
	x.begun, x.blocks = true, 0
	x.records.Reset()
	x.state = x.readBlocks
	return 0, nil
}

func (x *Reader) record(unpadded, unpacked uint64) {
	var b [16]byte
	le.PutUint64(b[:], unpadded)
	le.PutUint64(b[8:], unpacked)
	x.records.Write(b[:])
}

// readIndex reads the index, whose first byte is gone, and the footer.
func (x *Reader) readIndex() error {
	r := &indexReader{r: x.in, sum: crc32.NewIEEE()}
	r.count(0)
	blocks, err := readVarint(r)
	if err != nil {
		return err
	}
	if blocks != x.blocks {
		return errXZ
	}
	want := x.records.Sum32()
	x.records.Reset()
	for range blocks {
		unpadded, err := readVarint(r)
		if err != nil {
			return err
		}
		unpacked, err := readVarint(r)
		if err != nil {
			return err
		}
		x.record(unpadded, unpacked)
	}
	for r.n%4 != 0 {
		if b, err := r.ReadByte(); err != nil || b != 0 {
			return cmp.Or(codec.NoEOF(err), errXZ)
		}
	}
	var f [4 + 12]byte // checksum of the index, footer
	if _, err := io.ReadFull(x.in, f[:]); err != nil {
		return codec.NoEOF(err)
	}
	footer := f[4:]
	switch {
	case le.Uint32(f[:]) != r.sum.Sum32(), le.Uint32(footer) != crc32.ChecksumIEEE(footer[4:10]):
		return codec.ErrChecksum
	case x.records.Sum32() != want, string(footer[10:]) != footerMagic,
		[2]byte(footer[8:10]) != x.flags, (int64(le.Uint32(footer[4:]))+1)*4 != r.n+4:
		return errXZ
	}
	x.then = nil
	x.state = x.readStreamHeader
	return nil
}

// readVarint reads a number of up to 63 bits, seven in a byte.
func readVarint(r io.ByteReader) (v uint64, err error) {
	for i := range maxVarint {
		b, err := r.ReadByte()
		if err != nil {
			return 0, codec.NoEOF(err)
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errXZ
}

// indexReader counts and sums the bytes of an index.
type indexReader struct {
	r   *bufio.Reader
	n   int64
	sum hash.Hash32
}

func (r *indexReader) ReadByte() (byte, error) {
	b, err := r.r.ReadByte()
	if err == nil {
		r.count(b)
	}
	return b, err
}

func (r *indexReader) count(b byte) {
	r.n++
	r.sum.Write([]byte{b})
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
