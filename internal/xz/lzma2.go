package xz

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

// errLZMA is data that no LZMA2 encoder writes.
var errLZMA = errors.New("invalid LZMA2 data")

const (
	lzmaChunk = 1 << 16 // longest packed chunk
	lzmaSlack = 64      // more than any symbol takes
	firstWin  = 64 << 10
)

// lzma2 decodes one LZMA2 stream. A cut chunk gives all that its bytes still
// say before the error. The window grows with the data up to the size that was
// asked for.
type lzma2 struct {
	in  io.Reader
	err error // sticky, once the window is delivered

	win       []byte
	size      int // dictionary size, what win may grow to
	pos, sent int // next byte of win to write, to deliver
	total     uint64

	left      int // unpacked bytes to come in the chunk
	raw       bool
	needDict  bool
	needProps bool

	// The packed chunk. Zeros follow end, so that a symbol that is cut can be
	// decoded and then refused.
	chunk lzmaBytes
	end   int
	short error // why the chunk ends before its time
	bits  rangeDecoder

	state          uint32
	rep            [4]uint32
	matchLen       int // of a match that is not yet copied whole
	lc             uint32
	lpMask, pbMask uint32
	model          lzmaModel
}

type lzmaBytes [lzmaChunk + lzmaSlack]byte

// reset begins another stream; the window's memory stays.
func (d *lzma2) reset(in io.Reader, dict int) {
	d.in, d.err, d.size = in, nil, dict
	d.win = d.win[:min(cap(d.win), dict)]
	d.pos, d.sent, d.total, d.left, d.matchLen = 0, 0, 0, 0, 0
	d.needDict, d.needProps = true, true
}

func (d *lzma2) Read(p []byte) (int, error) {
	for {
		if d.sent < d.pos {
			n := copy(p, d.win[d.sent:d.pos])
			d.sent += n
			return n, nil
		}
		if d.err != nil {
			return 0, d.err
		}
		if d.left == 0 {
			d.err = d.nextChunk()
			continue
		}
		d.room()
		if d.raw {
			d.err = d.copyRaw()
		} else {
			d.err = d.decode()
		}
	}
}

// room makes space in the window: grows it, or begins at its front again.
func (d *lzma2) room() {
	if d.pos < len(d.win) {
		return
	}
	if len(d.win) < d.size {
		win := make([]byte, min(max(2*len(d.win), firstWin), d.size))
		copy(win, d.win)
		d.win = win
		return
	}
	d.pos, d.sent = 0, 0
}

// nextChunk reads a chunk's header and, if it is packed, its bytes. io.EOF is
// the end of the stream.
func (d *lzma2) nextChunk() error {
	var h [6]byte
	if _, err := io.ReadFull(d.in, h[:1]); err != nil {
		return codec.NoEOF(err)
	}
	control := h[0]
	switch {
	case control == 0:
		return io.EOF
	case control >= 0xe0 || control == 1:
		d.needDict, d.needProps, d.total = false, true, 0
	case d.needDict, control > 2 && control < 0x80:
		return errLZMA
	}
	if control < 0x80 {
		if _, err := io.ReadFull(d.in, h[:2]); err != nil {
			return codec.NoEOF(err)
		}
		d.raw, d.left = true, int(h[0])<<8+int(h[1])+1
		return nil
	}
	length := 4
	if control >= 0xc0 {
		length = 5
	}
	if _, err := io.ReadFull(d.in, h[:length]); err != nil {
		return codec.NoEOF(err)
	}
	switch {
	case control >= 0xc0:
		if !d.setProps(h[4]) {
			return errLZMA
		}
		d.needProps = false
	case d.needProps:
		return errLZMA
	}
	if control >= 0xa0 {
		d.state, d.rep = 0, [4]uint32{}
		d.model.reset()
	}
	d.raw, d.left = false, int(control&0x1f)<<16+int(h[0])<<8+int(h[1])+1
	return d.fillChunk(int(h[2])<<8 + int(h[3]) + 1)
}

func (d *lzma2) fillChunk(size int) error {
	n, err := io.ReadFull(d.in, d.chunk[:size])
	d.short = codec.NoEOF(err)
	clear(d.chunk[n : n+lzmaSlack])
	if n < 5 || d.chunk[0] != 0 {
		return cmp.Or(codec.NoEOF(d.short), errLZMA)
	}
	d.end = n
	d.bits = rangeDecoder{rng: 1<<32 - 1, code: binary.BigEndian.Uint32(d.chunk[1:]), at: 5}
	return nil
}

func (d *lzma2) setProps(b byte) bool {
	if b >= 9*5*5 {
		return false
	}
	lc, lp, pb := b%9, b/9%5, b/45
	if lc+lp > lzmaMaxLitBits {
		return false
	}
	d.lc, d.lpMask, d.pbMask = uint32(lc), 1<<lp-1, 1<<pb-1
	return true
}

func (d *lzma2) copyRaw() error {
	n, err := d.in.Read(d.win[d.pos:min(len(d.win), d.pos+d.left)])
	d.pos += n
	d.left -= n
	d.total += uint64(n)
	if n > 0 && err == io.EOF {
		return nil
	}
	return codec.NoEOF(err)
}

// decode fills the window, up to its end or that of the chunk.
func (d *lzma2) decode() error {
	start := d.pos
	limit := min(len(d.win), d.pos+d.left)
	err := d.symbols(limit)
	d.left -= d.pos - start
	if err != nil || d.left > 0 {
		return err
	}
	// The chunk is unpacked: nothing of it may be left over.
	d.bits = d.bits.normal(&d.chunk)
	if d.short != nil {
		return d.short
	}
	if d.matchLen > 0 || d.bits.at != d.end || d.bits.code != 0 {
		return errLZMA
	}
	return nil
}
