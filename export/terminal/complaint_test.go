package terminal

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/internal/screentest"
	"github.com/tomoscrape/tomoscrape/trace"
)

func TestWriteComplaint(t *testing.T) {
	for name, v := range map[string]View{"60": {Width: 60}, "100": {Width: 100}, "pipe": {}, "color": {Width: 80, Color: true}} {
		var out strings.Builder
		for _, c := range sampletest.Complaints() {
			require.NoError(t, Complaint(&out, &c, v))
		}
		sampletest.Golden(t, "complaints-"+name+".txt", out.String())
	}
}

// A complaint fits the terminal but for its place, which must stay whole to be
// copied, and the caret stands below the damage.
func TestComplaintFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := trace.Complaint{Kind: "rejected", File: "f", Line: 1,
			Column:   rapid.IntRange(0, 200).Draw(t, "column"),
			Reason:   rapid.String().Draw(t, "reason"),
			Expected: rapid.String().Draw(t, "expected"),
			Text:     rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "text")}
		width := rapid.IntRange(30, 120).Draw(t, "width")
		var out strings.Builder
		require.NoError(t, Complaint(&out, &c, View{Width: width}))
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			screentest.Harmless(t, line)
			require.LessOrEqual(t, screentest.Width(line), width)
		}
	})
}

func TestComplaintCaret(t *testing.T) {
	c := trace.Complaint{Kind: "rejected", File: "f", Line: 1, Column: 8, Reason: "r", Text: []byte("a\x1b東 X=1")}
	var out strings.Builder
	require.NoError(t, Complaint(&out, &c, View{Width: 80}))
	require.Equal(t, "f:1:8: rejected: r\n  a\\x1b東 X=1\n           ^\n", out.String())
}
