package query_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

func str(text string) trace.Value { return trace.Value{Kind: trace.String, Text: text} }

// span is one of a service, from start to stop in µs, with further notes.
func span(name, service string, start, stop int64, notes ...string) trace.Span {
	s := trace.Span{Name: trace.NewText(name)}
	for i, value := range append([]string{"start", "stop"}, notes...) {
		time := start
		if i == 1 {
			time = stop
		}
		s.Notes = append(s.Notes, trace.Note{
			Time: time, HasTime: true, Value: str(value), Service: trace.NewText(service), Address: trace.NewText("ctl-1"),
		})
	}
	return s
}

func tagged(s trace.Span, key string, value trace.Value) trace.Span {
	s.Dimensions = append(s.Dimensions, trace.Dimension{Key: trace.NewText(key), Value: value, Service: s.Service()})
	return s
}

// traceOf is a trace of these spans.
func traceOf(id uint64, spans ...trace.Span) trace.Trace {
	t := trace.Trace{ID: trace.IDFromUint64(id)}
	for _, s := range spans {
		if first, last, timed := s.Extent(); timed > 0 {
			if !t.HasStart {
				t.HasStart, t.Start, t.End = true, first, last
			}
			t.Start, t.End = min(t.Start, first), max(t.End, last)
		}
		t.Spans = append(t.Spans, trace.Node{Span: s, Parent: -1})
	}
	return t
}

// choose gives the traces that a filter chooses among those in order.
func choose(f query.Filter, traces ...trace.Trace) (matching []trace.Trace, err error) {
	s, err := f.Begin()
	if err != nil {
		return nil, err
	}
	for i := range traces {
		if s.Match(&traces[i]) {
			matching = append(matching, traces[i])
		}
	}
	first, end, err := s.End()
	return matching[first:end], err
}

func selected(t require.TestingT, f query.Filter, traces ...trace.Trace) (ids []uint64) {
	found, err := choose(f, traces...)
	require.NoError(t, err)
	for _, tr := range found {
		ids = append(ids, tr.ID.Lo)
	}
	return ids
}

func TestConditions(t *testing.T) {
	const ms = time.Millisecond
	api := tagged(tagged(span("WSGI", "nova-api", 1000, 101_000, "SELECT 1 and 2"), "error", str("")), "foo", trace.Value{Kind: trace.Int, Text: "42"})
	api.Origin = []trace.Origin{{RequestID: "req-AB-1", GlobalRequestID: "req-99"}}
	compute := tagged(span("Run_Instance", "nova-compute", 2000, 52_000, "bar"), "url", str("a=b=c"))
	compute.Extra = []trace.Field{{Name: "queue", Value: trace.Value{Kind: trace.Repr, Text: "<Queue cinder>"}}}
	silent := trace.Span{Name: trace.NewText("late")}
	tr := traceOf(1, api, compute, silent)

	tests := []struct {
		filter query.Filter
		want   bool
	}{
		{query.Filter{}, true},
		{query.Filter{Service: "NOVA-api"}, true},
		{query.Filter{Service: "nova"}, false},
		{query.Filter{Span: "run_instance"}, true},
		{query.Filter{Span: "all"}, false},
		{query.Filter{Service: "nova-api", Span: "WSGI"}, true},
		{query.Filter{Service: "nova-compute", Span: "WSGI"}, false}, // a span of another service
		{query.Filter{AnnotationQuery: "error"}, true},
		{query.Filter{AnnotationQuery: "error="}, true},
		{query.Filter{AnnotationQuery: "error=1"}, false},
		{query.Filter{AnnotationQuery: "foo=42"}, true},
		{query.Filter{AnnotationQuery: " foo = 42  and  bar and url=a=b=c"}, true},
		{query.Filter{AnnotationQuery: "foo and bar", Service: "nova-api"}, false}, // bar is the other's
		{query.Filter{AnnotationQuery: "foo=41 and foo=42"}, true},
		{query.Filter{AnnotationQuery: "foo=42 and foo=41"}, false},
		{query.Filter{AnnotationQuery: "foo and foo=41"}, false},
		{query.Filter{AnnotationQuery: "foo=41 and foo"}, false},
		{query.Filter{AnnotationQuery: "SELECT 1 and 2"}, false}, // as in Zipkin
		{query.Filter{AnnotationQuery: "foo AND bar"}, false},
		{query.Filter{AnnotationQuery: "Foo"}, false},
		{query.Filter{AnnotationQuery: strings.Repeat("bar and ", 200) + "bar"}, false},
		{query.Filter{MinDuration: 100 * ms}, true},
		{query.Filter{MinDuration: 100*ms + 1}, false},
		{query.Filter{MinDuration: 50 * ms, MaxDuration: 50 * ms}, true},
		{query.Filter{MinDuration: 51 * ms, MaxDuration: 99 * ms}, false},
		{query.Filter{MaxDuration: 50 * ms}, true},
		{query.Filter{MaxDuration: 50*ms - 1}, false},
		{query.Filter{MinDuration: 100 * ms, Service: "nova-compute"}, false},
		{query.Filter{RequestID: "req-AB-1"}, true},
		{query.Filter{RequestID: "REQ-ab-1"}, true},
		{query.Filter{RequestID: "ab-1"}, true},
		{query.Filter{RequestID: "99"}, true},
		{query.Filter{RequestID: "req-9"}, false},
		{query.Filter{RequestID: "req-99", Service: "nova-compute"}, false},
		{query.Filter{Contains: "INSTANCE"}, true},
		{query.Filter{Contains: "select 1"}, true},
		{query.Filter{Contains: "CTL-"}, true},
		{query.Filter{Contains: "url"}, true},
		{query.Filter{Contains: "cinder"}, true},
		{query.Filter{Contains: "QUEUE"}, true},
		{query.Filter{Contains: "42"}, true},
		{query.Filter{Contains: "glance"}, false},
		{query.Filter{Contains: "req-99"}, false},
		{query.Filter{Since: time.UnixMicro(1000)}, true},
		{query.Filter{Since: time.UnixMicro(1000).Add(1)}, false},
		{query.Filter{Until: time.UnixMicro(1000)}, true},
		{query.Filter{Until: time.UnixMicro(1000).Add(-1)}, false},
		{query.Filter{Since: time.UnixMicro(0), Until: time.UnixMicro(1500), Span: "late", Limit: 3}, true},
	}
	for _, test := range tests {
		require.Equal(t, test.want, len(selected(t, test.filter, tr)) == 1, "%+v", test.filter)
	}
	require.Empty(t, selected(t, query.Filter{Since: time.UnixMicro(math.MinInt64 / 2)}, traceOf(2, silent)), "it has no start")
	require.Empty(t, selected(t, query.Filter{Service: "x"}, traceOf(3)), "it has no spans")
}

func TestContainsInAnyScript(t *testing.T) {
	tr := traceOf(1, span("zoë ΣΊΣΥΦΟΣ", "s", 0, 1))
	for part, want := range map[string]bool{"ZOË": true, "σίσυφος": true, "oë σ": true, "zoe": false, "\xff": false} {
		require.Equal(t, want, len(selected(t, query.Filter{Contains: part}, tr)) == 1, part)
	}
}

func TestLimit(t *testing.T) {
	traces := []trace.Trace{
		traceOf(1, span("a", "s", 10, 11)), traceOf(2, span("a", "s", 20, 21)), traceOf(3, span("b", "s", 30, 31)),
		traceOf(4, trace.Span{Name: trace.NewText("a")}), traceOf(5, trace.Span{Name: trace.NewText("a")}),
	}
	for limit, want := range [][]uint64{
		{1, 2, 3, 4, 5}, {3}, {2, 3}, {1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5},
	} {
		require.Equal(t, want, selected(t, query.Filter{Limit: limit}, traces...), "limit %d", limit)
	}
	require.Equal(t, []uint64{2}, selected(t, query.Filter{Limit: 1, Span: "a"}, traces...), "of those that match")
}

func id(t testing.TB, decimal string) trace.ID {
	parsed, err := trace.ParseID(decimal)
	require.NoError(t, err)
	return parsed
}

func TestTraceIDs(t *testing.T) {
	hexOfDigits, err := trace.ParseHex("1234567890123456")
	require.NoError(t, err)
	numbers := []trace.ID{
		id(t, "5731049070570866"), id(t, "1234567890123456"), hexOfDigits, id(t, "-2"), id(t, "7"), id(t, "0"),
		id(t, "340282366920938463463374607431768211455"), id(t, "340282366920938463463374607431768211456"), {Hi: 1, Lo: 7},
	}
	var traces []trace.Trace
	for _, number := range numbers {
		traces = append(traces, trace.Trace{ID: number})
	}
	for text, want := range map[string]trace.ID{
		"5731049070570866":                    numbers[0],
		"5731049070570866L":                   numbers[0],
		numbers[0].Hex():                      numbers[0],
		strings.ToUpper(numbers[0].Hex()):     numbers[0],
		"0000000000000000" + numbers[0].Hex(): numbers[0],
		"1234567890123456L":                   numbers[1],
		numbers[1].Hex():                      numbers[1],
		"00000000000000001234567890123456":    numbers[2],
		"-2":                                  numbers[3],
		"fffffffffffffffe":                    numbers[3],
		"7":                                   numbers[4],
		"0000000000000007":                    numbers[4],
		"0":                                   numbers[5],
		"ffffffffffffffffffffffffffffffff":    numbers[6],
		"340282366920938463463374607431768211456": numbers[7],
		"00000000000000010000000000000007":        numbers[8],
	} {
		found, err := choose(query.Filter{TraceIDs: []string{text}}, traces...)
		require.NoError(t, err, text)
		require.Len(t, found, 1, text)
		require.Equal(t, want, found[0].ID, text)
	}

	_, err = choose(query.Filter{TraceIDs: []string{"1234567890123456"}}, traces...)
	var ambiguous *query.AmbiguousError
	require.ErrorAs(t, err, &ambiguous)
	require.Equal(t, []trace.ID{numbers[1], numbers[2]}, ambiguous.IDs)
	require.Equal(t, `"1234567890123456" names 2 traces: `+numbers[1].Hex()+` (in the log: 1234567890123456), `+
		`1234567890123456 (in the log: 1311768467284833366); a decimal number can be given with an L at its end, `+
		`a hexadecimal one with zeros in front, 32 digits in all`, err.Error())

	_, err = choose(query.Filter{TraceIDs: []string{"8", "7", "fffffffffffffffd"}}, traces...)
	var missing *query.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []string{"8", "fffffffffffffffd"}, missing.TraceIDs)
	require.EqualError(t, err, `none of these traces in what was read: "8", "fffffffffffffffd"`)
	_, err = choose(query.Filter{TraceIDs: []string{"8"}})
	require.EqualError(t, err, `no trace "8" in what was read`)

	both := query.Filter{TraceIDs: []string{"7", "0", "0000000000000007"}}
	require.Equal(t, []uint64{7, 0}, selected(t, both, traces...))
	both.Service = "x"
	require.Empty(t, selected(t, both, traces...), "it is there, but other conditions do not hold")
}

func TestUsageErrors(t *testing.T) {
	since := time.Date(2013, 4, 18, 2, 0, 0, 0, time.UTC)
	for want, filter := range map[string]query.Filter{
		`--trace "15be" is no trace id; expected the decimal number that stands in the log, or the 16 or 32 hexadecimal digits that Zipkin shows`: {TraceIDs: []string{"15be"}},
		`--trace "" is no trace id; expected the decimal number that stands in the log, or the 16 or 32 hexadecimal digits that Zipkin shows`:     {TraceIDs: []string{""}},
		`--max-duration "1ms" is shorter than --min-duration; expected 2ms or more`:                                                               {MinDuration: 2e6, MaxDuration: 1e6},
		`--min-duration "-1ns" is negative; expected a duration such as 100ms`:                                                                    {MinDuration: -1},
		`--max-duration "-1ns" is negative; expected a duration such as 100ms`:                                                                    {MaxDuration: -1},
		`--until "2013-04-18T01:00:00Z" is before --since; expected 2013-04-18T02:00:00Z or later`:                                                {Since: since, Until: since.Add(-time.Hour)},
		`--request-id "req-" names no request; expected the id that stands in the log, req-…`:                                                     {RequestID: "req-"},
		`--request-id "Req-" names no request; expected the id that stands in the log, req-…`:                                                     {RequestID: "Req-"},
		`--request-id " req- " names no request; expected the id that stands in the log, req-…`:                                                   {RequestID: " req- "},
		`--service " " is blank; expected the name of a service`:                                                                                  {Service: " "},
		`--span "\t" is blank; expected the name of a span`:                                                                                       {Span: "\t"},
		`--annotation-query " " has a term without a word; expected terms such as "error and http.method=GET"`:                                    {AnnotationQuery: " "},
		`--annotation-query "error and  and x" has a term without a word; expected terms such as "error and http.method=GET"`:                     {AnnotationQuery: "error and  and x"},
		`--annotation-query "=GET" has a term without a word; expected terms such as "error and http.method=GET"`:                                 {AnnotationQuery: "=GET"},
		`--limit "-1" is negative; expected a number of traces, or 0 for all`:                                                                     {Limit: -1},
	} {
		err := filter.Validate()
		var usage *query.UsageError
		require.ErrorAs(t, err, &usage)
		require.EqualError(t, err, want)
		_, again := choose(filter)
		require.Equal(t, err, again)
	}
	require.NoError(t, query.Filter{Since: since, Until: since, MinDuration: 1, MaxDuration: 1, TraceIDs: []string{"1"}}.Validate())
	hostile := query.Filter{TraceIDs: []string{"\x1b[31m" + strings.Repeat("x", 10_000)}}.Validate()
	require.NotContains(t, hostile.Error(), "\x1b")
	require.Less(t, len(hostile.Error()), 400)
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2013-04-18T02:02:08Z":          "2013-04-18T02:02:08Z",
		"2013-04-18T02:02:08.797+02:00": "2013-04-18T00:02:08.797Z",
		"2013-04-18T02:02:08":           "2013-04-18T02:02:08Z",
		"2013-04-18 02:02:08.797":       "2013-04-18T02:02:08.797Z",
		"2013-04-18 02:02:08,797":       "2013-04-18T02:02:08.797Z",
		"2013-04-18 02:02:08 -08:00":    "2013-04-18T10:02:08Z",
		" 2013-04-18 02:02 ":            "2013-04-18T02:02:00Z",
		"2013-04-18":                    "2013-04-18T00:00:00Z",
		"2h":                            "2026-07-01T10:00:00Z",
		"90m ago":                       "2026-07-01T10:30:00Z",
		"1d12h":                         "2026-06-30T00:00:00Z",
	} {
		got, err := query.ParseTime(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got.UTC().Format(time.RFC3339Nano), text)
	}
	for _, text := range []string{"", "yesterday", "12", "2013-13-01", "-2h", "2013-04-18T25:00:00Z", "1366250528", "ago"} {
		_, err := query.ParseTime(text, now)
		var usage *query.UsageError
		require.ErrorAs(t, err, &usage, text)
		require.Contains(t, err.Error(), "is no time; expected 2006-01-02T15:04:05Z")
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"100ms": 100 * time.Millisecond, "250us": 250 * time.Microsecond, "250µs": 250 * time.Microsecond,
		"1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "2d": 48 * time.Hour, " 1d1ns": 24*time.Hour + 1,
	} {
		got, err := query.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"100": "has no unit", "1e3": "has no unit", "0s": "is not longer than nothing", "-1s": "is not longer than nothing",
		"": "is no duration", "fast": "is no duration", "1 s": "is no duration", "999999999999d": "is too long",
		"100000d2000000h": "is not longer than nothing",
	} {
		_, err := query.ParseDuration(text)
		require.ErrorContains(t, err, fmt.Sprintf("%q %s; expected ", text, want))
	}
}

// TestConditionsNarrow checks against any traces that a filter gives a part of
// them in their order, and that without a service two filters together give what
// both of them give.
func TestConditionsNarrow(t *testing.T) {
	word := rapid.SampledFrom([]string{"a", "A", "b", "ab", "a=b", "a and b"})
	number := rapid.Int64Range(0, 3)
	anySpan := rapid.Custom(func(t *rapid.T) trace.Span {
		s := span(word.Draw(t, "name"), word.Draw(t, "service"), number.Draw(t, "start"), 2+number.Draw(t, "stop"), word.Draw(t, "note"))
		return tagged(s, word.Draw(t, "key"), str(word.Draw(t, "value")))
	})
	anyFilter := func(t *rapid.T) (f query.Filter) {
		for range 2 {
			switch rapid.IntRange(0, 6).Draw(t, "condition") {
			case 0:
				f.Span = word.Draw(t, "name")
			case 1:
				f.AnnotationQuery = word.Draw(t, "query")
			case 2:
				f.MinDuration = time.Duration(number.Draw(t, "min")) * time.Microsecond
			case 3:
				f.Since = time.UnixMicro(number.Draw(t, "since"))
			case 4:
				f.Contains = word.Draw(t, "part")
			case 5:
				f.TraceIDs = []string{"1"}
			}
		}
		return f
	}
	rapid.Check(t, func(t *rapid.T) {
		var traces []trace.Trace
		for i := range rapid.IntRange(1, 6).Draw(t, "traces") {
			traces = append(traces, traceOf(uint64(i+1), rapid.SliceOfN(anySpan, 0, 3).Draw(t, "spans")...))
		}
		f, g := anyFilter(t), anyFilter(t)
		both := f
		if both.Span == "" {
			both.Span, g.AnnotationQuery, g.MinDuration, g.Since, g.Contains, g.TraceIDs = g.Span, "", 0, time.Time{}, "", nil
		} else {
			both.Until, g = time.UnixMicro(2), query.Filter{Until: time.UnixMicro(2)}
			if f.Since.After(both.Until) {
				t.Skip("contradiction")
			}
		}
		ofF, ofG, ofBoth := selected(t, f, traces...), selected(t, g, traces...), selected(t, both, traces...)
		want := slices.DeleteFunc(slices.Clone(ofF), func(id uint64) bool { return !slices.Contains(ofG, id) })
		require.True(t, slices.IsSorted(ofBoth))
		require.ElementsMatch(t, want, ofBoth)

		f.Service = word.Draw(t, "service")
		for _, id := range selected(t, f, traces...) {
			require.Contains(t, ofF, id)
		}
	})
}
