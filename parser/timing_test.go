package parser_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/parser"
)

// timingLogs are whole, plain logs of the eras E3 and E4, most of them of a real
// OpenStack.
var timingLogs = []string{"havana/nova/*.log", "grizzly-tags/nova/*.log", "real-openstack/*/*.log"}

// timingLines are the lines of these logs, as they are fed to a Reader.
func timingLines(b *testing.B) (lines []parser.Line) {
	for _, pattern := range timingLogs {
		paths, err := filepath.Glob(filepath.Join("../testdata/logs", pattern))
		require.NoError(b, err)
		require.NotEmpty(b, paths, pattern)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(b, err)
			for line := range bytes.Lines(text) {
				lines = append(lines, parser.Line{Text: bytes.TrimSuffix(line, []byte("\n"))})
			}
		}
	}
	return lines
}

// feed measures a new Reader, which knows nothing of the round before, that is fed
// the lines; it says how many of them there are and what share of them are spans.
func feed(b *testing.B, lines []parser.Line) {
	bytes := 0
	for _, line := range lines {
		bytes += len(line.Text) + 1
	}
	b.SetBytes(int64(bytes))
	spans := 0
	output := parser.Output{
		Record: func(r *parser.Result) {
			if r.Complaint != nil {
				b.Fatal(r.Complaint.Reason)
			}
			spans++
		},
		Lost: func(_ parser.Place, reason string) { b.Fatal(reason) },
	}
	for b.Loop() {
		reader := parser.NewReader("timing.log", parser.Options{}, output)
		for _, line := range lines {
			reader.Feed(line)
		}
		reader.Flush()
	}
	b.ReportMetric(float64(len(lines)), "lines/op")
	b.ReportMetric(float64(spans)/float64(b.N*len(lines)), "spans/line")
}

// BenchmarkDecode feeds span lines alone.
func BenchmarkDecode(b *testing.B) {
	var spans []parser.Line
	for _, line := range timingLines(b) {
		if bytes.Contains(line.Text, []byte("tomograph.backends.log")) && bytes.Contains(line.Text, []byte(" Span(trace_id=")) {
			spans = append(spans, line)
		}
	}
	require.Greater(b, len(spans), 200)
	feed(b, spans)
}

// BenchmarkReader feeds all lines, most of which hold no span.
func BenchmarkReader(b *testing.B) { feed(b, timingLines(b)) }
