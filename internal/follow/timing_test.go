package follow

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// How fast a backlog is read.
func BenchmarkBacklog(b *testing.B) {
	dir := b.TempDir()
	text, _ := lines(0, 1_000_000)
	require.NoError(b, os.WriteFile(filepath.Join(dir, "x.log"), []byte(text), 0o600))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		f, err := Open(Options{Paths: []string{dir}, FromStart: true, Logger: quiet()})
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		require.NoError(b, f.Run(ctx, func(block *Block) error {
			if n += len(block.Data); n == len(text) {
				cancel()
			}
			return nil
		}))
		require.Equal(b, len(text), n)
		require.NoError(b, f.Close())
		cancel()
	}
}

// How long a line takes from being written to being taken, at 5,000 a second.
func BenchmarkLatency(b *testing.B) {
	dir := b.TempDir()
	file, err := os.OpenFile(filepath.Join(dir, "x.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(b, err)
	defer file.Close()
	f, err := Open(Options{Paths: []string{dir}, FromStart: true, Logger: quiet()})
	require.NoError(b, err)
	defer f.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const total = 25_000
	var took []time.Duration
	go func() {
		for at := time.Now(); len(took) < total && ctx.Err() == nil; at = at.Add(2 * time.Millisecond) {
			time.Sleep(time.Until(at))
			for range 10 {
				fmt.Fprintf(file, "%d %0500d\n", time.Now().UnixNano(), 0)
			}
		}
	}()
	for b.Loop() {
		took = took[:0]
		require.NoError(b, f.Run(ctx, func(block *Block) error {
			now := time.Now().UnixNano()
			for line := range bytes.Lines(block.Data) {
				at, err := strconv.ParseInt(string(line[:bytes.IndexByte(line, ' ')]), 10, 64)
				if err != nil {
					return err
				}
				took = append(took, time.Duration(now-at))
			}
			if len(took) >= total {
				cancel()
			}
			return nil
		}))
	}
	took = took[total/10:] // until it was seen to grow
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}

// What 500 files cost to which nothing happens.
func BenchmarkIdle(b *testing.B) {
	dir := b.TempDir()
	for i := range 500 {
		text, _ := lines(i, i+100)
		require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("x%d.log", i)), []byte(text), 0o600))
	}
	f, err := Open(Options{Paths: []string{dir}, Logger: quiet()})
	require.NoError(b, err)
	defer f.Close()
	runtime.GC()
	before := cpu()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		require.NoError(b, f.Run(ctx, func(*Block) error { return nil }))
		cancel()
	}
	b.ReportMetric(100*(cpu()-before).Seconds()/b.Elapsed().Seconds(), "%core")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse+m.StackInuse)/(1<<20), "MiB")
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
