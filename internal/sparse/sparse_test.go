package sparse

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the holes: read whole, all bytes come; read briefly, all but the rest of
// long holes, and each byte's place is known.
func TestSparse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var parts []Extent
		var file, brief, data []byte
		for range rapid.IntRange(0, 8).Draw(rt, "parts") {
			hole := rapid.SampledFrom([]int{0, 1, HoleShown - 1, HoleShown, HoleShown + 1, 3 * HoleShown}).Draw(rt, "hole")
			file = append(file, make([]byte, hole)...)
			brief = append(brief, make([]byte, min(hole, HoleShown))...)
			part := rapid.SliceOfN(rapid.Byte(), 1, 9000).Draw(rt, "part")
			parts = append(parts, Extent{int64(len(file)), int64(len(part))})
			file, brief, data = append(file, part...), append(brief, part...), append(data, part...)
		}
		last := rapid.IntRange(0, 2*HoleShown).Draw(rt, "last hole")
		file = append(file, make([]byte, last)...)
		brief = append(brief, make([]byte, min(last, HoleShown))...)
		next := func() func(int64) (Extent, error) {
			left := parts
			return func(int64) (Extent, error) {
				if len(left) == 0 {
					return Extent{At: int64(len(file))}, nil
				}
				part := left[0]
				left = left[1:]
				return part, nil
			}
		}

		got, err := io.ReadAll(New(iotest.HalfReader(bytes.NewReader(data)), next()))
		require.NoError(t, err)
		require.True(t, bytes.Equal(file, got))

		s := New(iotest.HalfReader(bytes.NewReader(data)), next())
		s.Brief = true
		got, err = io.ReadAll(s)
		require.NoError(t, err)
		require.True(t, bytes.Equal(brief, got))
		before := int64(-1)
		for i, b := range got {
			place := s.Place(int64(i))
			if place <= before || file[place] != b {
				t.Fatalf("byte %d stands at %d, behind %d", i, place, before)
			}
			before = place
		}
	})
}
