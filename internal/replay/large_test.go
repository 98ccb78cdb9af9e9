package replay

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/record"
)

// The document of a large trace is handed over in parts, which together are what
// it is in one piece.
func TestLargeTraceIsWrittenInParts(t *testing.T) {
	list := family(1, 5000, 300)
	whole, err := replay(t.Context(), Options{}, spans(list))
	require.NoError(t, err)
	large, err := replay(t.Context(), Options{Memory: 64 << 10, Temp: t.TempDir()}, spans(list))
	require.NoError(t, err)
	defer large.Close()
	for _, width := range []int{0, 80} {
		var want bytes.Buffer
		require.NoError(t, export.JSON(&want, whole.Render, width > 0))
		got := parts{most: 600 << 10}
		require.NoError(t, export.JSON(&got, large.Render, width > 0))
		require.Greater(t, got.n, 3)
		require.Zero(t, got.larger)
		require.True(t, bytes.Equal(want.Bytes(), got.all.Bytes()))
	}
	told, exact := all(t, whole)[0].Problems, int64(0)
	for _, p := range told {
		exact += int64(unsafe.Sizeof(p)) + int64(len(p.Text))
	}
	problems := int64(len(told)) * sentenceCost
	require.InEpsilon(t, exact, problems, 0.5)
	spill := ledger(t, large).Spill
	require.EqualValues(t, 1, spill.OversizedTraces)
	require.Greater(t, problems, int64(len(list)*100), "each is open")
	require.Greater(t, spill.OversizedBytes, problems+int64(len(list)*(record.OutlineCost+300)))
	require.Less(t, spill.OversizedBytes, problems+int64(len(list)*(record.OutlineCost+500)))
}

// parts counts what is written at once.
type parts struct {
	all             bytes.Buffer
	n, larger, most int
}

func (p *parts) Write(text []byte) (int, error) {
	if p.n++; len(text) > p.most {
		p.larger++
	}
	return p.all.Write(text)
}
