package source

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

const holeShown = 4 << 10

// extent is a part of a file.
type extent struct{ at, size int64 }

func (e extent) end() int64 { return e.at + e.size }

// sparse reads a file that has holes. It gives them whole until it is made brief.
type sparse struct {
	data  io.Reader                        // of the parts between the holes, one after the other
	next  func(from int64) (extent, error) // the next part at or behind from; an empty one at the end
	part  extent                           // that pos is in or before
	pos   int64                            // in the file
	brief bool                             // leave out what is more than holeShown of each hole
	shown int64                            // of the hole at pos

	mu    sync.Mutex // place is called while more is read
	given int64      // bytes
	left  []leftOut
}

// leftOut is where something was left out: behind so many bytes given, and how much
// it was, up to there in all.
type leftOut struct{ given, total int64 }

// newSparse begins with the first part.
func newSparse(data io.Reader, next func(from int64) (extent, error)) *sparse {
	return &sparse{data: data, next: next}
}

// Read implements io.Reader.
func (s *sparse) Read(p []byte) (n int, err error) {
	for {
		switch room := s.part.at - s.pos; {
		case room > 0 && s.brief && s.shown >= holeShown:
			s.leaveOut(room)
			continue
		case room > 0:
			if s.brief {
				room = min(room, holeShown-s.shown)
				s.shown += min(room, int64(len(p)))
			}
			n = int(min(room, int64(len(p))))
			clear(p[:n])
		case s.pos < s.part.end():
			n, err = s.data.Read(p[:min(int64(len(p)), s.part.end()-s.pos)])
			if err == io.EOF && s.pos+int64(n) == s.part.end() {
				err = nil // there may be a hole behind it
			}
		default:
			s.shown = 0
			if s.part, err = s.next(s.pos); err == nil && s.part == (extent{at: s.pos}) {
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

func (s *sparse) give(n int64) {
	s.pos += n
	s.mu.Lock()
	s.given += n
	s.mu.Unlock()
}

func (s *sparse) leaveOut(n int64) {
	s.pos += n
	s.mu.Lock()
	defer s.mu.Unlock()
	total := n
	if k := len(s.left); k > 0 {
		total += s.left[k-1].total
	}
	s.left = append(s.left, leftOut{s.given, total})
}

// place tells where in the file a byte stands that came behind so many given ones.
func (s *sparse) place(given int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.left), func(i int) bool { return s.left[i].given > given })
	if i == 0 {
		return given
	}
	return given + s.left[i-1].total
}

// nextPart gives the parts of a sparse member, one after the other.
func (h *tarHeader) nextPart() func(from int64) (extent, error) {
	parts := h.parts
	return func(int64) (extent, error) {
		if len(parts) == 0 {
			return extent{at: h.whole}, nil
		}
		part := parts[0]
		parts = parts[1:]
		return part, nil
	}
}
