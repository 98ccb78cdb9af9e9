package follow

import (
	"bytes"
	"crypto/sha256"
	"os"
	"time"
)

// This file follows services that do not append: they make their log larger with
// NULs, or map it into memory, and write lines in their place. Its size says nothing
// then, and its time not always. Where NULs come behind what was read, it is looked
// whether they are still there; and neither a head nor a sample is made of them. What is
// written behind some of them waits a second for others to write over those.

// fill is the NULs behind what was read of a generation.
type fill struct {
	blank    int64 // where they begin, that may be written over in place; else -1
	searched int64 // behind blank there is no newline up to here
	gaps     int64 // NULs before it, between lines, were waited for to be written over
}

// withoutBlank gives b without the NULs at its end, unless it is nothing else.
func withoutBlank(b []byte) []byte {
	if written := bytes.TrimRight(b, "\x00"); len(written) > 0 {
		return written
	}
	return b
}

// blank tells whether a head is of NULs alone.
func (h *head) blank() bool { return h.length > 0 && sha256.Sum256(make([]byte, h.length)) == h.sum }

// blankAt is where the NULs begin that end data read at an offset; -1 if none do.
func blankAt(data []byte, offset int64) int64 {
	if len(data) == 0 || data[len(data)-1] != 0 {
		return -1
	}
	return offset + int64(len(bytes.TrimRight(data, "\x00")))
}

// noteBlank notes where NULs begin behind what was read. What was searched before is
// not searched again: lines that are written in place come one after the other.
func (g *Generation) noteBlank(at int64) {
	if at < g.offset {
		g.blank = -1
		return
	}
	if g.blank < g.offset {
		g.blank = at
	}
	g.end = max(g.offset, g.blank)
	g.scanned = max(g.scanned, min(g.searched, g.last.size))
	g.searched = g.scanned
}

// upToGap is the end of the whole lines in front of NULs that may be written over,
// too: several writers may each take a place first, and write there in any order.
func (j *job) upToGap(data []byte) (end int, ok bool) {
	from := min(max(0, j.gaps-j.offset), int64(len(data)))
	if j.blank < 0 {
		return 0, false // nobody writes there in place
	}
	i := bytes.IndexByte(data[from:], 0)
	if i < 0 {
		return 0, false
	}
	return bytes.LastIndexByte(data[:from+int64(i)], '\n') + 1, true
}

// waitForGap gives those who write in place time to write over NULs in front of
// what they have written.
func (f *Follower) waitForGap(j *job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := j.g; g.offset == j.offset && g.file == j.file {
		g.gaps, g.scanned, g.retry = j.blank, g.offset, f.now().Add(retryWait)
	}
}

// filled tells whether something was written where NULs were. The time is that of a
// file whose size is the same.
func (g *Generation) filled(touched bool) bool {
	at := g.blank
	if at < 0 && touched && g.offset < g.last.size {
		at = g.last.size - 1 // nxadm/tail reads it: whoever ends with NULs is none of its
	}
	if at < 0 || at >= g.last.size {
		return false
	}
	var b [1]byte
	_, err := g.file.ReadAt(b[:], at)
	return err == nil && ((b[0] != 0) == (g.blank >= 0) || touched && g.blank >= 0 && g.writtenBehind())
}

// writtenBehind tells whether there is something not far behind the beginning of the
// NULs.
func (g *Generation) writtenBehind() bool {
	buf := make([]byte, 64<<10)
	for at := g.blank; at < g.blank+blockSize; {
		n, err := g.file.ReadAt(buf, at)
		if leadingZeros(buf[:n]) < n {
			g.searched = 0
			return true
		}
		if at += int64(n); err != nil {
			break
		}
	}
	return false
}

// refill reads on where NULs were.
func (f *Follower) refill(g *Generation, now time.Time) {
	g.blank, g.scanned, g.grew, g.final, g.untailed = -1, g.offset, now, false, true
	f.stopGrower(g)
	if g.state.over() {
		g.state = following
	}
	f.ready(g.family)
}

// writtenEnd is where the NULs begin at the end of a file of the given size.
func writtenEnd(file *os.File, size int64) int64 {
	buf := make([]byte, 256<<10)
	for size > 0 {
		n := min(size, int64(len(buf)))
		if _, err := file.ReadAt(buf[:n], size-n); err != nil {
			return size
		}
		written := int64(len(bytes.TrimRight(buf[:n], "\x00")))
		if size -= n - written; written > 0 {
			return size
		}
	}
	return 0
}
