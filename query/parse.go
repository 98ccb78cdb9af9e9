package query

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// layouts are the ways to write a time. Go reads a fraction, after a point or a
// comma, behind any seconds.
var layouts = []string{
	time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

// ParseTime reads a point in time: RFC 3339, also with a space for the T, without
// seconds or as a date alone (its first moment), in UTC unless a zone is given;
// or a duration, which means so long before now ("2h", "90m", "3d"). The error is
// a [*UsageError].
func ParseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, nil
		}
	}
	ago := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "ago"))
	if d, err := ParseDuration(ago); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, &UsageError{
		Value: text, Problem: "is no time",
		Expected: "2006-01-02T15:04:05Z, 2006-01-02 15:04:05, 2006-01-02 (in UTC unless a zone is given), or how " +
			"long ago, such as 2h",
	}
}

var days = regexp.MustCompile(`^([0-9]+)d(.*)$`)

// ParseDuration reads a duration longer than nothing: numbers with the units d,
// h, m, s, ms, us (or µs) and ns, such as 100ms or 1h30m. A number alone is no
// duration, since it could be meant in seconds as well as in the microseconds of
// Zipkin's API. The error is a [*UsageError].
func ParseDuration(text string) (time.Duration, error) {
	usage := &UsageError{Value: text, Problem: "is no duration",
		Expected: "a number with a unit, such as 100ms, 1.5s, 250us or 2h"}
	rest := strings.TrimSpace(text)
	var whole time.Duration
	if parts := days.FindStringSubmatch(rest); parts != nil {
		n, err := strconv.Atoi(parts[1])
		if err != nil || n > 100_000 {
			usage.Problem, usage.Expected = "is too long", "100000d at most"
			return 0, usage
		}
		if whole, rest = time.Duration(n)*24*time.Hour, parts[2]; rest == "" {
			rest = "0s"
		}
	}
	if _, err := strconv.ParseFloat(rest, 64); err == nil {
		usage.Problem = "has no unit"
		return 0, usage
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, usage
	}
	if d += whole; d <= 0 {
		usage.Problem = "is not longer than nothing"
		return 0, usage
	}
	return d, nil
}
