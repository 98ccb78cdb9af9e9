package monitor

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable is s with all that is no printable character written out as Go does
// (\n, \x1b, \u202e), a byte that is no UTF-8 as \xff, and a backslash as \\, so
// that different texts stay different. What comes out is valid UTF-8.
func printable(s string) string {
	if !strings.ContainsFunc(s, mustBeEscaped) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// mustBeEscaped is true for RuneError, too, since that may stand for a bad byte.
func mustBeEscaped(r rune) bool {
	return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
}

// clip is s cut to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
