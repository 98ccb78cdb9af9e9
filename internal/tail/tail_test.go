package tail

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/packtest"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// tailed is logs that are written, and a Tail that follows them into a file.
type tailed struct {
	t    require.TestingT
	dir  string // of the logs
	out  string
	opt  Options
	live LiveOptions
	tail *Tail
	stop func()
}

func newTailed(t require.TestingT, dir string) *tailed {
	l := &tailed{t: t, dir: filepath.Join(dir, "logs"), out: filepath.Join(dir, "traces.jsonl")}
	require.NoError(t, os.MkdirAll(l.dir, 0o755))
	l.opt = Options{Logger: slog.New(slog.DiscardHandler), blockTime: time.Hour, // what was begun is read
		Follow: follow.Options{Paths: []string{l.dir}, Checkpoint: filepath.Join(dir, "checkpoint"), FromStart: true}}
	return l
}

// start starts the Tail, or starts it again.
func (l *tailed) start() {
	out, err := export.Append(l.out, nil)
	require.NoError(l.t, err)
	l.tail, err = NewJSON(l.opt, out, l.live, assemble.Options{})
	require.NoError(l.t, err)
	ended := l.run()
	stop := l.stop
	l.stop = func() {
		stop()
		require.NoError(l.t, <-ended)
		require.NoError(l.t, out.Close())
	}
}

// run runs the Tail until it is stopped, or ends.
func (l *tailed) run() (ended chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop, ended = cancel, make(chan error, 1)
	go func() { ended <- l.tail.Run(ctx) }()
	return ended
}

func (l *tailed) write(name string, text []byte) {
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	require.NoError(l.t, err)
	_, err = f.Write(text)
	require.NoError(l.t, err)
	require.NoError(l.t, f.Close())
}

// wait waits for something that comes.
func (l *tailed) wait(what string, there func() bool) {
	for deadline := time.Now().Add(time.Minute); !there(); time.Sleep(5 * time.Millisecond) {
		require.False(l.t, time.Now().After(deadline), "waited for %s", what)
	}
}

// caughtUp waits until all lines of the logs were read.
func (l *tailed) caughtUp(bytes int64) {
	l.wait("all to be read", func() bool { return l.tail.Stats().Bytes >= bytes })
}

// merged are the traces of files, merged by id, without where they were read.
func merged(t require.TestingT, paths ...string) (list []trace.Trace) {
	result, err := replay.Run(context.Background(), replay.Options{Paths: paths})
	require.NoError(t, err)
	defer result.Close()
	require.Empty(t, accounted(t, result).Unreadable)
	for tr, err := range result.Traces() {
		require.NoError(t, err)
		spans := make([]trace.Span, len(tr.Spans))
		for i := range tr.Spans {
			spans[i] = tr.Spans[i].Span
			spans[i].Origin = nil
		}
		bare, _ := assemble.Trace(tr.ID, spans, assemble.Options{})
		list = append(list, bare)
	}
	return list
}

func spansOf(traces []trace.Trace) (n int) {
	for i := range traces {
		n += len(traces[i].Spans)
	}
	return n
}

// Replay is the specification of tail: the same bytes give the same traces, in
// whatever chunks they come and whatever is rotated and restarted meanwhile.
func TestTailGivesWhatReplayGives(t *testing.T) {
	var texts [][]byte
	folders := []string{"havana", "real-openstack"}
	for _, folder := range folders {
		paths, err := filepath.Glob(filepath.Join(sampletest.Root(t), "testdata/logs", folder, "*", "*.log"))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			texts = append(texts, text)
		}
	}
	require.Greater(t, len(texts), 4)
	checks := flag.Lookup("rapid.checks")
	if before := checks.Value.String(); before == checks.DefValue { // each takes half a second
		require.NoError(t, checks.Value.Set("12"))
		defer func() { require.NoError(t, checks.Value.Set(before)) }()
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "tail")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		l := newTailed(t, dir)
		l.live = LiveOptions{Settle: time.Millisecond, Idle: time.Duration(rapid.IntRange(1, 500).Draw(t, "idle ms")) * time.Millisecond}
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(texts)-1), 2, 4, rapid.ID).Draw(t, "files")
		whole := filepath.Join(dir, "whole")
		require.NoError(t, os.Mkdir(whole, 0o755))
		left := map[int][]byte{}
		for _, i := range chosen {
			require.NoError(t, os.WriteFile(filepath.Join(whole, fmt.Sprint(i)+".log"), texts[i], 0o644))
			left[i] = texts[i]
		}
		rotated := map[int]int{}
		l.start()
		for n := 0; len(left) > 0; n++ {
			i := rapid.SampledFrom(chosen).Draw(t, "file")
			name := fmt.Sprint(i) + ".log"
			switch what := rapid.IntRange(0, 9).Draw(t, "what"); {
			case what == 0:
				l.stop()
				l.start()
			case what == 1 && bytes.HasSuffix(texts[i][:len(texts[i])-len(left[i])], []byte("\n")): // who rotates, writes whole lines
				for k := rotated[i]; k > 0; k-- {
					require.NoError(t, os.Rename(filepath.Join(l.dir, fmt.Sprint(name, ".", k)), filepath.Join(l.dir, fmt.Sprint(name, ".", k+1))))
				}
				require.NoError(t, os.Rename(filepath.Join(l.dir, name), filepath.Join(l.dir, name+".1")))
				rotated[i]++
				l.write(name, nil)
			case left[i] != nil:
				size := min(len(left[i]), rapid.IntRange(1, 100_000).Draw(t, "bytes"))
				l.write(name, left[i][:size])
				if left[i] = left[i][size:]; len(left[i]) == 0 {
					delete(left, i)
				}
			}
		}
		want := merged(t, whole)
		for deadline := time.Now().Add(20 * time.Second); spansOf(merged(t, l.out)) < spansOf(want) && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
		}
		l.stop()
		got := merged(t, l.out)
		for i := range min(len(want), len(got)) {
			require.Equal(t, want[i], got[i])
		}
		require.Len(t, got, len(want))
	})
}

// A record whose pieces stand in two files of a rotation is put together, also
// over a restart, and nothing of it is acknowledged before.
func TestTailKeepsPiecesTogether(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			l := newTailed(t, t.TempDir())
			l.live = LiveOptions{Settle: time.Millisecond, Idle: time.Millisecond}
			line := "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=7, parent_id=None, id=1, name='x', notes=[])"
			first := "2026-03-01T07:59:59.6Z stdout P " + line[:90] + "\n"
			second := "2026-03-01T07:59:59.6Z stdout F " + line[90:] + "\n"
			l.write("x.log", []byte(first))
			l.start()
			l.caughtUp(int64(len(first)))
			require.Zero(t, l.tail.Stats().Families[0].Mark)
			if restart {
				l.stop()
			}
			require.NoError(t, os.Rename(filepath.Join(l.dir, "x.log"), filepath.Join(l.dir, "x.log.1")))
			l.write("x.log", []byte(second))
			if restart {
				l.start()
			}
			l.wait("the trace", func() bool { return l.tail.Stats().Delivered == 1 })
			l.stop()
			text, err := os.ReadFile(l.out)
			require.NoError(t, err)
			require.Equal(t, 1, bytes.Count(text, []byte("\n")))
			require.NotContains(t, string(text), "truncated")
			require.Contains(t, string(text), `"name":"x"`)
		})
	}
}

// The same span in two logs goes out once.
func TestTailKnowsASpanAgain(t *testing.T) {
	l := newTailed(t, t.TempDir())
	l.live = LiveOptions{Settle: time.Millisecond, Idle: time.Millisecond}
	line := "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=7, parent_id=None, id=1, name='x', notes=[])\n"
	l.write("a.log", []byte(line))
	l.write("b.log", []byte(strings.Replace(line, "1234", "4321", 1)))
	l.start()
	l.caughtUp(int64(2 * len(line)))
	l.stop()
	s := l.tail.Stats()
	require.EqualValues(t, 2, s.Parsed)
	require.EqualValues(t, 1, s.Repeated)
	require.EqualValues(t, 1, s.Delivered)
}

// What replay salvages of a line that is longer than the maximum, tail does, and
// with the same words; NULs in front of a line cost nothing of it, however many.
func TestTailReadsHardLinesAsReplayDoes(t *testing.T) {
	span := func(id, name string) string {
		return "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=" + id + ", parent_id=None, id=1, name='" + name + "', notes=[])\n"
	}
	docker := func(id, name string) string {
		return `{"log":"` + strings.TrimSuffix(span(id, name), "\n") + `\n","stream":"stdout","time":"2026-03-01T07:59:59.6Z"}` + "\n"
	}
	for _, longest := range []int{2000, 1 << 20} { // replay reads blocks, or line by line
		long, zeros := strings.Repeat("x", 2*longest), strings.Repeat("\x00", longest+7)
		text := []byte(span("1", "before") + span("2", long) + span("3", "between") + zeros + span("4", "behind NULs") + zeros + span("5", long) +
			docker("6", long) + docker("7", "after") + span("8", long))
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprint(longest, " packed ", packed), func(t *testing.T) {
				l := newTailed(t, t.TempDir())
				l.live = LiveOptions{Settle: time.Millisecond, Idle: time.Millisecond}
				l.opt.Parser.MaxRecord = longest
				var complaints, said []string
				if packed {
					l.write("x.log.1.gz", []byte(packtest.Gzip(string(text))))
				} else {
					l.write("x.log", text)
				}
				result, err := replay.Run(context.Background(), replay.Options{Paths: []string{l.dir}, Parser: l.opt.Parser, Complain: func(c *trace.Complaint) error {
					complaints = append(complaints, fmt.Sprint(c.Kind, c.Line, c.Column, c.Reason))
					return nil
				}})
				require.NoError(t, err)
				defer result.Close()
				for _, u := range accounted(t, result).Unreadable {
					complaints = append(complaints, u.Reason)
				}
				require.Len(t, complaints, 8)
				l.opt.Logger = slog.New(slog.NewJSONHandler(writes(func(line []byte) {
					var record struct {
						Message      string `json:"msg"`
						Kind         string
						Line, Column int64
					}
					require.NoError(t, json.Unmarshal(line, &record))
					if reason, ok := strings.CutPrefix(record.Message, "a span line did not parse whole: "); ok {
						said = append(said, fmt.Sprint(record.Kind, record.Line, record.Column, reason))
					} else if strings.Contains(record.Message, "--max-line") {
						said = append(said, record.Message)
					}
				}), nil))
				l.start()
				l.wait("all spans", func() bool { return l.tail.Stats().Delivered == 8 })
				l.stop()
				require.ElementsMatch(t, complaints, said)
				require.EqualValues(t, 4, l.tail.Stats().LongLines)
				want, _ := replay.Run(context.Background(), replay.Options{Paths: []string{l.dir}, Parser: l.opt.Parser})
				defer want.Close()
				got, _ := replay.Run(context.Background(), replay.Options{Paths: []string{l.out}})
				defer got.Close()
				require.Equal(t, written(t, want), written(t, got))
			})
		}
	}
}

// written are the traces of a result as they are written.
func written(t *testing.T, r *replay.Result) (list []string) {
	for tr, err := range r.Traces() {
		require.NoError(t, err)
		list = append(list, string(tracejson.Append(nil, tr)))
	}
	return list
}

// writes takes what is written.
type writes func([]byte)

func (w writes) Write(p []byte) (int, error) { w(p); return len(p), nil }

// Nothing is acknowledged that is not in the file of the name that was given.
func TestTailWritesItsFileAgain(t *testing.T) {
	l := newTailed(t, t.TempDir())
	l.live = LiveOptions{Settle: time.Millisecond, Idle: time.Millisecond}
	dir := filepath.Join(t.TempDir(), "out")
	l.out = filepath.Join(dir, "traces.jsonl")
	require.NoError(t, os.Mkdir(dir, 0o755))
	var mu sync.Mutex
	var said bytes.Buffer
	l.opt.Logger = slog.New(slog.NewTextHandler(writes(func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		said.Write(p)
	}), nil))
	n, bytes := 0, int64(0)
	write := func() {
		n++
		line := fmt.Sprintf("2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=%d, parent_id=None, id=1, name='x', notes=[])\n", n)
		l.write("x.log", []byte(line))
		bytes += int64(len(line))
	}
	spans := func() int {
		text, _ := os.ReadFile(l.out)
		return strings.Count(string(text), "\n")
	}
	acknowledged := func() bool { return l.tail.Stats().Families[0].Mark == bytes }
	write()
	l.start()
	l.wait("the first", acknowledged)
	for i, vanish := range []func() error{
		func() error { return os.Remove(l.out) },
		func() error { return os.Rename(l.out, l.out+".1") },
		func() error { return os.Truncate(l.out, 0) },
		func() error { return os.RemoveAll(dir) },
	} {
		require.NoError(t, vanish())
		write()
		if i == 3 {
			l.wait("the error", func() bool { return strings.Contains(l.tail.Stats().Down, "no such file or directory") })
			require.False(t, acknowledged())
			require.NoError(t, os.Mkdir(dir, 0o755))
		}
		l.wait("what came", acknowledged)
		require.Equal(t, 1, spans(), "only what was not acknowledged")
	}
	l.stop()
	require.Equal(t, 4, strings.Count(said.String(), "go to a file of that name"))
	require.Equal(t, 3, strings.Count(said.String(), "was deleted or renamed"))
}

// So it is with the quarantine file of spans that Zipkin cannot take: each is in the
// file of that name, or not acknowledged.
func TestTailWritesItsQuarantineAgain(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer web.Close()
	l := newTailed(t, t.TempDir())
	dir := filepath.Join(t.TempDir(), "out")
	path := filepath.Join(dir, "quarantine.jsonl")
	require.NoError(t, os.Mkdir(dir, 0o755))
	var mu sync.Mutex
	var said []string
	var zipkin *zipkinhttp.Client
	start := func() chan error {
		var err error
		zipkin, err = zipkinhttp.New(zipkinhttp.Options{URL: web.URL, Quarantine: path, Warn: func(text string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, text)
		}})
		require.NoError(t, err)
		l.tail, err = NewZipkin(l.opt, zipkin)
		require.NoError(t, err)
		return l.run()
	}
	n, bytes := 0, int64(0)
	write := func() {
		n++
		line := fmt.Sprintf("2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=%d, parent_id=None, id=0, name='x', notes=[])\n", n)
		l.write("x.log", []byte(line))
		bytes += int64(len(line))
	}
	kept := func() int {
		text, _ := os.ReadFile(path)
		return strings.Count(string(text), "\n")
	}
	acknowledged := func() bool { return l.tail.Stats().Families[0].Mark == bytes }
	write()
	ended := start()
	l.wait("the first", acknowledged)
	for _, vanish := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.Rename(path, path+".1") },
		func() error { return os.Truncate(path, 0) },
		func() error { return os.Rename(path+".1", path) },
	} {
		require.NoError(t, vanish())
		left := kept()
		write()
		l.wait("what came", acknowledged)
		require.Equal(t, left+1, kept())
	}
	require.NoError(t, os.RemoveAll(dir))
	write()
	require.ErrorContains(t, <-ended, "choose another file with --quarantine FILE")
	require.NoError(t, zipkin.Close())
	require.NoError(t, os.Mkdir(dir, 0o755))
	ended = start()
	l.wait("what came", acknowledged)
	require.Equal(t, 1, kept(), "only what was not acknowledged")
	l.stop()
	require.NoError(t, <-ended)
	require.NoError(t, zipkin.Close())
	require.Equal(t, 4, strings.Count(strings.Join(said, "\n"), "go to a file of that name"), "%q", said)
}

// accounted is the ledger of a result.
func accounted(t require.TestingT, r *replay.Result) *replay.Ledger {
	l, err := r.Ledger()
	require.NoError(t, err)
	return l
}

// The zero value of the options but for the paths is safe.
func TestTailWithoutLogger(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	l := newTailed(t, t.TempDir())
	l.opt.Logger = nil
	l.start()
	l.write("a.log", []byte("2013-07-09 23:30:02,790 1 INFO tomograph.backends.log [-] Span(trace_id=1, id=x)\n"))
	l.wait("a complaint", func() bool { c := l.tail.Stats(); return c.Rejected+c.Salvaged > 0 })
	require.NoError(t, os.Remove(l.out))
	l.write("a.log", []byte("2013-07-09 23:30:02,790 1 INFO tomograph.backends.log [-] Span(trace_id=1, parent_id=None, id=2, name='x', notes=[], dimensions=[])\n"))
	l.wait("the span", func() bool { return l.tail.Stats().Parsed > 0 })
	l.stop()
}
