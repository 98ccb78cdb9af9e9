package tarfile

import (
	"bufio"
	"io"
)

// BlockSize is the size in bytes of what an archive is made of.
const BlockSize = 512

// NewInput reads what r gives, which stands at an offset in what the archive stands in.
func NewInput(r *bufio.Reader, offset int64) *Input {
	return &Input{r: r, begin: offset, Offset: offset, from: offset}
}

// Damaged is where the block stands that was read last.
func (t *Input) Damaged() int64 { return t.begin + (t.Offset-t.begin-1)/BlockSize*BlockSize }

// Input is what a tar archive is read from. It knows the block that was read
// last and can give it again.
type Input struct {
	Offset int64 // of what comes next, counted in what the archive stands in
	Err    error // met while reading; io.EOF if no zeros ended the archive before

	r     *bufio.Reader
	begin int64           // of the archive in it
	last  [BlockSize]byte // the bytes before Offset
	again int             // bytes of last to be read once more
	from  int64           // the header with which reading began or went on
}

// Read implements io.Reader.
func (t *Input) Read(p []byte) (n int, err error) {
	if t.again > 0 {
		n = copy(p, t.last[BlockSize-t.again:])
		t.again -= n
		t.Offset += int64(n)
		return n, nil
	}
	n, err = t.r.Read(p)
	t.Offset += int64(n)
	t.Err = err
	if n < BlockSize {
		copy(t.last[:], t.last[n:])
	}
	copy(t.last[max(0, BlockSize-n):], p[max(0, n-BlockSize):n])
	return n, err
}

// NextHeader goes to the next header that is whole. That may be the block that
// was read last, behind a lone one of zeros; but never one that was tried before.
func (t *Input) NextHeader() error {
	var block [BlockSize]byte
	step := -(t.Offset - t.begin) & (BlockSize - 1)
	for {
		if _, err := io.ReadFull(t, block[:step]); err != nil {
			return err
		}
		step = BlockSize
		if at := t.Offset - BlockSize; at > t.from && isHeader(t.last[:]) {
			t.again, t.Offset, t.from = BlockSize, at, at
			return nil
		}
	}
}

// skip passes over so many bytes; io.EOF if there are none, io.ErrUnexpectedEOF if
// there are fewer.
func (t *Input) skip(n int64) error {
	begin := t.Offset
	for left := n; left > 2*BlockSize; left = n - (t.Offset - begin) {
		skipped, err := t.r.Discard(int(min(left-BlockSize, 1<<30)))
		t.Offset += int64(skipped)
		if t.Err = err; err != nil {
			return err
		}
	}
	var rest [2 * BlockSize]byte // what Read remembers
	_, err := io.ReadFull(t, rest[:n-(t.Offset-begin)])
	return err
}

// isHeader tells whether a block is a header that can be read.
func isHeader(block []byte) bool {
	if block[0] == 0 {
		return false
	}
	_, err := parseHeader(block)
	return err == nil
}

// Is tells whether data are a tar archive by what they begin with, a block of them: the
// magic of POSIX or GNU, or a header whose checksum is right (v7).
func Is(head []byte) bool {
	if len(head) < 265 {
		return false
	}
	if magic := string(head[257:265]); magic == ustar+"00" || magic == gnu {
		return head[0] != 0 || len(head) >= BlockSize && sumFits(head)
	}
	return hasSum(head)
}

// hasSum tells whether a block that begins with a name is a tar header whose
// checksum is right.
func hasSum(block []byte) bool {
	return len(block) >= BlockSize && block[0] != 0 && sumFits(block)
}

// sumFits compares the checksum of a tar header. Some old programs summed the
// bytes as signed ones.
func sumFits(block []byte) bool {
	want, ok := numberOf(block[148:156])
	if !ok {
		return false
	}
	var sum, signed int64
	for i, b := range block[:BlockSize] {
		if 148 <= i && i < 156 {
			b = ' '
		}
		sum += int64(b)
		signed += int64(int8(b))
	}
	return want == sum || want == signed
}
