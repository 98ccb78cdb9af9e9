package pipeline

import (
	"bufio"
	"context"
	"fmt"

	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/source"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// maxUnreadable bounds what the ledger names, as it does for source.Report.
const maxUnreadable = 1000

// read reads all input and hands every span to add, in the order of the input.
// The ledger is that of the input: what was read, and what became of it. The
// error is the context's or that of Complain.
func read(ctx context.Context, opt Options, add func(trace.Span)) (Ledger, error) {
	r := &reading{opt: opt, add: add}
	report, err := source.Walk(ctx, opt.Paths, opt.Source, r.member)
	r.account(report)
	return r.ledger, err
}

// reading is the state of one read.
type reading struct {
	opt    Options
	add    func(trace.Span)
	ledger Ledger
	more   int   // unreadable beyond maxUnreadable
	err    error // of Complain
}

// member reads one member: trace documents by their form, all else as a log.
func (r *reading) member(m *source.Member) error {
	content := bufio.NewReaderSize(m.Reader, 4<<10)
	if prefix, _ := content.Peek(512); tracejson.IsDocument(prefix) {
		return r.documents(m.Name, content)
	}
	r.log(m.Name, content)
	return r.err
}

// documents reads traces that were written as JSON. Each span counts as a span
// record; a damaged document is one more that was rejected.
func (r *reading) documents(name string, content *bufio.Reader) error {
	return tracejson.Read(content, name, func(s trace.Span) error {
		r.ledger.Parsed++
		r.add(s)
		return nil
	}, func(e *tracejson.DocumentError) error {
		r.ledger.Rejected++
		r.complain(&parser.Complaint{Kind: parser.Rejected, File: name, Line: e.Line, Column: int(e.Column), Offset: e.Offset,
			Reason: e.Reason, Expected: e.Expected, Text: []byte(e.Text)})
		return r.err
	})
}

func (r *reading) log(name string, content *bufio.Reader) {
	reader := parser.NewReader(name, r.opt.Parser, parser.Output{
		Record: func(record parser.Result) {
			if record.HasSpan {
				r.add(record.Span)
			}
			if record.Complaint != nil {
				r.complain(record.Complaint)
			}
		},
		Lost: func(at parser.Place, reason string) {
			r.unreadable(name, at.Offset, fmt.Sprintf("line %d: %s", at.Line, reason))
		},
	})
	lines := source.NewLines(content, r.opt.Parser.MaxRecord)
	for r.err == nil {
		line, ok := lines.Next()
		if !ok {
			break
		}
		if line.Cut {
			r.unreadable(name, line.Offset+int64(len(line.Text)),
				fmt.Sprintf("line %d is longer than %d bytes: the rest of it was not read (--max-line sets the limit)", line.Number, len(line.Text)))
		}
		reader.Feed(parser.Line{Text: line.Text, Number: line.Number, Offset: line.Offset, Cut: line.Cut})
	}
	reader.Flush()
	r.ledger.Lines += reader.Counts.Lines
	r.ledger.Parsed += reader.Counts.Parsed
	r.ledger.Salvaged += reader.Counts.Salvaged
	r.ledger.Rejected += reader.Counts.Rejected
	r.ledger.Mentions += reader.Counts.Mentions
}

func (r *reading) complain(c *parser.Complaint) {
	if r.err == nil && r.opt.Complain != nil {
		r.err = r.opt.Complain(c)
	}
}

func (r *reading) unreadable(name string, offset int64, reason string) {
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
