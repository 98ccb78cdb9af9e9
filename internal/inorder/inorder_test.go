package inorder

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeepsTheOrder(t *testing.T) {
	numbers := make([]int, 10_000)
	for i := range numbers {
		numbers[i] = i
	}
	var got []int
	Each(slices.Values(numbers), func(n int) int { return n }, func(n int) bool {
		got = append(got, n)
		return true
	})
	require.Equal(t, numbers, got)
	Each(slices.Values(numbers[:0]), func(n int) int { return n }, func(int) bool { t.Fatal("nothing to take"); return true })
}

func TestStops(t *testing.T) {
	var given, worked atomic.Int64
	endless := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
			given.Add(1)
		}
	}
	var got []int
	Each(endless, func(n int) int { worked.Add(1); return n }, func(n int) bool {
		got = append(got, n)
		return len(got) < 5
	})
	require.Equal(t, []int{0, 1, 2, 3, 4}, got)
	require.LessOrEqual(t, worked.Load(), given.Load()+1)
}
