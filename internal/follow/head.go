package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

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
