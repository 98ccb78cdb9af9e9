package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/internal/source"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

// job is one run of a command that reads: check the command line, read and
// assemble, hand the result on, account for it.
type job struct {
	*program
	*options
	cmd    *cobra.Command
	paths  []string
	given  map[string]bool // the flags of the command line itself
	bar    *progress
	warned []error // what failed, told at the end
	code   int     // the exit code of the worst of it
}

// inputs is the argument rule of the commands that read.
func inputs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{fmt.Errorf("%s needs a PATH to read", c.CommandPath()),
			"a file, a directory, a glob, an archive, or - for standard input"}
	}
	return nil
}

// task is what a command does of its own.
type task struct {
	outputs  func() []output                             // besides --summary and --errors
	prepare  func(*job) error                            // finds wrong usage before anything is read; may be nil
	complain func(*job, *trace.Complaint) error          // gets every complaint; its error ends the reading; may be nil
	present  func(context.Context, *job, *replay.Result) // delivers the result; may be nil
}

// runs makes the RunE of a command that does t.
func (p *program) runs(o *options, t task) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, paths []string) error {
		j := &job{program: p, options: o, cmd: c, paths: paths, given: map[string]bool{}}
		c.Flags().Visit(func(f *pflag.Flag) { j.given[f.Name] = true })
		if err := p.configure(c, o); err != nil {
			return err
		}
		if t.prepare != nil {
			if err := t.prepare(j); err != nil {
				return err
			}
		}
		if err := j.validate(t.outputs()); err != nil {
			return err
		}
		if j.code == exitWhole {
			j.run(c.Context(), t)
		}
		return j.end(c.Context())
	}
}

// validate finds what is wrong with the command line before anything is read.
func (j *job) validate(outputs []output) error {
	for name := range j.given {
		if j.cmd.Flags().Lookup(name).Value.String() == "" {
			return withoutValue("--" + name)
		}
	}
	if j.summary != "" {
		outputs = append(outputs, output{flag: "--summary", path: j.summary})
	}
	if j.errors != "" {
		outputs = append(outputs, output{flag: "--errors", path: j.errors})
	}
	inputs := slices.DeleteFunc(append(slices.Clone(j.paths), j.config, j.hosts),
		func(path string) bool { return path == "" })
	if err := distinct(outputs, inputs); err != nil {
		return err
	}
	j.filter.Limit = int(j.limit)
	if err := j.filter.Validate(); err != nil {
		return &usageError{err: err}
	}
	j.fail(writable(outputs))
	if j.temp != "" {
		if info, err := os.Stat(j.temp); err != nil || !info.IsDir() {
			j.fail(fmt.Errorf("cannot write to %s: there is no such directory (--temp)", j.temp))
		}
	}
	return nil
}

// run reads, presents and accounts.
func (j *job) run(ctx context.Context, t task) {
	file := &complaints{program: j.program, path: j.errors}
	defer file.discard()
	j.bar = j.progress(j.options)
	opt := replay.Options{
		Paths: j.paths,
		Source: source.Options{MaxDepth: int(j.maxDepth), MaxUnpacked: j.maxUnpacked, MaxMembers: int(j.maxMembers),
			Stdin: j.in, Progress: j.bar.step},
		Parser:   parser.Options{MaxRecord: int(j.maxLine)},
		Assemble: assemble.Options{AdjustSkew: j.skew == "adjust"},
		Filter:   j.filter,
		Memory:   j.memory,
		Temp:     j.temp,
		Complain: func(c *trace.Complaint) error {
			if t.complain != nil {
				if err := t.complain(j, c); err != nil {
					return err
				}
			}
			if j.errors != "" {
				return file.add(c)
			}
			return nil
		},
	}
	// The collector of garbage is to take what it needs beside the spans only as
	// long as there is room; a limit that the user set for Go counts, too.
	before := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(before, collectAbove(j.memory)))
	defer debug.SetMemoryLimit(before)
	if j.lookup("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(garbagePercent))
	}
	result, err := replay.Run(ctx, opt)
	j.bar.end()
	if ctx.Err() != nil {
		return
	}
	j.fail(err)
	if result == nil || errors.Is(err, export.ErrReaderGone) {
		return
	}
	defer func() { j.fail(result.Close()) }()
	// An output is not replaced by nothing because of a mistyped path.
	if err == nil && t.present != nil && !result.NothingRead() {
		t.present(ctx, j, result)
	}
	if ctx.Err() != nil {
		return
	}
	if j.errors != "" {
		j.fail(file.close())
	}
	ledger, err := result.Ledger()
	if ctx.Err() != nil {
		return
	}
	j.fail(err)
	if j.summary != "" {
		j.fail(j.writeSummary(j.summary, ledger))
	}
	j.account(ledger)
}

// garbagePercent is how much garbage may lie beside the spans, below the limit.
const garbagePercent = 200

// collectAbove is the size of all memory above which garbage is collected at
// every opportunity: with the spans it holds the buffers of reading, and some
// garbage.
func collectAbove(memory int64) int64 { return memory + memory/8 + 16<<20 }

// account tells what was read and sets the exit code by it.
func (j *job) account(l *replay.Ledger) {
	if j.code != exitGone {
		_ = l.WriteSummary(besideBar{j.err, j.bar}) // standard error has nobody to complain to
	}
	if l.NothingRead() {
		j.fail(errors.New("nothing of the input could be read"))
	} else if l.Selected == 0 && l.Traces > 0 && filtered(j.cmd) && j.code != exitGone {
		fmt.Fprintln(j.err, "no trace matches the filters")
	}
	if len(l.Unreadable) > 0 || l.Salvaged+l.Rejected > 0 {
		j.partly()
	}
}

// partly says that something is missing, though nothing failed.
func (j *job) partly() {
	if j.code == exitWhole {
		j.code = exitPartly
	}
}

// exitGone is the code of a job whose reader went away: nobody is told.
const exitGone = -1

// fail notes an error for the end and sets the exit code by it; nil is none.
func (j *job) fail(err error) {
	usage, ambiguous := (*query.UsageError)(nil), (*query.AmbiguousError)(nil)
	switch {
	case err == nil:
	case errors.Is(err, export.ErrReaderGone):
		if j.code == exitWhole || j.code == exitPartly {
			j.code = exitGone
		}
	case errors.As(err, &usage), errors.As(err, &ambiguous):
		j.warned = append(j.warned, err)
		j.code = exitUsage
	default:
		j.warned = append(j.warned, err)
		j.code = exitFailed
	}
}

// end tells what failed and gives the exit code as a [status].
func (j *job) end(ctx context.Context) error {
	if ctx.Err() != nil {
		if s := (signalled{}); errors.As(context.Cause(ctx), &s) {
			return status(exitSignals + int(s.Signal))
		}
		return status(exitFailed)
	}
	for _, err := range j.warned {
		j.message(err.Error())
	}
	if j.code == exitWhole || j.code == exitGone {
		return nil
	}
	return status(j.code)
}
