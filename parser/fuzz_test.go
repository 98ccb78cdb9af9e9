package parser

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// What the scanner decodes, the grammar decodes to the same span with the same
// end. The corpus has names: testdata/fuzz/FuzzScanAgreesWithGrammar.
func FuzzScanAgreesWithGrammar(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newScanner()
		alone := (*scanner)(nil).grammarSpan(text, Options{}, false)
		require.Equal(t, alone, s.grammarSpan(text, Options{}, false), "with the scanner for notes the grammar reads %q in another way", text)
		end, ok := s.scan(text, Options{})
		span := s.span
		if !ok {
			return
		}
		d := alone
		require.Nil(t, d.damage, "the scanner reads %q, the grammar does not", text)
		require.Equal(t, d.end, end)
		require.Equal(t, d.span, span)
	})
}

// Any bytes at all are read without a panic, and every record is accounted for.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		var results Counts
		r := NewReader("fuzz.log", Options{MaxRecord: 4096}, Output{
			Record: func(r *Result) {
				switch {
				case r.Complaint == nil:
					results.Parsed++
					require.True(t, r.HasSpan)
					require.Zero(t, r.Span.Damage&trace.Truncated)
				case r.HasSpan:
					results.Salvaged++
					require.Equal(t, trace.Salvaged, r.Complaint.Kind)
					require.NotZero(t, r.Span.Damage&trace.Truncated)
				default:
					results.Rejected++
					require.Equal(t, trace.Rejected, r.Complaint.Kind)
				}
				require.NotEmpty(t, r.Places)
				if c := r.Complaint; c != nil {
					require.NotEmpty(t, c.Reason)
					require.Positive(t, c.Line)
					require.Positive(t, c.Column)
					require.LessOrEqual(t, c.Column, len(c.Text)+1)
				}
			},
			Lost: func(at Place, reason string) { require.NotEmpty(t, reason) },
		})
		offset := int64(0)
		lines := bytes.Split(file, []byte("\n"))
		for i, line := range lines {
			r.Feed(Line{Text: line, Number: int64(i + 1), Offset: offset})
			offset += int64(len(line)) + 1
		}
		r.Flush()
		_, holding := r.Pending()
		require.False(t, holding)
		require.Zero(t, r.bytes)
		require.EqualValues(t, len(lines), r.Counts.Lines)
		results.Lines, results.Mentions = r.Counts.Lines, r.Counts.Mentions
		require.Equal(t, r.Counts, results)
	})
}
