package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/early"
	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// The exit codes. A failure wins over a part that was not read whole.
const (
	exitWhole   = 0 // all read, every span line parsed whole, everything delivered
	exitFailed  = 1 // an output, Zipkin, the named trace, or all of the input
	exitUsage   = 2 // the command line, the configuration, an ambiguous id
	exitPartly  = 3 // finished, but something of the input is missing or only salvaged
	exitSignals = 128
)

// program is what a command works with. Standard output carries data only; all
// that is said about it goes to standard error.
type program struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
}

// usageError is a command that cannot be meant; it is told in one line.
type usageError struct {
	err  error
	hint string // what to do instead
}

func (e *usageError) Error() string {
	if e.hint == "" {
		return e.err.Error()
	}
	return e.err.Error() + "; " + e.hint
}

func (e *usageError) Unwrap() error { return e.err }

// status ends a command whose messages have been told.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// signalled is the cause of a context that a signal ended.
type signalled struct{ syscall.Signal }

func (s signalled) Error() string { return s.Signal.String() }

// run runs the command line and returns the exit code.
func run(args []string, in io.Reader, out, err io.Writer, environ []string) int {
	// Without this a write to a closed pipe would end the process by a signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := untilSignal()
	defer stop()
	p := &program{in: in, out: out, err: err, environ: environ}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	return p.tell(root.ExecuteContext(ctx))
}

// untilSignal is a context that ends with the first SIGINT or SIGTERM. timeout and
// systemd may send two for one: only a third within a second ends the process at
// once (SIGQUIT always does).
func untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := early.Catch(early.Signals)
	done := make(chan struct{})
	go func() {
		var came haste
		for {
			select {
			case s := <-signals:
				cancel(signalled{s.(syscall.Signal)})
				if came.atOnce(time.Now()) {
					signal.Stop(signals)
					_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
					return
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done) }
}

// haste is when the last two signals came.
type haste [2]time.Time

// atOnce takes a signal and tells whether it is the third within a second.
func (h *haste) atOnce(now time.Time) bool {
	third := !h[0].IsZero() && now.Sub(h[0]) <= time.Second
	h[0], h[1] = h[1], now
	return third
}

// tell says what went wrong, if it was not said yet, and gives the exit code.
func (p *program) tell(err error) int {
	var code status
	switch {
	case err == nil || errors.Is(err, export.ErrReaderGone):
		return exitWhole
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, new(*fs.PathError)): // help or version that could not be written
		p.message(err.Error())
		return exitFailed
	}
	// All else comes from the command line: cobra's own errors and ours.
	usage := &usageError{err: err, hint: "tomoscrape --help tells more"}
	errors.As(err, &usage)
	p.message(usage.Error())
	return exitUsage
}

// message writes one line to standard error.
func (p *program) message(text string) {
	fmt.Fprintf(p.err, "tomoscrape: %s\n", safetext.Escape(text))
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tomoscrape",
		Short: "Traces out of tomograph's span lines in OpenStack's logs",
		Long: `tomoscrape reads logs with tomograph's span lines (plain, syslog, journal, JSON,
compressed, in archives), assembles the traces, shows them in the terminal, or
delivers them to Zipkin and as JSON.

PATH is a file, a directory (read with all below it), a glob, an archive, - for
standard input, or a file of traces that tomoscrape wrote as JSON.

Every flag can also stand in a YAML file (--config FILE, "max-line: 1MiB") and in
the environment (TOMOSCRAPE_MAX_LINE=1MiB). A flag wins over the environment, and
that over the file.

Exit codes: 0 all read and delivered; 1 failed; 2 wrong usage; 3 finished, but
part of the input could not be read, or a span line was rejected or only
salvaged.`,
		Version:                    version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       p.noCommand,
		RunE:                       func(*cobra.Command, []string) error { return nil },
	}
	root.SetVersionTemplate("tomoscrape {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{err, c.CommandPath() + " --help lists the flags"}
	})
	root.AddCommand(p.replay(), p.tail(), p.list(), p.show(), p.check())
	return root
}

// noCommand is the error of a command line without a command.
func (p *program) noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{errors.New("what to do is missing"), "try tomoscrape show PATH, or tomoscrape --help"}
	}
	hint := "tomoscrape --help lists the commands"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	} else if _, err := os.Stat(args[0]); err == nil {
		hint = "did you mean tomoscrape show " + args[0] + "?"
	}
	return &usageError{fmt.Errorf("unknown command %q", args[0]), hint}
}

// version is what the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
