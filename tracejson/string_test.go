package tracejson

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever byte stands at whatever place among others, it is found exactly if it
// is not plain.
func TestPlain(t *testing.T) {
	for c := range 256 {
		special := c < ' ' || c > '~' || c == '"' || c == '\\'
		for _, rest := range []string{"                   ", "~~~~~~~~~~~~~~~~~~~", "!#[]!#[]!#[]!#[]!#["} {
			for length := 1; length <= len(rest); length++ {
				for at := range length {
					s := rest[:at] + string([]byte{byte(c)}) + rest[at+1:length]
					want := length
					if special {
						want = at
					}
					require.Equal(t, want, plain(s), "%q", s)
				}
			}
		}
	}
}

// The first of several that are not plain is found, though what is computed for
// eight bytes at once runs from one into the next.
func TestPlainFindsTheFirst(t *testing.T) {
	for _, first := range "\x00\x1f\"\\\x7f\u0080\uffff" {
		for _, second := range "\x00\x1f !\"#[\\]~\x7f\u0080\uffff" {
			for at := range 16 {
				s := strings.Repeat("a", at) + string(first) + string(second) + strings.Repeat("!", 16)
				require.Equal(t, at, plain(s), "%q", s)
			}
		}
	}
}
