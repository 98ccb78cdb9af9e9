package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/terminal"
	"github.com/tomoscrape/tomoscrape/trace"
)

func (p *program) check() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "check PATH...",
		Short: "Every span line that does not parse: where, why, and what was expected",
		Long: `check reads to the end and shows every span line that was rejected or only
salvaged: FILE!MEMBER:LINE:COLUMN, the reason, the line with a caret below the
damage, and what would have been right there.`,
		Example: `  tomoscrape check /var/log/nova
  tomoscrape check sosreport.tar.xz --errors errors.jsonl --summary summary.json`,
		Args: inputs,
	}
	o.readFlags(c)
	c.RunE = p.runs(o, task{outputs: shown, complain: p.showComplaint()})
	return c
}

// showComplaint writes complaints as they come. When nobody reads them any more,
// reading goes on only for the sake of other outputs.
func (p *program) showComplaint() func(*job, *trace.Complaint) error {
	var out *export.File
	gone := false
	return func(j *job, told *trace.Complaint) (err error) {
		if gone {
			return nil
		}
		if out == nil {
			if out, err = export.Create("-", besideBar{j.out, j.bar}); err != nil {
				return err
			}
		}
		if err = terminal.Complaint(out, told, j.view()); err == nil {
			err = out.Flush()
		}
		gone = errors.Is(err, export.ErrReaderGone)
		if gone && (j.summary != "" || j.errors != "") {
			j.fail(err)
			return nil
		}
		return err
	}
}
