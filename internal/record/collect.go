package record

import (
	"context"
	"iter"
	"os"
	"unsafe"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
)

// DefaultMemory is what spans may take before they go to disk, in bytes.
const DefaultMemory = 512 << 20

// Collector takes the records of spans in the order of the input: into memory as
// long as they are within the limit, from then on, with all that were there, to
// disk.
type Collector struct {
	limit int64 // bytes in memory
	disk  *disk
	fail  func(error) // is told err

	held  Memory
	spill *spill // nil while all is in memory
	moved bool   // there are spans whose times are not those of the log
	d     decoder
	err   error // of the disk; what comes after it is dropped
}

// NewCollector collects within a limit of bytes, then in dir. open opens a temporary
// file there, one without a name if it is nil; fail is told why the disk takes
// nothing any more.
func NewCollector(limit int64, dir string, open func(dir string) (*os.File, error), fail func(error)) *Collector {
	if open == nil {
		open = OpenUnnamed
	}
	return &Collector{limit: limit, disk: &disk{dir: dir, open: open}, fail: fail}
}

// Memory is all that was collected, nil if it went to disk.
func (c *Collector) Memory() *Memory {
	if c.spill != nil {
		return nil
	}
	return &c.held
}

// Moved says whether there are spans whose times are not those of the log.
func (c *Collector) Moved() bool { return c.moved }

// Err is the [*TempError] that ended the collecting.
func (c *Collector) Err() error { return c.err }

// Failed is an error of what was collected when it is read again, as a [*TempError].
func (c *Collector) Failed(err error) error { return c.disk.failed("read", err) }

// Sort sorts what went to disk by traces. choose says which traces of a part come
// out; nil: all. It is called by several goroutines.
func (c *Collector) Sort(ctx context.Context, choose func(*Memory) ([]Chosen, error)) (*Sorted, error) {
	s := &sorter{ctx: ctx, disk: c.disk, limit: c.limit, choose: choose}
	if err := s.sort(c.spill); err != nil {
		s.runs.close()
		return nil, err
	}
	return &Sorted{Count: s.count, Bytes: c.disk.written.Load(), Partitions: s.partitions, Oversized: s.oversized,
		OversizedBytes: s.oversizedBytes, s: s}, nil
}

// Close frees what is on disk and was not settled.
func (c *Collector) Close() {
	if c.spill != nil {
		c.spill.close()
	}
}

// Sorted is traces on disk, in their order.
type Sorted struct {
	Count          int   // of the traces that come out
	Bytes          int64 // written to disk
	Partitions     int64
	Oversized      int64 // traces that are larger than the limit each
	OversizedBytes int64 // what the largest of them takes

	s *sorter
}

// Elsewhere is what is known of a parent that a trace misses.
func (s *Sorted) Elsewhere(parent trace.ID) assemble.Elsewhere { return s.s.parents.Elsewhere(parent) }

// Bundles gives the records of the traces by their places in the order of all, from
// first to before end.
func (s *Sorted) Bundles(first, end int) iter.Seq2[Bundle, error] { return s.s.merged(first, end) }

// Close frees the disk.
func (s *Sorted) Close() error { return s.s.runs.file.Close() }

// Add takes a record, which it does not keep.
func (c *Collector) Add(record []byte) {
	if c.err != nil {
		return
	}
	k, _ := c.d.keyOf(borrowed(record)) // it was just made
	c.moved = c.moved || k.Moved
	if c.spill != nil {
		c.check(c.spill.add(k, borrowed(record)))
		return
	}
	// A trace that takes much of the limit when it is made is no matter for
	// memory either.
	if t := c.held.add(k, record); c.held.size > c.limit || t.Cost > c.limit/2 {
		c.spill = newSpill(c.disk, MostPartitions)
		c.check(c.empty())
	}
}

// empty moves what is held to disk.
func (c *Collector) empty() error {
	for i, chunk := range c.held.chunks {
		c.held.chunks[i] = nil
		for text := borrowed(chunk); text != ""; {
			record, rest, _ := cutFramed(text) // it was put there just so
			k, _ := c.d.keyOf(record)
			if err := c.spill.add(k, record); err != nil {
				return err
			}
			text = rest
		}
		poison.Bytes(chunk)
	}
	c.held = Memory{}
	return nil
}

// borrowed is text as a string without a copy; it changes when text does.
func borrowed(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

func (c *Collector) check(err error) {
	if err != nil {
		c.err = err
		c.fail(err)
	}
}

// Cost is about what a span takes in memory, in bytes, when its record is decoded
// and its trace made: itself, the node it becomes, and all that these refer to.
func Cost(s *trace.Span) int64 {
	const (
		span      = int64(unsafe.Sizeof(trace.Span{})) + int64(unsafe.Sizeof(trace.Node{})) + 96
		note      = int64(unsafe.Sizeof(trace.Note{}))
		dimension = int64(unsafe.Sizeof(trace.Dimension{}))
		origin    = int64(unsafe.Sizeof(trace.Origin{}))
	)
	n := span + int64(len(s.TraceID.Odd)+len(s.ID.Odd)+len(s.ParentID.Odd)+len(s.Name.String)) + fieldsCost(s.Extra)
	n += int64(len(s.Notes))*note + int64(len(s.Dimensions))*dimension + int64(len(s.Origin))*origin
	for i := range s.Notes {
		v := &s.Notes[i]
		n += int64(len(v.Value.Text)+len(v.Service.String)+len(v.Address.String)+len(v.Port.Text)+len(v.Duration.Text)) +
			fieldsCost(v.Extra)
	}
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		n += int64(len(d.Key.String)+len(d.Value.Text)+len(d.Service.String)+len(d.Address.String)+len(d.Port.Text)) +
			fieldsCost(d.Extra)
	}
	for i := range s.Origin {
		o := &s.Origin[i]
		n += int64(len(o.RequestID) + len(o.GlobalRequestID) + len(o.LogHost))
	}
	return n
}

func fieldsCost(fields []trace.Field) (n int64) {
	for i := range fields {
		n += int64(unsafe.Sizeof(trace.Field{})) + int64(len(fields[i].Name)+len(fields[i].Value.Text))
	}
	return n
}
