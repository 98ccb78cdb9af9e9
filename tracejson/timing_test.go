package tracejson_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

func timingTraces(b *testing.B) (traces []trace.Trace) {
	spans, _ := sampletest.Spans(b)
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
