package follow

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/tomoscrape/tomoscrape/source"
)

// stream cuts what can only be read from its beginning into blocks of whole lines:
// packed files and standard input. Its memory is bounded by the longest line.
type stream struct {
	r          io.Reader
	done       func()
	longest    int
	buf        []byte
	start, end int // what was read and not given
	offset     int64
	skipping   int64 // bytes of a line that is too long
	given      ending
	err        error
}

func newStream(r io.Reader, longest int) *stream {
	return &stream{r: r, longest: longest, done: func() {}, buf: make([]byte, blockSize)}
}

func (s *stream) close() { s.done() }

// piece is what a stream gives.
type piece struct {
	data   []byte // borrowed until next
	offset int64  // of data
	final  bool   // the last line, without a newline
	long   int64  // no data: so many bytes were passed over
}

// next reads once and gives the whole lines there are; ok is false if there are
// none yet. After the last piece it gives the error that ended the content, or
// io.EOF.
func (s *stream) next() (p piece, ok bool, err error) {
	data := s.buf[s.start:s.end]
	if s.skipping > 0 || len(data) > s.longest {
		if p, ok = s.skip(data); ok {
			return p, true, nil
		}
	} else if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
		if start, stop, long := longLine(data[:i+1], s.longest); !long {
			return s.give(i+1, false), true, nil
		} else if start > 0 {
			return s.give(start, false), true, nil
		} else {
			return s.passOver(stop), true, nil
		}
	}
	if s.err != nil {
		switch {
		case s.skipping > 0:
			return s.passOver(0), true, nil
		case s.end > s.start:
			return s.give(s.end-s.start, true), true, nil
		}
		return piece{}, false, s.err
	}
	s.fill()
	return piece{}, false, nil
}

func (s *stream) give(n int, final bool) piece {
	p := piece{data: s.buf[s.start : s.start+n], offset: s.offset, final: final}
	s.start += n
	s.offset += int64(n)
	return p
}

// passOver ends a line that is too long with the next n bytes.
func (s *stream) passOver(n int) piece {
	p := piece{offset: s.offset, long: s.skipping + int64(n)}
	s.start += n
	s.offset += p.long
	s.skipping = 0
	return p
}

// skip looks for the end of a line that is too long, and keeps nothing of it.
func (s *stream) skip(data []byte) (piece, bool) {
	i := bytes.IndexByte(data, '\n')
	switch {
	case i >= 0 && (s.skipping > 0 || i > s.longest):
		return s.passOver(i + 1), true
	case i >= 0: // the long one comes later
		start, _, long := longLine(data[:bytes.LastIndexByte(data, '\n')+1], s.longest)
		if !long {
			start = bytes.LastIndexByte(data, '\n') + 1
		}
		return s.give(start, false), true
	}
	s.skipping += int64(len(data))
	s.start, s.end = 0, 0
	return piece{}, false
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
		r, err := source.Unpack(io.NewSectionReader(j.file, 0, 1<<62))
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
			f.finishPacked(g)
			f.mu.Unlock()
			return nil
		case err != nil:
			return f.damaged(g, s.offset, err)
		case ok && !handing:
			f.mu.Lock()
			f.sewPiece(g, s, p)
			f.mu.Unlock()
		case ok:
			if err := f.handPiece(g, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// sewPiece gives a generation a new seam from what was unpacked of it.
func (f *Follower) sewPiece(g *Generation, s *stream, p piece) {
	if s.given.write(p.data); p.long > 0 {
		s.given = nil
	}
	if end := p.offset + int64(len(p.data)); len(s.given) == headSize && g.seams.due(end) {
		g.seams.add(end, s.given)
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
	g.end, g.sealed = g.offset, true
	g.where = where
	f.verdicts[where] = verdict{status: last, of: g, epoch: g.family.epoch, seen: f.now()}
}

// handPiece hands out what of a packed file comes behind the generation's offset.
func (f *Follower) handPiece(g *Generation, p piece) error {
	end := p.offset + int64(len(p.data)) + p.long
	f.mu.Lock()
	offset := g.offset
	f.mu.Unlock()
	switch {
	case end <= offset:
		return nil
	case p.long > 0:
		f.mu.Lock()
		g.line = max(g.line, 0)
		f.skipTo(g, end)
		f.mu.Unlock()
		return nil
	}
	data := p.data
	if p.offset < offset {
		data = data[offset-p.offset:]
	}
	lines := int64(bytes.Count(data, newline))
	if p.final {
		lines++
	}
	f.mu.Lock()
	g.line = max(g.line, 0)
	b := f.advance(g, end, lines, p.final, 0)
	f.mu.Unlock()
	b.Data = data
	if err := f.reader.take(&b); err != nil {
		return err
	}
	g.acks.advance(end, b.Line-1+lines)
	return nil
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
	lines int64
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
		s := newStream(f.opt.Stdin, f.opt.MaxLine)
		line, continues := int64(0), false
		for {
			p, ok, err := s.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				f.log.Error("reading standard input failed", "offset", s.offset, "reason", plain(err))
				return
			case !ok:
				if ctx.Err() != nil {
					return
				}
				continue
			case p.long > 0:
				line++
				f.log.Warn("a line was passed over: it is too long", "path", "-", "line", line, "bytes", p.long, "longest", f.opt.MaxLine)
				continues = false
				f.mu.Lock()
				f.counts.LongLines++
				f.mu.Unlock()
				continue
			}
			lines := int64(bytes.Count(p.data, newline))
			if p.final {
				lines++
			}
			f.mu.Lock()
			f.counts.Bytes += int64(len(p.data))
			f.counts.Lines += lines
			f.mu.Unlock()
			b := stdinBlock{lines: lines, taken: make(chan struct{}), Block: Block{Family: g.family, Generation: g, Data: p.data,
				Offset: p.offset, Line: line + 1, Continues: continues, Final: p.final}}
			line, continues = line+lines, true
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
