package export

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/internal/screentest"
	"github.com/tomoscrape/tomoscrape/trace"
)

func TestComplaintJSON(t *testing.T) {
	var out []byte
	for _, c := range sampletest.Complaints() {
		out = AppendComplaint(out, &c)
	}
	sampletest.Golden(t, "complaints.jsonl", string(out))
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, lines, len(sampletest.Complaints()))
	for i, c := range sampletest.Complaints() {
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
