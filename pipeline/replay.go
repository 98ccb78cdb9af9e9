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
	"context"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/source"
	"github.com/tomoscrape/tomoscrape/trace"
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

// Replay reads all input to its end and assembles it. The result is valid also
// beside an error, for as much as was read; the error is the context's, that of
// Complain, or one of package query about the filter.
func Replay(ctx context.Context, opt Options) (*Result, error) {
	if opt.Parser.MaxRecord <= 0 {
		opt.Parser.MaxRecord = DefaultMaxLine
	}
	assembler := assemble.New(opt.Assemble)
	ledger, err := read(ctx, opt, assembler.Add)
	traces := assembler.Traces()
	ledger.Spans, ledger.Duplicates = assembler.Counts()
	for i := range traces {
		if traces[i].Complete() {
			ledger.Complete++
		} else {
			ledger.Incomplete++
		}
	}
	ledger.Traces = int64(len(traces))
	if err != nil {
		return &Result{Ledger: ledger}, err
	}
	traces, err = opt.Filter.Select(traces)
	ledger.Selected = int64(len(traces))
	return &Result{Traces: traces, Ledger: ledger}, err
}
