package xz

import (
	"cmp"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

// The model of LZMA, as the LZMA specification (7-zip.org/sdk.html) has it.
const (
	lzmaPosStates  = 16
	lzmaMinMatch   = 2
	lzmaLenStates  = 4
	lzmaEndPos     = 14
	lzmaFullDist   = 1 << (lzmaEndPos / 2)
	lzmaAlign      = 4 // low bits of a far distance that have a model
	lzmaLiteral    = 0x300
	lzmaMaxLitBits = 4 // lc + lp in LZMA2
)

// lzmaModel are the probabilities of all bits. Arrays are longer than what is
// used of them where that makes an index fit whatever the data say.
type lzmaModel struct {
	isMatch, isRep0L [16][lzmaPosStates]uint16
	isRep            [16]uint16
	isRepG0          [16]uint16
	isRepG1          [16]uint16
	isRepG2          [16]uint16
	slot             [lzmaLenStates][64]uint16
	special          [lzmaFullDist]uint16
	align            [1 << lzmaAlign]uint16
	lenMatch, lenRep lzmaLen
	literal          [lzmaLiteral<<lzmaMaxLitBits + 0x100]uint16
}

type lzmaLen struct {
	choice, choice2 uint16
	low, mid        [lzmaPosStates][8]uint16
	high            [256]uint16
}

func (m *lzmaModel) reset() {
	for i := range m.isMatch {
		even(m.isMatch[i][:])
		even(m.isRep0L[i][:])
	}
	even(m.isRep[:])
	even(m.isRepG0[:])
	even(m.isRepG1[:])
	even(m.isRepG2[:])
	for i := range m.slot {
		even(m.slot[i][:])
	}
	even(m.special[:])
	even(m.align[:])
	m.lenMatch.reset()
	m.lenRep.reset()
	even(m.literal[:])
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

// rangeDecoder gives the bits of a packed chunk. It is passed and returned by
// value, so that it stays in registers.
type rangeDecoder struct {
	rng, code uint32
	at        int // next byte of the chunk
}

// normal refills what is used up.
func (r rangeDecoder) normal(chunk *lzmaBytes) rangeDecoder {
	if r.rng < 1<<24 {
		r.rng <<= 8
		r.code = r.code<<8 | uint32(chunk[r.at])
		r.at++
	}
	return r
}

// lzmaRise makes of a probability p of 0 what to take a 32nd of from it, so that
// it rises by (2048-p)/32 (in 32 bits, the sign kept).
const lzmaRise = 1<<32 - 2048 + 31

// bit decodes a bit by its probability of 0: 0 for 0, all ones for 1. There is no
// branch in it, since most bits cannot be predicted.
func (r rangeDecoder) bit(prob *uint16) (rangeDecoder, uint32) {
	p := uint32(*prob)
	bound := r.rng >> 11 * p
	r.rng -= bound
	zero := uint32((int64(r.code) - int64(bound)) >> 63) // all ones for 0
	r.code -= bound &^ zero
	r.rng += (bound - r.rng) & zero
	*prob = uint16(p - uint32(int32(p+zero&lzmaRise)>>5))
	return r, ^zero
}

// tree3, tree6 and tree8 decode numbers of so many bits, the highest first.
func (r rangeDecoder) tree3(probs *[8]uint16, chunk *lzmaBytes) (rangeDecoder, uint32) {
	node, b := uint32(1), uint32(0)
	for range 3 {
		r, b = r.normal(chunk).bit(&probs[node&7])
		node = node<<1 - b
	}
	return r, node & 7
}

func (r rangeDecoder) tree6(probs *[64]uint16, chunk *lzmaBytes) (rangeDecoder, uint32) {
	node, b := uint32(1), uint32(0)
	for range 6 {
		r, b = r.normal(chunk).bit(&probs[node&63])
		node = node<<1 - b
	}
	return r, node & 63
}

func (r rangeDecoder) tree8(probs *[256]uint16, chunk *lzmaBytes) (rangeDecoder, uint32) {
	node, b := uint32(1), uint32(0)
	for range 8 {
		r, b = r.normal(chunk).bit(&probs[node&255])
		node = node<<1 - b
	}
	return r, node & 255
}

// literal decodes a byte that nothing is known of, and literalAfter one that is
// not match, since the match before would have gone on.
func (r rangeDecoder) literal(probs *[0x400]uint16, chunk *lzmaBytes) (rangeDecoder, byte) {
	node, p := uint32(1), uint32(probs[1])
	for range 8 {
		// As bit does it, with the probabilities of both nodes that may follow
		// loaded before it is known which one does.
		r = r.normal(chunk)
		p0, p1 := uint32(probs[node<<1&0x1ff]), uint32(probs[(node<<1+1)&0x1ff])
		bound := r.rng >> 11 * p
		r.rng -= bound
		zero := uint32((int64(r.code) - int64(bound)) >> 63)
		r.code -= bound &^ zero
		r.rng += (bound - r.rng) & zero
		probs[node&0xff] = uint16(p - uint32(int32(p+zero&lzmaRise)>>5))
		node = node<<1 + 1 + zero
		p = p1 ^ (p1^p0)&zero
	}
	return r, byte(node)
}

func (r rangeDecoder) literalAfter(match uint32, probs *[0x400]uint16, chunk *lzmaBytes) (rangeDecoder, byte) {
	node, b := uint32(1), uint32(0)
	same := uint32(0x100) // as long as the bits are those of match
	for range 8 {
		match <<= 1
		r, b = r.normal(chunk).bit(&probs[(same+match&same+node)&0x3ff])
		node = node<<1 - b
		same &= match ^ ^b
	}
	return r, byte(node)
}

// length decodes the length of a match.
func (r rangeDecoder) length(l *lzmaLen, posState uint32, chunk *lzmaBytes) (rangeDecoder, int) {
	var v, b uint32
	if r, b = r.normal(chunk).bit(&l.choice); b == 0 {
		r, v = r.tree3(&l.low[posState&15], chunk)
		return r, lzmaMinMatch + int(v)
	}
	if r, b = r.normal(chunk).bit(&l.choice2); b == 0 {
		r, v = r.tree3(&l.mid[posState&15], chunk)
		return r, lzmaMinMatch + 8 + int(v)
	}
	r, v = r.tree8(&l.high, chunk)
	return r, lzmaMinMatch + 16 + int(v)
}

// distance decodes how far back a match of a length begins.
func (r rangeDecoder) distance(m *lzmaModel, length int, chunk *lzmaBytes) (rangeDecoder, uint32) {
	r, slot := r.tree6(&m.slot[min(length-lzmaMinMatch, lzmaLenStates-1)], chunk)
	if slot < 4 {
		return r, slot
	}
	bits := slot/2 - 1
	dist := (2 | slot&1) << bits
	if slot < lzmaEndPos {
		// The tree of each slot stands where its distances would.
		probs := m.special[dist-slot:]
		node, b := uint32(1), uint32(0)
		for i := range bits {
			r, b = r.normal(chunk).bit(&probs[node])
			node = node<<1 - b
			dist += b & 1 << i
		}
		return r, dist
	}
	for bits > lzmaAlign { // bits without a model
		bits--
		r = r.normal(chunk)
		r.rng >>= 1
		one := ^uint32((int64(r.code) - int64(r.rng)) >> 63)
		r.code -= r.rng & one
		dist += one & 1 << bits
	}
	node, b := uint32(1), uint32(0)
	for i := range lzmaAlign {
		r, b = r.normal(chunk).bit(&m.align[node&15])
		node = node<<1 - b
		dist += b & 1 << i
	}
	return r, dist
}

// repeated brings the distance that is used again to the front of rep. It gives 8,
// or 9 for a single byte.
func (r rangeDecoder) repeated(m *lzmaModel, rep *[4]uint32, state, posState uint32, chunk *lzmaBytes) (rangeDecoder,
	uint32) {
	var b uint32
	if r, b = r.normal(chunk).bit(&m.isRepG0[state&15]); b == 0 {
		r, b = r.normal(chunk).bit(&m.isRep0L[state&15][posState&15])
		return r, 9 + b // b is -1 for a whole match
	}
	if r, b = r.normal(chunk).bit(&m.isRepG1[state&15]); b == 0 {
		rep[0], rep[1] = rep[1], rep[0]
	} else if r, b = r.normal(chunk).bit(&m.isRepG2[state&15]); b == 0 {
		rep[0], rep[1], rep[2] = rep[2], rep[0], rep[1]
	} else {
		rep[0], rep[1], rep[2], rep[3] = rep[3], rep[0], rep[1], rep[2]
	}
	return r, 8
}

// lzmaLiteralState is the state after a literal.
var lzmaLiteralState = [16]uint32{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}

// symbols decodes up to limit, a place in the window. A match may go beyond it:
// matchLen is what is left of it.
func (d *lzma2) symbols(limit int) error {
	d.copyMatch(limit)
	chunk, m, win := &d.chunk, &d.model, d.win
	r, state, rep := d.bits, d.state, d.rep
	pos, ahead := d.pos, d.total-uint64(d.pos)
	var err error
	for pos < limit {
		total := uint32(ahead) + uint32(pos)
		posState := total & d.pbMask & 15
		var b uint32
		if r, b = r.normal(chunk).bit(&m.isMatch[state&15][posState]); b == 0 {
			var prev uint32
			if ahead+uint64(pos) > 0 {
				prev = uint32(win[back(pos, 0, len(win))])
			}
			index := (total&d.lpMask)<<d.lc + prev>>(8-d.lc)
			probs := (*[0x400]uint16)(m.literal[index*lzmaLiteral:])
			var c byte
			if state < 7 {
				r, c = r.literal(probs, chunk)
			} else {
				r, c = r.literalAfter(uint32(win[back(pos, rep[0], len(win))]), probs, chunk)
			}
			if r.at > d.end {
				err = cmp.Or(codec.NoEOF(d.short), errLZMA)
				break
			}
			state = lzmaLiteralState[state&15]
			win[pos] = c
			pos++
			continue
		}
		length := 1
		next := uint32(7) // 7 after a match, 8 after a repeated one, 9 after a repeated byte
		if r, b = r.normal(chunk).bit(&m.isRep[state&15]); b == 0 {
			rep[3], rep[2], rep[1] = rep[2], rep[1], rep[0]
			r, length = r.length(&m.lenMatch, posState, chunk)
			r, rep[0] = r.distance(m, length, chunk)
		} else {
			r, next = r.repeated(m, &rep, state, posState, chunk)
			if next == 8 {
				r, length = r.length(&m.lenRep, posState, chunk)
			}
		}
		if state >= 7 {
			next = min(next+3, 11)
		}
		state = next
		if r.at > d.end {
			err = cmp.Or(codec.NoEOF(d.short), errLZMA)
			break
		}
		if uint64(rep[0]) >= min(ahead+uint64(pos), uint64(d.size)) {
			err = errLZMA
			break
		}
		if from := pos - int(rep[0]) - 1; from >= 0 && from+length <= pos && pos+length <= limit {
			copy(win[pos:pos+length], win[from:])
			pos += length
			continue
		}
		d.pos, d.total, d.rep[0], d.matchLen = pos, ahead+uint64(pos), rep[0], length
		d.copyMatch(limit)
		pos = d.pos
	}
	d.bits, d.state, d.rep = r, state, rep
	d.pos, d.total = pos, ahead+uint64(pos)
	return err
}

// back is the place dist+1 before pos in a window of a size.
func back(pos int, dist uint32, size int) int {
	at := pos - int(dist) - 1
	if at < 0 {
		at += size
	}
	return at
}

// copyMatch copies as much of the match as fits before limit.
func (d *lzma2) copyMatch(limit int) {
	n := min(d.matchLen, limit-d.pos)
	if n <= 0 {
		return
	}
	d.matchLen -= n
	d.total += uint64(n)
	from := back(d.pos, d.rep[0], len(d.win))
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
