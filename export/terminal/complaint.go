package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Complaint shows a complaint to a person: where and why, the line around
// the damage with a caret below the place, and what would have been right.
//
//	nova/nova-api.log:12:34: rejected: a note without an end
//	  … notes=[Note(time=1366250528.495435, val
//	                                           ^ expected a value
func Complaint(w io.Writer, c *trace.Complaint, v View) error {
	width := v.Width
	if width <= 0 {
		width = 160
	}
	var b strings.Builder
	place := fmt.Sprintf("%s:%d:%d:", safetext.Escape(c.File), c.Line, c.Column)
	sgr := red
	if c.Kind == trace.Salvaged {
		sgr = yellow
	}
	b.WriteString(v.paint(bold, place))
	_, used := safetext.FitAll(place)
	reason := string(c.Kind) + ": " + c.Reason
	if lines := safetext.Wrap(reason, width-used-1); len(lines) == 1 && width-used > safetext.WidestEscape {
		b.WriteString(" " + v.paint(sgr, lines[0]) + "\n")
	} else {
		b.WriteByte('\n')
		for _, line := range safetext.Wrap(reason, width-2) {
			b.WriteString("  " + v.paint(sgr, line) + "\n")
		}
	}
	reserve := 1 // columns for the caret and, if it is short, what was expected
	if _, cols := safetext.FitAll(c.Expected); c.Expected != "" && cols < width/2 {
		reserve += len(" expected ") + cols
	}
	window, caret := windowOf(c, width-2, reserve)
	if window != "" {
		b.WriteString("  " + window + "\n")
	}
	pointer(&b, c.Expected, v, window != "", caret, width-2)
	_, err := io.WriteString(w, b.String())
	return err
}

// windowOf is the part of the text around the column, escaped, in at most width
// columns, and how far from its left the column is (-1 if the text ends before):
// so far that reserve columns are right of it.
func windowOf(c *trace.Complaint, width, reserve int) (string, int) {
	whole := string(c.Text[:min(len(c.Text), trace.ComplaintText)])
	text := strings.TrimRight(whole, "\r\n")
	at := c.Column - 1
	if at <= len(whole) {
		at = min(at, len(text))
	}
	if text == "" {
		return "", -1
	}
	if at < 0 || at > len(text) {
		shown, _ := safetext.Clip(text, width)
		return shown, -1
	}
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	before, cols := safetext.FitAll(text[:at])
	_, after := safetext.Clip(text[at:], width)
	if room := width - max(after, reserve); cols > room { // cut on the left
		room = max(room, min(width*2/3, width-reserve)) // a third stands behind
		before, cols = safetext.ClipTail(text[:at], room)
	}
	rest, _ := safetext.Clip(text[at:], width-cols)
	return before + rest, cols
}

// pointer writes the caret and what was expected there.
func pointer(b *strings.Builder, what string, v View, shown bool, caret, width int) {
	expected := ""
	if what != "" {
		expected = "expected " + what
	}
	if !shown || caret < 0 {
		caret = -1
	} else {
		b.WriteString("  " + pad(caret) + v.paint(bold+";"+green, "^"))
	}
	_, cols := safetext.FitAll(expected)
	switch {
	case expected == "" && caret >= 0:
		b.WriteByte('\n')
	case expected == "":
	case caret >= 0 && caret+2+cols <= width:
		b.WriteString(" " + v.paint(green, safetext.Escape(expected)) + "\n")
	default:
		if caret >= 0 {
			b.WriteByte('\n')
		}
		for _, line := range safetext.Wrap(expected, width) {
			b.WriteString("  " + v.paint(green, line) + "\n")
		}
	}
}
