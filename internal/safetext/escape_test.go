package safetext

import (
	"strings"
	"testing"

	"github.com/tomoscrape/tomoscrape/internal/screentest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"plain", "GET /v2/servers?x=1", "GET /v2/servers?x=1"},
		{"colour", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"title and bell", "\x1b]0;owned\a", `\x1b]0;owned\x07`},
		{"lines", "a\r\nb\tc\vd\x00", `a\r\nb\tc\x0bd\x00`},
		{"delete", "a\x7f", `a\x7f`},
		{"C1 as a code point", "\u009b31m", `\u009b31m`},
		{"C1 as a byte", "\x9b31m", `\x9b31m`},
		{"next line", "a\u0085b", `a\u0085b`},
		{"bidi", "user\u202etxt.exe\u2066\u061c", `user\u202etxt.exe\u2066\u061c`},
		{"zero width", "a\u200bb\u200dc\ufeffd\u00ade", `a\u200bb\u200dc\ufeffd\u00ade`},
		{"fillers", "\u115f\u3164\u034f\ufe0f", `\u115f\u3164\u034f\ufe0f`},
		{"tags", "\U000e0041", `\U000e0041`},
		{"separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"private and unassigned", "\ue000\u0378", `\ue000\u0378`},
		{"no UTF-8", "\xff\xc3(\xed\xa0\x80", `\xff\xc3(\xed\xa0\x80`},
		{"replacement character", "\ufffd", "\ufffd"},
		{"letters", "Zürich 東京 שלום", "Zürich 東京 שלום"},
		{"accent", "e\u0301", "e\u0301"},
		{"mark without a letter", "\u0301e", `\u0301e`},
		{"stacked marks", "e" + strings.Repeat("\u0301", 8), "e" + strings.Repeat("\u0301", 6) + `\u0301\u0301`},
		{"backslash", `C:\x1b`, `C:\x1b`},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.out, Escape(c.in)) })
	}
}

// Whatever stands in a log, what is drawn is one line of characters that draw.
func TestEscapedTextIsHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		width := rapid.IntRange(0, 60).Draw(t, "width")
		screentest.Harmless(t, Escape(in))
		head, cols := Clip(in, width)
		screentest.Harmless(t, head)
		require.Equal(t, screentest.Width(head), cols)
		require.LessOrEqual(t, cols, width)
		tail, cols := ClipTail(in, width)
		screentest.Harmless(t, tail)
		require.LessOrEqual(t, cols, width)
		for _, line := range Wrap(in, width) {
			screentest.Harmless(t, line)
			require.LessOrEqual(t, screentest.Width(line), max(width, WidestEscape))
		}
	})
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		head  string
		tail  string
	}{
		{"nova-api", 8, "nova-api", "nova-api"},
		{"nova-api", 5, "nova…", "…-api"},
		{"nova-api", 1, "…", "…"},
		{"nova-api", 0, "", ""},
		{"", 0, "", ""},
		{"東京都", 5, "東京…", "…京都"},
		{"東京都", 4, "東…", "…都"},
		{"ab\x1bcd", 6, "ab…", "…cd"},
		{"ab\x1bcd", 8, `ab\x1bcd`, `ab\x1bcd`},
	} {
		head, _ := Clip(c.in, c.width)
		require.Equal(t, c.head, head, "%q in %d", c.in, c.width)
		tail, _ := ClipTail(c.in, c.width)
		require.Equal(t, c.tail, tail, "%q in %d", c.in, c.width)
	}
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"one two", "three", "fourfivesi", "xseven"}, Wrap("one two three fourfivesixseven", 10))
	require.Empty(t, Wrap("", 10))
}
