package assemble

import (
	"slices"

	"github.com/tomoscrape/tomoscrape/trace"
)

// equal says whether two spans have the same decoded values, each written in the
// same way. Then their keys are equal; it takes a fraction of making these.
func equal(a, b *trace.Span) bool {
	return a.HasParent == b.HasParent && a.ParentID == b.ParentID && a.Name == b.Name &&
		slices.EqualFunc(a.Notes, b.Notes, equalNotes) &&
		(a.Dimensions == nil) == (b.Dimensions == nil) && slices.EqualFunc(a.Dimensions, b.Dimensions,
		equalDimensions) &&
		slices.Equal(a.Extra, b.Extra)
}

func equalNotes(a, b trace.Note) bool {
	return a.Time == b.Time && a.HasTime == b.HasTime && a.Value == b.Value && a.Service == b.Service &&
		a.Address == b.Address &&
		a.Port == b.Port && a.Duration == b.Duration && slices.Equal(a.Extra, b.Extra)
}

func equalDimensions(a, b trace.Dimension) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Service == b.Service && a.Address == b.Address &&
		a.Port == b.Port && slices.Equal(a.Extra, b.Extra)
}
