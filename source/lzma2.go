package source

import (
	"errors"
	"io"
)

// errLZMA is data that no LZMA2 encoder writes.
var errLZMA = errors.New("invalid LZMA2 data")

// The model of LZMA, as the LZMA specification (7-zip.org/sdk.html) has it.
const (
	lzmaStates     = 12
	lzmaPosStates  = 16
	lzmaLenLow     = 8
	lzmaLenMid     = 8
	lzmaMinMatch   = 2
	lzmaLenStates  = 4
	lzmaEndPos     = 14
	lzmaFullDist   = 1 << (lzmaEndPos / 2)
	lzmaLiteral    = 0x300
	lzmaMaxLitBits = 4 // lc + lp in LZMA2

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

	// The packed chunk and the range decoder on it. Zeros follow end, so that a
	// symbol that is cut can be decoded and then refused.
	chunk [lzmaChunk + lzmaSlack]byte
	at    int
	end   int
	short error // why the chunk ends before its time
	rng   uint32
	code  uint32

	state            uint32
	rep              [4]uint32
	matchLen         int // of a match that is not yet copied whole
	lc               uint32
	lpMask, pbMask   uint32
	isMatch, isRep0L [lzmaStates][lzmaPosStates]uint16
	isRep            [lzmaStates]uint16
	isRepG0          [lzmaStates]uint16
	isRepG1          [lzmaStates]uint16
	isRepG2          [lzmaStates]uint16
	slot             [lzmaLenStates][64]uint16
	special          [lzmaFullDist - lzmaEndPos + 1]uint16
	align            [16]uint16
	lenMatch, lenRep lzmaLen
	literal          [lzmaLiteral << lzmaMaxLitBits]uint16
}

type lzmaLen struct {
	choice, choice2 uint16
	low             [lzmaPosStates][lzmaLenLow]uint16
	mid             [lzmaPosStates][lzmaLenMid]uint16
	high            [256]uint16
}

// reset begins another stream; the window's memory stays.
func (d *lzma2) reset(in io.Reader, dict int) {
	d.in, d.err, d.size = in, nil, dict
	if len(d.win) > dict {
		d.win = d.win[:dict]
	}
	d.pos, d.sent, d.total, d.left, d.matchLen = 0, 0, 0, 0, 0
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
		return noEOF(err)
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
			return noEOF(err)
		}
		d.raw, d.left = true, int(h[0])<<8+int(h[1])+1
		return nil
	}
	length := 4
	if control >= 0xc0 {
		length = 5
	}
	if _, err := io.ReadFull(d.in, h[:length]); err != nil {
		return noEOF(err)
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
		d.resetState()
	}
	d.raw, d.left = false, int(control&0x1f)<<16+int(h[0])<<8+int(h[1])+1
	return d.fillChunk(int(h[2])<<8 + int(h[3]) + 1)
}

func (d *lzma2) fillChunk(size int) error {
	n, err := io.ReadFull(d.in, d.chunk[:size])
	d.short = noEOF(err)
	clear(d.chunk[n : n+lzmaSlack])
	if n < 5 || d.chunk[0] != 0 {
		return firstError(d.short, errLZMA)
	}
	d.end, d.at = n, 5
	d.rng = 1<<32 - 1
	d.code = uint32(d.chunk[1])<<24 | uint32(d.chunk[2])<<16 | uint32(d.chunk[3])<<8 | uint32(d.chunk[4])
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

func (d *lzma2) resetState() {
	d.state, d.rep = 0, [4]uint32{}
	for i := range d.isMatch {
		even(d.isMatch[i][:])
		even(d.isRep0L[i][:])
	}
	even(d.isRep[:])
	even(d.isRepG0[:])
	even(d.isRepG1[:])
	even(d.isRepG2[:])
	for i := range d.slot {
		even(d.slot[i][:])
	}
	even(d.special[:])
	even(d.align[:])
	d.lenMatch.reset()
	d.lenRep.reset()
	even(d.literal[:])
}

func (l *lzmaLen) reset() {
	l.choice, l.choice2 = 1024, 1024
	for i := range l.low {
		even(l.low[i][:])
		even(l.mid[i][:])
	}
	even(l.high[:])
}

// even makes both values of each bit equally probable.
func even(probs []uint16) {
	for i := range probs {
		probs[i] = 1024
	}
}

func (d *lzma2) copyRaw() error {
	n, err := d.in.Read(d.win[d.pos:min(len(d.win), d.pos+d.left)])
	d.pos += n
	d.left -= n
	d.total += uint64(n)
	if n > 0 && err == io.EOF {
		return nil
	}
	return noEOF(err)
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
	if d.rng < 1<<24 {
		d.shift()
	}
	if d.short != nil {
		return d.short
	}
	if d.matchLen > 0 || d.at != d.end || d.code != 0 {
		return errLZMA
	}
	return nil
}

func (d *lzma2) symbols(limit int) error {
	d.copyMatch(limit)
	for d.pos < limit {
		posState := uint32(d.total) & d.pbMask
		state := d.state
		if d.bit(&d.isMatch[state][posState]) == 0 {
			b := d.readLiteral()
			if d.at > d.end {
				return firstError(d.short, errLZMA)
			}
			d.put(b)
			continue
		}
		length := 1
		switch {
		case d.bit(&d.isRep[state]) == 0:
			d.rep[3], d.rep[2], d.rep[1] = d.rep[2], d.rep[1], d.rep[0]
			length = d.length(&d.lenMatch, posState)
			d.state = stateAfter(state, 7)
			d.rep[0] = d.distance(length)
		case d.bit(&d.isRepG0[state]) != 0:
			d.rotate(state)
			length = d.length(&d.lenRep, posState)
			d.state = stateAfter(state, 8)
		case d.bit(&d.isRep0L[state][posState]) != 0:
			length = d.length(&d.lenRep, posState)
			d.state = stateAfter(state, 8)
		default:
			d.state = stateAfter(state, 9)
		}
		switch {
		case d.at > d.end:
			return firstError(d.short, errLZMA)
		case uint64(d.rep[0]) >= min(d.total, uint64(d.size)):
			return errLZMA
		}
		d.matchLen = length
		d.copyMatch(limit)
	}
	return nil
}

// stateAfter is the state after a match (7), a repeated one (8) or a repeated
// byte (9), three more if it did not follow a literal.
func stateAfter(state, kind uint32) uint32 {
	if state < 7 {
		return kind
	}
	return min(kind+3, 11)
}

// rotate brings one of the older distances to the front.
func (d *lzma2) rotate(state uint32) {
	i := 1
	if d.bit(&d.isRepG1[state]) != 0 {
		i = 2 + int(d.bit(&d.isRepG2[state]))
	}
	dist := d.rep[i]
	copy(d.rep[1:i+1], d.rep[:i])
	d.rep[0] = dist
}

func (d *lzma2) put(b byte) {
	d.win[d.pos] = b
	d.pos++
	d.total++
}

// back gives the byte that stands dist+1 before the next one.
func (d *lzma2) back(dist uint32) byte {
	i := d.pos - int(dist) - 1
	if i < 0 {
		i += len(d.win)
	}
	return d.win[i]
}

// copyMatch copies as much of the match as fits before limit.
func (d *lzma2) copyMatch(limit int) {
	n := min(d.matchLen, limit-d.pos)
	if n <= 0 {
		return
	}
	d.matchLen -= n
	d.total += uint64(n)
	from := d.pos - int(d.rep[0]) - 1
	if from < 0 {
		from += len(d.win)
	}
	for n > 0 {
		// Not beyond the bytes that are there: a match may repeat itself.
		k := min(n, len(d.win)-from)
		if from < d.pos {
			k = min(k, d.pos-from)
		}
		k = copy(d.win[d.pos:d.pos+k], d.win[from:from+k])
		d.pos += k
		n -= k
		if from += k; from == len(d.win) {
			from = 0
		}
	}
}

func (d *lzma2) readLiteral() byte {
	var prev, symbol uint32
	if d.total > 0 {
		prev = uint32(d.back(0))
	}
	index := (uint32(d.total)&d.lpMask)<<d.lc + prev>>(8-d.lc)
	probs := d.literal[index*lzmaLiteral:][:lzmaLiteral]
	symbol = 1
	if d.state >= 7 {
		match := uint32(d.back(d.rep[0]))
		for offset := uint32(0x100); symbol < 0x100; {
			match <<= 1
			m := match & offset
			b := d.bit(&probs[offset+m+symbol])
			symbol = symbol<<1 | b
			if b != 0 {
				offset = m
			} else {
				offset &^= m
			}
		}
	} else {
		for symbol < 0x100 {
			symbol = symbol<<1 | d.bit(&probs[symbol])
		}
	}
	switch {
	case d.state < 4:
		d.state = 0
	case d.state < 10:
		d.state -= 3
	default:
		d.state -= 6
	}
	return byte(symbol)
}

func (d *lzma2) length(l *lzmaLen, posState uint32) int {
	switch {
	case d.bit(&l.choice) == 0:
		return lzmaMinMatch + int(d.tree(l.low[posState][:]))
	case d.bit(&l.choice2) == 0:
		return lzmaMinMatch + lzmaLenLow + int(d.tree(l.mid[posState][:]))
	}
	return lzmaMinMatch + lzmaLenLow + lzmaLenMid + int(d.tree(l.high[:]))
}

func (d *lzma2) distance(length int) uint32 {
	slot := d.tree(d.slot[min(length-lzmaMinMatch, lzmaLenStates-1)][:])
	if slot < 4 {
		return slot
	}
	bits := slot/2 - 1
	dist := (2 | slot&1) << bits
	if slot < lzmaEndPos {
		return dist + d.reverse(d.special[dist-slot:], bits)
	}
	for range bits - 4 {
		dist += d.direct() << (bits - 1)
		bits--
	}
	return dist + d.reverse(d.align[:], 4)
}

// tree decodes as many bits as probs, a power of two, has leaves for.
func (d *lzma2) tree(probs []uint16) uint32 {
	m := uint32(1)
	for m < uint32(len(probs)) {
		m = m<<1 | d.bit(&probs[m])
	}
	return m - uint32(len(probs))
}

// reverse decodes bits, the lowest first.
func (d *lzma2) reverse(probs []uint16, bits uint32) (v uint32) {
	m := uint32(1)
	for i := range bits {
		b := d.bit(&probs[m])
		m = m<<1 | b
		v |= b << i
	}
	return v
}

func (d *lzma2) shift() {
	d.rng <<= 8
	d.code = d.code<<8 | uint32(d.chunk[d.at])
	d.at++
}

func (d *lzma2) bit(prob *uint16) uint32 {
	if d.rng < 1<<24 {
		d.shift()
	}
	p := uint32(*prob)
	bound := d.rng >> 11 * p
	if d.code < bound {
		d.rng = bound
		*prob = uint16(p + (2048-p)>>5)
		return 0
	}
	d.rng -= bound
	d.code -= bound
	*prob = uint16(p - p>>5)
	return 1
}

// direct decodes a bit without a model.
func (d *lzma2) direct() uint32 {
	if d.rng < 1<<24 {
		d.shift()
	}
	d.rng >>= 1
	if d.code < d.rng {
		return 0
	}
	d.code -= d.rng
	return 1
}
