package safetext

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDuration(t *testing.T) {
	for us, want := range map[uint64]string{
		0: "0 µs", 950: "950 µs", 1000: "1 ms", 1234: "1.234 ms", 114403: "114.403 ms", 999999: "999.999 ms",
		1000000: "1 s", 2500000: "2.5 s", 59999499: "59.999 s", 59999500: "1 min", 184000000: "3 min 4 s",
		3599499999: "59 min 59 s", 3599500000: "1 h", 7500000000: "2 h 5 min", 273600000000: "3 d 4 h",
		math.MaxUint64: "213503982 d 8 h",
	} {
		require.Equal(t, want, Duration(us))
	}
}

func TestTime(t *testing.T) {
	require.Equal(t, "2013-04-18T02:02:08.495435Z", Time(1366250528495435, 6))
	require.Equal(t, "2013-04-18T02:02:08.495Z", Time(1366250528495435, 3))
	require.Equal(t, "1969-12-31T23:59:59Z", Time(-1, 0))
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 123456789: "123,456,789"} {
		require.Equal(t, want, Thousands(n))
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 2: "2 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 5 << 30: "5.0 GiB"} {
		require.Equal(t, want, Bytes(n))
	}
}
