package query

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// wantedID is a trace id as a user gives it, which may be meant in two ways.
type wantedID struct {
	text             string
	decimal, hex     trace.ID
	decimalIs, hexIs bool
}

// parseID reads a decimal number as in the log, or 16 or 32 hexadecimal digits.
// A log has no zeros in front, so digits with one are hexadecimal, and Python's L
// makes them decimal.
func parseID(text string) (wantedID, error) {
	w := wantedID{text: text}
	var err error
	if !strings.HasPrefix(strings.TrimPrefix(text, "-"), "0") || text == "0" {
		w.decimal, err = trace.ParseID(text)
		w.decimalIs = err == nil
	}
	if len(text) == 16 || len(text) == 32 {
		w.hex, err = trace.ParseHex(text)
		w.hexIs = err == nil
	}
	if !w.decimalIs && !w.hexIs {
		return w, &UsageError{
			Option: "--trace", Value: text, Problem: "is no trace id",
			Expected: "the decimal number that stands in the log, or the 16 or 32 hexadecimal digits that Zipkin shows",
		}
	}
	return w, nil
}

// names says whether a trace is meant. Hexadecimal digits also mean a negative
// number by its two's complement, since that is how it is shown.
func (w *wantedID) names(id trace.ID) bool {
	return w.decimalIs && w.decimal == id ||
		w.hexIs && id.Fits128() && w.hex.Hi == id.Hi && w.hex.Lo == id.Lo
}

// number is what two ids that one text may mean have in common.
func number(id trace.ID) [2]uint64 { return [2]uint64{id.Hi, id.Lo} }

// byNumber lists the indexes of ids by the numbers they may mean.
func byNumber(ids []wantedID) map[[2]uint64][]int {
	wanted := make(map[[2]uint64][]int)
	for i, w := range ids {
		if w.decimalIs {
			wanted[number(w.decimal)] = append(wanted[number(w.decimal)], i)
		}
		if w.hexIs && !(w.decimalIs && number(w.hex) == number(w.decimal)) {
			wanted[number(w.hex)] = append(wanted[number(w.hex)], i)
		}
	}
	return wanted
}

// named gives the indexes of the ids that name a trace.
func (m *matcher) named(id trace.ID) (names []int) {
	for _, i := range m.wanted[number(id)] {
		if m.ids[i].names(id) {
			names = append(names, i)
		}
	}
	return names
}

// hit is a trace that is named.
type hit struct {
	id       trace.ID
	start    int64
	hasStart bool
}

// checkNames says whether every name meant exactly one trace.
func (s *Selection) checkNames() error {
	var missing []string
	for i, w := range s.ids {
		switch hits := s.hits[i]; {
		case len(hits) == 0:
			missing = append(missing, w.text)
		case len(hits) > 1:
			return &AmbiguousError{Text: w.text, IDs: sorted(hits)}
		}
	}
	if len(missing) > 0 {
		return &NotFoundError{TraceIDs: missing}
	}
	return nil
}

// sorted is the ids of named traces in the order of traces.
func sorted(hits []hit) []trace.ID {
	slices.SortFunc(hits, func(a, b hit) int {
		switch {
		case a.hasStart != b.hasStart && a.hasStart:
			return -1
		case a.hasStart != b.hasStart:
			return 1
		case a.hasStart && a.start != b.start:
			return cmp.Compare(a.start, b.start)
		}
		return a.id.Compare(b.id)
	})
	ids := make([]trace.ID, len(hits))
	for i := range hits {
		ids[i] = hits[i].id
	}
	return ids
}
