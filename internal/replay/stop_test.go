package replay

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
)

const spanLine = "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=1, parent_id=None, id=%d, name='x', notes=[])\n"

// A replay that is ended does not read its block, or its line, to the end.
func TestReplayEndsWithinABlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	bad := "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=1, x"
	for name, text := range map[string]string{"lines": "\n", "one line": " "} {
		require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte(bad+text), 5000), 0o600))
		for _, longest := range []int{0, 900 << 10} { // in blocks, and line by line
			ctx, stop := context.WithCancel(context.Background())
			told := 0
			_, err := Run(ctx, Options{Paths: []string{path}, Parser: parser.Options{MaxRecord: longest}, Complain: func(*trace.Complaint) error {
				told++
				stop()
				return nil
			}})
			require.ErrorIs(t, err, context.Canceled)
			if longest > 0 && name == "lines" {
				require.Equal(t, 1, told)
			}
			stop()
		}
	}
}

// A trace may be as large as all memory: what makes it, or writes it, is not waited
// for when the replay is ended.
func TestReplayEndsWithinATrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, spanLine, 1), 0o600))
	ctx, stop := context.WithCancel(context.Background())
	result, err := Run(ctx, Options{Paths: []string{path}})
	require.NoError(t, err)
	defer result.Close()
	ended, work := make(chan struct{}), make(chan struct{})
	err = result.Render(func(dst []byte, _ *trace.Trace, _ func([]byte) []byte) []byte {
		stop()
		<-ended // as if it took for ever
		close(work)
		return append(dst, "x"...)
	}, func([]byte) bool { t.Error("nothing is to be taken"); return true })
	close(ended)
	require.ErrorIs(t, err, context.Canceled)
	<-work
}

// What writes a trace piece by piece ends with its next piece.
func TestPiecesEnd(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var got []string
	ended := make(chan struct{})
	byPieces(ctx, func(text []byte) []byte {
		if got = append(got, string(text)); len(got) == 3 {
			stop()
		}
		return text[:0]
	}, func(full func([]byte) []byte) {
		defer close(ended)
		for i := 0; ; i++ {
			full(fmt.Append(nil, i))
		}
	})
	<-ended
	require.Equal(t, []string{"0", "1", "2"}, got)

	got = nil
	byPieces(context.Background(), func(text []byte) []byte {
		got = append(got, string(text))
		return text[:0]
	}, func(full func([]byte) []byte) { full(append(full([]byte("a")), 'b')) })
	require.Equal(t, []string{"a", "b"}, got)
}
