package safetext

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration writes microseconds for people: 950 µs, 1.234 ms, 2.5 s,
// 3 min 4 s, 2 h 5 min, 3 d 4 h.
func Duration(us uint64) string {
	const ms, s = 1000, 1000 * 1000
	switch {
	case us < ms:
		return strconv.FormatUint(us, 10) + " µs"
	case us < s:
		return Thousandths(us) + " ms"
	case us < 60*s-ms/2:
		return Thousandths((us+ms/2)/ms) + " s"
	}
	seconds := us / s
	if us%s >= s/2 {
		seconds++
	}
	two := func(n, per uint64, big, small string) string {
		text := strconv.FormatUint(n/per, 10) + " " + big
		if n%per != 0 {
			text += " " + strconv.FormatUint(n%per, 10) + " " + small
		}
		return text
	}
	switch {
	case seconds < 3600:
		return two(seconds, 60, "min", "s")
	case seconds < 24*3600:
		return two(seconds/60, 60, "h", "min")
	}
	return two(seconds/3600, 24, "d", "h")
}

// Thousandths writes n/1000 without trailing zeros.
func Thousandths(n uint64) string {
	whole := strconv.FormatUint(n/1000, 10)
	if n%1000 == 0 {
		return whole
	}
	return whole + "." + strings.TrimRight(strconv.FormatUint(1000+n%1000, 10)[1:], "0")
}

// Time writes microseconds since the epoch as RFC 3339 in UTC with the
// given number of decimals of a second (0, 3 or 6).
func Time(us int64, decimals int) string {
	layout := "2006-01-02T15:04:05Z"
	if decimals > 0 {
		layout = "2006-01-02T15:04:05." + strings.Repeat("0", decimals) + "Z"
	}
	return time.UnixMicro(us).UTC().Format(layout)
}

// Count is a number with its noun, "1 file" or "1,234 files"; a second form is
// the plural where an s does not make it.
func Count(n int64, one string, many ...string) string {
	word := one
	switch {
	case n == 1:
	case len(many) > 0:
		word = many[0]
	default:
		word = one + "s"
	}
	return Thousands(n) + " " + word
}

func Thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func Bytes(n int64) string {
	const units = "KMGTPE"
	if n == 1 {
		return "1 byte"
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	size, unit := float64(n)/1024, 0
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}

// Plural is "1 span", "2 spans".
func Plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + one + "s"
}
