package parser

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Input made to cost time, memory or the stack costs none of them: each of these
// took seconds, or the process, in one parser or another. They end with an
// ordinary complaint, and a test that hangs fails by its deadline.
func TestHostileLines(t *testing.T) {
	const start = plainHeader + "Span(trace_id=1, parent_id=None, id=2, name='x', notes=["
	note := "Note(time=1.5, value='a', service_name='s', address='h', port=80)"
	for name, line := range map[string]string{
		"open brackets":         start + strings.Repeat("[", 200_000),
		"open brackets, value":  start + "Note(time=1, value=" + strings.Repeat("[", 200_000),
		"open parentheses":      plainHeader + strings.Repeat("Span(", 100_000),
		"backslashes":           start + "Note(time=1, value='" + strings.Repeat(`\`, 100_000),
		"backslashes, closed":   start + "Note(time=1, value='" + strings.Repeat(`\`, 100_001) + "'",
		"nested lists":          start + "Note(time=1, value=" + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + ", service_name='s', address='h', port=80)])",
		"quotes":                start + "Note(time=1, value=<" + strings.Repeat("' ", 200_000) + "x",
		"service names":         start + "Note(time=1, value=<(" + strings.Repeat(", service_name=", 50_000),
		"service names, closed": start + "Note(time=1, value=<(" + strings.Repeat(", service_name='s')", 50_000) + "}",
		"unbalanced values":     start + strings.Repeat("Note(time=1, value=<( ', service_name='s', address='h', port=1), ", 3000),
		"headers":               strings.Repeat(plainHeader, 20_000),
		"headers and spans":     strings.Repeat(plainHeader+"Span(", 20_000),
		"groups":                "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log " + strings.Repeat("[-] ", 100_000) + "x Span(",
		"open groups":           "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log " + strings.Repeat("[", 200_000) + " Span(",
		"colours":               strings.Repeat("\x1b[00;36m", 100_000) + "Span(",
		"too many notes":        start + strings.Repeat(note+", ", 25_001),
		"extra fields":          plainHeader + "Span(trace_id=1, id=2" + strings.Repeat(", a=1", 100_000),
		"a long number":         plainHeader + "Span(trace_id=" + strings.Repeat("9", 1_000_000) + ", id=2)",
		"a long name":           plainHeader + "Span(" + strings.Repeat("x", 1_000_000) + "=1)",
		"JSON brackets":         `{"MESSAGE":` + strings.Repeat("[", 200_000) + "Span(",
		"JSON objects":          strings.Repeat(`{"message":`, 50_000) + "Span(",
		"JSON torn objects":     strings.Repeat(`{"log":"Span(trace_id=`, 20_000),
		"JSON backslashes":      `{"message":"` + strings.Repeat(`\`, 200_000) + "Span(",
		"JSON array of arrays":  `{"name":"tomograph.backends.log","msg":[1,null,2,"x",[` + strings.Repeat("[1,2],", 100_000) + `]]} Span(`,
		"colons":                strings.Repeat("2013-04-18 02:02:08 ", 50_000) + "Span(",
	} {
		t.Run(name, func(t *testing.T) {
			_, complaints, counts := read(t, line)
			require.EqualValues(t, 1, counts.Lines)
			require.Zero(t, counts.Parsed)
			require.EqualValues(t, len(complaints), counts.Salvaged+counts.Rejected)
			if strings.Contains(line, spanMarker) && name != "JSON brackets" {
				require.Positive(t, counts.Salvaged+counts.Rejected+counts.Mentions)
			}
		})
	}
}

// Values that go on for ever, and streams without end, are held within bounds.
func TestHostileStreams(t *testing.T) {
	opt := Options{MaxRecord: 64 << 10}
	open := plainHeader + "Span(trace_id=1, parent_id=None, id=2, name='x', notes=[Note(time=1, value=<("
	for name, lines := range map[string]func(i int) string{
		"a value without end":      func(i int) string { return map[bool]string{true: open, false: "  more of it)"}[i == 0] },
		"service names":            func(i int) string { return map[bool]string{true: open, false: ", service_name=')"}[i == 0] },
		"pieces without end":       func(int) string { return "2026-03-01T07:59:59.6Z stdout P " + open },
		"docker without newline":   func(int) string { return `{"log":"` + open + `","stream":"stdout"}` },
		"streams without number":   func(i int) string { return `{"log":"x","stream":"` + strings.Repeat("s", i%5000) + `"}` },
		"hosts without number":     func(i int) string { return "Mar  1 08:00:00 h" + strings.Repeat("x", i%250) + " nova[7]: " + open },
		"processes without number": func(i int) string { return strings.Replace(open, "1234", "1"+strings.Repeat("2", i%9), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			results := 0
			r := NewReader("x.log", opt, Output{Record: func(*Result) { results++ }, Lost: func(Place, string) {}})
			for i := range 3000 {
				r.Feed(Line{Text: []byte(lines(i)), Number: int64(i + 1)})
				require.LessOrEqual(t, r.bytes, 6*opt.MaxRecord)
				require.LessOrEqual(t, len(r.open)+len(r.partial), maxHeld+1)
			}
			r.Flush()
			require.Zero(t, r.bytes)
			require.EqualValues(t, results, r.Counts.Salvaged+r.Counts.Rejected)
		})
	}
}
