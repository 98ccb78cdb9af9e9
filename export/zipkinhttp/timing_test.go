package zipkinhttp_test

import (
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

// timingTraces are the traces of the samples, assembled, to be gone through again
// and again.
func timingTraces(b *testing.B) (traces iter.Seq2[*trace.Trace, error], size int64) {
	spans, size := sampletest.Spans(b)
	var all []trace.Trace
	for id, some := range spans {
		t, _ := assemble.Trace(id, some, assemble.Options{})
		all = append(all, t)
	}
	return func(yield func(*trace.Trace, error) bool) {
		for i := range all {
			if !yield(&all[i], nil) {
				return
			}
		}
	}, size
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// BenchmarkJSON writes traces as JSON; the bytes are those written.
func BenchmarkJSON(b *testing.B) {
	traces, _ := timingTraces(b)
	var written counter
	var text []byte
	render := func(work func([]byte, *trace.Trace, func([]byte) []byte) []byte, take func([]byte) bool) error {
		for t := range traces {
			text = work(text[:0], t, nil)
			take(text)
		}
		return nil
	}
	for b.Loop() {
		written = 0
		require.NoError(b, export.JSON(&written, render, false))
	}
	b.SetBytes(int64(written))
}

// BenchmarkZipkin sends an endless stream of spans to a server that takes
// everything; the bytes are those of the log lines.
func BenchmarkZipkin(b *testing.B) {
	traces, size := timingTraces(b)
	var items []zipkinhttp.Item
	for node, err := range zipkinhttp.Nodes(traces) {
		require.NoError(b, err)
		items = append(items, zipkinhttp.Item{Node: node})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	sender, err := zipkinhttp.New(zipkinhttp.Options{URL: server.URL, Quarantine: filepath.Join(b.TempDir(), "quarantine.jsonl")})
	require.NoError(b, err)
	b.SetBytes(size)
	in, result := make(chan zipkinhttp.Item, 64), make(chan error, 1)
	go func() { result <- sender.Stream(b.Context(), in, func(zipkinhttp.Item, zipkinhttp.Outcome) {}) }()
	sent := 0
	for b.Loop() {
		for _, item := range items {
			in <- item
		}
		sent += len(items)
	}
	close(in)
	require.NoError(b, <-result)
	require.NoError(b, sender.Close())
	require.EqualValues(b, sent, sender.Report().Delivered)
}

// BenchmarkZipkinLatency streams 5,000 spans a second; p99-ms is the time from
// handing a span over to its acknowledgement.
func BenchmarkZipkinLatency(b *testing.B) {
	traces, _ := timingTraces(b)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	sender, err := zipkinhttp.New(zipkinhttp.Options{URL: server.URL, Quarantine: filepath.Join(b.TempDir(), "quarantine.jsonl")})
	require.NoError(b, err)
	in, result := make(chan zipkinhttp.Item), make(chan error, 1)
	var took []time.Duration
	go func() {
		result <- sender.Stream(b.Context(), in, func(item zipkinhttp.Item, _ zipkinhttp.Outcome) {
			took = append(took, time.Since(item.Token.(time.Time)))
		})
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var nodes []*trace.Node
	for node := range zipkinhttp.Nodes(traces) {
		nodes = append(nodes, node)
	}
	for n := 0; b.Loop(); n += 5 { // an iteration is a millisecond
		<-tick.C
		for i := range 5 {
			in <- zipkinhttp.Item{Node: nodes[(n+i)%len(nodes)], Token: time.Now()}
		}
	}
	close(in)
	require.NoError(b, <-result)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
}
