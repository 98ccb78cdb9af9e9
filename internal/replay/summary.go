package replay

import (
	"fmt"
	"io"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/internal/source"
)

// summaryNames is how many files of a kind a summary names.
const summaryNames = 10

// WriteSummary tells a person in a few lines what the ledger holds:
//
//	read 12 files (31 members), 456 lines, 88.1 KiB
//	400 span lines: 390 parsed, 7 salvaged, 3 rejected
//	380 spans in 40 traces: 38 complete, 2 incomplete
//	--memory did not hold all spans: 1.2 GiB went through temporary files, in 128 partitions
//	could not read 1:
//	  sos.tar.xz!nova/nova-api.log.2.gz: unexpected end (at byte 4,096)
func (l *Ledger) WriteSummary(w io.Writer) error {
	var b strings.Builder
	read := safetext.Count(int64(l.Files), "file")
	if l.Members > 0 {
		read += " (" + safetext.Count(int64(l.Members), "member") + ")"
	}
	fmt.Fprintf(&b, "read %s, %s, %s", read, safetext.Count(l.Lines, "line"), safetext.Bytes(l.Bytes))
	if l.SameFile > 0 {
		fmt.Fprintf(&b, "; %s led to a file already read", safetext.Count(int64(l.SameFile), "more path"))
	}
	fmt.Fprintf(&b, "\n%s: %s parsed, %s salvaged, %s rejected", safetext.Count(l.SpanLines, "span line"),
		safetext.Thousands(l.Parsed), safetext.Thousands(l.Salvaged), safetext.Thousands(l.Rejected))
	if l.Mentions > 0 {
		fmt.Fprintf(&b, "; %s a span", safetext.Count(l.Mentions, "line only mentions", "lines only mention"))
	}
	fmt.Fprintf(&b, "\n%s", safetext.Count(l.Spans, "span"))
	if l.Duplicates > 0 {
		fmt.Fprintf(&b, " (and %s)", safetext.Count(l.Duplicates, "duplicate"))
	}
	fmt.Fprintf(&b, " in %s: %s complete, %s incomplete", safetext.Count(l.Traces, "trace"),
		safetext.Thousands(l.Complete), safetext.Thousands(l.Incomplete))
	if l.Selected != l.Traces {
		fmt.Fprintf(&b, "; %s selected", safetext.Thousands(l.Selected))
	}
	b.WriteByte('\n')
	if l.Spill != nil {
		l.Spill.write(&b)
	}
	l.names(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Spill) write(b *strings.Builder) {
	fmt.Fprintf(b, "--memory did not hold all spans: %s went through temporary files, in %s", safetext.Bytes(s.Bytes),
		safetext.Count(s.Partitions, "partition"))
	if s.OversizedTraces > 0 {
		fmt.Fprintf(b, "; %s than --memory and took up to %s, with nothing else beside it",
			safetext.Count(s.OversizedTraces, "trace was larger",
				"traces were each larger"), safetext.Bytes(s.OversizedBytes))
	}
	b.WriteString("\nthe windows of decoders for packed input come on top of --memory: up to 128 MiB for each layer " +
		"of xz or zstd\n")
}

// names lists what was not read, or not whole.
func (l *Ledger) names(b *strings.Builder) {
	list := func(head string, n int, item func(i int) string) {
		if n == 0 {
			return
		}
		fmt.Fprintf(b, "%s %d:\n", head, n)
		for i := range min(n, summaryNames) {
			fmt.Fprintf(b, "  %s\n", item(i))
		}
		if n > summaryNames {
			fmt.Fprintf(b, "  and %d more: --summary FILE names them\n", n-summaryNames)
		}
	}
	list("skipped", len(l.Skipped), func(i int) string {
		return named(l.Skipped[i].Name, l.Skipped[i].Reason)
	})
	list("could not read", len(l.Unreadable), func(i int) string { return unreadableText(&l.Unreadable[i]) })
}

func unreadableText(u *source.Unreadable) string {
	text := named(u.Name, u.Reason)
	if u.Offset > 0 {
		text += " (at byte " + safetext.Thousands(u.Offset) + ")"
	}
	return text
}

func named(name, reason string) string {
	if name == "" {
		return safetext.Escape(reason)
	}
	return safetext.Escape(name) + ": " + safetext.Escape(reason)
}
