package assemble

import (
	"slices"

	"github.com/tomoscrape/tomoscrape/trace"
)

// unmoved gives spans with their times as in the log: what was read from a
// document that AdjustSkew had a part in is the same span as in its log, and is
// moved again only if that is asked for again. The caller's spans stay as they
// were.
func unmoved(spans []trace.Span) []trace.Span {
	cloned := false
	for i := range spans {
		if spans[i].Moved == 0 {
			continue
		}
		if !cloned {
			spans, cloned = slices.Clone(spans), true
		}
		s := &spans[i]
		s.Notes = later(s.Notes, -s.Moved)
		s.Moved = 0
	}
	return spans
}

// later are notes with other times; by was found not to overflow, unless a
// document has numbers that no adjustment gives.
func later(notes []trace.Note, by int64) []trace.Note {
	notes = slices.Clone(notes)
	for i := range notes {
		if n := &notes[i]; n.HasTime {
			n.Time += by
		}
	}
	return notes
}
