package follow

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newAcks() *acks { return &acks{changed: func() {}} }

func TestMarkMovesOverWhatIsAcknowledged(t *testing.T) {
	a := newAcks()
	first, second, third := a.begin(10, 20, 2), a.begin(30, 40, 4), a.begin(30, 50, 4)
	require.Equal(t, position{}, a.position(), "nothing was taken yet")
	a.advance(100, 10)
	require.Equal(t, position{mark: 10, line: 1, taken: 100, ranges: []span{{20, 30}, {50, 100}}}, a.position())
	second.Done()
	second.Done()
	require.Equal(t, []span{{20, 30}, {50, 100}}, a.position().ranges, "somebody else still holds it")
	first.Done()
	require.Equal(t, position{mark: 30, line: 3, taken: 100, ranges: []span{{50, 100}}}, a.position())
	require.True(t, a.pending())
	third.Done()
	require.Equal(t, position{mark: 100, line: 10, taken: 100}, a.position())
	require.False(t, a.pending())
}

func TestRangesAreCapped(t *testing.T) {
	a := newAcks()
	for i := range int64(3000) {
		a.begin(2*i, 2*i+1, i+1)
	}
	a.advance(6000, 3000)
	p := a.position()
	require.True(t, len(p.crowded) > 0)
	require.Len(t, p.ranges, maxRanges)
	require.Equal(t, span{1, 2}, p.ranges[0], "the lowest are kept")
}

func TestHoldsThatAreDoneCostNothing(t *testing.T) {
	a := newAcks()
	for i := range int64(100_000) {
		a.begin(i, i+1, i+1).Done()
	}
	require.Less(t, cap(a.inFlight), 5000)
}

// Whatever is held and acknowledged in whatever order: a byte counts as
// acknowledged just when nothing holds it.
func TestAcknowledgementAgainstBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 60
		a := newAcks()
		var before [size]bool
		for range rapid.IntRange(0, 3).Draw(t, "old") {
			from := int64(rapid.IntRange(1, size-1).Draw(t, "old from"))
			if n := len(a.old); n > 0 && from <= a.old[n-1].end {
				break
			}
			to := int64(rapid.IntRange(int(from)+1, size).Draw(t, "old to"))
			a.old = append(a.old, span{from, to})
			for i := from; i < to; i++ {
				before[i] = true
			}
		}
		var holds []*InFlight
		taken := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if len(holds) > 0 && rapid.Bool().Draw(t, "done") {
				holds[rapid.IntRange(0, len(holds)-1).Draw(t, "which")].Done()
			} else if taken < size {
				end := taken + int64(rapid.IntRange(1, int(size-taken)).Draw(t, "block"))
				for range rapid.IntRange(0, 3).Draw(t, "holds") {
					from := int64(rapid.IntRange(int(taken), int(end)-1).Draw(t, "from"))
					to := int64(rapid.IntRange(int(from)+1, int(end)).Draw(t, "to"))
					holds = append(holds, a.begin(from, to, from+1))
				}
				taken = end
				a.advance(taken, taken)
			}
			var held [size]bool
			for _, h := range holds {
				for i := h.start; i < h.end && !h.done.Load(); i++ {
					held[i] = true
				}
			}
			p := a.position()
			require.Equal(t, p.mark, p.line, "a line a byte")
			in := func(i int64) bool {
				for _, r := range p.ranges {
					if r.start <= i && i < r.end {
						return true
					}
				}
				return i < p.mark
			}
			lowest := taken
			for i := range int64(size) {
				acked := before[i] || i < taken && !held[i]
				if i < taken && held[i] {
					lowest = min(lowest, i)
				}
				if i >= p.mark && i < taken || i < p.mark && i >= lowest {
					require.Equal(t, acked, in(i), "byte %d of %+v, holds %v", i, p, holds)
				}
			}
			require.Equal(t, lowest, p.mark)
		}
	})
}
