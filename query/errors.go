package query

import (
	"fmt"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// UsageError is a filter that cannot be meant.
type UsageError struct {
	Option   string // as on the command line, "--since"; "" if the caller knows it
	Value    string // what was given for it
	Problem  string // what is wrong with it
	Expected string // what would be right
}

func (e *UsageError) Error() string {
	text := fmt.Sprintf("%.60q %s; expected %s", e.Value, e.Problem, e.Expected)
	if e.Option != "" {
		text = e.Option + " " + text
	}
	return text
}

// NotFoundError names the wanted traces that are not there.
type NotFoundError struct{ TraceIDs []string }

func (e *NotFoundError) Error() string {
	if len(e.TraceIDs) == 1 {
		return fmt.Sprintf("no trace %.60q in what was read", e.TraceIDs[0])
	}
	quoted := make([]string, len(e.TraceIDs))
	for i, id := range e.TraceIDs {
		quoted[i] = fmt.Sprintf("%.60q", id)
	}
	return "none of these traces in what was read: " + strings.Join(quoted, ", ")
}

// AmbiguousError is a trace id that names more than one trace, as a decimal and
// as a hexadecimal number.
type AmbiguousError struct {
	Text string     // the id as given
	IDs  []trace.ID // the traces it names
}

func (e *AmbiguousError) Error() string {
	names := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		names[i] = fmt.Sprintf("%s (in the log: %.60s)", id.Hex(), id.Decimal())
	}
	return fmt.Sprintf("%.60q names %d traces: %s; a decimal number can be given with an L at its end, a "+
		"hexadecimal one with zeros in front, 32 digits in all",
		e.Text, len(e.IDs), strings.Join(names, ", "))
}
