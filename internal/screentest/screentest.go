// Package screentest checks what is drawn.
package screentest

import (
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"
)

var columns = &runewidth.Condition{StrictEmojiNeutral: true}

// Harmless fails if a text has a character that may steer a terminal.
func Harmless(t require.TestingT, s string) {
	require.True(t, utf8.ValidString(s))
	for _, r := range s {
		require.True(t, unicode.IsGraphic(r), "%q in %q", r, s)
		require.False(t, unicode.Is(unicode.Cf, r), "%q in %q", r, s)
	}
}

// Width is how many columns a text takes.
func Width(s string) int {
	cols := 0
	for _, r := range s {
		cols += columns.RuneWidth(r)
	}
	return cols
}
