package pipeline

import (
	"unsafe"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// DefaultMemory is what spans may take before they go to disk, in bytes.
const DefaultMemory = 512 << 20

// collector takes spans in the order of the input: into an assembler as long as
// they are within the limit, from then on, with all that were there, to disk.
type collector struct {
	assembler *assemble.Assembler
	held      int64 // what the spans in the assembler take, see cost
	limit     int64
	disk      *disk
	spill     *spill      // nil while all is in memory
	err       error       // of the disk; what comes after it is dropped
	fail      func(error) // is told err
}

func (c *collector) add(s trace.Span) {
	if c.err != nil {
		return
	}
	if c.spill != nil {
		c.check(c.spill.add(&s))
		return
	}
	c.held += cost(&s)
	if c.assembler.Add(s) {
		c.held += traceCost
	}
	if c.held > c.limit {
		c.spill = newSpill(c.disk, maxPartitions)
		c.check(c.empty())
	}
}

// empty moves what the assembler holds to disk. The spans of a trace stay in
// their order.
func (c *collector) empty() error {
	for spans := range c.assembler.Groups() {
		for i := range spans {
			if err := c.spill.add(&spans[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collector) check(err error) {
	if err != nil {
		c.err = err
		c.fail(err)
	}
}

// What a trace takes beside its spans: its place in the assembler and the
// trace.Trace that it becomes.
const traceCost = 2*int64(unsafe.Sizeof(trace.Trace{})) + 128

// cost is about what a span takes in memory, in bytes, until its trace is
// assembled: itself in a list with room to grow, the node it becomes, all that
// these refer to, and what the allocator rounds up. Strings that spans share
// count for each.
func cost(s *trace.Span) int64 {
	const (
		span      = int64(unsafe.Sizeof(trace.Span{}))*3/2 + int64(unsafe.Sizeof(trace.Node{})) + 96
		note      = int64(unsafe.Sizeof(trace.Note{}))
		dimension = int64(unsafe.Sizeof(trace.Dimension{}))
		origin    = int64(unsafe.Sizeof(trace.Origin{}))
		rounding  = 8
	)
	n := span + int64(len(s.TraceID.Odd)+len(s.ID.Odd)+len(s.ParentID.Odd)+len(s.Name.String)) + fieldsCost(s.Extra)
	n += int64(cap(s.Notes))*note + int64(cap(s.Dimensions))*dimension + int64(cap(s.Origin))*origin
	for i := range s.Notes {
		v := &s.Notes[i]
		n += int64(len(v.Value.Text)+len(v.Service.String)+len(v.Address.String)+len(v.Port.Text)+len(v.Duration.Text)) + rounding
		n += fieldsCost(v.Extra)
	}
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		n += int64(len(d.Key.String)+len(d.Value.Text)+len(d.Service.String)+len(d.Address.String)+len(d.Port.Text)) + rounding
		n += fieldsCost(d.Extra)
	}
	for i := range s.Origin {
		o := &s.Origin[i]
		n += int64(len(o.RequestID)+len(o.GlobalRequestID)+len(o.LogHost)) + rounding
	}
	return n
}

func fieldsCost(fields []trace.Field) (n int64) {
	for i := range fields {
		n += int64(unsafe.Sizeof(trace.Field{})) + int64(len(fields[i].Name)+len(fields[i].Value.Text))
	}
	return n
}
