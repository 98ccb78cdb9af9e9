package follow

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// taken is what a follower handed out, line by line.
type taken struct {
	mu     sync.Mutex
	lines  []string
	blocks []string // generation, offset, line and flags of each
	fail   error
	hold   bool
	holds  []*InFlight
	came   chan struct{}
}

func newTaken() *taken { return &taken{came: make(chan struct{}, 1)} }

func (t *taken) take(b *Block) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return t.fail
	}
	data := string(b.Data)
	if b.Cut {
		data += "(cut)"
	}
	if b.Final {
		data += "(final)"
	}
	if b.Cut || b.Final {
		data += "\n"
	}
	offset, line := b.Offset, b.Line
	for text := range strings.Lines(data) {
		if t.hold {
			t.holds = append(t.holds, b.Generation.InFlight(offset, offset+int64(len(text)), line))
		}
		if !b.Generation.Acked(offset, offset+int64(len(text))) {
			t.lines = append(t.lines, strings.TrimSuffix(text, "\n"))
		}
		offset += int64(len(text))
		line++
	}
	flag := ""
	if b.Continues {
		flag = " continues"
	}
	t.blocks = append(t.blocks, fmt.Sprintf("%s@%d line %d%s", filepath.Base(b.Generation.Name()), b.Offset, b.Line, flag))
	signal(t.came)
	return nil
}

func (t *taken) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string{}, t.lines...)
}

// bench is a follower whose clock and steps are the test's.
type bench struct {
	t        testing.TB
	f        *Follower
	out      *taken
	dir      string
	opt      Options
	at       time.Time
	openPath func(string) (*os.File, error)
	logs     bytes.Buffer
}

func newBench(t testing.TB, opt Options) *bench {
	b := &bench{t: t, dir: t.TempDir(), out: newTaken(), at: time.Now(), opt: opt}
	b.opt.Idle = cmp.Or(opt.Idle, grace)
	if b.opt.Paths == nil {
		b.opt.Paths = []string{b.dir}
	}
	for i, path := range b.opt.Paths {
		if path != "-" && !filepath.IsAbs(path) {
			b.opt.Paths[i] = filepath.Join(b.dir, path)
		}
	}
	b.opt.Logger = logTo(&b.logs)
	return b
}

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *bench) open() *bench {
	if now := time.Now(); b.at.Before(now) {
		b.at = now
	}
	if b.openPath == nil {
		b.openPath = openReadable
	}
	f, err := open(b.opt, func() time.Time { return b.at }, b.openPath)
	require.NoError(b.t, err)
	f.most = 0 // nxadm/tail has a clock of its own
	f.reader.take = b.out.take
	b.f = f
	b.t.Cleanup(f.abandon)
	return b
}

// step lets time pass, looks, and reads all there is.
func (b *bench) step(d time.Duration) {
	b.at = b.at.Add(d)
	b.f.look(b.at)
	b.drain()
}

func (b *bench) drain() {
	for {
		worked, err := b.f.pass(context.Background())
		require.NoError(b.t, err)
		if !worked {
			return
		}
	}
}

// kill ends the follower without a checkpoint.
func (b *bench) kill() { b.f.abandon() }

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, text string) {
	f, err := os.OpenFile(b.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	require.NoError(b.t, err)
	_, err = f.WriteString(text)
	require.NoError(b.t, err)
	require.NoError(b.t, f.Close())
}

func (b *bench) rename(from, to string) {
	require.NoError(b.t, os.Rename(b.path(from), b.path(to)))
}

func (b *bench) copy(from, to string) {
	data, err := os.ReadFile(b.path(from))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(b.path(to), data, 0o644))
}

func (b *bench) copytruncate(from, to string) {
	b.copy(from, to)
	require.NoError(b.t, os.Truncate(b.path(from), 0))
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	require.Equal(b.t, append([]string{}, lines...), b.out.all(), "blocks: %v\n%s", b.out.blocks, b.logs.String())
}

// lines gives numbered lines, long enough to be told apart.
func lines(from, to int) (text string, list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf("2026-01-01 00:00:00.000 %06d some text", i))
	}
	return strings.Join(list, "\n") + "\n", list
}

// inMemory is a directory where syncing costs nothing, if there is one.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "follow")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
