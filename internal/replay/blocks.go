package replay

import (
	"bytes"
	"context"
	"io"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/tomoscrape/tomoscrape/internal/inorder"
	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
)

// This file reads a log in blocks, several at once:
//
//	member ─ cut ─> blocks ─┬─> worker: records of the block ─┐
//	       (whole lines)    ├─> worker                        ├─> in order: take
//	                        └─> …                             ┘
//
// A worker reads its block as if nothing were held back from the block before.
// Where something is, the block is read again by the Reader that holds it.

const blockSize = 1 << 20

// maxUnderWay is how many bytes of blocks may be under way between the member and
// take, however many workers there are: a block of long lines is as long as they.
const maxUnderWay = 64 << 20

// block is some whole lines of a member.
type block struct {
	data   []byte
	offset int64 // of its first byte in the member
	lines  int64 // that it has
	found  *finding
}

// finding is a Reader and what it found since that was last taken.
type finding struct {
	reader  *parser.Reader
	encoder *record.Encoder
	names   *record.Names // of the encoder
	events  []event
	records []byte
	counts  parser.Counts // those that were taken already
}

// event is a record, a lost line or a trace document; complaint and document
// borrow from the block.
type event struct {
	from, to  int // the record's place among the records; there is none if they are equal
	complaint *trace.Complaint
	lost      string
	document  []byte
	at        parser.Place
}

// findings are those that were freed.
var findings = sync.Pool{New: func() any { return new(finding) }}

func (r *reading) newFinding(name string) *finding {
	f := findings.Get().(*finding)
	if f.counts = (parser.Counts{}); f.names != r.opt.names {
		f.encoder, f.names = record.NewEncoder(r.opt.names, true), r.opt.names
	}
	f.reader = parser.NewReader(name, r.opt.Parser, parser.Output{
		Record: func(record *parser.Result) {
			e := event{from: len(f.records), complaint: record.Complaint}
			if record.HasSpan {
				f.records = f.encoder.Append(f.records, &record.Span)
			}
			e.to = len(f.records)
			f.events = append(f.events, e)
		},
		Lost:     func(at parser.Place, reason string) { f.events = append(f.events, event{at: at, lost: reason}) },
		Document: func(at parser.Place, text []byte) { f.events = append(f.events, event{at: at, document: text}) },
	})
	return f
}

// free forgets what a finding found.
func (f *finding) free() {
	f.clear()
	f.reader = nil
	findings.Put(f)
}

func (f *finding) clear() {
	clear(f.events)
	poison.Bytes(f.records)
	f.events, f.records = f.events[:0], f.records[:0]
}

// pending says whether the Reader holds something back for what follows.
func (f *finding) pending() bool {
	_, holding := f.reader.Pending()
	return holding
}

// rebase moves what was found, and what is held back, from a block's start to
// where the block stands in its member.
func (f *finding) rebase(lines, offset int64) {
	for i := range f.events {
		e := &f.events[i]
		e.at.Line += lines
		e.at.Offset += offset
		if e.from < e.to {
			record.MoveLine(f.records[e.from:e.to], lines)
		}
		if c := e.complaint; c != nil {
			c.Line += lines
			c.Offset += offset
		}
	}
	f.reader.Rebase(lines, offset)
}

// inBlocks reads a member in blocks and hands them to take, in order and one at a
// time, until that returns false; lines is how many lines came before. It returns
// what is left where a line is too long for a block, and how many lines and bytes
// came before that.
func (r *reading) inBlocks(name string, content io.Reader, take func(b *block, lines int64) bool) (rest io.Reader,
	lines, offset int64) {
	ctx, enough := context.WithCancel(context.Background()) // ends the wait for room
	defer enough()
	room := semaphore.NewWeighted(maxUnderWay)
	weight := func(b *block) int64 { return min(int64(cap(b.data)), maxUnderWay) }
	blocks := func(yield func(*block) bool) {
		rest, offset = cut(content, r.opt.Parser.MaxRecord, func(b *block) bool {
			return room.Acquire(ctx, weight(b)) == nil && yield(b)
		})
	}
	inorder.Each(blocks, func(b *block) *block {
		b.found = r.newFinding(name)
		b.lines = b.found.reader.FeedBlock(b.data, 1, 0)
		if !b.found.pending() {
			b.found.reader.Flush()
		}
		return b
	}, func(b *block) bool {
		going := take(b, lines)
		lines += b.lines
		poison.Bytes(b.data)
		room.Release(weight(b))
		buffers.Put(&b.data)
		if !going {
			enough()
		}
		return going
	})
	return rest, lines, offset
}

// buffers are those of blocks that were taken.
var buffers = sync.Pool{New: func() any { b := make([]byte, blockSize+blockSize/8); return &b }}

// cut cuts content into blocks of whole lines and hands each to take, until that
// returns false. Before a line that is longer than longest, which is no less than
// blockSize, it ends and returns what is left, and how many bytes came before.
func cut(content io.Reader, longest int, take func(*block) bool) (rest io.Reader, offset int64) {
	var carry []byte // the beginning of a line
	for {
		data := *buffers.Get().(*[]byte)
		if size := len(carry) + blockSize; cap(data) < size {
			data = make([]byte, size)
		} else {
			data = data[:size]
		}
		n, err := io.ReadFull(content, data[copy(data, carry):])
		data = data[:len(carry)+n]
		if first := bytes.IndexByte(data, '\n'); first > longest || first < 0 && len(data) > longest {
			return io.MultiReader(bytes.NewReader(data), content), offset
		}
		if err == nil {
			end := blockEnd(data)
			carry = bytes.Clone(data[end:])
			data = data[:end]
		}
		size := int64(len(data))
		if size == 0 { // a line without end yet, or the end
			buffers.Put(&data)
		} else if !take(&block{data: data, offset: offset}) {
			return nil, offset
		}
		offset += size
		if err != nil { // a member's reader has no error but its end
			return nil, offset
		}
	}
}

// blockEnd is where a block may end: before a line that is not indented, for an
// indented one may go on with the one above, or else behind any line.
func blockEnd(data []byte) int {
	end := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	for at := end; at > 0; at = bytes.LastIndexByte(data[:at-1], '\n') + 1 {
		if c := data[at]; c != ' ' && c != '\n' && c != '\r' {
			return at
		}
	}
	return end
}
