package monitor

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// maxFiles is for how many files of an output there are series of their own.
const maxFiles = 2_000

// metric is one number of an Output or of a File.
type metric[T any] struct {
	name  string // after the prefix
	kind  prometheus.ValueType
	help  string
	value func(*T) float64
}

const (
	prefix  = "tomoscrape_tail_"
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// What each of these means, and what to do about it, is also said in
// docs/metrics.md; a test compares the names.

var outputMetrics = []metric[Output]{
	{"bytes_total", counter, "Bytes read from logs.",
		func(o *Output) float64 { return float64(o.Bytes) }},
	{"lines_total", counter, "Lines read from logs.",
		func(o *Output) float64 { return float64(o.Lines) }},
	{"read_errors_total", counter,
		"Times a followed file could not be read; if it grows, spans are late, and lost if the file goes away " +
			"before it can be read.",
		func(o *Output) float64 { return float64(o.ReadErrors) }},
	{"unreadable_lines_total", counter,
		"Lines without their text: the journal left it out; if it grows, give journalctl -a.",
		func(o *Output) float64 { return float64(o.Unreadable) }},
	{"refused_paths_total", counter,
		"Paths that could not be followed; if it grows, something that was asked for is not read: permissions, no " +
			"regular file.",
		func(o *Output) float64 { return float64(o.Refused) }},
	{"spans_total", counter, "Spans found, without duplicates.",
		func(o *Output) float64 { return float64(o.Spans) }},
	{"salvaged_records_total", counter,
		"Span records of which only a part could be kept; if it grows, something cuts or mixes lines.",
		func(o *Output) float64 { return float64(o.Salvaged) }},
	{"rejected_records_total", counter,
		"Span records of which nothing could be kept; if it grows, these spans are missing.",
		func(o *Output) float64 { return float64(o.Rejected) }},
	{"mentions_total", counter, "Lines that hold Span( and are no span record; harmless.",
		func(o *Output) float64 { return float64(o.Mentions) }},
	{"duplicate_spans_total", counter,
		"Spans that had been found before: a log written twice, or read again after a crash.",
		func(o *Output) float64 { return float64(o.Duplicates) }},
	{"delivered_spans_total", counter,
		"Spans that the output has accepted; if it stands still while spans_total grows, the output is stuck.",
		func(o *Output) float64 { return float64(o.Delivered) }},
	{"quarantined_spans_total", counter,
		"Spans that the output refused for good and that were set aside; if it grows, they are missing there.",
		func(o *Output) float64 { return float64(o.Quarantined) }},
	{"batches_total", counter, "Batches that the output has accepted.",
		func(o *Output) float64 { return float64(o.Batches) }},
	{"retries_total", counter,
		"Attempts to send a batch again; if it grows, the output is down, overloaded or out of reach.",
		func(o *Output) float64 { return float64(o.Retries) }},
	{"open_traces", gauge, "Traces held until they are complete or quiet.",
		func(o *Output) float64 { return float64(o.OpenTraces) }},
	{"open_trace_bytes", gauge, "Memory that open traces take; near --memory, traces are written early.",
		func(o *Output) float64 { return float64(o.OpenTraceBytes) }},
	{"early_traces_total", counter,
		"Traces written before they were quiet for want of memory; if it grows, documents come in parts: raise --memory.",
		func(o *Output) float64 { return float64(o.EarlyTraces) }},
	{"truncations_total", counter,
		"Logs that were truncated under their writer; each may have cost lines that no program could read: rotate " +
			"by rename.",
		func(o *Output) float64 { return float64(o.Truncations) }},
	{"lost_generations_total", counter,
		"Contents of logs that went away before they were read to the end; if it grows, spans are lost: rotated too " +
			"fast.",
		func(o *Output) float64 { return float64(o.LostGenerations) }},
	{"lost_bytes_total", counter, "Bytes that went away unread, at least; if it grows, spans are lost.",
		func(o *Output) float64 { return float64(o.LostBytes) }},
	{"long_lines_total", counter,
		"Lines of which only the beginning was read because they are longer than --max-line; if it grows, spans may " +
			"be missing.",
		func(o *Output) float64 { return float64(o.LongLines) }},
	{"checkpoints_total", counter, "Checkpoints written.",
		func(o *Output) float64 { return float64(o.Checkpoints) }},
	{"checkpoint_errors_total", counter,
		"Times the checkpoint could not be written; if it grows, a restart will deliver spans twice: disk full, " +
			"permissions.",
		func(o *Output) float64 { return float64(o.CheckpointErrors) }},
	{"last_checkpoint_timestamp_seconds", gauge,
		"When the last checkpoint was written, as Unix time; 0 before the first one.",
		func(o *Output) float64 {
			if o.LastCheckpoint.IsZero() {
				return 0
			}
			return float64(o.LastCheckpoint.UnixMilli()) / 1e3
		}},
	{"output_up", gauge, "1 while the output takes spans, else 0; /readyz says why.",
		func(o *Output) float64 {
			if o.Up {
				return 1
			}
			return 0
		}},
	{"files", gauge, "Files that are followed.",
		func(o *Output) float64 { return float64(len(o.Files)) }},
	{"files_left_out", gauge,
		"Files without series of their own, because there are more than 2,000; those with the largest lag have them.",
		func(o *Output) float64 { return float64(max(0, len(o.Files)-maxFiles)) }},
	{"lag_bytes", gauge, "Bytes of all files that are not read yet; if it grows, the output is slower than the logs.",
		func(o *Output) float64 { return sum(o.Files, func(f File) float64 { return float64(f.Lag) }) }},
	{"lag_seconds", gauge, "The longest time for which a file has had bytes that are not read yet.",
		func(o *Output) float64 {
			longest := 0.0
			for _, f := range o.Files {
				longest = max(longest, f.LagSeconds)
			}
			return longest
		}},
	{"unacked_bytes", gauge, "Bytes of all files that were read and whose spans the output has not accepted yet.",
		func(o *Output) float64 { return sum(o.Files, func(f File) float64 { return float64(f.Unacked) }) }},
}

var fileMetrics = []metric[File]{
	{"file_offset_bytes", gauge, "Where reading stands in the file.",
		func(f *File) float64 { return float64(f.Offset) }},
	{"file_lag_bytes", gauge,
		"Bytes of the file and its rotated files that are not read yet; if it grows, the output is slower than this log.",
		func(f *File) float64 { return float64(f.Lag) }},
	{"file_lag_seconds", gauge, "For how long the file has had bytes that are not read yet.",
		func(f *File) float64 { return f.LagSeconds }},
	{"file_unacked_bytes", gauge, "Bytes of the file that were read and whose spans the output has not accepted yet.",
		func(f *File) float64 { return float64(f.Unacked) }},
}

func sum(files []File, of func(File) float64) (total float64) {
	for _, f := range files {
		total += of(f)
	}
	return total
}

// collector turns the outputs of a Tail into metrics, anew on each scrape: what
// the Tail no longer names is no longer there.
type collector struct {
	outputs      func() []Output
	outputsDescs []*prometheus.Desc // beside outputMetrics
	filesDescs   []*prometheus.Desc // beside fileMetrics
}

func newCollector(outputs func() []Output) *collector {
	return &collector{outputs, descs(outputMetrics, "output"), descs(fileMetrics, "output", "file")}
}

func descs[T any](metrics []metric[T], labels ...string) (descs []*prometheus.Desc) {
	for _, m := range metrics {
		descs = append(descs, prometheus.NewDesc(prefix+m.name, m.help, labels, nil))
	}
	return descs
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(c.outputsDescs, c.filesDescs) {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, o := range c.outputs() {
		o.Files = byLabel(o.Files)
		name := safetext.Printable(o.Name)
		for i, m := range outputMetrics {
			to <- prometheus.MustNewConstMetric(c.outputsDescs[i], m.kind, m.value(&o), name)
		}
		for _, f := range o.Files[:min(len(o.Files), maxFiles)] {
			for i, m := range fileMetrics {
				to <- prometheus.MustNewConstMetric(c.filesDescs[i], m.kind, m.value(&f), name, f.Path)
			}
		}
	}
}

// byLabel is a copy of files with their paths escaped, those with the largest lag
// first. Files of one path are one: two series with the same labels would make
// the whole scrape fail.
func byLabel(files []File) []File {
	merged := make([]File, 0, len(files))
	places := make(map[string]int, len(files))
	for _, f := range files {
		f.Path = safetext.Printable(f.Path)
		i, twice := places[f.Path]
		if !twice {
			places[f.Path] = len(merged)
			merged = append(merged, f)
			continue
		}
		m := &merged[i]
		m.Offset = max(m.Offset, f.Offset)
		m.Lag += f.Lag
		m.LagSeconds = max(m.LagSeconds, f.LagSeconds)
		m.Unacked += f.Unacked
	}
	slices.SortFunc(merged, func(a, b File) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), cmp.Compare(b.LagSeconds, a.LagSeconds), cmp.Compare(a.Path, b.Path))
	})
	return merged
}
