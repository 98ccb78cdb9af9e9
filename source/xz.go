package source

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
)

// xzReader reads the streams of an .xz file and the padding between them, as
// "The .xz File Format" 1.2.1 (tukaani.org/xz/xz-file-format.txt) has them. Of
// the filters it knows LZMA2, which is what logs are packed with.
//
// It holds the container and the decoder itself, because the common Go library
// drops up to 2 MiB that it has decoded when it meets damage, and takes as much
// memory as a header asks for.
type xzReader struct {
	in    *bufio.Reader
	begun bool // a stream was begun
	flags [2]byte
	lzma  lzma2
	state func(p []byte) (int, error) // what comes next

	// The block being read.
	counted          *countingReader
	headerSize       int64
	packed, unpacked int64 // sizes as the header gives them, or -1
	size             int64 // bytes unpacked so far
	check            hash.Hash

	// All blocks of the stream, to be compared with its index.
	blocks  uint64
	records hash.Hash32
}

const (
	xzMagic       = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	filterLZMA2   = 0x21
	maxVarint     = 9
)

// xzCheckSizes are the sizes of the check by its id.
var xzCheckSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

var (
	errXZ     = errors.New("the container is inconsistent")
	errFilter = errors.New("a filter other than LZMA2")
	crc64ECMA = crc64.MakeTable(crc64.ECMA)
	le        = binary.LittleEndian
)

func newXZReader(in *bufio.Reader) *xzReader {
	x := new(xzReader)
	x.reset(in)
	return x
}

// reset begins with other data; the memory of the decoder stays.
func (x *xzReader) reset(in *bufio.Reader) {
	x.in, x.begun, x.records = in, false, crc32.NewIEEE()
	x.state = x.readStreamHeader
}

// free lets go of what was read, and of a large window.
func (x *xzReader) free() {
	x.in, x.counted, x.lzma.in = nil, nil, nil
	if cap(x.lzma.win) > keptWindow {
		x.lzma.win = nil
	}
}

func (x *xzReader) Read(p []byte) (int, error) {
	for {
		n, err := x.state(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (x *xzReader) readStreamHeader([]byte) (int, error) {
	if x.begun {
		if err := skipZeros(x.in); err != nil {
			return 0, err
		}
		if head, _ := x.in.Peek(len(xzMagic)); !bytes.HasPrefix([]byte(xzMagic), head) {
			return 0, errTrailing
		}
	}
	var h [12]byte
	if _, err := io.ReadFull(x.in, h[:]); err != nil {
		return 0, noEOF(err)
	}
	x.flags = [2]byte(h[6:8])
	if string(h[:6]) != xzMagic || crc32.ChecksumIEEE(h[6:8]) != le.Uint32(h[8:]) {
		return 0, errXZ
	}
	if h[6] != 0 || h[7] > 15 {
		return 0, fmt.Errorf("unknown flags %#x", h[6:8])
	}
	x.begun, x.blocks = true, 0
	x.records.Reset()
	x.check = newXZCheck(h[7])
	x.state = x.readBlockHeader
	return 0, nil
}

// newXZCheck gives nil for checks that are not verified.
func newXZCheck(id byte) hash.Hash {
	switch id {
	case 1:
		return crc32.NewIEEE()
	case 4:
		return crc64.New(crc64ECMA)
	case 10:
		return sha256.New()
	}
	return nil
}

func (x *xzReader) readBlockHeader([]byte) (int, error) {
	var h [1024]byte
	first, err := x.in.ReadByte()
	if err != nil {
		return 0, noEOF(err)
	}
	if first == 0 {
		return 0, x.readIndex()
	}
	h[0] = first
	size := (int(first) + 1) * 4
	if _, err := io.ReadFull(x.in, h[1:size]); err != nil {
		return 0, noEOF(err)
	}
	fields := h[1 : size-4]
	if crc32.ChecksumIEEE(h[:size-4]) != le.Uint32(h[size-4:]) {
		return 0, errChecksum
	}
	dict, err := x.parseBlockHeader(bytes.NewReader(fields))
	if err != nil {
		return 0, err
	}
	if dict > maxWindow {
		return 0, errWindow
	}
	x.headerSize, x.size = int64(size), 0
	x.counted = &countingReader{r: x.in}
	x.lzma.reset(x.counted, int(dict))
	if x.check != nil {
		x.check.Reset()
	}
	x.state = x.readBlock
	return 0, nil
}

// parseBlockHeader sets the sizes of a block and gives its dictionary size.
func (x *xzReader) parseBlockHeader(r *bytes.Reader) (dict int64, err error) {
	flags, err := r.ReadByte()
	if err != nil {
		return 0, errXZ
	}
	x.packed, x.unpacked = -1, -1
	for _, f := range []struct {
		bit  byte
		size *int64
	}{{0x40, &x.packed}, {0x80, &x.unpacked}} {
		if flags&f.bit != 0 {
			v, err := readVarint(r)
			if err != nil {
				return 0, err
			}
			*f.size = int64(v)
		}
	}
	id, err := readVarint(r)
	if err != nil {
		return 0, err
	}
	if flags&0x3f != 0 || id != filterLZMA2 {
		return 0, errFilter
	}
	props := make([]byte, 2)
	if _, err := io.ReadFull(r, props); err != nil || props[0] != 1 || props[1] > 40 {
		return 0, errXZ
	}
	if props[1] == 40 {
		return 1<<32 - 1, nil
	}
	return int64(2|props[1]&1) << (props[1]/2 + 11), nil
}

func (x *xzReader) readBlock(p []byte) (int, error) {
	n, err := x.lzma.Read(p)
	x.size += int64(n)
	if x.check != nil {
		x.check.Write(p[:n])
	}
	if err == io.EOF {
		return n, x.endBlock()
	}
	return n, err
}

func (x *xzReader) endBlock() error {
	packed := x.counted.n
	if x.packed >= 0 && x.packed != packed || x.unpacked >= 0 && x.unpacked != x.size {
		return errXZ
	}
	checkSize := xzCheckSizes[x.flags[1]]
	var tail [3 + 64]byte
	padding := int(-packed & 3)
	if _, err := io.ReadFull(x.in, tail[:padding+checkSize]); err != nil {
		return noEOF(err)
	}
	if len(bytes.Trim(tail[:padding], "\x00")) > 0 {
		return errXZ
	}
	if x.check != nil && !bytes.Equal(x.checksum(), tail[padding:padding+checkSize]) {
		return errChecksum
	}
	x.blocks++
	x.record(uint64(x.headerSize+packed)+uint64(checkSize), uint64(x.size))
	x.state = x.readBlockHeader
	return nil
}

// checksum is in the byte order of the file: little endian for the CRCs.
func (x *xzReader) checksum() []byte {
	switch c := x.check.(type) {
	case hash.Hash64:
		return le.AppendUint64(nil, c.Sum64())
	case hash.Hash32:
		return le.AppendUint32(nil, c.Sum32())
	}
	return x.check.Sum(nil)
}

func (x *xzReader) record(unpadded, unpacked uint64) {
	var b [16]byte
	le.PutUint64(b[:], unpadded)
	le.PutUint64(b[8:], unpacked)
	x.records.Write(b[:])
}

// readIndex reads the index, whose first byte is gone, and the footer.
func (x *xzReader) readIndex() error {
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
			return firstError(err, errXZ)
		}
	}
	var f [4 + 12]byte // checksum of the index, footer
	if _, err := io.ReadFull(x.in, f[:]); err != nil {
		return noEOF(err)
	}
	footer := f[4:]
	switch {
	case le.Uint32(f[:]) != r.sum.Sum32(), le.Uint32(footer) != crc32.ChecksumIEEE(footer[4:10]):
		return errChecksum
	case x.records.Sum32() != want, string(footer[10:]) != xzFooterMagic,
		[2]byte(footer[8:10]) != x.flags, (int64(le.Uint32(footer[4:]))+1)*4 != r.n+4:
		return errXZ
	}
	x.state = x.readStreamHeader
	return nil
}

func firstError(err, otherwise error) error {
	if err != nil {
		return noEOF(err)
	}
	return otherwise
}

// readVarint reads a number of up to 63 bits, seven in a byte.
func readVarint(r io.ByteReader) (v uint64, err error) {
	for i := range maxVarint {
		b, err := r.ReadByte()
		if err != nil {
			return 0, noEOF(err)
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
