package tracejson_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
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

func timingTraces(b *testing.B) (traces []trace.Trace) {
	spans, _ := timingSpans(b)
	for id, some := range spans {
		t, _ := assemble.Trace(id, some, assemble.Options{})
		traces = append(traces, t)
	}
	return traces
}

// The bytes of both are those of the documents.

func BenchmarkAppendRealTraces(b *testing.B) {
	traces := timingTraces(b)
	var documents []byte
	for b.Loop() {
		documents = documents[:0]
		for i := range traces {
			documents = append(tracejson.Append(documents, &traces[i]), '\n')
		}
	}
	b.SetBytes(int64(len(documents)))
}

func BenchmarkReadRealTraces(b *testing.B) {
	var documents []byte
	spans := 0
	for _, t := range timingTraces(b) {
		documents = append(tracejson.Append(documents, &t), '\n')
		spans += len(t.Spans)
	}
	b.SetBytes(int64(len(documents)))
	for b.Loop() {
		read := 0
		err := tracejson.Read(bytes.NewReader(documents), "traces.json",
			func(trace.Span) error { read++; return nil }, func(e *tracejson.DocumentError) error { return e }, nil)
		require.NoError(b, err)
		require.Equal(b, spans, read)
	}
}
