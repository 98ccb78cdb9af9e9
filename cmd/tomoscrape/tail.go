package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/monitor"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/internal/tail"
	"github.com/tomoscrape/tomoscrape/parser"
)

func (p *program) tail() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "tail PATH...",
		Short: "Follow live logs and deliver for ever",
		Long: `tail follows logs through rotations and restarts and delivers what is logged: each
span at once to Zipkin, or traces as JSON, one a line, when they are complete and
quiet. What was delivered is kept in a checkpoint, so that the next start goes on
from there. While an output takes nothing, the logs wait on disk: nothing is lost.

PATH is a file, a directory (with all below it), a glob (matched again as files
come), or - for standard input. Rotated files of a log belong to it.

It ends with SIGTERM or SIGINT, or with the end of standard input; at once, without
its last checkpoint, with a third signal within a second, or SIGQUIT.`,
		Example: `  tomoscrape tail /var/log/nova /var/log/glance --zipkin http://zipkin:9411
  tomoscrape tail '/var/log/*/*.log' --json /var/lib/traces.jsonl --from start
  journalctl -o json -a -f | tomoscrape tail - --zipkin http://localhost:9411`,
		Args: inputs,
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.config, "config", "", configUsage)
	f.StringVar(&o.checkpoint, "checkpoint", "",
		"`FILE` that keeps what was delivered (default in $STATE_DIRECTORY, or else in the user's state directory)")
	f.BoolVar(&o.resetCheckpoint, "reset-checkpoint", false, "forget what an earlier run delivered")
	o.from = "end"
	choose(c, &o.from, "from", []string{"end", "start"},
		"where the very first run begins: what is logged from now on, or all that is there")
	o.maxLine = parser.DefaultMaxRecord
	f.Var(&size{&o.maxLine}, "max-line", "longest line that is read whole, in `BYTES`")
	o.memory = record.DefaultMemory
	f.Var(&atLeast{size{&o.memory}, &leastMemory}, "memory",
		"JSON: how much the open traces may take in memory, in `BYTES` from 64MiB; beyond it they are written early")
	o.settle, o.idle = 2*time.Second, time.Minute
	f.Var(&span{&o.settle}, "settle", "JSON: a complete trace is written when it was quiet for this `DURATION`")
	f.Var(&span{&o.idle}, "idle",
		"JSON: any other trace is written when it was quiet for this `DURATION`; so long a rotated file's last line "+
			"without an end is waited for, at least")
	o.skewFlag(c)
	o.outputFlags(c)
	f.StringVar(&o.metrics, "metrics", "", "serve /metrics, /healthz and /readyz at `ADDR`, such as localhost:9464")
	o.logFormat = "text"
	choose(c, &o.logFormat, "log-format", []string{"text", "json"}, "how events are told on standard error")
	c.RunE = func(c *cobra.Command, paths []string) error {
		j := &tailJob{job: &job{program: p, options: o, cmd: c, paths: paths, given: map[string]bool{}}}
		f.Visit(func(f *pflag.Flag) { j.given[f.Name] = true })
		if err := p.configure(c, o); err != nil {
			return err
		}
		return j.follow(c.Context())
	}
	return c
}

// tailJob is one run of tail.
type tailJob struct {
	*job
	logger *monitor.Logger
	tails  []namedTail
	zipkin *zipkinhttp.Client // nil without --zipkin
	close  []func() error     // in the end, last first
	behind behind
	unread string // why nothing could be read back the last time
}

// namedTail is what follows for one output.
type namedTail struct {
	name string
	*tail.Tail
}

func (j *tailJob) follow(ctx context.Context) error {
	hangup := make(chan os.Signal, 1) // until all is open, too, it ends nothing
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	if err := j.check(); err != nil {
		return err
	}
	var err error
	if j.logger, err = monitor.NewLogger(j.err, j.logFormat, slog.LevelInfo); err != nil {
		return &usageError{err: err}
	}
	j.close = append(j.close, j.logger.Flush)
	var listener net.Listener
	if j.metrics != "" {
		if listener, err = monitor.Listen(ctx, j.metrics); err != nil {
			return &usageError{err: err}
		}
	}
	before := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(before, collectAbove(j.memory)))
	defer debug.SetMemoryLimit(before)
	if err = j.open(); err == nil {
		err = j.runAll(ctx, listener, hangup)
	} else if listener != nil {
		listener.Close()
	}
	for _, closing := range slices.Backward(j.close) {
		err = errors.Join(err, closing())
	}
	if errors.Is(err, export.ErrReaderGone) {
		return nil
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return err
	}
	if err != nil {
		j.message(err.Error())
		return status(exitFailed)
	}
	if ctx.Err() == nil && j.partlyRead() {
		return status(exitPartly)
	}
	return nil
}

// check finds what is wrong with the command line.
func (j *tailJob) check() error {
	if j.json == "" && j.options.zipkin == "" {
		return &usageError{errors.New("tail needs an output"), "add --zipkin URL or --json FILE"}
	}
	if err := prepareZipkin(j.job); err != nil {
		return err
	}
	var outputs []output
	if j.json != "" {
		outputs = append(outputs, output{flag: "--json", path: j.json, appended: true})
	}
	if j.options.zipkin != "" && j.quarantine != "" {
		outputs = append(outputs, output{flag: "--quarantine", path: j.quarantine, appended: true})
	}
	if i := slices.Index(j.paths, "-"); i >= 0 && slices.Contains(j.paths[i+1:], "-") {
		return &usageError{errors.New("standard input can be followed once"), "leave out one -"}
	}
	return j.validate(outputs)
}

// open opens what follows for each output.
func (j *tailJob) open() error {
	opt := tail.Options{
		Follow: follow.Options{Paths: j.paths, Reset: j.resetCheckpoint, FromStart: j.from == "start", Idle: j.idle,
			Stdin: j.in,
			Exclude: slices.DeleteFunc([]string{j.json, j.quarantine}, func(path string) bool {
				return path == "" ||
					path == "-"
			})},
		Parser: parser.Options{MaxRecord: int(j.maxLine)},
	}
	if j.options.zipkin != "" && j.json != "" {
		opt.Follow.Open = max(1, follow.MostOpen()/2)
	}
	inputs := j.stdinFor(2)
	if j.options.zipkin != "" {
		how := j.zipkinOptions(-1)
		how.Warn = func(text string) { j.logger.Warn(text, "output", "zipkin") }
		z, err := zipkinhttp.New(how)
		if err != nil {
			return &usageError{err: err}
		}
		j.zipkin = z
		j.close = append(j.close, z.Close)
		if err := j.add("zipkin", j.options.zipkin, opt, inputs, func(opt tail.Options) (*tail.Tail, error) {
			return tail.NewZipkin(opt, z)
		}); err != nil {
			return err
		}
	}
	if j.json != "" {
		out, err := export.Append(j.json, j.out)
		if err != nil {
			return err
		}
		j.close = append(j.close, out.Close)
		place := j.json
		if place != "-" {
			if place, err = filepath.Abs(place); err != nil {
				return err
			}
		}
		return j.add("json", place, opt, inputs, func(opt tail.Options) (*tail.Tail, error) {
			return tail.NewJSON(opt, out, tail.LiveOptions{Settle: j.settle, Idle: j.idle, Memory: j.memory},
				assemble.Options{AdjustSkew: j.skew == "adjust"})
		})
	}
	return nil
}

// add opens what follows for an output that delivers to a place.
func (j *tailJob) add(name, place string, opt tail.Options, inputs []io.Reader, open func(tail.Options) (*tail.Tail,
	error)) error {
	checkpoint, err := j.checkpointFor(name, place)
	if err != nil {
		return err
	}
	opt.Follow.Checkpoint = checkpoint
	opt.Follow.Stdin = inputs[len(j.tails)]
	opt.Logger = j.logger.With("output", name)
	t, err := open(opt)
	if err != nil {
		return err
	}
	j.tails = append(j.tails, namedTail{name, t})
	return nil
}

// checkpointFor is the file that keeps what was delivered to an output. Without
// --checkpoint each place has a file of its own; with it one output has that file,
// and of two the one for JSON has .json added.
func (j *tailJob) checkpointFor(name, place string) (string, error) {
	if !slices.ContainsFunc(j.paths, func(path string) bool { return path != "-" }) {
		return "", nil
	}
	if j.checkpoint != "" {
		if j.json != "" && j.options.zipkin != "" && name == "json" {
			return j.checkpoint + ".json", nil
		}
		return j.checkpoint, nil
	}
	dir, _, _ := strings.Cut(j.lookup("STATE_DIRECTORY"), ":") // systemd's may be several
	if dir == "" {
		if dir = j.lookup("XDG_STATE_HOME"); dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("there is no place for the checkpoint: %w; name one with --checkpoint FILE", err)
			}
			dir = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(dir, "tomoscrape")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the directory for the checkpoint: %w; name another place with "+
			"--checkpoint FILE", err)
	}
	return filepath.Join(dir, fmt.Sprintf("tail-%s-%.8x.checkpoint", name, sha256.Sum256([]byte(place)))), nil
}

// stdinFor gives each of n outputs all of standard input. One that takes nothing
// makes the others wait: a pipe cannot be read twice.
func (j *tailJob) stdinFor(n int) []io.Reader {
	inputs := make([]io.Reader, n)
	if !slices.Contains(j.paths, "-") || j.json == "" || j.options.zipkin == "" {
		for i := range inputs {
			inputs[i] = j.in
		}
		return inputs
	}
	writers := make([]io.Writer, n)
	closers := make([]*io.PipeWriter, n)
	for i := range inputs {
		r, w := io.Pipe()
		inputs[i], writers[i], closers[i] = r, w, w
	}
	go func() {
		_, err := io.Copy(io.MultiWriter(writers...), j.in)
		for _, w := range closers {
			w.CloseWithError(err)
		}
	}()
	return inputs
}

// runAll runs until ctx ends, all standard input was read, or an output fails for
// good; at each hangup it looks for new files.
func (j *tailJob) runAll(ctx context.Context, listener net.Listener, hangup <-chan os.Signal) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	beside, end := context.WithCancel(context.WithoutCancel(ctx)) // what goes on until all is delivered
	var others sync.WaitGroup
	defer others.Wait()
	defer end()
	watch := &monitor.Tail{Outputs: j.outputs, Log: j.logger.Logger}
	for _, t := range j.tails {
		watch.Checks = append(watch.Checks, monitor.Check{Name: t.name, Healthy: t.healthy})
	}
	j.behind.look(j.tails)
	others.Go(func() { j.every(beside, 5*time.Second, func() { j.behind.look(j.tails) }) })
	if listener != nil {
		others.Go(func() { j.tell(monitor.Serve(beside, listener, watch)) })
	}
	others.Go(func() { j.tell(monitor.Watchdog(beside, watch.Healthy, j.logger.Logger)) })
	if j.verify && j.zipkin != nil {
		others.Go(func() { j.every(beside, time.Minute, func() { j.readBack(beside) }) })
	}

	var group sync.WaitGroup
	errs := make([]error, len(j.tails))
	for i, t := range j.tails {
		group.Go(func() {
			if errs[i] = t.Run(running); errs[i] != nil {
				stop() // the others are not to go on unnoticed
			}
		})
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	following := followed(len(j.tails[0].Stats().Families))
	j.tell(monitor.NotifyReady(following))
	for _, t := range j.tails {
		j.logger.Info("following", "output", t.name, "logs", len(t.Stats().Families))
	}
	stopping := ctx.Done()
	for {
		select {
		case <-hangup:
			j.tell(monitor.NotifyReloading())
			for _, t := range j.tails {
				t.Rescan()
			}
			j.tell(monitor.NotifyReady(following))
		case <-stopping:
			stopping = nil
			j.tell(monitor.NotifyStopping("delivering what was read"))
		case <-ended:
			for _, t := range j.tails {
				s := t.Stats()
				j.logger.Info("ended", "output", t.name, "lines", s.Counts.Lines, "spans",
					s.Parsed+s.Salvaged-s.Repeated, "delivered", s.Delivered,
					"quarantined", s.Quarantined, "salvaged", s.Salvaged, "rejected", s.Rejected, "unreadable",
					s.Unreadable, "lost_logs", s.Lost)
			}
			if j.verify && j.zipkin != nil {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				j.readBack(last)
				cancel()
			}
			return errors.Join(errs...)
		}
	}
}

// followed is what systemd shows of a tail.
func followed(logs int) string {
	if logs == 1 {
		return "following 1 log"
	}
	return fmt.Sprintf("following %d logs", logs)
}

// every does something again and again until ctx ends.
func (j *tailJob) every(ctx context.Context, d time.Duration, do func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// tell tells what went wrong beside the work.
func (j *tailJob) tell(err error) {
	if err != nil {
		j.logger.Warn(err.Error())
	}
}

// readBack says what is stored of the spans that were taken, and once why that
// cannot be known.
func (j *tailJob) readBack(ctx context.Context) {
	v, err := j.zipkin.Verify(ctx, 2*time.Second)
	before := j.unread
	j.unread = ""
	switch {
	case err != nil:
		if j.unread = err.Error(); j.unread != before {
			j.logger.Warn("what was taken could not be read back", "error", err)
		}
	case v.Traces > 0:
		level := slog.LevelInfo
		if !v.OK() {
			level = slog.LevelWarn
		}
		for _, line := range v.Lines() {
			j.logger.Log(ctx, level, line, "output", "zipkin")
		}
	}
}

// partlyRead says whether something of what was read is missing.
func (j *tailJob) partlyRead() bool {
	return slices.ContainsFunc(j.tails, func(t namedTail) bool {
		s := t.Stats()
		return s.Salvaged+s.Rejected+s.Unreadable+s.Lost+s.LongLines > 0
	})
}

// healthy says whether a Tail does something, be it to wait for its output.
func (t *namedTail) healthy() error {
	if still := time.Since(t.LastBeat()); still > 30*time.Second {
		return fmt.Errorf("nothing was done for %s", still.Round(time.Second))
	}
	return nil
}

// outputs is the state of all that follows, for those who watch.
func (j *tailJob) outputs() []monitor.Output {
	list := make([]monitor.Output, len(j.tails))
	for i, t := range j.tails {
		s := t.Stats()
		o := monitor.Output{Name: t.name,
			Bytes: s.Bytes, Lines: s.Counts.Lines, ReadErrors: s.ReadErrors, Unreadable: s.Unreadable,
			Refused: s.Refused,
			Spans: s.Parsed +
				s.Salvaged - s.Repeated, Salvaged: s.Salvaged, Rejected: s.Rejected, Mentions: s.Mentions,
			Duplicates: s.Repeated,
			Delivered:  s.Delivered, Quarantined: s.Quarantined, Batches: s.Batches, Retries: s.Retries,
			OpenTraces: s.OpenTraces, OpenTraceBytes: s.OpenBytes, EarlyTraces: s.Early,
			Truncations: s.Truncations, LostGenerations: s.Lost, LostBytes: s.LostBytes, LongLines: s.LongLines,
			Checkpoints: s.Checkpoints, CheckpointErrors: s.CheckpointErrors, LastCheckpoint: s.LastCheckpoint,
			Up: s.Down == "", Reason: s.Down, Since: s.DownSince}
		for _, f := range s.Families {
			o.Files = append(o.Files, monitor.File{Path: f.Path, Offset: f.Offset, Lag: f.Lag, Unacked: f.Unacked,
				LagSeconds: j.behind.since(t.name, f.Path, f.Lag)})
		}
		list[i] = o
	}
	return list
}

// behind knows since when there is something in a log that was not read.
type behind struct {
	mu   sync.Mutex
	from map[[2]string]time.Time // by output and path
}

func (b *behind) look(tails []namedTail) {
	for _, t := range tails {
		for _, f := range t.Stats().Families {
			b.since(t.name, f.Path, f.Lag)
		}
	}
}

// since notes that a log has so many bytes that were not read, and says for how
// many seconds it has had some.
func (b *behind) since(output, path string, lag int64) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from == nil {
		b.from = map[[2]string]time.Time{}
	}
	log := [2]string{output, path}
	if lag == 0 {
		delete(b.from, log)
		return 0
	}
	from, known := b.from[log]
	if !known {
		from = time.Now()
		b.from[log] = from
	}
	return time.Since(from).Seconds()
}
