package replay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/linereader"
	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/internal/source"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// maxUnreadable bounds what the ledger names, as it does for source.Report.
const maxUnreadable = 1000

// read reads all input and hands every span's record to add, in the order of the
// input.
// The ledger is that of the input: what was read, and what became of it. The
// error is the context's or that of Complain.
func read(ctx context.Context, opt Options, add adder) (Ledger, error) {
	opt.Parser.Done = ctx.Done()
	r := &reading{opt: opt, add: add, encoder: record.NewEncoder(opt.names, false),
		places:  make(map[string]func(int64) int64),
		content: bufio.NewReaderSize(nil, tracejson.Lookahead)}
	report, err := source.Walk(ctx, opt.Paths, opt.Source, r.member)
	r.release()
	if err == nil {
		err = r.err
	}
	r.account(report)
	return r.ledger, err
}

// reading is the state of one read.
type reading struct {
	opt    Options
	add    adder
	ledger Ledger
	more   int   // unreadable beyond maxUnreadable
	err    error // of Complain

	content *bufio.Reader   // of the member that is read
	encoder *record.Encoder // of spans from documents
	record  []byte

	pending      *finding                           // holds something back for what follows, or nil
	places       map[string]func(given int64) int64 // in sparse members since nothing was held back
	unterminated bool                               // the last log had no newline at its end
}

// member reads one member: trace documents by their form, all else as a log.
func (r *reading) member(m *source.Member) error {
	if r.pending == nil {
		clear(r.places)
	}
	if m.Place != nil {
		r.places[m.Name] = m.Place
	}
	r.content.Reset(m.Reader)
	if prefix, _ := r.content.Peek(tracejson.Lookahead); tracejson.IsDocument(prefix) {
		r.release()
		r.documents(parser.Place{File: m.Name}, r.content)
	} else {
		r.log(m, r.content, len(prefix) == 0)
	}
	return r.err
}

// dropIfNoLog forgets a member in which nothing was found, if it is no log: it has
// neither lines nor any that were too long. before is the ledger before it, known
// how many it had named as unreadable.
func (r *reading) dropIfNoLog(m *source.Member, before Ledger, known int) {
	l := &r.ledger
	found := l.Parsed+l.Salvaged+l.Rejected > before.Parsed+before.Salvaged+before.Rejected
	if r.err != nil || found || r.pending != nil || m.FoundNothing() {
		return
	}
	r.more = max(0, known-maxUnreadable)
	before.Unreadable = l.Unreadable[:known-r.more]
	r.ledger = before
}

// documents reads traces that were written as JSON and stand in a file behind the
// given place. Each span counts as a span record; a damaged document is one more
// that was rejected. Lines in between are read as a log's.
func (r *reading) documents(at parser.Place, content io.Reader) {
	log := r.newFinding(at.File)
	defer log.free()
	err := tracejson.Read(content, at.File, func(s trace.Span) error {
		r.ledger.Parsed++
		r.record = r.encoder.Append(r.record[:0], &s)
		r.add(r.record)
		poison.Bytes(r.record)
		return nil
	}, func(e *tracejson.DocumentError) error {
		if e.Kind != tracejson.Damaged {
			r.unreadable(at.File, at.Offset+e.Offset, fmt.Sprintf("line %d: %s", at.Line+e.Line, e.Reason))
			return nil
		}
		r.ledger.Rejected++
		r.complain(&trace.Complaint{Kind: trace.Rejected, File: at.File, Line: at.Line + e.Line, Column: int(e.Column),
			Offset: at.Offset + e.Offset,
			Reason: e.Reason, Expected: e.Expected, Text: e.Text})
		return r.err
	}, func(line []byte, number, offset int64) error {
		log.reader.Feed(parser.Line{Text: line, Number: at.Line + number, Offset: at.Offset + offset})
		r.collect(log)
		return r.err
	})
	log.reader.Flush()
	r.collect(log)
	if r.err == nil {
		r.err = err
	}
}

// log reads a member as a log.
func (r *reading) log(m *source.Member, content io.Reader, empty bool) {
	if !m.Continues || r.unterminated { // nobody knows the end of a line without one
		r.release()
	}
	r.unterminated = false
	if r.pending != nil {
		r.pending.reader.Continue(m.Name)
	} else {
		defer r.dropIfNoLog(m, r.ledger, len(r.ledger.Unreadable)+r.more)
	}
	if empty {
		return
	}
	rest, lines, offset := content, int64(0), int64(0)
	if r.opt.Parser.MaxRecord >= blockSize {
		rest, lines, offset = r.inBlocks(m.Name, content, func(b *block, lines int64) bool {
			if r.pending != nil { // the worker could not know
				b.found.free()
				r.pending.reader.FeedBlock(b.data, lines+1, b.offset)
			} else {
				r.pending = b.found
				r.pending.rebase(lines, b.offset)
			}
			r.unterminated = !bytes.HasSuffix(b.data, []byte("\n"))
			r.endBlock(m.Name)
			return r.err == nil
		})
	}
	if rest != nil && r.err == nil {
		r.lineByLine(m.Name, rest, lines, offset)
	}
}

// lineByLine reads what has lines too long for blocks; so many lines and bytes of
// the member came before.
func (r *reading) lineByLine(name string, content io.Reader, before, offset int64) {
	if r.pending == nil {
		r.pending = r.newFinding(name)
	}
	lines := linereader.New(content, r.opt.Parser.MaxRecord)
	for r.err == nil {
		line, ok := lines.Next()
		if !ok {
			break
		}
		line.Number += before
		line.Offset += offset
		if line.Cut {
			r.unreadable(name, line.Offset+int64(len(line.Text)), linereader.TooLong(line.Number, len(line.Text)))
		}
		r.unterminated = line.Unterminated
		r.pending.reader.Feed(parser.Line{Text: line.Text, Number: line.Number, Offset: line.Offset, Cut: line.Cut})
		if _, stopped := r.pending.reader.Stopped(); stopped {
			break
		}
		r.collect(r.pending)
	}
	r.endBlock(name)
}

// endBlock takes what was found, and forgets the Reader unless it holds something
// back for the next block, or the next file of the rotation.
func (r *reading) endBlock(name string) {
	r.collect(r.pending)
	if !r.pending.pending() {
		r.release()
	}
}

// release takes what was held back as it is.
func (r *reading) release() {
	if r.pending != nil {
		r.pending.reader.Flush()
		r.collect(r.pending)
		r.pending.free()
		r.pending = nil
	}
}

// collect hands on what was found.
func (r *reading) collect(f *finding) {
	for i := range f.events {
		e := &f.events[i]
		switch {
		case e.lost != "":
			r.unreadable(e.at.File, e.at.Offset, fmt.Sprintf("line %d: %s", e.at.Line, e.lost))
		case e.document != nil:
			r.documents(parser.Place{File: e.at.File, Line: e.at.Line - 1, Offset: e.at.Offset},
				bytes.NewReader(e.document))
		default:
			if e.from < e.to {
				r.add(f.records[e.from:e.to])
			}
			if e.complaint != nil {
				r.complain(e.complaint)
			}
		}
	}
	f.clear()
	now, l := f.reader.Counts, &r.ledger
	l.Lines += now.Lines - f.counts.Lines
	l.Parsed += now.Parsed - f.counts.Parsed
	l.Salvaged += now.Salvaged - f.counts.Salvaged
	l.Rejected += now.Rejected - f.counts.Rejected
	l.Mentions += now.Mentions - f.counts.Mentions
	f.counts = now
}

func (r *reading) complain(c *trace.Complaint) {
	line := c.Offset - int64(c.Column-1)
	offset := r.place(c.File, c.Offset)
	c.Column += int(offset - c.Offset - r.place(c.File, line) + line)
	c.Offset = offset
	if r.err == nil && r.opt.Complain != nil {
		r.err = r.opt.Complain(c)
	}
}

// place is where a byte of a member stands that was given at this offset.
func (r *reading) place(name string, offset int64) int64 {
	if place := r.places[name]; place != nil {
		return place(offset)
	}
	return offset
}

func (r *reading) unreadable(name string, offset int64, reason string) {
	offset = r.place(name, offset)
	if len(r.ledger.Unreadable) == maxUnreadable {
		r.more++
		return
	}
	r.ledger.Unreadable = append(r.ledger.Unreadable, source.Unreadable{Name: name, Offset: offset, Reason: reason})
}

// account closes the ledger's books on what was read.
func (r *reading) account(report *source.Report) {
	l := &r.ledger
	l.Files, l.Members, l.Bytes, l.SameFile = report.Files, report.Members, report.Bytes, report.SameFile
	l.Skipped = append([]source.Skipped{}, report.Skipped...)
	l.Unreadable = append(append([]source.Unreadable{}, report.Unreadable...), l.Unreadable...)
	if r.more > 0 {
		l.Unreadable = append(l.Unreadable, source.Unreadable{Reason: fmt.Sprintf("%d more could not be read", r.more)})
	}
	l.SpanLines = l.Parsed + l.Salvaged + l.Rejected
}
