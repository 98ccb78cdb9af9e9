package assemble_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
)

// timingSpans are the spans of a real OpenStack's logs, by trace, and the bytes
// of the lines they were read from.
func timingSpans(b *testing.B) (traces map[trace.ID][]trace.Span, size int64) {
	paths, err := filepath.Glob("../testdata/logs/real-openstack/*/*.log")
	require.NoError(b, err)
	traces = map[trace.ID][]trace.Span{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(b, err)
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
	require.Greater(b, len(traces), 100)
	return traces, size
}

// BenchmarkTrace assembles many traces, most of them small; the bytes are those
// of the log lines.
func BenchmarkTrace(b *testing.B) {
	traces, size := timingSpans(b)
	b.SetBytes(size)
	for b.Loop() {
		for id, spans := range traces {
			assemble.Trace(id, spans, assemble.Options{})
		}
	}
}

// BenchmarkLargeTrace assembles one trace of 20,000 spans: each 20th span is the
// parent of those up to the next.
func BenchmarkLargeTrace(b *testing.B) {
	traces, size := timingSpans(b)
	var spans []trace.Span
	for len(spans) < 20_000 {
		for _, some := range traces {
			for _, s := range some {
				n := uint64(len(spans))
				s.TraceID, s.ID = trace.IDFromUint64(1), trace.IDFromUint64(n+1)
				s.HasParent, s.ParentID = n > 0, trace.IDFromUint64((max(n, 1)-1)/20*20+1)
				spans = append(spans, s)
			}
		}
	}
	known := 0
	for _, some := range traces {
		known += len(some)
	}
	b.SetBytes(size * int64(len(spans)) / int64(known))
	for b.Loop() {
		assemble.Trace(trace.IDFromUint64(1), spans, assemble.Options{})
	}
}
