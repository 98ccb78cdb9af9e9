package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// fingerprint is what a generation is known by, whatever file its content is in: its
// beginning, and samples of what was behind it. Services may begin every file with the
// same banner.
type fingerprint struct {
	head    head
	samples samples
}

// fits tells whether content of the given size, which begins with begin, has all of
// the fingerprint that it can have. buf has room for a sample.
func (p *fingerprint) fits(content io.ReaderAt, begin []byte, size int64, buf []byte) bool {
	return p.head.prefixes(begin) && p.samples.fit(content, size, buf)
}

// headSize is how much of a generation's beginning tells it from others.
const headSize = 1024

// sniffLen is how much of it tells what a file is.
const sniffLen = 512

// head is the beginning of a generation, as far as it was seen, up to headSize
// bytes: by it a generation is known again in other files. The bytes themselves
// are there unless all that is known comes from a checkpoint.
type head struct {
	length int
	sum    [sha256.Size]byte
	bytes  []byte
	weak   bool // no line of it is whole: many files may begin so
}

func newHead(b []byte) head {
	b = withoutBlank(b)
	return head{length: len(b), sum: sha256.Sum256(b), bytes: bytes.Clone(b),
		weak: len(b) < headSize && bytes.IndexByte(b, '\n') < 0}
}

func (h *head) String() string {
	if h.length == 0 {
		return "empty"
	}
	return hex.EncodeToString(h.sum[:8])
}

// begins tells whether content that begins with b, its first headSize bytes or
// all there are, can be known by the head. By a weak one only what is the same
// altogether can; nothing else was handed out of it.
func (h *head) begins(b []byte) bool {
	if h.length == 0 || len(b) < h.length || h.weak && len(b) > h.length {
		return false
	}
	return h.prefixes(b)
}

// prefixes tells whether b, at least as long, begins with the very bytes.
func (h *head) prefixes(b []byte) bool {
	if h.length == 0 || len(b) < h.length {
		return h.length == 0
	}
	if h.bytes != nil {
		return bytes.Equal(b[:h.length], h.bytes)
	}
	return sha256.Sum256(b[:h.length]) == h.sum
}

// holds tells whether the head begins with all of b, which is shorter.
func (h *head) holds(b []byte) bool {
	return len(b) > 0 && len(b) < h.length && h.bytes != nil && bytes.HasPrefix(h.bytes, b)
}

// readHead reads the first bytes of a file.
func readHead(r io.ReaderAt, buf []byte) ([]byte, error) {
	n, err := r.ReadAt(buf[:headSize], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:n], nil
}

// sample is headSize bytes in the middle of a generation: with the head they tell
// generations apart that all begin with one banner.
type sample struct {
	end   int64             // of the bytes in the generation
	bytes []byte            // nil if only their sum is kept
	sum   [sha256.Size]byte // without bytes
}

// hash is the sum of its bytes.
func (s *sample) hash() [sha256.Size]byte {
	if s.bytes != nil {
		return sha256.Sum256(s.bytes)
	}
	return s.sum
}

// is tells whether b are the bytes of the sample.
func (s *sample) is(b []byte) bool {
	if s.bytes != nil {
		return bytes.Equal(b, s.bytes)
	}
	return sha256.Sum256(b) == s.sum
}

// fits tells whether content has the sample. Content that cannot be read at the
// moment is taken to have it.
func (s *sample) fits(r io.ReaderAt, buf []byte) bool {
	_, err := r.ReadAt(buf[:headSize], s.end-headSize)
	return err != nil && !errors.Is(err, io.EOF) || err == nil && s.is(buf[:headSize])
}

// samples are those of a generation in their order: one before each size at which it
// was found to be an eighth larger, and one before the size it had last. So also a
// copy that lacks the last lines has most of them.
type samples []sample

func (s samples) last() *sample {
	if len(s) == 0 {
		return &sample{}
	}
	return &s[len(s)-1]
}

// due tells whether a file of the given size should have one more.
func (s samples) due(size int64) bool { return size > max(headSize, s.last().end) }

// add adds the one that has the bytes b before end.
func (s *samples) add(end int64, b []byte) {
	if b[len(b)-1] == 0 {
		return // it may be written in place
	}
	last := s.last()
	if n := len(*s); n > 1 {
		if before := (*s)[n-2].end; last.end < before+before/8 {
			last.end, last.bytes = end, append(last.bytes[:0], b...)
			return
		}
	}
	last.sum, last.bytes = last.hash(), nil
	*s = append(*s, sample{end: end, bytes: bytes.Clone(b)})
}

// within gives the last one that content of the given size can have.
func (s samples) within(size int64) (*sample, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].end <= size {
			return &s[i], true
		}
	}
	return nil, false
}

// cut forgets those that content of the given size cannot have.
func (s *samples) cut(size int64) {
	for len(*s) > 0 && s.last().end > size {
		*s = (*s)[:len(*s)-1]
	}
}

// fit tells whether the content of a plain file of the given size has the last
// sample that it can have.
func (s samples) fit(r io.ReaderAt, size int64, buf []byte) bool {
	last, ok := s.within(size)
	return !ok || last.fits(r, buf)
}
