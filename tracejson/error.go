package tracejson

import "fmt"

// DocumentError is what is wrong with one document, or could not be read beside
// documents.
type DocumentError struct {
	Kind         ErrorKind
	File         string
	Document     int64 // from 1; for a line between documents that of the last one
	Line, Column int64 // from 1, the column in bytes
	Offset       int64 // in bytes
	Reason       string
	Expected     string // what would have been right there, "" if nothing can be said
	Spans        int    // spans read from this document
	Lost         int    // spans that stood whole before the damage, but whose trace id did not
	Resumed      int64  // for damage the line where reading went on, 0 at the end of the input
	Text         []byte // the document or line as read, its first 4,096 bytes
}

// ErrorKind says how much is lost.
type ErrorKind uint8

const (
	// Damaged: the spans that stand before the damage were read, Lost apart;
	// nothing behind it was, up to the line where reading went on.
	Damaged ErrorKind = iota
	// UnknownField: a field that the schema does not have was ignored, nothing
	// else. It is told once for each such name, and for 16 names at most.
	UnknownField
	// LongLine: of a line between documents only its first 8 MiB are handed on.
	LongLine
)

func (e *DocumentError) Error() string {
	text := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Kind != LongLine {
		text += fmt.Sprintf("trace document %d: ", e.Document)
	}
	text += e.Reason
	if e.Expected != "" {
		text += "; expected " + e.Expected
	}
	switch {
	case e.Kind != Damaged:
		return text
	case e.Spans == 1:
		text += " (the span before it is kept)"
	case e.Spans > 1:
		text += fmt.Sprintf(" (the %d spans before it are kept)", e.Spans)
	case e.Lost == 1:
		text += " (the span before it is lost, for its trace_id and tomograph_id were still to come)"
	case e.Lost > 1:
		text += fmt.Sprintf(" (the %d spans before it are lost, for their trace_id and tomograph_id were still to come)", e.Lost)
	}
	if e.Resumed > e.Line+1 {
		text += fmt.Sprintf("; lines up to %d were skipped", e.Resumed-1)
	}
	return text
}
