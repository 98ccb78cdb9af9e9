package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/replay"
)

// BenchmarkReplay reads a log and writes its traces as JSON; the bytes are those
// of the log. `make pgo` profiles it.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	log := filepath.Join(dir, "made.log")
	file, err := os.Create(log)
	require.NoError(b, err)
	buffered := bufio.NewWriter(file)
	truth, err := Generate(buffered, 1, 100<<20)
	require.NoError(b, err)
	require.NoError(b, buffered.Flush())
	require.NoError(b, file.Close())
	b.SetBytes(truth.Bytes)
	for b.Loop() {
		result, err := replay.Run(context.Background(), replay.Options{Paths: []string{log}})
		require.NoError(b, err)
		out, err := os.Create(filepath.Join(dir, "traces.jsonl"))
		require.NoError(b, err)
		require.NoError(b, export.JSON(out, result.Render, false))
		require.NoError(b, out.Close())
		ledger, err := result.Ledger()
		require.NoError(b, err)
		require.Equal(b, truth.Spans, ledger.Spans)
		require.NoError(b, result.Close())
	}
}
