// Package replay reads to the end, assembles and accounts.
//
//	source.Walk ──member──> bytes ──lines──> parser.Reader ──spans──┐  blocks.go: several blocks at once
//	    │                     └─trace JSON─> tracejson.Read ─spans──┤  read.go: in the order of the input
//	    │                                                           v records
//	    │                                    record.Collector: in memory, or beyond --memory on disk
//	    v                                                           │ records of a trace, in order
//	 Ledger <──counts── all of them                make.go: assemble.Trace, query.Selection
//	                                                                v traces
//	                                                 Result.Render, Result.Traces
//
// Data flows one way, and whatever does not become a span is counted in the
// Ledger on the way.
package replay

import (
	"cmp"
	"context"
	"iter"
	"os"
	"sync"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/internal/source"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Options say what a replay reads and how.
type Options struct {
	Paths    []string
	Source   source.Options // Memory and Temp are those of below
	Parser   parser.Options // MaxRecord bounds a line, too
	Assemble assemble.Options
	Filter   query.Filter
	// Memory is about how many bytes spans may take in memory; beyond it they go
	// to disk. The default is DefaultMemory.
	Memory int64
	// Temp is the directory for what Memory does not hold. The default is
	// [os.TempDir].
	Temp string
	// Complain, if not nil, is called for every record that was rejected or
	// salvaged, in the order of the input. Its error ends the replay.
	Complain func(*trace.Complaint) error

	openTemp func(dir string) (*os.File, error) // tests only; openUnnamed
	names    *record.Names
}

// Result is what a replay gives. Close it in the end.
type Result struct {
	making    *builder
	selected  iter.Seq2[record.Bundle, error]
	sorted    *record.Sorted // nil if all is in memory
	ledger    Ledger
	uncounted iter.Seq2[record.Bundle, error] // all traces, if they were not made so far
}

// Traces are the selected ones, sorted by start, then id. They can be gone through
// several times, before Close. An error, of the context or a [*TempError], is the
// last that comes.
func (r *Result) Traces() iter.Seq2[*trace.Trace, error] { return r.making.traces(r.selected) }

// Render has work called for each of the selected traces, for several at a time;
// the trace is work's only until that returns. take gets what work appended to
// dst, in the order of Traces and one at a time; if it returns false, no more
// comes. Of a large trace work may hand over a part of its text to full, which
// gives back room for more; for any other full is nil. Render can be called several
// times, before Close. The error is that of the context or a [*TempError].
func (r *Result) Render(work func(dst []byte, t *trace.Trace, full func([]byte) []byte) []byte,
	take func(text []byte) bool) error {
	counted, all, err := r.making.render(r.selected, work, take)
	if all && r.ledger.Selected > 0 {
		r.count(counted)
	}
	return err
}

// count counts the traces, if that was not done so far.
func (r *Result) count(c tally) {
	if r.uncounted != nil {
		r.ledger.count(c)
		r.uncounted = nil
	}
}

// Ledger accounts for the input. The traces are made to be counted, if that was
// not done so far; the error is then as that of Render, and they are missing.
func (r *Result) Ledger() (*Ledger, error) {
	if r.uncounted != nil {
		counting := *r.making
		counting.elsewhere = nil // nobody reads it
		counted, _, err := counting.render(r.uncounted, func(dst []byte, _ *trace.Trace,
			_ func([]byte) []byte) []byte {
			return dst
		}, nil)
		if err != nil {
			return &r.ledger, err
		}
		r.count(counted)
	}
	return &r.ledger, nil
}

// NothingRead says whether all of the input was unreadable.
func (r *Result) NothingRead() bool { return r.ledger.NothingRead() }

// Close frees what is on disk.
func (r *Result) Close() error {
	if r.sorted == nil {
		return nil
	}
	return r.sorted.Close()
}

// Run reads all input to its end and assembles it. There is no result if the
// error is the context's, a [*TempError] or a [*query.UsageError]. If it is that
// of Complain, or says that named traces are not there or ambiguous, the result
// has no traces, but a ledger of what was read.
func Run(ctx context.Context, opt Options) (*Result, error) { return replay(ctx, opt, read) }

// reader reads all input, as read does.
type reader func(ctx context.Context, opt Options, add adder) (Ledger, error)

// adder takes the record of a span; it does not keep it.
type adder func(record []byte)

func replay(ctx context.Context, opt Options, read reader) (*Result, error) {
	opt.Parser.MaxRecord = cmp.Or(opt.Parser.MaxRecord, parser.DefaultMaxRecord)
	opt.Memory = cmp.Or(opt.Memory, record.DefaultMemory)
	opt.Temp = cmp.Or(opt.Temp, os.TempDir())
	opt.Source.Memory, opt.Source.Temp = opt.Memory/8, opt.Temp
	opt.names = &record.Names{}
	selection, err := opt.Filter.Begin()
	if err != nil {
		return nil, err
	}
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c := record.NewCollector(opt.Memory, opt.Temp, opt.openTemp, stop)
	defer c.Close()
	ledger, err := read(reading, opt, c.Add)
	if failed := c.Err(); failed != nil {
		return nil, failed
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	m := &builder{ctx: ctx, opt: opt.Assemble, names: opt.names, failed: c.Failed, limit: opt.Memory}
	result := &Result{making: m, ledger: ledger}
	// Where the traces begin, the records tell, if times stay as they are.
	if opt.Filter.All() && !opt.Assemble.AdjustSkew && !c.Moved() {
		selection = nil
	}
	var counted tally
	var first, end int
	var ordered func(first, end int) iter.Seq2[record.Bundle, error]
	if memory := c.Memory(); memory != nil {
		counted, end, ordered = m.orderMemory(memory, selection)
		found := sync.OnceValue(func() *record.Parents { return record.FindParents(memory) })
		m.elsewhere = func(parent trace.ID) assemble.Elsewhere { return found().Elsewhere(parent) }
	} else {
		var choose func(*record.Memory) ([]record.Chosen, error)
		if selection != nil {
			choose = m.chooser(selection, &counted)
		}
		s, err := c.Sort(ctx, choose)
		if err != nil {
			return nil, err
		}
		end, ordered, result.sorted = s.Count, s.Bundles, s
		m.elsewhere = s.Elsewhere
		result.ledger.Spill = &Spill{Bytes: s.Bytes, Partitions: s.Partitions, OversizedTraces: s.Oversized,
			OversizedBytes: s.OversizedBytes}
	}
	if ledger.Rejected > 0 {
		known := m.elsewhere
		m.elsewhere = func(parent trace.ID) assemble.Elsewhere {
			e := known(parent)
			e.Rejected = true
			return e
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if selection == nil {
		result.uncounted = ordered(0, end)
	} else {
		result.ledger.count(counted)
		var none error
		if first, end, none = selection.End(); err == nil {
			err = none
		}
	}
	if err != nil {
		end = first
	}
	result.ledger.Selected = int64(end - first)
	result.selected = ordered(first, end)
	return result, err
}
