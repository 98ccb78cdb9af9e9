package assemble_test

import (
	"testing"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

// BenchmarkTrace assembles many traces, most of them small; the bytes are those
// of the log lines.
func BenchmarkTrace(b *testing.B) {
	traces, size := sampletest.Spans(b)
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
	traces, size := sampletest.Spans(b)
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
