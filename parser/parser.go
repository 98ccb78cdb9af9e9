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

// Outcome says what became of a record.
type Outcome string

// The two outcomes that are told, one by one, to the user.
const (
	Salvaged Outcome = "salvaged" // only part of the span stood whole
	Rejected Outcome = "rejected" // no span could be had from it
)

// Complaint is a word about one record that did not parse whole.
type Complaint struct {
	Kind     Outcome
	File     string
	Line     int64  // from 1, of the place of the damage
	Column   int    // from 1, in bytes, of the place of the damage
	Offset   int64  // in bytes, of the place of the damage in the unpacked file
	Reason   string // what is wrong
	Expected string // what would have been right there, "" if nothing can be said
	Text     []byte // the damaged line as read, borrowed
}

func (o Options) maxRecord() int {
	if o.MaxRecord > 0 {
		return o.MaxRecord
	}
	return 8 << 20
}

func (o Options) maxNotes() int {
	if o.MaxNotes > 0 {
		return o.MaxNotes
	}
	return 25_000
}
