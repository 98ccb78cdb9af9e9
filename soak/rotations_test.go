package soak

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/follow"
)

// consumer takes the lines of a follower, and stalls for 700 ms about once a second
// if it is told to.
type consumer struct {
	stalls  bool
	stalled time.Time

	mu     sync.Mutex
	got    map[int64]int
	torn   []string        // lines that nobody wrote
	finals map[string]bool // lines that are not whole, and given as such
}

func (c *consumer) take(b *follow.Block) error {
	if c.stalls && time.Since(c.stalled) > 300*time.Millisecond {
		time.Sleep(700 * time.Millisecond)
		c.stalled = time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for text := range strings.Lines(string(b.Data)) {
		text = strings.TrimSuffix(text, "\n")
		switch n, whole := numberOf(text); {
		case b.Final:
			c.finals[text] = true
		case whole:
			c.got[n]++
		default:
			c.torn = append(c.torn, text)
		}
	}
	return nil
}

func (c *consumer) came(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[n] > 0
}

// follow follows the logs while something is done with them, and until all that is
// on disk then has come.
func (c *consumer) follow(t *testing.T, opt follow.Options, do func() map[*log]*disk) map[*log]*disk {
	f, err := follow.Open(opt)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, c.take) }()
	disks := do()
	wait(t, disks, c.came)
	stop()
	require.NoError(t, <-done)
	require.Zero(t, f.Stats().Lost, "%+v", f.Stats())
	require.NoError(t, f.Close())
	return disks
}

// Every line that is in some file in the end was given, once, and whole: in each
// way of rotating, whether the consumer keeps up or not, and also after a restart
// that finds all the rotated files. Lines are looked at before the parser, which
// would leave out what is torn, and without Zipkin, whose queue would hide a stall.
func TestRotations(t *testing.T) {
	t.Parallel()
	for _, trouble := range []string{"no stalls", "stalls"} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			logs := newLogs(t, t.TempDir())
			c := &consumer{stalls: trouble == "stalls", got: map[int64]int{}, finals: map[string]bool{}}
			var messages messages
			opt := follow.Options{Paths: paths(logs), FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "checkpoint"),
				Logger: slog.New(slog.NewTextHandler(&messages, &slog.HandlerOptions{Level: slog.LevelDebug}))}
			c.follow(t, opt, func() map[*log]*disk {
				for _, l := range logs {
					l.start(rate)
				}
				require.NoError(t, each(logs, (*log).rotateAll))
				return onDisk(t, logs)
			})
			c.stalls = false
			disks := c.follow(t, opt, func() map[*log]*disk {
				require.NoError(t, each(logs, (*log).writeOne))
				return onDisk(t, logs)
			})
			for _, l := range logs {
				delivered, repeated := 0, 0
				for n, count := range c.got {
					if l.wrote(n) {
						delivered++
						repeated += count - 1
					}
				}
				lost := disks[l].missing(c.came)
				l.report(trouble, disks[l], delivered, repeated, 0, lost)
				if len(lost) > 0 || repeated > 0 {
					t.Errorf("%s: lost %s, repeated %d\n%s", l.kind, ends(lost), repeated, messages.about(l.path))
				}
				for text := range disks[l].torn {
					delete(c.finals, text)
				}
			}
			require.Empty(t, c.torn)
			require.Empty(t, c.finals, "given as unfinished, and in no file so")
		})
	}
}
