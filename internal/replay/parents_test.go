package replay

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
)

// What is told of a parent that is not in its child's trace is true, and the same
// with a spill, in a tree and in a document.
func TestWhereAMissingParentIs(t *testing.T) {
	log, told := sampletest.MissingParents(t)
	path := filepath.Join(t.TempDir(), "a.log")
	require.NoError(t, os.WriteFile(path, log, 0o600))
	for _, memory := range []int64{0, 1, 1 << 10, 4 << 10} {
		result, err := Run(t.Context(), Options{Paths: []string{path}, Memory: memory, Temp: t.TempDir()})
		require.NoError(t, err)
		sampletest.RequireMissingParents(t, told, documentsOf(t, result))
		list := shown(t, result)
		require.Contains(t, list, "but in the trace 00000000000000c8")
		require.NoError(t, result.Close())

		broken := filepath.Join(t.TempDir(), "b.log")
		require.NoError(t, os.WriteFile(broken, []byte("2013-03-12 10:00:00,000 INFO tomograph.backends.log Span(trace_id=5, parent_id=None, id=99\n"), 0o600))
		less := map[string]string{}
		for span, words := range told {
			less[span] = strings.Replace(words, "which is nowhere in what was read", "which is in no span that was read, but perhaps in a line that was rejected", 1)
		}
		result, err = Run(t.Context(), Options{Paths: []string{path, broken}, Memory: memory, Temp: t.TempDir()})
		require.NoError(t, err)
		require.EqualValues(t, 1, result.ledger.Rejected)
		sampletest.RequireMissingParents(t, less, documentsOf(t, result))
		require.NoError(t, result.Close())
	}
	requireSame(t, t.Context(), Options{Paths: []string{path}}, read, 1, t.TempDir())
}

func documentsOf(t require.TestingT, r *Result) []byte {
	var out bytes.Buffer
	require.NoError(t, export.JSON(&out, r.Render, false))
	return out.Bytes()
}
