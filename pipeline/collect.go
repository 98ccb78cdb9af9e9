package pipeline

import (
	"unsafe"

	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
)

// DefaultMemory is what spans may take before they go to disk, in bytes.
const DefaultMemory = 512 << 20

// collector takes the records of spans in the order of the input: into memory as
// long as they are within the limit, from then on, with all that were there, to
// disk.
type collector struct {
	held  held
	limit int64
	disk  *disk
	spill *spill // nil while all is in memory
	moved bool   // there are spans whose times are not those of the log
	d     decoder
	err   error       // of the disk; what comes after it is dropped
	fail  func(error) // is told err
}

// add takes a record, which it does not keep.
func (c *collector) add(record []byte) {
	if c.err != nil {
		return
	}
	k, _ := c.d.keyOf(borrowed(record)) // it was just made
	c.moved = c.moved || k.moved
	if c.spill != nil {
		c.check(c.spill.add(k, borrowed(record)))
		return
	}
	// A trace that takes much of the limit when it is made is no matter for
	// memory either.
	if t := c.held.add(k, record); c.held.size > c.limit || t.cost > c.limit/2 {
		c.spill = newSpill(c.disk, maxPartitions)
		c.check(c.empty())
	}
}

// empty moves what is held to disk.
func (c *collector) empty() error {
	for i, chunk := range c.held.chunks {
		c.held.chunks[i] = nil
		for text := borrowed(chunk); text != ""; {
			record, rest, _ := cutRecord(text) // it was put there just so
			k, _ := c.d.keyOf(record)
			if err := c.spill.add(k, record); err != nil {
				return err
			}
			text = rest
		}
		poison.Bytes(chunk)
	}
	c.held = held{}
	return nil
}

// borrowed is text as a string without a copy; it changes when text does.
func borrowed(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

func (c *collector) check(err error) {
	if err != nil {
		c.err = err
		c.fail(err)
	}
}

// cost is about what a span takes in memory, in bytes, when its record is decoded
// and its trace made: itself, the node it becomes, and all that these refer to.
func cost(s *trace.Span) int64 {
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
		n += int64(len(v.Value.Text)+len(v.Service.String)+len(v.Address.String)+len(v.Port.Text)+len(v.Duration.Text)) + fieldsCost(v.Extra)
	}
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		n += int64(len(d.Key.String)+len(d.Value.Text)+len(d.Service.String)+len(d.Address.String)+len(d.Port.Text)) + fieldsCost(d.Extra)
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
