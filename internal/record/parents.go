package record

import (
	"io"
	"os"
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// This file finds the traces that have the parents which other traces miss:
//
//	records of a trace ── want: parents that are not among its spans ──> wanted
//	records of all     ── offer: is a span wanted by another trace? ──> found in
//
// In memory both go over the records that are held, when the first such parent
// has to be told of. With a spill, want goes along while partitions are settled,
// and the ids of all spans, some 9 bytes each, go to a file of their own for offer.

// maxWanted is how many parents are looked for. If more are missing, nothing is
// said of any.
const maxWanted = 1 << 17

// LongestOddID is how many digits an odd id may have to be looked for or remembered.
const LongestOddID = 64

// Parents are spans that are named as parents and are not in their children's
// trace.
type Parents struct {
	mu     sync.Mutex
	wanted map[trace.ID]*assemble.Elsewhere
	over   bool // there are more than maxWanted
}

// Elsewhere is what is known of a parent that a trace misses.
func (p *Parents) Elsewhere(parent trace.ID) assemble.Elsewhere {
	if e := p.wanted[parent]; e != nil && !p.over {
		return *e
	}
	return assemble.Elsewhere{}
}

// spanIDs is the ids of a trace's spans, and of the parents that these name.
type spanIDs struct{ spans, parents []trace.ID }

// read reads the ids of some records of a trace. They borrow from these.
func (f *spanIDs) read(d *decoder, records string) error {
	for records != "" {
		record, rest, ok := cutFramed(records)
		if !ok {
			return ErrDamaged
		}
		_, span, parent, err := d.ids(record)
		if err != nil {
			return err
		}
		f.spans = append(f.spans, span)
		// As in a tree: 0 is none, and who is his own parent misses nobody.
		if !parent.IsZero() && parent != span {
			f.parents = append(f.parents, parent)
		}
		records = rest
	}
	return nil
}

// of reads the ids of a whole trace, in the place of those before.
func (f *spanIDs) of(d *decoder, b Bundle) error {
	f.spans, f.parents = f.spans[:0], f.parents[:0]
	for records := range b.texts {
		if err := f.read(d, records); err != nil {
			return err
		}
	}
	return nil
}

// want notes the parents that a trace misses.
func (p *Parents) want(f *spanIDs) {
	if len(f.parents) == 0 {
		return
	}
	slices.SortFunc(f.spans, trace.ID.Compare)
	for _, parent := range f.parents {
		if _, there := slices.BinarySearchFunc(f.spans, parent, trace.ID.Compare); !there {
			p.add(parent)
		}
	}
}

func (p *Parents) add(parent trace.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || len(parent.Odd) > LongestOddID || p.wanted[parent] != nil {
		return
	}
	if len(p.wanted) == maxWanted {
		p.over, p.wanted = true, nil
		return
	}
	if p.wanted == nil {
		p.wanted = make(map[trace.ID]*assemble.Elsewhere)
	}
	p.wanted[parent.Clone()] = &assemble.Elsewhere{Nowhere: true}
}

// offer notes that a trace has a span. Of several that do, the one with the lowest
// id is told, so that the order of reading does not show.
func (p *Parents) offer(in, span trace.ID) {
	if e := p.wanted[span]; e != nil && (!e.Found || in.Compare(e.In) < 0) {
		*e = assemble.Elsewhere{In: in.Clone(), Found: true}
	}
}

// FindParents looks among records in memory, which are as they were made.
func FindParents(h *Memory) *Parents {
	p := &Parents{}
	var d decoder
	var f spanIDs
	for i := range h.traces {
		_ = f.of(&d, h.Bundle(i))
		p.want(&f)
	}
	if len(p.wanted) == 0 {
		return p
	}
	for _, chunk := range h.chunks {
		for text := borrowed(chunk); text != ""; { // nothing is added any more
			record, rest, _ := cutFramed(text)
			in, span, _, _ := d.ids(record)
			p.offer(in, span)
			text = rest
		}
	}
	return p
}

// parentFile collects the ids of spans on disk, while the partitions of a spill are
// settled by several goroutines: a record for each trace, its id and those of its
// spans.
type parentFile struct {
	Parents
	disk *disk
	file *os.File
	size int64
}

// add takes the traces of a partition. The error is a [*TempError].
func (p *parentFile) add(h *Memory) error {
	var d decoder
	var f spanIDs
	var ids, text []byte
	for i := range h.traces {
		t := &h.traces[i]
		if err := f.of(&d, h.Bundle(i)); err != nil {
			return p.disk.failed("read", err)
		}
		ids = appendID(ids[:0], t.ID)
		for _, span := range f.spans {
			ids = appendID(ids, span)
		}
		text = AppendFramed(text, ids)
		p.want(&f)
	}
	p.mu.Lock()
	at := p.size
	p.size += int64(len(text))
	p.mu.Unlock()
	return p.disk.write(p.file, text, at)
}

// find looks among all that were added. The error is a [*TempError].
func (p *parentFile) find() error {
	if len(p.wanted) == 0 {
		return nil
	}
	records := newRecordReader(p.file, 0, p.size, readBuffer)
	var d decoder
	for {
		record, err := records.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return p.disk.failed("read", err)
		}
		d.begin(record)
		in := d.id()
		for d.at < len(d.text) {
			p.offer(in, d.id())
		}
		if d.bad {
			return p.disk.failed("read", ErrDamaged)
		}
	}
}
