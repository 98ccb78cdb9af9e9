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
