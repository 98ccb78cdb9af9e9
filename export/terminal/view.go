// Package terminal draws for people: the list of traces, a trace as a tree with bars,
// notes and dimensions, and complaints about lines. What it draws fits the width that
// it is told, or is cut nowhere for a pipe; log text comes through package safetext.
package terminal

import (
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// View says for whom text is drawn.
type View struct {
	Width int  // columns of the terminal; 0 is for a pipe or a file: nothing is cut
	Color bool // SGR colours; the caller decides, by the terminal and NO_COLOR
	// Done, when it is closed, ends the drawing of a tree, which may be as large as a
	// log: with [context.Canceled].
	Done <-chan struct{}
}

func (v View) ended() bool {
	select {
	case <-v.Done:
		return true
	default:
		return false
	}
}

// The SGR codes of what is drawn.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// serviceColors tell services apart; none of them is the red of problems.
var serviceColors = []string{"36", "32", "35", "34", "33", "96", "92", "95", "94", "93"}

// paint colours text that is safe already.
func (v View) paint(sgr, text string) string {
	if !v.Color || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// offset writes the time from start to us with its sign, in more detail than a
// duration: notes of minutes later still lie milliseconds apart.
func offset(us, start int64) string {
	sign, d := "+", uint64(us)-uint64(start)
	if us < start {
		sign, d = "-", uint64(start)-uint64(us)
	}
	const minute, day = 60 * 1000 * 1000, 24 * 3600 * 1000 * 1000
	if rest := d % minute / 1000; d >= minute && d < day && rest > 0 {
		return sign + safetext.Duration(d-d%minute) + " " + safetext.Thousandths(rest) + " s"
	}
	return sign + safetext.Duration(d)
}

// duration is the trace's in words, "-" without any timed note.
func duration(t *trace.Trace) string {
	if !t.HasStart {
		return "-"
	}
	return safetext.Duration(uint64(t.End) - uint64(t.Start))
}

func verdict(t *trace.Trace) string {
	if t.Complete() {
		return "complete"
	}
	return "incomplete"
}

// root is the first span of a trace that stands at depth 0, as the first of all does.
func root(t *trace.Trace) *trace.Node {
	if t.Len() == 0 {
		return nil
	}
	return t.Node(0)
}

// label is a span's service and name as one text, escaped by nobody yet.
func label(s *trace.Span) string {
	service, name := s.Service(), s.Name
	switch {
	case service.Set && name.Set:
		return visible(service.String) + " " + visible(name.String)
	case name.Set:
		return visible(name.String)
	case service.Set:
		return visible(service.String) + " (no name)"
	}
	return "(no name)"
}

// visible is the text itself, or quotes where it is empty.
func visible(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

func pad(cols int) string {
	if cols <= 0 {
		return ""
	}
	return strings.Repeat(" ", cols)
}
