package main

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/follow"
	"github.com/tomoscrape/tomoscrape/pipeline"
)

// What the journal left out is no error of reading.
func TestMetricOfUnreadableLines(t *testing.T) {
	out, err := export.Append(filepath.Join(t.TempDir(), "out.jsonl"), io.Discard)
	require.NoError(t, err)
	defer out.Close()
	journal := `{"_SYSTEMD_UNIT":"nova-api.service","MESSAGE":null,"PRIORITY":"6","__REALTIME_TIMESTAMP":"1700000000000000"}` + "\n"
	opt := pipeline.TailOptions{Logger: slog.New(slog.DiscardHandler),
		Follow: follow.Options{Paths: []string{"-"}, Stdin: strings.NewReader(journal + "a line\n" + journal)}}
	tail, err := pipeline.NewJSONTail(opt, out, pipeline.LiveOptions{}, assemble.Options{})
	require.NoError(t, err)
	require.NoError(t, tail.Run(context.Background()))
	j := &tailJob{tails: []namedTail{{"json", tail}}}
	got := j.outputs()[0]
	require.EqualValues(t, 3, got.Lines)
	require.EqualValues(t, 2, got.Unreadable)
	require.Zero(t, got.ReadErrors)
}
