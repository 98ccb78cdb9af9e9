// Package safetext makes text harmless, whatever it holds, and numbers readable: log
// text for terminals (Escape, Fit, Clip, Wrap), for files and logs that programs read
// (AppendJSON, Printable), counts, sizes, times and durations.
package safetext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// columns measures runes one by one and without a look at the locale, so that
// the same text is laid out alike everywhere.
var columns = &runewidth.Condition{StrictEmojiNeutral: true}

// marksInARow is how many combining marks may follow one character: more than
// any script needs, and too few to draw over the neighbouring lines.
const marksInARow = 6

// Escape makes text from a log harmless for a terminal. Characters that draw
// something stand as they are; all others are written out: \n, \r, \t, \x1b for
// the remaining ASCII control characters, \xff for a byte that is no UTF-8, and
// \u202e or \U000e0001 for what steers, hides or reorders text (C1 controls,
// bidi controls, zero-width and format characters, line and paragraph
// separators, private and unassigned code points). A backslash stands for
// itself.
func Escape(s string) string {
	if plainASCII(s) {
		return s
	}
	text, _, _ := Fit(s, unbounded)
	return text
}

func plainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// unbounded is a width that no text reaches.
const unbounded = 1<<31 - 1

// Fit escapes s as far as it fits into width columns. It returns the text, the
// columns it takes, and how many bytes of s it holds. Only as much of s is
// looked at as fits.
func Fit(s string, width int) (text string, cols, taken int) {
	var b strings.Builder
	marks := marksInARow // none may stand before the first character
	for taken < len(s) {
		r, size := utf8.DecodeRuneInString(s[taken:])
		piece, wide := s[taken:taken+size], 1
		switch {
		case r < utf8.RuneSelf && r >= ' ' && r != 0x7f:
			marks = 0
		case combines(r) && draws(r) && marks < marksInARow:
			marks++
			wide = columns.RuneWidth(r)
		case r == utf8.RuneError && size == 1 || combines(r) || !draws(r):
			piece = writtenOut(r, s[taken:taken+size])
			wide = len(piece)
			marks = marksInARow
		default:
			marks = 0
			wide = columns.RuneWidth(r)
		}
		if cols+wide > width {
			break
		}
		b.WriteString(piece)
		cols += wide
		taken += size
	}
	return b.String(), cols, taken
}

func combines(r rune) bool { return unicode.In(r, unicode.Mn, unicode.Me) }

// draws says whether a character puts ink or a blank of its own on the screen.
// Some graphic ones do not: fillers, joiners, variation selectors.
func draws(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector)
}

// writtenOut is how a character that must not reach a terminal is shown.
func writtenOut(r rune, raw string) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < utf8.RuneSelf || r == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// FitAll is s escaped, and the columns it takes.
func FitAll(s string) (string, int) {
	text, cols, _ := Fit(s, unbounded)
	return text, cols
}

// Ellipsis stands where text was left out.
const Ellipsis = "…"

// Clip is s escaped and cut to width columns, an ellipsis at its end if
// something is missing, and the columns it takes. A width of 0 leaves nothing.
func Clip(s string, width int) (string, int) {
	if plainASCII(s[:min(len(s), max(width, 0)+1)]) && len(s) <= width {
		return s, len(s)
	}
	text, cols, taken := Fit(s, width)
	if taken == len(s) {
		return text, cols
	}
	if width < 1 {
		return "", 0
	}
	text, cols, _ = Fit(s, width-1)
	return text + Ellipsis, cols + 1
}

// ClipTail is s escaped and cut to width columns from the left.
func ClipTail(s string, width int) (string, int) {
	if text, cols, taken := Fit(s, width); taken == len(s) {
		return text, cols
	}
	if width < 1 {
		return "", 0
	}
	// Every rune takes at most its escape's columns and at least none, so walk
	// back rune by rune until the rest no longer fits.
	start := len(s)
	for start > 0 {
		_, size := utf8.DecodeLastRuneInString(s[:start])
		if _, _, taken := Fit(s[start-size:], width-1); taken < len(s)-start+size {
			break
		}
		start -= size
	}
	text, cols, _ := Fit(s[start:], width-1)
	return Ellipsis + text, cols + 1
}

// WidestEscape is the length of \U000e0001.
const WidestEscape = 10

// Wrap breaks our own words and log text alike into escaped lines of at most
// width columns (but never fewer than an escape takes), at blanks where there
// are any.
func Wrap(s string, width int) []string {
	width = max(width, WidestEscape)
	var lines []string
	for s != "" {
		_, _, taken := Fit(s, width)
		if taken < len(s) {
			if blank := strings.LastIndexByte(s[:taken+1], ' '); blank > 0 {
				taken = blank
			}
		}
		text, _, _ := Fit(s[:taken], unbounded)
		lines = append(lines, strings.TrimRight(text, " "))
		s = strings.TrimLeft(s[taken:], " ")
	}
	return lines
}
