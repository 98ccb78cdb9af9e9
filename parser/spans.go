package parser

import (
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/tomoscrape/tomoscrape/internal/linereader"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Spans reads the spans of a log, whose name stands in their origins, in the order of
// its lines; they can be kept. A span that was salvaged comes with a
// [*trace.Complaint] as its error, a record that was rejected with such an error and
// no span. Any other error stands alone: it tells of a line that could not be read, or,
// as the last, that of r. Lines are read up to 8 MiB.
func Spans(r io.Reader, name string) iter.Seq2[*trace.Span, error] {
	return func(yield func(*trace.Span, error) bool) {
		ended := false
		give := func(span *trace.Span, err error) {
			ended = ended || !yield(span, err)
		}
		reader := NewReader(name, Options{}, Output{
			Record: func(found *Result) {
				var span *trace.Span
				if found.HasSpan {
					kept := found.Span.Clone()
					span = &kept
				}
				if found.Complaint == nil {
					give(span, nil)
					return
				}
				complaint := *found.Complaint
				complaint.Text = slices.Clone(complaint.Text)
				give(span, &complaint)
			},
			Lost: func(at Place, reason string) {
				give(nil, fmt.Errorf("%s:%d: %s", at.File, at.Line, reason))
			},
		})
		in := linereader.New(r, Options{}.maxRecord())
		for !ended {
			line, ok := in.Next()
			if !ok {
				break
			}
			if line.Cut {
				give(nil, fmt.Errorf("%s: %s", name, linereader.TooLong(line.Number, len(line.Text))))
			}
			reader.Feed(Line{Text: line.Text, Number: line.Number, Offset: line.Offset, Cut: line.Cut})
		}
		reader.Flush()
		if err := in.Err(); err != nil {
			give(nil, fmt.Errorf("%s: %w", name, err))
		}
	}
}
