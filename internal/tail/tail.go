// Package tail follows live logs for one output:
//
//	follow.Follower ── Block ──> parser.Reader of its family ── span ──> seen before? ──> sink
//	     ^                            │ lines that it holds back                            │
//	     └────────── InFlight … Done ─┴─────────────────────────────── delivered ───────────┘
//	                                                                    zipkin.go: each span at once
//	                                                                    json.go: traces, when live.go gives them out
//
// A line is acknowledged when nothing of it is held back and every span that was
// read from it was delivered. Each output has a Tail of its own, so that an outage
// of one does not stall another: reading and parsing are cheap.
package tail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/linereader"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
)

const (
	tickEvery   = 100 * time.Millisecond
	lineAge     = 10 * time.Second // a record whose rest does not come for so long is taken as it is
	forgetAfter = 10 * time.Minute // a Reader that nothing was fed to
	remembered  = 100_000          // spans that are known again when another file has them, too
	blockTime   = time.Second / 2  // for the block at hand to be read, in the end
	drainTime   = 2 * time.Second  // for the output to take what it has, in the end
)

// Options say what is followed.
type Options struct {
	Follow follow.Options
	Parser parser.Options // MaxRecord bounds a line, too
	Logger *slog.Logger   // takes events (slog.Default())

	blockTime time.Duration // tests only; a constant of the same name. Below 0: none
}

// sink is an output of a Tail. Its methods are called one at a time.
type sink interface {
	// add takes a span, which is borrowed. The holds are done when it was delivered. It
	// may block: then nothing more is read.
	add(ctx context.Context, s *trace.Span, holds []*follow.InFlight) error
	// tick is called about ten times a second, unless add blocks.
	tick(ctx context.Context) error
	// end delivers what was taken, as far as that is possible until ctx ends.
	end(ctx context.Context) error
	// stats enters what became of the spans. It may be called at any time.
	stats(*Stats)
}

// Tail follows logs for one output.
type Tail struct {
	opt      Options
	sink     sink
	follower *follow.Follower

	mu      sync.Mutex // of what follows
	streams map[*follow.Family]*stream
	enough  <-chan struct{} // closed: no more is to be read, not even of a block
	encoder *record.Encoder
	plain   []byte
	dedupe  dedupe
	failed  error

	counted parser.Counts
	counts  atomic.Pointer[parser.Counts] // a copy of counted
	again   atomic.Int64                  // spans that came a second time

	unreadable atomic.Int64 // lines
	lastBeat   atomic.Int64 // Unix nanoseconds
}

// stream is the lines of one family, in the order in which they were written.
// Offsets in its Reader go on and on: they are those in the generation plus base.
type stream struct {
	reader     *parser.Reader
	counts     parser.Counts // those that were counted already
	generation *follow.Generation
	block      *follow.Block
	base       int64
	end        int64 // of all that was fed
	final      bool  // its last line has no newline, and will get none
	fed        time.Time
	pending    map[int64]pendingLine // by the offset for the Reader
}

// pendingLine is a line that the Reader holds back.
type pendingLine struct {
	lineRange
	inFlight *follow.InFlight
}

// lineRange is where a line stands.
type lineRange struct {
	generation       *follow.Generation
	start, end, line int64
}

func (l lineRange) inFlight() *follow.InFlight { return l.generation.InFlight(l.start, l.end, l.line) }

func newTail(opt Options, sink sink) (*Tail, error) {
	opt.Parser.MaxRecord = cmp.Or(opt.Parser.MaxRecord, parser.DefaultMaxRecord)
	opt.blockTime = cmp.Or(opt.blockTime, blockTime)
	opt.Logger = cmp.Or(opt.Logger, slog.Default())
	opt.Follow.MaxLine, opt.Follow.Logger = opt.Parser.MaxRecord, opt.Logger
	t := &Tail{opt: opt, sink: sink, streams: map[*follow.Family]*stream{}, encoder: record.NewEncoder(&record.Names{},
		false), dedupe: newDedupe(remembered)}
	t.counts.Store(&parser.Counts{})
	var err error
	t.follower, err = follow.Open(opt.Follow)
	return t, err
}

// Run follows the logs until ctx ends, or standard input ends and nothing else is
// followed, or the output fails for good. What was read is delivered in the end,
// as far as the output takes it within two seconds; the rest stays where it is, in
// the logs, and is read again by the next run.
func (t *Tail) Run(ctx context.Context) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t.enough = t.endOf(running)
	var ticking sync.WaitGroup
	ticking.Go(func() {
		ticker := time.NewTicker(tickEvery)
		defer ticker.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-ticker.C:
				if err := t.tick(running); err != nil {
					stop(err)
				}
			}
		}
	})
	err := t.follower.Run(running, func(b *follow.Block) error { return t.read(running, b) })
	ended := err == nil && running.Err() == nil // of standard input
	if cause := context.Cause(running); cause != nil {
		err = cause
	}
	if ctx.Err() != nil {
		err = nil
	}
	stop(nil)
	ticking.Wait()

	t.mu.Lock()
	defer t.mu.Unlock()
	if ended {
		for _, s := range t.streams {
			if err == nil {
				err = t.flush(ctx, s)
			}
		}
	}
	if err == nil {
		last := ctx
		if !ended {
			var cancel context.CancelFunc
			last, cancel = context.WithTimeout(context.WithoutCancel(ctx), drainTime)
			defer cancel()
		}
		if err = t.sink.end(last); last.Err() != nil && errors.Is(err, context.Cause(last)) {
			err = nil // it is still in the logs
		}
	}
	return errors.Join(err, t.follower.Close())
}

// endOf closes a channel when ctx ended and the block at hand had its time to be
// read to the end: then it is left where it stands.
func (t *Tail) endOf(ctx context.Context) <-chan struct{} {
	if t.opt.blockTime < 0 {
		return ctx.Done()
	}
	enough := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(t.opt.blockTime, func() { close(enough) }) })
	return enough
}

// Rescan looks for new files now.
func (t *Tail) Rescan() { t.follower.Rescan() }

// LastBeat says when the Tail last did something, or waited for its output.
func (t *Tail) LastBeat() time.Time { return time.Unix(0, t.lastBeat.Load()) }

func (t *Tail) beat() { t.lastBeat.Store(time.Now().UnixNano()) }

// read reads a block.
func (t *Tail) read(ctx context.Context, b *follow.Block) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beat()
	s := t.streams[b.Family]
	if s != nil && (!b.Continues || s.final) { // nobody knows the end of a line without one
		if err := t.flush(ctx, s); err != nil {
			return err
		}
		s = nil
	}
	if s == nil {
		s = &stream{pending: map[int64]pendingLine{}}
		opt := t.opt.Parser
		opt.Done = t.enough
		s.reader = parser.NewReader(b.Generation.Name(), opt, t.output(ctx, s))
		t.streams[b.Family] = s
	}
	if s.generation != b.Generation {
		s.generation, s.base = b.Generation, s.end-b.Offset
	}
	s.reader.Continue(b.Generation.Name())
	s.block = b
	if b.Cut {
		t.opt.Logger.Warn(linereader.TooLong(b.Line, len(b.Data)), "file", b.Generation.Name(), "line", b.Line,
			"offset", b.Offset, "bytes", b.Size)
		s.reader.Feed(parser.Line{Text: b.Data, Number: b.Line, Offset: s.base + b.Offset, Cut: true})
	} else {
		s.reader.FeedBlock(b.Data, b.Line, s.base+b.Offset)
	}
	s.end = s.base + b.Offset + b.Size
	s.final = b.Final
	if at, stopped := s.reader.Stopped(); stopped { // the next run reads on from here
		start := max(at-s.base-b.Offset, 0)
		b.Generation.InFlight(b.Offset+start, b.Offset+int64(len(b.Data)),
			b.Line+int64(bytes.Count(b.Data[:start], []byte("\n"))))
	}
	t.trackPending(s)
	s.block = nil
	s.fed = time.Now()
	t.count(s)
	return t.failed
}

// trackPending keeps the lines from being acknowledged that the Reader holds back.
func (t *Tail) trackPending(s *stream) {
	held := make(map[int64]pendingLine, len(s.pending))
	s.reader.PendingPlaces(func(p parser.Place) {
		if _, known := held[p.Offset]; known {
			return
		}
		line, known := s.pending[p.Offset]
		if !known {
			line = pendingLine{lineRange: s.rangeOf(p)}
			line.inFlight = line.lineRange.inFlight()
		}
		held[p.Offset] = line
	})
	_, stopped := s.reader.Stopped()
	for offset, line := range s.pending {
		if _, still := held[offset]; !still && !stopped {
			line.inFlight.Done()
		} else {
			held[offset] = line
		}
	}
	s.pending = held
}

// rangeOf says where the line of a place stands: it is in the block at hand, or
// was held back.
func (s *stream) rangeOf(p parser.Place) lineRange {
	if line, held := s.pending[p.Offset]; held {
		return line.lineRange
	}
	start := p.Offset - s.base
	if s.block.Cut {
		return lineRange{s.generation, start, start + s.block.Size, p.Line}
	}
	text := s.block.Data[start-s.block.Offset:]
	size := bytes.IndexByte(text, '\n') + 1
	if size == 0 {
		size = len(text)
	}
	return lineRange{s.generation, start, start + int64(size), p.Line}
}

// output is what a Reader tells what it finds.
func (t *Tail) output(ctx context.Context, s *stream) parser.Output {
	lost := func(at parser.Place, reason string) {
		t.unreadable.Add(1)
		t.opt.Logger.Warn("a line could not be read", "file", at.File, "line", at.Line, "reason", reason)
	}
	return parser.Output{
		Record: func(r *parser.Result) {
			if t.failed == nil {
				t.failed = t.span(ctx, s, r)
			}
		},
		Lost: lost,
		Document: func(at parser.Place, _ []byte) {
			lost(at, "it is a trace that was written as JSON; tail reads logs only, tomoscrape replay reads both")
		},
	}
}

// span takes what became of a record.
func (t *Tail) span(ctx context.Context, s *stream, r *parser.Result) error {
	ranges := make([]lineRange, len(r.Places))
	delivered := true // by an earlier process
	for i, p := range r.Places {
		ranges[i] = s.rangeOf(p)
		delivered = delivered && ranges[i].generation.Acked(ranges[i].start, ranges[i].end)
	}
	if delivered {
		return nil
	}
	if c := r.Complaint; c != nil {
		t.opt.Logger.Warn("a span line did not parse whole: "+c.Reason, "kind", string(c.Kind), "file", c.File, "line",
			c.Line, "column", c.Column,
			"expected", c.Expected)
	}
	if !r.HasSpan {
		return nil
	}
	t.plain = t.encoder.AppendContent(t.plain[:0], &r.Span)
	if t.dedupe.add(t.plain) {
		t.again.Add(1)
		return nil
	}
	holds := make([]*follow.InFlight, len(ranges))
	for i := range ranges {
		holds[i] = ranges[i].inFlight()
	}
	return t.sink.add(ctx, &r.Span, holds)
}

// tick does what is due.
func (t *Tail) tick(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	// While the output blocked, nobody read what may have come.
	blocked := now.Sub(t.LastBeat()) > 10*tickEvery
	t.beat()
	for family, s := range t.streams {
		switch {
		case len(s.pending) == 0:
			if now.Sub(s.fed) > forgetAfter {
				delete(t.streams, family) // it is back with its next line
			}
		case blocked:
			s.fed = now
		case now.Sub(s.fed) > lineAge:
			if err := t.flush(ctx, s); err != nil {
				return err
			}
		}
	}
	return t.sink.tick(ctx)
}

// flush takes what a Reader holds back as it is.
func (t *Tail) flush(_ context.Context, s *stream) error {
	s.reader.Flush()
	t.trackPending(s)
	t.count(s)
	return t.failed
}

// count adds what a Reader has counted since.
func (t *Tail) count(s *stream) {
	now, before, all := s.reader.Counts, s.counts, &t.counted
	all.Lines += now.Lines - before.Lines
	all.Parsed += now.Parsed - before.Parsed
	all.Salvaged += now.Salvaged - before.Salvaged
	all.Rejected += now.Rejected - before.Rejected
	all.Mentions += now.Mentions - before.Mentions
	s.counts = now
	copied := *all
	t.counts.Store(&copied)
}

// Stats is what a Tail did.
type Stats struct {
	follow.Stats
	parser.Counts
	Unreadable  int64 // lines whose text is not there, such as the journal's null
	Repeated    int64 // spans that came again from another file
	Delivered   int64 // spans
	Quarantined int64 // spans
	Batches     int64
	Retries     int64
	OpenTraces  int64
	OpenBytes   int64  // of these, about
	Early       int64  // traces that were let go for want of memory
	Down        string // why the output takes nothing at the moment, "" if it does
	DownSince   time.Time
}

// Stats says what was done so far. It may be called at any time.
func (t *Tail) Stats() Stats {
	s := Stats{Stats: t.follower.Stats(), Counts: *t.counts.Load(), Repeated: t.again.Load(),
		Unreadable: t.unreadable.Load()}
	t.sink.stats(&s)
	return s
}

// dedupe remembers spans by their content.
type dedupe struct {
	seed  maphash.Seed
	order []uint64 // a ring
	next  int
	set   map[uint64]struct{}
}

func newDedupe(size int) dedupe {
	return dedupe{seed: maphash.MakeSeed(), order: make([]uint64, 0, size), set: map[uint64]struct{}{}}
}

// add says whether the content was there before, and remembers it.
func (k *dedupe) add(content []byte) bool {
	hash := maphash.Bytes(k.seed, content)
	if _, there := k.set[hash]; there {
		return true
	}
	k.set[hash] = struct{}{}
	if len(k.order) < cap(k.order) {
		k.order = append(k.order, hash)
		return false
	}
	delete(k.set, k.order[k.next])
	k.order[k.next] = hash
	k.next = (k.next + 1) % len(k.order)
	return false
}
