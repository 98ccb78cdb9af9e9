package follow

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// candidate is a file whose content may be a generation's.
type candidate struct {
	status
	content io.ReaderAt
	head    []byte // its first headSize bytes, unpacked, or all there are
	packed  bool
	active  bool // it has the log's own name
}

// match is how content is related to a generation.
type match int

const (
	foreign match = iota
	copying       // it may be a copy that is being made of it
	alike         // it begins with its head, and not all can be compared
	unclear       // it is packed, and not whole enough to tell
	equal         // it has its head and samples
)

// compare tells how content that begins with a generation's head is related to it,
// and up to where they were compared. only says that no other generation of the
// family begins so: then there is nothing to confuse it with.
func (c *candidate) compare(g *Generation, only bool) (match, int64) {
	switch last, ok := g.samples.within(c.size); {
	case c.packed && only && !g.active: // to compare them is not worth it
		return alike, 0
	case g.file != nil && !g.packed:
		return c.beside(g)
	case len(g.samples) == 0 && g.file != nil && !c.packed:
		return c.besidePacked(g)
	case len(g.samples) == 0:
		return alike, 0
	case c.packed:
		return c.unpacked(g)
	case !ok:
		return c.shorter(g, 0, only)
	case !last.fits(c.content, make([]byte, headSize)):
		return foreign, 0
	case last.end < g.samples.last().end:
		return c.shorter(g, last.end, only)
	default:
		return equal, last.end
	}
}

// shorter is for content that ends before the last sample, but has those up to some
// place: a copy that lacks the last lines can be no file that goes on under the
// log's name.
func (c *candidate) shorter(g *Generation, upTo int64, only bool) (match, int64) {
	switch {
	case g.state == orphaned && c.active:
		return foreign, 0
	case upTo > 0 || g.state == orphaned || only:
		return alike, upTo
	}
	return foreign, 0
}

// beside compares content with a plain file where the shorter of the two ends. It
// is no copy of a file that is written to if it is longer.
func (c *candidate) beside(g *Generation) (match, int64) {
	if c.packed {
		return c.packedBeside(g)
	}
	n := min(c.size, g.last.size)
	last, same := make([]byte, min(n, headSize)), make([]byte, min(n, headSize))
	_, err := c.content.ReadAt(last, n-int64(len(last)))
	_, err2 := g.file.ReadAt(same, n-int64(len(last)))
	switch {
	case err != nil || err2 != nil:
		return alike, 0
	case !bytes.Equal(last, same):
		return foreign, 0
	}
	return equal, n
}

// maxCompared is how much of packed content is compared with a plain file, in bytes:
// far more than any banner, and little enough to unpack at every start.
const maxCompared = 1 << 20

// packedBeside is beside for packed content, which only its beginning is compared of.
func (c *candidate) packedBeside(g *Generation) (match, int64) {
	var begin []byte
	err := c.unpack(func(r io.Reader) (err error) {
		begin, err = io.ReadAll(io.LimitReader(r, min(g.last.size, maxCompared)+1))
		return err
	})
	switch {
	case err != nil:
		return unclear, 0
	case int64(len(begin)) > g.last.size:
		return foreign, 0
	}
	begin = begin[:min(len(begin), maxCompared)]
	same := make([]byte, len(begin))
	switch _, err := g.file.ReadAt(same, 0); {
	case err != nil:
		return alike, 0
	case !bytes.Equal(begin, same):
		return foreign, 0
	}
	return equal, int64(len(begin))
}

// besidePacked compares plain content with what is packed in a generation's file.
func (c *candidate) besidePacked(g *Generation) (match, int64) {
	begin := make([]byte, min(c.size, maxCompared))
	n, err := c.content.ReadAt(begin, 0)
	if err != nil && err != io.EOF {
		return alike, 0
	}
	same := make([]byte, n)
	err = unpacking(g.file, func(r io.Reader) error {
		_, err := io.ReadFull(r, same)
		return err
	})
	switch {
	case err != nil: // it is longer, or the other is not whole
		return alike, 0
	case !bytes.Equal(begin[:n], same):
		return foreign, 0
	}
	return equal, int64(n)
}

// unpack gives packed content to a function.
func (c *candidate) unpack(read func(io.Reader) error) error { return unpacking(c.content, read) }

// unpacking gives what is packed in a file to a function.
func unpacking(content io.ReaderAt, read func(io.Reader) error) error {
	r, err := unpack.Open(io.NewSectionReader(content, 0, 1<<62))
	if err != nil {
		return err
	}
	defer r.Close()
	return read(r)
}

// unpacked compares packed content with the samples.
func (c *candidate) unpacked(g *Generation) (how match, upTo int64) {
	b := make([]byte, headSize)
	err := c.unpack(func(r io.Reader) error {
		for i := range g.samples {
			s := &g.samples[i]
			if s.end-headSize < upTo && i < len(g.samples)-1 {
				continue // it overlaps the one before
			}
			keep := max(0, upTo-(s.end-headSize)) // of the bytes before
			copy(b, b[headSize-keep:])
			if _, err := io.CopyN(io.Discard, r, s.end-headSize+keep-upTo); err != nil {
				return err
			}
			if _, err := io.ReadFull(r, b[keep:]); err != nil {
				return err
			}
			if !s.is(b) {
				return errOther
			}
			upTo = s.end
		}
		if g.state == sealed && g.end >= upTo {
			if _, err := io.CopyN(io.Discard, r, g.end+1-upTo); err == nil {
				return errOther // it is longer than what was read to its end
			}
		}
		return nil
	})
	switch {
	case err == nil:
		return equal, upTo
	case errors.Is(err, errOther):
		return foreign, 0
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return c.shorter(g, upTo, false)
	}
	return unclear, 0
}

var errOther = errors.New("other content")

// matchIn finds the generation of a family that content belongs to: of those that
// have its head the one that is most surely its, or waits for it.
func (fam *Family) matchIn(c *candidate) (found *Generation, how match) {
	begin := 0
	for _, g := range fam.generations {
		if g.head.begins(c.head) {
			begin++
		}
	}
	var best related
	for _, g := range slices.Backward(fam.generations) {
		if r := c.relatedTo(g, begin == 1); r.closerThan(&best) {
			best = r
		}
	}
	return best.of, best.how
}

// related is how content is related to a generation, and up to where they were compared.
type related struct {
	of   *Generation
	how  match
	upTo int64
}

// relatedTo tells how content is related to a generation of its own log; only says that
// no other of that log begins so. What has the log's own name is no copy of a file that
// is open, nor what is shorter than what was read: services may begin every file with
// the same banner.
func (c *candidate) relatedTo(g *Generation, only bool) related {
	r := related{of: g}
	switch {
	case c.active && (g.file != nil || !c.packed && c.size < g.offset):
	case !g.head.begins(c.head):
		if g.live() && !c.packed && g.head.holds(c.head) {
			r.how = copying
		}
	case c.longer(g): // than what it would be a copy of
	default:
		r.how, r.upTo = c.compare(g, only)
		if only && r.how == alike {
			r.how = equal // there is no other that it could be
		}
	}
	return r
}

// closerThan tells whether content is more surely of this generation than of the best so
// far, which was found later: by how they are related, then by how much was compared;
// then what waits for its content comes first, and of two alike who has the longer head.
func (r *related) closerThan(best *related) bool {
	switch {
	case r.how != best.how:
		return r.how > best.how
	case r.how == foreign, r.how == copying:
		return false
	case r.upTo != best.upTo:
		return r.upTo > best.upTo
	case r.of.state != best.of.state:
		return r.of.state == orphaned
	}
	return r.of.head.length > best.of.head.length
}
