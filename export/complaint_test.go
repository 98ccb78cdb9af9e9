package export

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/screentest"
	"github.com/tomoscrape/tomoscrape/trace"
)

func complaints() []trace.Complaint {
	line := `2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=5731049070570866, parent_id=None, id=57310, name='WSGI', notes=[Note(time=1366250528.495435, val`
	return []trace.Complaint{
		{Kind: "salvaged", File: "nova/nova-api.log", Line: 12, Column: len(line) + 1, Offset: 90211,
			Reason: "the line ends inside a note", Expected: `"value="`, Text: []byte(line + "\n")},
		{Kind: "rejected", File: "sos.tar.xz!sos/nova/nova-api.log", Line: 1, Column: 71,
			Reason: "no trace id", Expected: "a whole number such as 5731049070570866", Text: []byte(strings.Replace(line, "5731049070570866", "<b>", 1))},
		{Kind: "rejected", File: "hostile\x1b[2J.log", Line: 3, Column: 12, Reason: "no \x1b value", Text: []byte("Span(a=\x1b[2J\u202e\xff, b=東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都")},
		{Kind: "rejected", File: "far.log", Line: 4, Column: 5000, Reason: "the damage lies beyond what is shown", Expected: "a name", Text: bytes.Repeat([]byte("x"), 9000)},
		{Kind: "rejected", File: "empty.log", Line: 5, Column: 1, Reason: "nothing there"},
	}
}

func TestWriteComplaint(t *testing.T) {
	for name, v := range map[string]View{"60": {Width: 60}, "100": {Width: 100}, "pipe": {}, "color": {Width: 80, Color: true}} {
		var out strings.Builder
		for _, c := range complaints() {
			require.NoError(t, WriteComplaint(&out, &c, v))
		}
		golden(t, "complaints-"+name+".txt", out.String())
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
		require.NoError(t, WriteComplaint(&out, &c, View{Width: width}))
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			screentest.Harmless(t, line)
			require.LessOrEqual(t, screentest.Width(line), width)
		}
	})
}

func TestComplaintCaret(t *testing.T) {
	c := trace.Complaint{Kind: "rejected", File: "f", Line: 1, Column: 8, Reason: "r", Text: []byte("a\x1b東 X=1")}
	var out strings.Builder
	require.NoError(t, WriteComplaint(&out, &c, View{Width: 80}))
	require.Equal(t, "f:1:8: rejected: r\n  a\\x1b東 X=1\n           ^\n", out.String())
}

func TestComplaintJSON(t *testing.T) {
	var out []byte
	for _, c := range complaints() {
		out = AppendComplaint(out, &c)
	}
	golden(t, "complaints.jsonl", string(out))
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, lines, len(complaints()))
	for i, c := range complaints() {
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &got))
		text := c.Text[:min(len(c.Text), 4096)]
		require.Equal(t, map[string]any{"kind": string(c.Kind), "file": c.File, "line": float64(c.Line),
			"column": float64(c.Column), "offset": float64(c.Offset), "reason": c.Reason, "expected": c.Expected,
			"text": string(bytes.ToValidUTF8(text, []byte("\ufffd")))}, got)
	}
}

func TestComplaintJSONIsHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := trace.Complaint{Kind: "rejected", File: string(rapid.SliceOf(rapid.Byte()).Draw(t, "file")),
			Text: []byte(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text"))}
		line := AppendComplaint(nil, &c)
		screentest.Harmless(t, strings.TrimSuffix(string(line), "\n"))
		var got trace.Complaint
		require.NoError(t, json.Unmarshal(line, &struct{ File *string }{&got.File}))
		require.Equal(t, strings.ToValidUTF8(c.File, "\ufffd"), got.File)
	})
}
