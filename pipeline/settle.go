package pipeline

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

// maxSettlers is how many partitions are assembled at a time.
const maxSettlers = 4

// settling makes traces of a spill: partition by partition, each of them into a
// run of selected traces on disk, sorted.
type settling struct {
	ctx       context.Context
	opt       assemble.Options
	selection *query.Selection
	disk      *disk
	names     *names
	limit     int64 // what a trace may take to be no oversized one
	room      int64 // what a partition may take to be assembled at once

	mu    sync.Mutex
	tally tally
	runs  runs
	alone []*partition // of one trace, too large for room
	err   error        // the first one
}

// settle assembles all partitions. The spill is used up, also after an error.
func (s *settling) settle(spill *spill) error {
	defer spill.close()
	file, err := s.disk.create()
	if err != nil {
		return err
	}
	s.runs.file = file
	settlers := min(runtime.GOMAXPROCS(0), maxSettlers)
	// Half of the limit for what is assembled, since what becomes of it has to
	// be held as well.
	s.room = s.limit / 2 / int64(settlers)
	spill.names.closed = true
	s.names = spill.names

	work := make(chan *partition)
	var group sync.WaitGroup
	for range settlers {
		group.Go(func() {
			for p := range work {
				s.note(s.partition(p))
			}
		})
	}
	for i := range spill.parts {
		work <- &spill.parts[i]
	}
	close(work)
	group.Wait()
	s.assembleAlone()
	return s.err
}

// assembleAlone assembles, one after the other, what is too large for anything
// to stand beside it.
func (s *settling) assembleAlone() {
	for _, p := range s.alone {
		if err := s.stopped(); err != nil {
			s.note(err)
			p.close()
			continue
		}
		if p.cost > s.limit {
			s.tally.oversized++
			allowMore(3 * p.cost)
		}
		s.note(s.assemble(p))
	}
}

// allowMore raises Go's limit of memory, if there is one, to at least so much.
// What has to be held anyway would otherwise make the collector of garbage run
// all the time.
func allowMore(bytes int64) {
	debug.SetMemoryLimit(max(bytes, debug.SetMemoryLimit(-1)))
}

func (s *settling) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// stopped is why no more has to be done, nil as long as there is something.
func (s *settling) stopped() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// partition assembles a partition, in parts if it is too large. One trace that
// is too large by itself waits until nothing else is held.
func (s *settling) partition(p *partition) error {
	if err := s.stopped(); err != nil || p.cost == 0 {
		p.close()
		return err
	}
	switch {
	case p.cost <= s.room:
		return s.assemble(p)
	case !p.several:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.alone = append(s.alone, p)
		return nil
	}
	smaller, err := s.split(p)
	if err != nil {
		smaller.close()
		return err
	}
	for i := range smaller.parts {
		s.note(s.partition(&smaller.parts[i]))
	}
	return nil
}

// split deals the traces of a partition out to smaller ones.
func (s *settling) split(p *partition) (*spill, error) {
	smaller := newSpill(s.disk, int(min(2+2*p.cost/(s.room+1), maxPartitions)))
	var d decoder
	return smaller, p.records(s.disk, func(record string) error {
		d.text, d.bad = record, false
		id, cost := d.id(), int64(d.uvarint())
		if d.bad {
			return s.disk.failed("read", errCodec)
		}
		return smaller.move(id, cost, record)
	})
}

// entry is a trace in the run that is being made.
type entry struct {
	trace.Trace // its head
	from, to    int
}

// assemble makes a run of a partition.
func (s *settling) assemble(p *partition) error {
	size := p.size + int64(len(p.buffer))
	assembler := assemble.New(s.opt)
	d := decoder{names: s.names}
	err := p.records(s.disk, func(record string) error {
		d.text, d.bad = record, false
		span := trace.Span{TraceID: d.id()}
		d.uvarint()
		d.span(&span)
		assembler.Add(span)
		if err := d.end(); err != nil {
			return s.disk.failed("read", err)
		}
		return s.ctx.Err()
	})
	if err != nil {
		return err
	}
	c := tally{partitions: 1}
	var entries []entry
	text := make([]byte, 0, size+size/4)
	for t := range assembler.Traces() {
		c.add(&t)
		if s.selection.Match(&t) {
			e := entry{Trace: trace.Trace{ID: t.ID, Start: t.Start, HasStart: t.HasStart}, from: len(text)}
			text = appendHead(beginRecord(text), &t)
			endRecord(text, e.from)
			body := len(text)
			text = s.names.appendTrace(beginRecord(text), &t)
			endRecord(text, body)
			e.to = len(text)
			entries = append(entries, e)
		}
	}
	c.spans, c.duplicates = assembler.Counts()
	slices.SortFunc(entries, func(a, b entry) int { return assemble.Order(a.Trace, b.Trace) })
	return s.writeRun(entries, text, c)
}

// writeRun writes a run, two records for each trace: its head, and itself.
func (s *settling) writeRun(entries []entry, text []byte, c tally) error {
	s.mu.Lock()
	s.tally.merge(c)
	from := s.runs.reserve(int64(len(text)))
	s.mu.Unlock()
	out := bufio.NewWriterSize(&runWriter{s.disk, s.runs.file, from}, readBuffer)
	for _, e := range entries {
		if _, err := out.Write(text[e.from:e.to]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// runWriter writes to its place in the file of runs.
type runWriter struct {
	disk *disk
	file *os.File
	at   int64
}

func (w *runWriter) Write(p []byte) (int, error) {
	if err := w.disk.write(w.file, p, w.at); err != nil {
		return 0, err
	}
	w.at += int64(len(p))
	return len(p), nil
}
