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
	Parser   parser.Options
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

// Replay reads all input to its end and assembles it. The result is valid also
// beside an error, for as much as was read.
func Replay(ctx context.Context, opt Options) (*Result, error) {
	panic("to be written")
}
