package tail

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

const (
	jsonBuffer = 1 << 20     // bytes that are written at once
	syncEvery  = time.Second // for what was written to be on the disk
	syncAbove  = 8 << 20     // bytes that were written and are not, which are kept for the case that the file goes
	retryEvery = time.Second // to write what could not be written
)

// jsonSink appends the documents of traces to a file. What is in the file, and on
// its disk, was delivered.
type jsonSink struct {
	live   *live
	stuck  stuck
	out    *export.Appender
	logger *slog.Logger
	beat   func()

	ctx context.Context // of the call that is under way

	text    []byte             // not written yet
	waiting []*follow.InFlight // of text
	written []*follow.InFlight // not on the disk yet
	spans   int64              // of text
	synced  time.Time

	mu     sync.Mutex
	counts Stats // what stats enters
}

// NewJSON makes a Tail that appends the documents of traces to out. Its errors
// are those of [follow.Open].
func NewJSON(opt Options, out *export.Appender, how LiveOptions, a assemble.Options) (*Tail, error) {
	s := &jsonSink{out: out, synced: time.Now()}
	out.Warn = func(text string) { s.logger.Warn(text) }
	s.live = newLive(how, a, s.write)
	opt.Follow.Stuck = s.stuck.set
	t, err := newTail(opt, s)
	if err != nil {
		return nil, err
	}
	s.beat, s.logger = t.beat, t.opt.Logger
	return t, nil
}

// write takes a trace that is given out.
func (s *jsonSink) write(t *trace.Trace, holds []*follow.InFlight) error {
	s.text = append(tracejson.Append(s.text, t), '\n')
	s.waiting = append(s.waiting, holds...)
	if s.spans += int64(t.Len()); len(s.text) < jsonBuffer {
		return nil
	}
	return s.flush(s.ctx)
}

func (s *jsonSink) add(ctx context.Context, span *trace.Span, holds []*follow.InFlight) error {
	s.ctx = ctx
	return s.live.add(span, holds)
}

func (s *jsonSink) tick(ctx context.Context) error {
	s.ctx = ctx
	if err := s.live.emitHolders(s.stuck.take()); err != nil {
		return err
	}
	if err := s.live.tick(); err != nil {
		return err
	}
	return s.flush(ctx)
}

// flush writes what is due, and waits for room if there is none.
func (s *jsonSink) flush(ctx context.Context) error {
	defer s.note()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(s.text) > 0 {
		if err := s.insist(ctx, func() error { return s.out.Write(s.text) }); err != nil {
			return err
		}
		s.mu.Lock()
		s.counts.Delivered += s.spans
		s.counts.Batches++
		s.mu.Unlock()
		s.written = append(s.written, s.waiting...)
		poison.Bytes(s.text)
		s.text, s.waiting, s.spans = s.text[:0], s.waiting[:0], 0
	}
	if len(s.written) == 0 || time.Since(s.synced) < syncEvery && s.out.Unsynced() < syncAbove {
		return nil
	}
	return s.sync(ctx)
}

// sync acknowledges what was written, once it is on the disk.
func (s *jsonSink) sync(ctx context.Context) error {
	s.synced = time.Now()
	if err := s.insist(ctx, s.out.Sync); err != nil {
		return err
	}
	for _, h := range s.written {
		h.Done()
	}
	clear(s.written)
	s.written = s.written[:0]
	return nil
}

// insist does something until it succeeds, the reader is gone or ctx ends.
func (s *jsonSink) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || errors.Is(err, export.ErrReaderGone) {
			s.down("")
			return err
		}
		s.down(err.Error())
		s.logger.Error("the output takes nothing; it is tried again", "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(retryEvery):
			s.beat()
		}
	}
}

func (s *jsonSink) down(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case why == "":
		s.counts.DownSince = time.Time{}
	case s.counts.Down == "":
		s.counts.DownSince = time.Now()
	}
	if s.counts.Down = why; why != "" {
		s.counts.Retries++
	}
}

func (s *jsonSink) end(ctx context.Context) error {
	s.ctx = ctx
	if err := s.live.emitAll(); err != nil {
		return err
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	return s.sync(ctx)
}

// note notes what is open.
func (s *jsonSink) note() {
	early := s.live.early
	s.mu.Lock()
	defer s.mu.Unlock()
	if early > s.counts.Early {
		s.logger.Warn("traces were given out early, for --memory holds no more", "traces", early-s.counts.Early)
	}
	s.counts.OpenTraces, s.counts.OpenBytes, s.counts.Early = int64(len(s.live.due)), s.live.size, early
}

func (s *jsonSink) stats(t *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counts
	t.Delivered, t.Batches, t.Retries = c.Delivered, c.Batches, c.Retries
	t.OpenTraces, t.OpenBytes, t.Early = c.OpenTraces, c.OpenBytes, c.Early
	t.Down, t.DownSince = c.Down, c.DownSince
}

// stuck is holds that keep the checkpoint back.
type stuck struct {
	mu     sync.Mutex
	ranges []*follow.InFlight
}

// set is for [follow.Options.Stuck].
func (c *stuck) set(holds []*follow.InFlight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges = holds
}

func (c *stuck) take() []*follow.InFlight {
	c.mu.Lock()
	defer c.mu.Unlock()
	holds := c.ranges
	c.ranges = nil
	return holds
}
