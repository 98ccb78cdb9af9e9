package record

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// maxSettlers is how many partitions are assembled at a time.
const maxSorters = 4

// sorter makes runs of a spill, each of them of a partition: the traces that
// come out, sorted, the records of each trace together.
type sorter struct {
	ctx   context.Context
	disk  *disk
	limit int64 // of memory
	// choose says which traces of a partition come out; nil: all. It is called by
	// several goroutines.
	choose func(h *Memory) ([]Chosen, error)
	room   int64 // what a partition may take to be looked at at once

	mu             sync.Mutex
	partitions     int64 // that were assembled
	oversized      int64 // traces that are larger than the limit
	oversizedBytes int64 // what the largest of them takes
	count          int   // of the traces that come out
	runs           runs
	alone          []*partition // of one trace, too large for room
	parents        parentFile
	err            error // the first one
}

// sort assembles all partitions. The spill is used up, also after an error.
func (s *sorter) sort(spill *spill) error {
	defer spill.close()
	file, err := s.disk.create()
	if err != nil {
		return err
	}
	s.runs.file = file
	s.parents.disk = s.disk
	if s.parents.file, err = s.disk.create(); err != nil {
		return err
	}
	defer s.parents.file.Close()
	settlers := min(runtime.GOMAXPROCS(0), maxSorters)
	// Half of the limit for what is assembled, since what becomes of it has to
	// be held as well.
	s.room = s.limit / 2 / int64(settlers)

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
	if s.err == nil {
		s.note(s.parents.find())
	}
	return s.err
}

// assembleAlone assembles, one after the other, what is too large for anything
// to stand beside it.
func (s *sorter) assembleAlone() {
	for _, p := range s.alone {
		if err := s.stopped(); err != nil {
			s.note(err)
			p.close()
			continue
		}
		if p.cost > s.limit {
			takes := p.size + int64(len(p.buffer)) + p.spans*OutlineCost
			s.oversized++
			s.oversizedBytes = max(s.oversizedBytes, takes)
			allowMore(s.limit + takes)
		}
		s.note(s.assemble(p))
	}
}

// OutlineCost is what a span of a large trace takes in memory beside its record,
// about, while its place in the tree is looked for.
const OutlineCost = 600

// allowMore raises Go's limit of memory, if there is one, to at least so much.
// What has to be held anyway would otherwise make the collector of garbage run
// all the time.
func allowMore(bytes int64) {
	debug.SetMemoryLimit(max(bytes, debug.SetMemoryLimit(-1)))
}

func (s *sorter) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// stopped is why no more has to be done, nil as long as there is something.
func (s *sorter) stopped() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// partition assembles a partition, in parts if it is too large. One trace that
// is too large by itself waits until nothing else is held.
func (s *sorter) partition(p *partition) error {
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
func (s *sorter) split(p *partition) (*spill, error) {
	defer p.close()
	smaller := newSpill(s.disk, int(min(2+2*p.cost/(s.room+1), MostPartitions)))
	records, err := p.open(s.disk)
	if err != nil {
		return smaller, err
	}
	var d decoder
	for {
		record, err := records.next()
		if err == io.EOF {
			return smaller, nil
		}
		var k Key
		if err == nil {
			k, err = d.keyOf(record)
		}
		if err != nil {
			return smaller, s.disk.failed("read", err)
		}
		if err := smaller.add(k, record); err != nil {
			return smaller, err
		}
	}
}

// assemble makes a run of a partition.
func (s *sorter) assemble(p *partition) error {
	text, err := p.text(s.disk)
	if err != nil {
		return err
	}
	h, err := memoryOf(text)
	if err != nil {
		return s.disk.failed("read", err)
	}
	if err := s.parents.add(h); err != nil {
		return err
	}
	list := h.All()
	if s.choose != nil {
		if list, err = s.choose(h); err != nil {
			return err
		}
	}
	SortChosen(list)
	return s.writeRun(h, list)
}

// writeRun writes a run, two records for each trace: its key, and its records
// behind their lengths.
func (s *sorter) writeRun(h *Memory, list []Chosen) error {
	size := int64(0)
	var text []byte
	for i := range list {
		size += 2*FrameSize + int64(len(appendKey(text[:0], list[i].Key)))
		b := h.Bundle(list[i].Index)
		for records := range b.texts {
			size += int64(len(records))
		}
	}
	s.mu.Lock()
	s.partitions++
	s.count += len(list)
	from := s.runs.reserve(size)
	s.mu.Unlock()
	out := bufio.NewWriterSize(&runWriter{s.disk, s.runs.file, from}, readBuffer)
	for i := range list {
		b := h.Bundle(list[i].Index)
		length := 0
		for records := range b.texts {
			length += len(records)
		}
		text = AppendFramed(text[:0], appendKey(nil, list[i].Key))
		text = binary.LittleEndian.AppendUint64(text, uint64(length))
		if _, err := out.Write(text); err != nil {
			return err
		}
		for records := range b.texts {
			if _, err := out.WriteString(records); err != nil {
				return err
			}
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

// merged merges the runs: it gives the records of the traces by their places in
// the order of all traces, from first to before end.
func (s *sorter) merged(first, end int) iter.Seq2[Bundle, error] {
	return func(yield func(Bundle, error) bool) {
		m, err := s.runs.open(s.limit / 8)
		for at := 0; err == nil && at < end; at++ {
			var b Bundle
			if b, err = m.next(at >= first); err == nil && at >= first && !yield(b, nil) {
				return
			}
		}
		if err != nil {
			yield(Bundle{}, s.disk.failed("read", err))
		}
	}
}
