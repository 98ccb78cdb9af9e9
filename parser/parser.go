// Package parser makes spans of the lines of logs: it takes off what docker, the
// journal and syslog put around a service's text, joins what belongs together, finds
// the records of tomograph's log backend and decodes them. [Spans] is all of it for
// whoever has a file; a [Reader] is for those who have lines.
//
//	line ─ frame.go ─> text ─ message.go, open.go ─> message ─ header.go ─> record ─ scan.go ─> span
//	                          pieces and lines of one message                  └ grammar.go, where scan.go gives up
//
// What did not parse whole is a [trace.Complaint], never silence: a span is salvaged
// as far as it stands whole, or rejected. docs/formats.md has the forms of lines. The
// text is never evaluated.
package parser

// Options are the limits that keep hostile input harmless. The zero value means
// the defaults.
type Options struct {
	MaxRecord int // bytes of one record, pieces and continuation lines joined; default 8 MiB
	MaxNotes  int // notes and dimensions of one span; default 25,000
	// Done, when it is closed, ends the reading, also in the middle of a record;
	// see Reader.Stopped. nil: it goes on to the end.
	Done <-chan struct{}
}

// done says whether the reading is to end.
func (o Options) done() bool {
	select {
	case <-o.Done:
		return true
	default:
		return false
	}
}

// DefaultMaxRecord is the longest record, and line, that is read whole, in bytes.
const DefaultMaxRecord = 8 << 20

func (o Options) maxRecord() int {
	if o.MaxRecord > 0 {
		return o.MaxRecord
	}
	return DefaultMaxRecord
}

func (o Options) maxNotes() int {
	if o.MaxNotes > 0 {
		return o.MaxNotes
	}
	return 25_000
}
