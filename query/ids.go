package query

import (
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

// named says by index which traces the filter names. Every name must mean
// exactly one.
func (m *matcher) named(traces []trace.Trace) (map[int]bool, error) {
	if len(m.ids) == 0 {
		return nil, nil
	}
	number := func(id trace.ID) [2]uint64 { return [2]uint64{id.Hi, id.Lo} }
	wanted := make(map[[2]uint64][]int) // names by the numbers they may mean
	for i, w := range m.ids {
		if w.decimalIs {
			wanted[number(w.decimal)] = append(wanted[number(w.decimal)], i)
		}
		if w.hexIs && !(w.decimalIs && number(w.hex) == number(w.decimal)) {
			wanted[number(w.hex)] = append(wanted[number(w.hex)], i)
		}
	}
	named := make(map[int]bool)
	hits := make([][]trace.ID, len(m.ids))
	for i := range traces {
		id := traces[i].ID
		for _, w := range wanted[number(id)] {
			if m.ids[w].names(id) {
				named[i] = true
				hits[w] = append(hits[w], id)
			}
		}
	}
	var missing []string
	for i, w := range m.ids {
		switch {
		case len(hits[i]) == 0:
			missing = append(missing, w.text)
		case len(hits[i]) > 1:
			return nil, &AmbiguousError{Text: w.text, IDs: hits[i]}
		}
	}
	if len(missing) > 0 {
		return nil, &NotFoundError{TraceIDs: missing}
	}
	return named, nil
}
