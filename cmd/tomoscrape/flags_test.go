package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"8388608": 8 << 20, "8MiB": 8 << 20, "8 mib": 8 << 20, "64KB": 64000,
		"64kB": 64000, "1KiB": 1024, "2GiB": 2 << 30, "3GB": 3e9, "1TiB": 1 << 40, "1TB": 1e12, "100B": 100} {
		var n int64
		require.NoError(t, (&size{&n}).Set(text), text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{"", "0", "-1", "1.5MiB", "8M", "MiB", "1e6", "0x10", "9223372036854775808", "99999999TiB"} {
		var n int64
		require.Error(t, (&size{&n}).Set(text), text)
		require.Zero(t, n, text)
	}
}

func TestSizeIsShownAsItCouldBeGiven(t *testing.T) {
	for n, want := range map[int64]string{8 << 20: "8MiB", 100 << 30: "100GiB", 1000: "1000", 1 << 40: "1TiB"} {
		require.Equal(t, want, (&size{&n}).String())
	}
}

func TestMemoryHasALeast(t *testing.T) {
	least, value := int64(64<<20), int64(1)
	v := &atLeast{size{&value}, &least}
	require.EqualError(t, v.Set("63MiB"), "expected 64MiB or more")
	require.ErrorContains(t, v.Set("x"), "expected a number of bytes")
	require.EqualValues(t, 1, value)
	require.NoError(t, v.Set("64MiB"))
	require.Equal(t, least, value)
	require.Equal(t, "64MiB", v.String())
}
