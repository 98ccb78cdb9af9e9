package parser

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// All of a log comes, as a Reader gives it, and can be kept.
func TestSpansGivesWhatAReaderGives(t *testing.T) {
	files, err := filepath.Glob("../testdata/logs/*/*")
	require.NoError(t, err)
	read := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a directory
		}
		var counts Counts
		var kept []*trace.Span
		for span, err := range Spans(strings.NewReader(string(text)), file) {
			var c *trace.Complaint
			switch {
			case err == nil:
				counts.Parsed++
			case !errors.As(err, &c):
				continue
			case span != nil:
				counts.Salvaged++
				require.Equal(t, trace.Salvaged, c.Kind)
			default:
				counts.Rejected++
				require.Equal(t, trace.Rejected, c.Kind)
			}
			if span != nil {
				kept = append(kept, span)
			}
		}
		var want Counts
		i := 0
		r := NewReader(file, Options{}, Output{Record: func(found *Result) {
			if found.HasSpan {
				require.Equal(t, found.Span, *kept[i])
				i++
			}
		}})
		r.FeedBlock(text, 1, 0)
		r.Flush()
		want.Parsed, want.Salvaged, want.Rejected = r.Counts.Parsed, r.Counts.Salvaged, r.Counts.Rejected
		require.Equal(t, want, counts, file)
		read += len(kept)
	}
	require.Positive(t, read)
}

func TestSpansSaysWhatItDidNotRead(t *testing.T) {
	long := strings.Repeat("x", 9<<20) + "\n" + `{"MESSAGE":null,"_HOSTNAME":"h"}` + "\n"
	broken := errors.New("the disk is gone")
	var told []string
	for span, err := range Spans(io.MultiReader(strings.NewReader(long), iotest.ErrReader(broken)), "a.log") {
		require.Nil(t, span)
		told = append(told, err.Error())
		if len(told) == 3 {
			require.ErrorIs(t, err, broken)
		}
	}
	require.Equal(t, []string{
		"a.log: line 1 is longer than 8388608 bytes: the rest of it was not read (--max-line sets the limit)",
		`a.log:2: the journal's MESSAGE is "null" here: read it again with journalctl -a, which prints long messages, too`,
		"a.log: the disk is gone",
	}, told)
}

// Whoever has enough gets no more.
func TestSpansEnds(t *testing.T) {
	line := "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=1, parent_id=None, id=1, name='x', notes=[], dimensions=[])\n"
	for range Spans(strings.NewReader(strings.Repeat(line, 3)), "a.log") {
		break
	}
}
