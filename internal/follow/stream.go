package follow

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// packedState is the reading of packed content.
type packedState struct {
	unpacked *stream // while it is read
	checked  bool    // it was read to its end once, and is whole
	expired  bool    // what stays damaged is read as far as it goes
}

// stream cuts what can only be read from its beginning into blocks of whole lines:
// packed files and standard input. Its memory is bounded by the longest line.
type stream struct {
	r          io.Reader
	done       func()
	longest    int
	buf        []byte
	start, end int // what was read and not given
	offset     int64
	noZeros    bool  // those in front of the line are passed over
	cutting    bool  // buf begins with the first longest bytes of a line that is longer
	passed     int64 // bytes of its rest that were passed over
	given      ending
	givenTo    int64 // the end of given
	err        error
}

func newStream(r io.Reader, longest int) *stream {
	return &stream{r: r, longest: longest, done: func() {}, buf: make([]byte, blockSize)}
}

func (s *stream) close() { s.done() }

// piece is some whole lines of a generation, or the beginning of one that is too
// long.
type piece struct {
	data   []byte // borrowed
	offset int64  // of data
	size   int64  // in bytes, with what was left out
	final  bool   // the last line, without a newline
	cut    bool   // the beginning of a line that is longer than the maximum
}

func (p *piece) end() int64 { return p.offset + p.size }

// next reads once and gives the whole lines there are; ok is false if there are
// none yet. After the last piece it gives the error that ended the content, or
// io.EOF. NULs in front of a line that is too long are no part of it.
func (s *stream) next() (p piece, ok bool, err error) {
	if s.noZeros {
		s.skip(leadingZeros(s.buf[s.start:s.end]))
	}
	data := s.buf[s.start:s.end]
	first := bytes.IndexByte(data, '\n')
	switch long := first > s.longest || first < 0 && len(data) > s.longest; {
	case s.cutting:
		if p, ok = s.cut(); ok {
			return p, true, nil
		}
	case long && data[0] == 0 && !s.noZeros:
		s.noZeros = true
		return piece{}, false, nil
	case long:
		s.beginCut()
		return piece{}, false, nil
	case first >= 0:
		end := bytes.LastIndexByte(data, '\n') + 1
		if start, _, long := longLine(data[:end], s.longest); long {
			end = start
		}
		return s.take(end, false), true, nil
	case s.err != nil && len(data) > 0:
		return s.take(len(data), true), true, nil
	case s.err != nil:
		return piece{}, false, s.err
	}
	s.fill()
	return piece{}, false, nil
}

// skip passes over n bytes.
func (s *stream) skip(n int) {
	s.start += n
	s.offset += int64(n)
}

func (s *stream) take(n int, final bool) piece {
	p := piece{data: s.buf[s.start : s.start+n], offset: s.offset, size: int64(n), final: final}
	s.skip(n)
	s.noZeros = false
	return p
}

// beginCut moves a line that is too long to the front of the buffer, with room for
// the rest behind its beginning.
func (s *stream) beginCut() {
	buf := s.buf
	if len(buf) < s.longest+blockSize {
		buf = make([]byte, s.longest+blockSize)
	}
	s.end = copy(buf, s.buf[s.start:s.end])
	s.buf, s.start, s.cutting, s.passed = buf, 0, true, 0
}

// cut looks for the end of a line that is too long, and keeps nothing but its
// beginning.
func (s *stream) cut() (piece, bool) {
	rest := s.buf[s.longest:s.end]
	i := bytes.IndexByte(rest, '\n')
	if i < 0 && s.err == nil {
		s.passed += int64(len(rest))
		s.end = s.longest
		return piece{}, false
	}
	n := len(rest)
	if i >= 0 {
		n = i + 1
	}
	p := piece{data: s.buf[:s.longest], offset: s.offset, size: int64(s.longest) + s.passed + int64(n), cut: true,
		final: i < 0}
	s.start = s.longest + n
	s.offset += p.size
	s.cutting, s.noZeros = false, false
	return p, true
}

// fill reads more.
func (s *stream) fill() {
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.start, s.end = 0, s.end-s.start
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.r.Read(s.buf[s.end:])
	s.end += n
	s.err = err
}

// servePacked reads on in a packed file: first to its end, to see that it is
// whole, then once more to hand out what was not yet.
func (f *Follower) servePacked(j *job) error {
	g := j.g
	if g.unpacked == nil {
		r, err := unpack.Open(io.NewSectionReader(j.file, 0, 1<<62))
		if err != nil {
			return f.damaged(g, 0, err)
		}
		s := newStream(r, f.opt.MaxLine)
		s.done = func() { r.Close() }
		f.mu.Lock()
		if g.file != j.file {
			s.close()
		} else {
			g.unpacked = s
		}
		f.mu.Unlock()
	}
	for range turn {
		f.mu.Lock()
		s, handing := g.unpacked, g.checked || g.expired
		f.mu.Unlock()
		if s == nil {
			return nil // let go of meanwhile
		}
		p, ok, err := s.next()
		switch {
		case errors.Is(err, io.EOF) && !handing:
			f.mu.Lock()
			g.checked, g.end = true, max(g.end, s.offset)
			f.rewind(g)
			f.mu.Unlock()
			return nil
		case errors.Is(err, io.EOF):
			f.mu.Lock()
			f.passZeros(g, s.offset)
			f.finishPacked(g)
			f.mu.Unlock()
			return nil
		case err != nil:
			return f.damaged(g, s.offset, err)
		case ok && !handing:
			f.mu.Lock()
			f.addSampleOf(g, s, p)
			f.mu.Unlock()
		case ok:
			if err := f.handPiece(g, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// addSampleOf gives a generation a new sample from what was unpacked of it.
func (f *Follower) addSampleOf(g *Generation, s *stream, p piece) {
	if s.givenTo != p.offset { // NULs lie between
		s.given = nil
	}
	s.given.write(p.data)
	if s.givenTo = p.end(); p.cut {
		s.given = nil
	}
	if len(s.given) == headSize && g.samples.due(s.givenTo) {
		g.samples.add(s.givenTo, s.given)
	}
}

// rewind begins a packed file anew.
func (f *Follower) rewind(g *Generation) {
	if g.unpacked != nil {
		g.unpacked.close()
		g.unpacked = nil
	}
}

// finishPacked lets go of a packed file that was read to its end.
func (f *Follower) finishPacked(g *Generation) {
	where, last := g.where, g.last
	f.detach(g)
	f.finish(g)
	g.end, g.state = g.offset, sealed
	g.where = where
	f.verdicts[where] = verdict{status: last, of: g, epoch: g.family.epoch, seen: f.now()}
}

// handPiece hands out what of a packed file comes behind the generation's offset.
func (f *Follower) handPiece(g *Generation, p piece) error {
	f.mu.Lock()
	if p.end() <= g.offset {
		f.mu.Unlock()
		return nil
	}
	g.line = max(g.line, 0)
	f.passZeros(g, p.offset)
	if known := g.offset - p.offset; known > 0 {
		p.data, p.offset, p.size = p.data[min(known, int64(len(p.data))):], g.offset, p.size-known
	}
	b := f.advance(g, p, 0)
	f.mu.Unlock()
	return f.deliver(&b)
}

// damaged puts off a packed file that is not whole: it may still be written. When
// it stays so, it is read as far as it goes.
func (f *Follower) damaged(g *Generation, offset int64, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.rewind(g)
	switch {
	case g.expired:
		f.counts.ReadErrors++
		f.lose(g, max(0, g.end-g.offset), err.Error()+" (at byte "+itoa(offset)+" of what was unpacked)")
		f.finishPacked(g)
	case g.failing.IsZero():
		g.failing, g.retry = now, now.Add(retryWait)
	case now.Sub(g.failing) > f.patience:
		g.expired = true
	default:
		g.retry = now.Add(retryWait)
	}
	return nil
}

// stdinBlock is a block of standard input; taken is closed when it was.
type stdinBlock struct {
	Block
	taken chan struct{}
}

// readStdin gives the blocks of standard input, if it is one of the paths. A Read
// that waits for input outlasts the context.
func (f *Follower) readStdin(ctx context.Context) <-chan stdinBlock {
	named := false
	for _, path := range f.opt.Paths {
		named = named || path == "-"
	}
	if !named {
		return nil
	}
	g := &Generation{family: &Family{log: "-"}}
	g.acks.changed = func() {}
	g.setPath("-")
	out := make(chan stdinBlock)
	go func() {
		defer close(out)
		s := newStream(&sniffed{r: f.opt.Stdin}, f.opt.MaxLine)
		line, continues := int64(0), false
		texture := new(unpack.Texture) // while it is not known to be a log
		for {
			p, ok, err := s.next()
			switch {
			case errors.Is(err, io.EOF):
				if texture != nil && texture.Verdict("-") != "" {
					f.refuseStdin(&errNoLog{texture.Verdict("-")})
				}
				return
			case errors.As(err, new(*errNoLog)):
				f.refuseStdin(err)
				return
			case err != nil:
				f.log.Error("reading standard input failed", "offset", s.offset, "reason", paths.Reason(err))
				return
			case !ok:
				if ctx.Err() != nil {
					return
				}
				continue
			}
			texture = unlessLog(texture, p.data)
			b := stdinBlock{taken: make(chan struct{}), Block: Block{Family: g.family, Generation: g, Data: p.data,
				Size:   p.size,
				Offset: p.offset, Line: line + 1, Continues: continues, Final: p.final, Cut: p.cut}}
			b.countLines()
			f.mu.Lock()
			f.counts.Bytes += p.size
			f.counts.Lines += b.lines
			if p.cut {
				f.counts.LongLines++
			}
			f.mu.Unlock()
			line, continues = line+b.lines, true
			select {
			case out <- b:
				<-b.taken
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// ending is the last headSize bytes of what is written to it.
type ending []byte

func (e *ending) write(p []byte) {
	*e = append(*e, p[max(0, len(p)-headSize):]...)
	*e = append((*e)[:0], (*e)[max(0, len(*e)-headSize):]...)
}
