package main

import (
	"context"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/tomoscrape/tomoscrape/export/terminal"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/trace"
)

func (p *program) show() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "show PATH...",
		Short: "The trees of traces with bars, notes and tags",
		Long: `show reads to the end and draws the chosen traces: a row per span with a bar on
the time line of the trace, and below it the notes, tags, the line of the log it
came from, and what is wrong with it. Without a filter it writes the list of all
traces, then the largest one.`,
		Example: `  tomoscrape show /var/log/nova
  tomoscrape show logs.tar.gz --request-id req-7b368acc-c886-4c87-9878-aea3e3d7d16c
  tomoscrape show logs --trace 5731049070570866 | less -R`,
		Args: inputs,
	}
	o.readFlags(c)
	o.assembleFlags(c)
	c.RunE = p.runs(o, task{outputs: shown, present: func(ctx context.Context, j *job, r *replay.Result) {
		view := j.view()
		view.Done = ctx.Done()
		j.fail(j.write("-", func(w io.Writer) error {
			if filtered(j.cmd) {
				return trees(w, r.Traces(), view)
			}
			var most *trace.Trace
			if err := terminal.List(w, largest(r.Traces(), &most), j.view()); err != nil || most == nil {
				return err
			}
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
			return terminal.Tree(w, most, view)
		}))
	}})
	return c
}

// trees draws traces with an empty line between them.
func trees(w io.Writer, traces iter.Seq2[*trace.Trace, error], v terminal.View) error {
	between := ""
	for t, err := range traces {
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, between); err != nil {
			return err
		}
		if err := terminal.Tree(w, t, v); err != nil {
			return err
		}
		between = "\n"
	}
	return nil
}

// largest gives traces on and keeps the one with the most spans, the first of
// several. It begins anew each time that the traces are gone through.
func largest(traces iter.Seq2[*trace.Trace, error], most **trace.Trace) iter.Seq2[*trace.Trace, error] {
	return func(yield func(*trace.Trace, error) bool) {
		*most = nil
		for t, err := range traces {
			if err == nil && (*most == nil || t.Len() > (*most).Len()) {
				*most = t
			}
			if !yield(t, err) {
				return
			}
		}
	}
}
