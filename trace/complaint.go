package trace

import "fmt"

// Complaint is a word about one record of a log that did not parse whole.
type Complaint struct {
	Kind     ComplaintKind
	File     string // as the user can open it, members of archives after "!"
	Line     int64  // from 1, of the place of the damage
	Column   int    // from 1, in bytes, of the place of the damage
	Offset   int64  // in bytes, of the place of the damage in the unpacked file
	Reason   string // what is wrong
	Expected string // what would have been right there, "" if nothing can be said
	Text     []byte // the damaged line as read, or its beginning, borrowed
}

// ComplaintText is how much of the damaged line is told, in bytes.
const ComplaintText = 4096

// Error is the complaint in one line: place, what became of the record and why. It
// may hold text of the log as it is.
func (c *Complaint) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s: %s", c.File, c.Line, c.Column, c.Kind, c.Reason)
	if c.Expected != "" {
		text += ", expected " + c.Expected
	}
	return text
}

// ComplaintKind says what became of a record that did not parse whole.
type ComplaintKind string

// What can become of it.
const (
	Salvaged ComplaintKind = "salvaged" // only part of the span stood whole
	Rejected ComplaintKind = "rejected" // no span could be had from it
)
