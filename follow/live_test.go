package follow

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nxadm/tail"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/source"
)

// run runs the follower in the background until the test ends or stop is called.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	f, out := b.f, b.out
	f.now = time.Now
	f.most = tails
	go func() { done <- f.Run(ctx, out.take) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(b.t, <-done)
		}
	}
	b.t.Cleanup(stop)
	return stop
}

// wait waits until so many lines came.
func (b *bench) wait(n int) {
	b.t.Helper()
	late := time.After(30 * time.Second)
	for len(b.out.all()) < n {
		select {
		case <-b.out.came:
		case <-late:
			b.t.Fatalf("only %d of %d lines came", len(b.out.all()), n)
		}
	}
}

func TestGrowingFileIsFollowedByTail(t *testing.T) {
	b := newBench(t, Options{FromStart: true}).open()
	b.run()
	var want []string
	tailed := func() bool {
		b.f.mu.Lock()
		defer b.f.mu.Unlock()
		return b.f.growers == 1
	}
	i := 0
	next := func() {
		text, list := lines(i, i+1)
		i++
		want = append(want, list...)
		b.write("x.log", text)
		b.wait(len(want))
	}
	for !tailed() {
		next()
	}
	for range 5 {
		next()
	}
	// What was begun is given when it is whole, whoever reads it.
	b.write("x.log", "a line in")
	b.write("x.log", " two pieces\n")
	want = append(want, "a line in two pieces")
	b.wait(len(want))
	b.rename("x.log", "x.log.1")
	next()
	b.copytruncate("x.log", "x.log.2")
	next()
	require.Equal(t, want, b.out.all())
}

func TestTailGivesWayToTheBlockReader(t *testing.T) {
	b := newBench(t, Options{FromStart: true, MaxLine: 1 << 20}).open()
	stop := b.run()
	for i := 0; ; i++ {
		b.write("x.log", fmt.Sprintf("line %d\n", i))
		b.wait(i + 1)
		b.f.mu.Lock()
		tailed := b.f.growers == 1
		b.f.mu.Unlock()
		if tailed {
			break
		}
	}
	n := len(b.out.all())
	text, want := lines(0, 20_000)
	b.write("x.log", text)
	b.wait(n + len(want))
	b.write("x.log", strings.Repeat("x", 2<<20)+"\nend\n")
	b.wait(n + len(want) + 1)
	stop()
	got := b.out.all()
	require.Equal(t, append(want, "end"), got[n:])
	require.EqualValues(t, 1, b.f.Stats().LongLines)
}

func TestStandardInput(t *testing.T) {
	r, w := io.Pipe()
	b := newBench(t, Options{Paths: []string{"-"}, Stdin: r, MaxLine: 100, Checkpoint: filepath.Join(t.TempDir(), "c")}).open()
	done := make(chan error, 1)
	go func() { done <- b.f.Run(context.Background(), b.out.take) }()
	io.WriteString(w, "one\ntw")
	b.wait(1)
	b.want("one")
	io.WriteString(w, "o\n"+strings.Repeat("x", blockSize*2)+"\nthree\nrest")
	b.wait(3)
	w.Close()
	require.NoError(t, <-done)
	b.want("one", "two", "three", "rest(final)")
	require.EqualValues(t, 1, b.f.Stats().LongLines)
	require.Equal(t, "-@0 line 1", b.out.blocks[0])
	require.NoFileExists(t, b.opt.Checkpoint, "there is nothing to go on with")
	require.NoError(t, b.f.Close())
}

func TestRunEndsWithTheErrorOfTake(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\n")
	b.open()
	b.out.fail = io.ErrClosedPipe
	require.ErrorIs(t, b.f.Run(context.Background(), b.out.take), io.ErrClosedPipe)
	require.NoError(t, b.f.Close())
	b.out.fail = nil
	b.open()
	b.step(time.Second)
	b.want("one")
}

// logrotate is the real one.
func logrotate(t *testing.T) string {
	path, err := exec.LookPath("logrotate")
	if err == nil {
		return path
	}
	if path = "/usr/sbin/logrotate"; exists(path) {
		return path
	}
	if os.Getenv("TOMOSCRAPE_REQUIRE_SERVERS") == "1" {
		t.Fatal("NO REAL LOGROTATE, and TOMOSCRAPE_REQUIRE_SERVERS=1: apt-get install logrotate")
	}
	t.Skip("NOT TESTED AGAINST A REAL LOGROTATE: it is not installed")
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Each way in which logrotate rotates, with a consumer that stalls now and then:
// every line that is in some file in the end was given, once, and whole.
func TestLogrotate(t *testing.T) {
	program := logrotate(t)
	rotations := 8
	for name, config := range map[string]string{
		"rename":                   "create",
		"nocreate":                 "nocreate",
		"compress":                 "create\ncompress",
		"delaycompress":            "create\ncompress\ndelaycompress",
		"copytruncate":             "copytruncate",
		"copytruncate compress":    "copytruncate\ncompress",
		"copytruncate delay":       "copytruncate\ncompress\ndelaycompress",
		"dateext":                  "create\ndateext\ndateformat -%Y%m%d-%s",
		"copytruncate and dateext": "copytruncate\ncompress\ndateext\ndateformat -%Y%m%d-%s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{FromStart: true})
			b.opt.Paths = []string{b.path("x.log")}
			b.write("x.log", "")
			b.open()
			b.out.stall = make(chan struct{}, 1)
			b.run()
			config := fmt.Sprintf("%s {\nrotate 100\nsize 1\n%s\n}\n", b.path("x.log"), config)
			conf := filepath.Join(t.TempDir(), "conf")
			require.NoError(t, os.WriteFile(conf, []byte(config), 0o600))
			written, rotated := make(chan int, 1), make(chan struct{})
			go func() { // as Python's WatchedFileHandler does
				n := 0
				defer func() { written <- n }()
				for {
					f, err := os.OpenFile(b.path("x.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
					if err != nil {
						return
					}
					for range 50 {
						fmt.Fprintf(f, "2026-01-01 00:00:00.000 line %d of %s\n", n, strings.Repeat("x", n%100))
						n++
					}
					f.Close()
					select {
					case <-rotated:
						return
					case <-time.After(time.Millisecond): // its pace
					}
				}
			}()
			stopStall := make(chan struct{})
			defer close(stopStall)
			go func() { // the consumer stalls after every 20 blocks
				for i := 1; ; i++ {
					if i%20 == 0 {
						time.Sleep(300 * time.Millisecond)
					}
					select {
					case b.out.stall <- struct{}{}:
					case <-stopStall:
						return
					}
				}
			}()
			for range rotations {
				if out, err := exec.Command(program, "-f", "-s", filepath.Join(t.TempDir(), "state"), conf).CombinedOutput(); err != nil {
					t.Logf("logrotate: %s", out) // "File exists": it raced the service
				}
			}
			close(rotated)
			n := <-written
			b.write("x.log", "the end\n")
			for deadline := time.Now().Add(20 * time.Second); !slices.Contains(b.out.all(), "the end"); {
				select {
				case <-b.out.came:
				case <-time.After(time.Until(deadline)):
					t.Fatal("the end does not come")
				}
			}
			wantAll(t, b, n)
		})
	}
}

// wantAll compares what was given with what is on disk.
func wantAll(t *testing.T, b *bench, n int) {
	onDisk := map[string]bool{}
	files, err := filepath.Glob(b.path("x.log*"))
	require.NoError(t, err)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		r, err := source.Unpack(f)
		if err == io.EOF {
			continue // empty
		}
		require.NoError(t, err)
		for s := bufio.NewScanner(r); s.Scan(); {
			onDisk[s.Text()] = true
		}
		f.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		missing, times := 0, map[string]int{}
		for _, line := range b.out.all() {
			times[line]++
		}
		for line := range onDisk {
			if times[line] == 0 {
				missing++
			}
		}
		for line, count := range times {
			require.Equal(t, 1, count, "twice: %q", line)
			require.True(t, line == "the end" || strings.HasPrefix(line, "2026-01-01 00:00:00.000 line "), "torn: %q", line)
		}
		if missing == 0 {
			t.Logf("%d lines written, %d on disk, %d given", n+1, len(onDisk), len(times))
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("LOST %d of %d lines\n%s", missing, len(onDisk), b.logs.String())
		}
		select {
		case <-b.out.came:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// The file that nxadm/tail reads is known, so that it can be ended in the middle
// of a line.
func TestFileOfATail(t *testing.T) {
	setPoll()
	path := filepath.Join(t.TempDir(), "x.log")
	require.NoError(t, os.WriteFile(path, []byte("one\n"), 0o600))
	follower, err := tail.TailFile(path, tail.Config{Follow: true, Poll: true, MustExist: true, CompleteLines: true, Logger: tail.DiscardingLogger})
	require.NoError(t, err)
	file := fileOf(follower)
	require.NotNil(t, file)
	require.Equal(t, "one", (<-follower.Lines).Text)
	follower.Kill(nil)
	require.NoError(t, file.Close())
	_ = follower.Wait()
}
