package replay

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

const (
	wholeLine = "2013-07-09 23:30:02,790 INFO tomograph.backends.log Span(trace_id=7, parent_id=None, id=7, name='n', notes=[Note(time=1.5, value='start', service_name='s', address='a', port=0, duration=0)], dimensions=[])"
	cutLine   = "2013-07-09 23:30:02,790 INFO tomograph.backends.log Span(trace_id=7, parent_id=7, id=8, name='cut', no"
)

// A log with holes and the same one with zeros in their place give the same spans
// and the same complaints, at the same places of the file as it reads.
func TestHolesAreAsZeros(t *testing.T) {
	const hole = 1 << 20
	parts := []string{wholeLine + "\n", "\n" + cutLine + "\n", cutLine, cutLine + "\n" + wholeLine, "\n" + cutLine + "\nlast\n" + cutLine}
	dir := t.TempDir()
	write := func(name string, dense bool) string {
		f, err := os.Create(filepath.Join(dir, name))
		require.NoError(t, err)
		defer f.Close()
		at := int64(0)
		for _, part := range parts {
			if dense {
				_, err = f.WriteAt(make([]byte, hole), at)
				require.NoError(t, err)
			}
			at += hole
			_, err = f.WriteAt([]byte(part), at)
			require.NoError(t, err)
			at += int64(len(part))
		}
		return f.Name()
	}
	type result struct {
		traces     []string
		complaints []trace.Complaint
		lines      int64
	}
	replay := func(name string) (got result, bytes int64) {
		r, err := Run(t.Context(), Options{Paths: []string{name}, Complain: func(c *trace.Complaint) error {
			told := *c
			told.File, told.Text = "", append([]byte(nil), c.Text[:min(len(c.Text), 4096)]...)
			got.complaints = append(got.complaints, told)
			return nil
		}})
		require.NoError(t, err)
		got.traces, got.lines = documents(t, r), ledger(t, r).Lines
		return got, ledger(t, r).Bytes
	}
	want, whole := replay(write("dense.log", true))
	got, brief := replay(write("sparse.log", false))
	if brief == whole {
		t.Skip("holes are not known of here")
	}
	require.Len(t, want.complaints, 5)
	require.Equal(t, want, got)
	require.Less(t, brief, whole/10)
}
