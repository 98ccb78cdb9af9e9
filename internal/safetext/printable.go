package safetext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable is s with all that is no printable character written out as Go does
// (\n, \x1b, \u202e), a byte that is no UTF-8 as \xff, and a backslash as \\, so
// that different texts stay different. What comes out is valid UTF-8. It is for
// logs and metrics that programs read; [Escape] is for people.
func Printable(s string) string {
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

// ClipBytes is s cut to at most n bytes, between characters.
func ClipBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
