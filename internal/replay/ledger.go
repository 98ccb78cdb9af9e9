package replay

import (
	"unsafe"

	"github.com/tomoscrape/tomoscrape/internal/source"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Ledger accounts for the whole input of a run, whatever the filters choose;
// its JSON form is what --summary writes. It balances: SpanLines = Parsed +
// Salvaged + Rejected, Parsed + Salvaged = Spans + Duplicates, Traces =
// Complete + Incomplete.
type Ledger struct {
	Files      int                 `json:"files"`   // opened on disk, standard input included
	Members    int                 `json:"members"` // found inside archives
	Bytes      int64               `json:"bytes"`   // after unpacking
	Lines      int64               `json:"lines"`
	SpanLines  int64               `json:"span_lines"` // span records, each of one or more lines
	Parsed     int64               `json:"parsed"`
	Salvaged   int64               `json:"salvaged"`
	Rejected   int64               `json:"rejected"`
	Mentions   int64               `json:"mentions"` // lines with "Span(" that are no span records
	Spans      int64               `json:"spans"`
	Duplicates int64               `json:"duplicates"`
	Traces     int64               `json:"traces"`
	Complete   int64               `json:"complete"`
	Incomplete int64               `json:"incomplete"`
	Selected   int64               `json:"selected"`  // traces the filters chose
	SameFile   int                 `json:"same_file"` // paths that led to a file already read
	Skipped    []source.Skipped    `json:"skipped"`
	Unreadable []source.Unreadable `json:"unreadable"`
	Spill      *Spill              `json:"spill,omitempty"` // nil if memory held all spans
}

// NothingRead says whether all of the input was unreadable.
func (l *Ledger) NothingRead() bool { return l.Bytes == 0 && len(l.Unreadable) > 0 }

// Spill says what went through temporary files.
type Spill struct {
	Bytes           int64 `json:"bytes"` // written: spans, and the traces made of them
	Partitions      int64 `json:"partitions"`
	OversizedTraces int64 `json:"oversized_traces"` // larger than the limit each, assembled with nothing else in memory
	OversizedBytes  int64 `json:"oversized_bytes"`  // what the largest of them took, about
}

// tally counts assembled traces.
type tally struct {
	spans, duplicates, complete, incomplete int64
	sentences                               int64 // bytes, about, of the problems of the largest large trace
}

// add counts a trace; duplicates is how many copies of its spans there were.
func (c *tally) add(t *trace.Trace, duplicates int) {
	c.spans += int64(t.Len())
	c.duplicates += int64(duplicates)
	c.sentences = max(c.sentences, sentences(t))
	if t.Complete() {
		c.complete++
	} else {
		c.incomplete++
	}
}

// sentenceCost is about what a problem takes in memory, in bytes, with its text: that
// may be worded otherwise when the traces are first looked through than when they are
// written.
const sentenceCost = int64(unsafe.Sizeof(trace.Problem{})) + 128

// sentences is about what the problems of a large trace take, in bytes.
func sentences(t *trace.Trace) int64 {
	if t.Large == nil {
		return 0
	}
	return int64(len(t.Problems)) * sentenceCost
}

func (c *tally) merge(d tally) {
	c.spans += d.spans
	c.duplicates += d.duplicates
	c.complete += d.complete
	c.incomplete += d.incomplete
	c.sentences = max(c.sentences, d.sentences)
}

// count enters what became of the spans.
func (l *Ledger) count(c tally) {
	l.Spans, l.Duplicates = c.spans, c.duplicates
	l.Complete, l.Incomplete = c.complete, c.incomplete
	l.Traces = c.complete + c.incomplete
	if l.Spill != nil && l.Spill.OversizedTraces > 0 {
		l.Spill.OversizedBytes += c.sentences
	}
}
