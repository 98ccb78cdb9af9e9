// Package sampletest gives tests and benchmarks of any package the sample logs, and
// random spans.
package sampletest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Root is the directory of the module.
func Root(tb testing.TB) string {
	dir, err := os.Getwd()
	require.NoError(tb, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(tb, dir, filepath.Dir(dir), "no go.mod above")
		dir = filepath.Dir(dir)
	}
}

// Spans are the spans of a real OpenStack's logs, by trace, and the bytes
// of the lines they were read from.
func Spans(tb testing.TB) (traces map[trace.ID][]trace.Span, size int64) {
	paths, err := filepath.Glob(filepath.Join(Root(tb), "testdata/logs/real-openstack/*/*.log"))
	require.NoError(tb, err)
	traces = map[trace.ID][]trace.Span{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(tb, err)
		var line []byte
		reader := parser.NewReader(path, parser.Options{}, parser.Output{Record: func(r *parser.Result) {
			traces[r.Span.TraceID] = append(traces[r.Span.TraceID], r.Span.Clone())
			size += int64(len(line))
		}})
		for line = range bytes.Lines(text) {
			reader.Feed(parser.Line{Text: bytes.TrimSuffix(line, []byte("\n"))})
		}
		reader.Flush()
	}
	require.Greater(tb, len(traces), 100)
	return traces, size
}
