// Package sparse reads files that have holes.
package sparse

import (
	"io"
	"sort"
	"sync"
)

// A hole of a sparse file reads as zeros that stand nowhere, and may be larger than
// any disk:
//
//	data ── hole ────────────────── data ── hole ── data
//	data ── 4 KiB of zeros ───────── data ── 4 KiB … data     what a log's reader gets
//
// So many zeros do for whatever is made of a line: it ends where they begin, and no
// more of it is shown.

// HoleShown is how many bytes of a hole are given if it is to be brief.
const HoleShown = 4 << 10

// Extent is a part of a file, in bytes.
type Extent struct{ At, Size int64 }

// End is where the part ends.
func (e Extent) End() int64 { return e.At + e.Size }

// Reader reads a file that has holes. It gives them whole unless it is Brief.
type Reader struct {
	Brief bool // leave out what is more than HoleShown of each hole

	data  io.Reader                        // of the parts between the holes, one after the other
	next  func(from int64) (Extent, error) // the next part at or behind from; an empty one at the end
	part  Extent                           // that pos is in or before
	pos   int64                            // in the file
	shown int64                            // of the hole at pos

	mu    sync.Mutex // place is called while more is read
	given int64      // bytes
	left  []leftOut
}

// leftOut is where something was left out: behind so many bytes given, and how much
// it was, up to there in all.
type leftOut struct{ given, total int64 }

// New reads a file whose parts next gives, one after the other: the first at or
// behind from, an empty one, which begins where the file ends, at last. data gives
// what they hold.
func New(data io.Reader, next func(from int64) (Extent, error)) *Reader {
	return &Reader{data: data, next: next}
}

// Read implements io.Reader.
func (s *Reader) Read(p []byte) (n int, err error) {
	for {
		switch room := s.part.At - s.pos; {
		case room > 0 && s.Brief && s.shown >= HoleShown:
			s.leaveOut(room)
			continue
		case room > 0:
			if s.Brief {
				room = min(room, HoleShown-s.shown)
				s.shown += min(room, int64(len(p)))
			}
			n = int(min(room, int64(len(p))))
			clear(p[:n])
		case s.pos < s.part.End():
			n, err = s.data.Read(p[:min(int64(len(p)), s.part.End()-s.pos)])
			if err == io.EOF && s.pos+int64(n) == s.part.End() {
				err = nil // there may be a hole behind it
			}
		default:
			s.shown = 0
			if s.part, err = s.next(s.pos); err == nil && s.part == (Extent{At: s.pos}) {
				err = io.EOF
			}
			if err == nil {
				continue
			}
		}
		s.give(int64(n))
		return n, err
	}
}

func (s *Reader) give(n int64) {
	s.pos += n
	s.mu.Lock()
	s.given += n
	s.mu.Unlock()
}

func (s *Reader) leaveOut(n int64) {
	s.pos += n
	s.mu.Lock()
	defer s.mu.Unlock()
	total := n
	if k := len(s.left); k > 0 {
		total += s.left[k-1].total
	}
	s.left = append(s.left, leftOut{s.given, total})
}

// Place tells where in the file a byte stands that came behind so many given ones.
func (s *Reader) Place(given int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.left), func(i int) bool { return s.left[i].given > given })
	if i == 0 {
		return given
	}
	return given + s.left[i-1].total
}
