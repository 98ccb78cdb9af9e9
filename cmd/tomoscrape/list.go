package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/tomoscrape/tomoscrape/export/terminal"
	"github.com/tomoscrape/tomoscrape/internal/replay"
)

func (p *program) list() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "list PATH...",
		Short: "One line per trace: id, start, duration, root, spans, services, verdict",
		Long: `list reads to the end and writes one line per trace, sorted by start: id, start
in UTC, duration, root service and span, number of spans, services, and whether
the trace is complete. On a terminal the columns fit its width.`,
		Example: `  tomoscrape list /var/log/nova /var/log/glance
  tomoscrape list sosreport.tar.xz --min-duration 2s --limit 20
  journalctl -o json -a | tomoscrape list - --since 2h`,
		Args: inputs,
	}
	o.readFlags(c)
	o.assembleFlags(c)
	c.RunE = p.runs(o, task{outputs: shown, present: func(_ context.Context, j *job, r *replay.Result) {
		j.fail(j.write("-", func(w io.Writer) error { return terminal.List(w, r.Traces(), j.view()) }))
	}})
	return c
}

// shown is the output of the commands that show something.
func shown() []output { return []output{{flag: "what is shown", path: "-"}} }
