package sampletest

import (
	"bytes"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Complaints are some of all kinds.
func Complaints() []trace.Complaint {
	line := `2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=5731049070570866, parent_id=None, id=57310, name='WSGI', notes=[Note(time=1366250528.495435, val`
	return []trace.Complaint{
		{Kind: "salvaged", File: "nova/nova-api.log", Line: 12, Column: len(line) + 1, Offset: 90211,
			Reason: "the line ends inside a note", Expected: `"value="`, Text: []byte(line + "\n")},
		{Kind: "rejected", File: "sos.tar.xz!sos/nova/nova-api.log", Line: 1, Column: 71,
			Reason: "no trace id", Expected: "a whole number such as 5731049070570866", Text: []byte(strings.Replace(line, "5731049070570866", "<b>", 1))},
		{Kind: "rejected", File: "hostile\x1b[2J.log", Line: 3, Column: 12, Reason: "no \x1b value",
			Text: []byte("Span(a=\x1b[2J\u202e\xff, b=東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都東京都")},
		{Kind: "rejected", File: "far.log", Line: 4, Column: 5000, Reason: "the damage lies beyond what is shown",
			Expected: "a name", Text: bytes.Repeat([]byte("x"), 9000)},
		{Kind: "rejected", File: "empty.log", Line: 5, Column: 1, Reason: "nothing there"},
	}
}
