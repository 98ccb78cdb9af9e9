package replay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/source"
)

func summary(t *testing.T, l Ledger) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, l.WriteSummary(&out))
	return out.String()
}

func TestSummary(t *testing.T) {
	require.Equal(t, `read 12 files (31 members), 1,234,456 lines, 88.1 KiB; 1 more path led to a file already read
400 span lines: 390 parsed, 7 salvaged, 3 rejected; 2 lines only mention a span
380 spans (and 17 duplicates) in 40 traces: 38 complete, 2 incomplete; 5 selected
skipped 1:
  core.1234: ELF file
could not read 2:
  sos.tar.xz!nova/nova\x1b[2J.gz: unexpected end (at byte 4,096)
  3 more could not be read
`, summary(t, Ledger{Files: 12, Members: 31, Bytes: 90211, Lines: 1234456, SpanLines: 400, Parsed: 390, Salvaged: 7, Rejected: 3,
		Mentions: 2, Spans: 380, Duplicates: 17, Traces: 40, Complete: 38, Incomplete: 2, Selected: 5, SameFile: 1,
		Skipped:    []source.Skipped{{Name: "core.1234", Reason: "ELF file"}},
		Unreadable: []source.Unreadable{{Name: "sos.tar.xz!nova/nova\x1b[2J.gz", Offset: 4096, Reason: "unexpected end"}, {Reason: "3 more could not be read"}}}))

	require.Equal(t, `read 1 file, 1 line, 512 bytes
1 span line: 1 parsed, 0 salvaged, 0 rejected
1 span in 1 trace: 1 complete, 0 incomplete
`, summary(t, Ledger{Files: 1, Bytes: 512, Lines: 1, SpanLines: 1, Parsed: 1, Spans: 1, Traces: 1, Complete: 1, Selected: 1}))
}

func TestSummaryNamesTen(t *testing.T) {
	var l Ledger
	for i := range 12 {
		l.Skipped = append(l.Skipped, source.Skipped{Name: fmt.Sprint("f", i), Reason: "SQLite database"})
	}
	text := summary(t, l)
	require.Contains(t, text, "skipped 12:\n  f0: SQLite database\n")
	require.Contains(t, text, "  f9: SQLite database\n  and 2 more: --summary FILE names them\n")
	require.NotContains(t, text, "f10")
}
