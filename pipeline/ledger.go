package pipeline

import "github.com/tomoscrape/tomoscrape/source"

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
}
