package follow

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nxadm/tail"
	"github.com/stretchr/testify/require"
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
	b.wait(n + len(want) + 2)
	stop()
	got := b.out.all()
	require.Equal(t, append(want, strings.Repeat("x", 1<<20)+"(cut)", "end"), got[n:])
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
	b.wait(4)
	w.Close()
	require.NoError(t, <-done)
	b.want("one", "two", strings.Repeat("x", 100)+"(cut)", "three", "rest(final)")
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
	if err := file.Close(); err != nil {
		require.ErrorIs(t, err, os.ErrClosed) // by the tail, which has heard of its end
	}
	_ = follower.Wait()
}
