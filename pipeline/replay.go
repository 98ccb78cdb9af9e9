// Package pipeline wires the parts to each other.
//
//	replay:  source.Walk ──member──> bytes ──lines──> parser.Reader ──spans──┐
//	             │                     └─trace JSON─> tracejson.Read ─spans──┤
//	             │                                                          v
//	             │                                               assemble.Assembler
//	             v                                                          │ traces
//	          Ledger <──counts── all of them                   query.Filter v
//	                                                              Result.Traces
//
// Data flows one way, and whatever does not become a span is counted in the
// Ledger on the way.
package pipeline

import (
	"bufio"
	"context"
	"fmt"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/source"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// Options say what a replay reads and how.
type Options struct {
	Paths    []string
	Source   source.Options
	Parser   parser.Options // MaxRecord bounds a line, too
	Assemble assemble.Options
	Filter   query.Filter
	// Complain, if not nil, is called for every record that was rejected or
	// salvaged, in the order of the input. Its error ends the replay.
	Complain func(*parser.Complaint) error
}

// Result is what a replay gives. Traces are the selected ones, sorted by start,
// then id.
type Result struct {
	Traces []trace.Trace
	Ledger Ledger
}

// DefaultMaxLine is the longest line that is read whole, in bytes.
const DefaultMaxLine = 8 << 20

// maxUnreadable bounds what the ledger names, as it does for source.Report.
const maxUnreadable = 1000

// Replay reads all input to its end and assembles it. The result is valid also
// beside an error, for as much as was read; the error is the context's, that of
// Complain, or one of package query about the filter.
func Replay(ctx context.Context, opt Options) (*Result, error) {
	if opt.Parser.MaxRecord <= 0 {
		opt.Parser.MaxRecord = DefaultMaxLine
	}
	r := &replay{opt: opt, assembler: assemble.New(opt.Assemble)}
	report, err := source.Walk(ctx, opt.Paths, opt.Source, r.member)
	r.account(report)
	traces := r.assembler.Traces()
	r.ledger.Spans, r.ledger.Duplicates = r.assembler.Counts()
	for i := range traces {
		if traces[i].Complete() {
			r.ledger.Complete++
		} else {
			r.ledger.Incomplete++
		}
	}
	r.ledger.Traces = int64(len(traces))
	if err != nil {
		return &Result{Ledger: r.ledger}, err
	}
	traces, err = opt.Filter.Select(traces)
	r.ledger.Selected = int64(len(traces))
	return &Result{Traces: traces, Ledger: r.ledger}, err
}

// replay is the state of one Replay.
type replay struct {
	opt       Options
	assembler *assemble.Assembler
	ledger    Ledger
	more      int   // unreadable beyond maxUnreadable
	err       error // of Complain
}

// member reads one member: trace documents by their form, all else as a log.
func (r *replay) member(m *source.Member) error {
	content := bufio.NewReaderSize(m.Reader, 4<<10)
	if prefix, _ := content.Peek(512); tracejson.IsDocument(prefix) {
		return r.documents(m.Name, content)
	}
	r.log(m.Name, content)
	return r.err
}

// documents reads traces that were written as JSON. Each span counts as a span
// record; a damaged document is one more that was rejected.
func (r *replay) documents(name string, content *bufio.Reader) error {
	return tracejson.Read(content, name, func(s trace.Span) error {
		r.ledger.Parsed++
		r.assembler.Add(s)
		return nil
	}, func(e *tracejson.DocumentError) error {
		r.ledger.Rejected++
		r.complain(&parser.Complaint{Kind: parser.Rejected, File: name, Line: e.Line, Column: int(e.Column), Offset: e.Offset,
			Reason: e.Reason, Expected: e.Expected, Text: []byte(e.Text)})
		return r.err
	})
}

func (r *replay) log(name string, content *bufio.Reader) {
	reader := parser.NewReader(name, r.opt.Parser, parser.Output{
		Record: func(record parser.Result) {
			if record.HasSpan {
				r.assembler.Add(record.Span)
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

func (r *replay) complain(c *parser.Complaint) {
	if r.err == nil && r.opt.Complain != nil {
		r.err = r.opt.Complain(c)
	}
}

func (r *replay) unreadable(name string, offset int64, reason string) {
	if len(r.ledger.Unreadable) == maxUnreadable {
		r.more++
		return
	}
	r.ledger.Unreadable = append(r.ledger.Unreadable, source.Unreadable{Name: name, Offset: offset, Reason: reason})
}

// account closes the ledger's books on what was read.
func (r *replay) account(report *source.Report) {
	l := &r.ledger
	l.Files, l.Members, l.Bytes, l.SameFile = report.Files, report.Members, report.Bytes, report.SameFile
	l.Skipped = append([]source.Skipped{}, report.Skipped...)
	l.Unreadable = append(append([]source.Unreadable{}, report.Unreadable...), l.Unreadable...)
	if r.more > 0 {
		l.Unreadable = append(l.Unreadable, source.Unreadable{Reason: fmt.Sprintf("%d more could not be read", r.more)})
	}
	l.SpanLines = l.Parsed + l.Salvaged + l.Rejected
}
