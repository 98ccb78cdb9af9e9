package xz

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/readahead"
)

// What may be decoded beside other blocks: those of xz -6 and of all below it.
const (
	MostBlocks   = 4 // at once, in all files
	mostUnpacked = 24 << 20
	mostWindow   = codec.KeptWindow
)

// errIndex stands for the end of a stream's blocks.
var errIndex = errors.New("no more blocks")

// block decodes a block behind its header and checks it.
type block struct {
	in               io.Reader
	lzma             lzma2
	counted          countingReader
	headerSize       int64
	packed, unpacked int64 // sizes as the header gives them, or -1
	size             int64 // bytes unpacked so far
	check            hash.Hash
	checkSize        int
}

// queuedBlock is a block that is being decoded.
type queuedBlock struct {
	*block
	ahead *readahead.Reader // by a goroutine of its own, or nil
}

// readBlocks reads the blocks of a stream in their order.
func (x *Reader) readBlocks(p []byte) (int, error) {
	for x.then == nil && (len(x.queue) == 0 || len(x.queue) < cap(x.slots) && x.queue[len(x.queue)-1].ahead != nil) {
		x.then = x.beginBlock()
	}
	if len(x.queue) == 0 {
		if x.then == errIndex {
			return 0, x.readIndex()
		}
		return 0, x.then
	}
	first := x.queue[0]
	var r io.Reader = first.block
	if first.ahead != nil {
		r = first.ahead
	}
	n, err := r.Read(p)
	if err == io.EOF {
		x.blocks++
		x.record(uint64(first.headerSize+first.counted.n)+uint64(first.checkSize), uint64(first.size))
		x.endBlock()
		err = nil
	}
	return n, err
}

// endBlock takes the first block from the queue.
func (x *Reader) endBlock() {
	b := x.queue[0]
	if b.ahead != nil {
		b.ahead.Close()
		<-x.slots
	}
	b.in, b.counted.r, b.lzma.in = nil, nil, nil
	if cap(b.lzma.win) > codec.KeptWindow {
		b.lzma.win = nil
	}
	x.free = append(x.free, b.block)
	x.queue = append(x.queue[:0], x.queue[1:]...)
}

// Close ends all goroutines and lets go of the data; memory is kept for Reset.
func (x *Reader) Close() {
	for len(x.queue) > 0 {
		x.endBlock()
	}
	x.in = nil
	if len(x.free) > 1 {
		clear(x.free[1:])
		x.free = x.free[:1]
	}
}

// beginBlock reads a block's header, and the whole block if others may be decoded
// beside it.
func (x *Reader) beginBlock() error {
	var h [1024]byte
	first, err := x.in.ReadByte()
	if err != nil {
		return codec.NoEOF(err)
	}
	if first == 0 {
		return errIndex
	}
	h[0] = first
	size := (int(first) + 1) * 4
	if _, err := io.ReadFull(x.in, h[1:size]); err != nil {
		return codec.NoEOF(err)
	}
	fields := h[1 : size-4]
	if crc32.ChecksumIEEE(h[:size-4]) != le.Uint32(h[size-4:]) {
		return codec.ErrChecksum
	}
	b := &block{}
	if n := len(x.free); n > 0 {
		b, x.free = x.free[n-1], x.free[:n-1]
	}
	dict, err := b.parseBlockHeader(bytes.NewReader(fields))
	if err != nil {
		return err
	}
	if dict > codec.MaxWindow {
		return codec.ErrWindow
	}
	b.headerSize, b.size = int64(size), 0
	b.check, b.checkSize = newCheck(x.flags[1]), checkSizes[x.flags[1]]
	q := &queuedBlock{block: b}
	b.in = x.in
	beside := b.alone(dict) && x.takeSlot()
	if beside {
		data, err := codec.ReadUpTo(x.in, b.packed+-b.packed&3+int64(b.checkSize))
		if err == nil {
			err = errLZMA // for what goes on where the header has its end
		}
		b.in = io.MultiReader(bytes.NewReader(data), failure{codec.NoEOF(err)})
	}
	b.counted = countingReader{r: b.in}
	b.lzma.reset(&b.counted, int(dict))
	if beside {
		q.ahead = readahead.New(b, int(b.unpacked/readahead.BlockSize)+1, func() {})
	}
	x.queue = append(x.queue, q)
	return nil
}

// takeSlot tells whether one more block may be decoded beside others.
func (x *Reader) takeSlot() bool {
	select {
	case x.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// failure is a reader that gives an error.
type failure struct{ err error }

func (f failure) Read([]byte) (int, error) { return 0, f.err }

// alone tells whether the header says enough to decode the block by itself, and
// whether it is small enough.
func (b *block) alone(dict int64) bool {
	return b.packed >= 0 && b.unpacked >= 0 && b.unpacked <= mostUnpacked && dict <= mostWindow &&
		b.packed <= b.unpacked+b.unpacked>>10+1<<10 // never much more than what it holds
}

// parseBlockHeader sets the sizes of a block and gives its dictionary size.
func (b *block) parseBlockHeader(r *bytes.Reader) (dict int64, err error) {
	flags, err := r.ReadByte()
	if err != nil {
		return 0, errXZ
	}
	b.packed, b.unpacked = -1, -1
	for _, f := range []struct {
		bit  byte
		size *int64
	}{{0x40, &b.packed}, {0x80, &b.unpacked}} {
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
		return 0, ErrFilter
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

// Read implements io.Reader; io.EOF is the end of a block that is whole.
func (b *block) Read(p []byte) (int, error) {
	n, err := b.lzma.Read(p)
	b.size += int64(n)
	if b.check != nil {
		b.check.Write(p[:n])
	}
	if err == io.EOF {
		return n, b.end()
	}
	return n, err
}

func (b *block) end() error {
	packed := b.counted.n
	if b.packed >= 0 && b.packed != packed || b.unpacked >= 0 && b.unpacked != b.size {
		return errXZ
	}
	var tail [3 + 64]byte
	padding := int(-packed & 3)
	if _, err := io.ReadFull(b.in, tail[:padding+b.checkSize]); err != nil {
		return codec.NoEOF(err)
	}
	if len(bytes.Trim(tail[:padding], "\x00")) > 0 {
		return errXZ
	}
	if b.check != nil && !bytes.Equal(b.checksum(), tail[padding:padding+b.checkSize]) {
		return codec.ErrChecksum
	}
	return io.EOF
}

// newCheck gives nil for checks that are not verified.
func newCheck(id byte) hash.Hash {
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

// checksum is in the byte order of the file: little endian for the CRCs.
func (b *block) checksum() []byte {
	switch c := b.check.(type) {
	case hash.Hash64:
		return le.AppendUint64(nil, c.Sum64())
	case hash.Hash32:
		return le.AppendUint32(nil, c.Sum32())
	}
	return b.check.Sum(nil)
}
