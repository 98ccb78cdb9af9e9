package sampletest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// OddID is a number that no id of 64 bits tells, and its digits in hexadecimal.
type OddID struct{ Decimal, Hex string }

// OddIDs are some of them.
var OddIDs = []OddID{
	{"-5", "fffffffffffffffb"},
	{"-9223372036854775808", "8000000000000000"},
	{"-9223372036854775809", "ffffffffffffffff7fffffffffffffff"},
	{"340282366920938463463374607431768211455", "ffffffffffffffffffffffffffffffff"},
	{"340282366920938463463374607431768211456", "100000000000000000000000000000000"},
	{"340282366920938463463374607431768211461", "100000000000000000000000000000005"},
	{"-340282366920938463463374607431768211461", "-100000000000000000000000000000005"},
	{"1" + strings.Repeat("0", 100),
		"1249ad2594c37ceb0b2784c4ce0bf38ace408e211a7caab24308a82e8f10000000000000000000000000"},
}

// OddLine is the line of a span with such ids, ended at so many seconds.
func OddLine(traceID, id, parent, name string, at int) string {
	return fmt.Sprintf("2023-11-14 22:13:20.000 42 INFO tomograph.backends.log [-] Span(trace_id=%s, parent_id=%s, "+
		"id=%s, name='%s', "+
		"notes=[Note(time=%d.5, value='stop', service_name='nova', address='ctl', port=1, duration=0)], dimensions=[])\n",
		traceID, parent, id, name, 1700000000+at)
}

// OddLog is a log with a trace of each odd id, of three spans with ids that are odd
// as well, and many spans of other traces between the three.
func OddLog(others int) []byte {
	var log bytes.Buffer
	for i := range 3 {
		for at, id := range OddIDs {
			span := func(i int) string { return OddIDs[(at+i)%len(OddIDs)].Decimal }
			parent := "None"
			if i > 0 {
				parent = span(i - 1)
			}
			log.WriteString(OddLine(id.Decimal, span(i), parent, fmt.Sprintf("odd%d", i), at*10+i))
		}
		for n := range others {
			id := fmt.Sprint(1_000_000_000*(i+1) + n)
			log.WriteString(OddLine(id, id, "None", "other", 1000+n))
		}
	}
	return log.Bytes()
}

// OddDocument is what an odd trace's JSON says of ids.
type OddDocument struct {
	TraceID     string `json:"trace_id"`
	TomographID string `json:"tomograph_id"`
	Verdict     string `json:"verdict"`
	Spans       []struct {
		ID                string  `json:"id"`
		TomographID       string  `json:"tomograph_id"`
		ParentID          *string `json:"parent_id"`
		TomographParentID *string `json:"tomograph_parent_id"`
		Depth             int     `json:"depth"`
		Name              string  `json:"name"`
	} `json:"spans"`
}

// RequireOdd checks the documents of the odd traces, which may stand among others;
// each line has to be JSON.
func RequireOdd(t require.TestingT, file []byte, others int) {
	documents := map[string]OddDocument{}
	lines := 0
	for line := range bytes.Lines(file) {
		lines++
		if bytes.Contains(line, []byte(`"other"`)) {
			continue
		}
		var d OddDocument
		require.NoError(t, json.Unmarshal(line, &d), "%.200q", line)
		require.NotContains(t, documents, d.TomographID)
		documents[d.TomographID] = d
	}
	require.Equal(t, len(OddIDs)+others, lines)
	for at, id := range OddIDs {
		d := documents[id.Decimal]
		require.Equal(t, id.Hex, d.TraceID)
		require.Equal(t, "complete", d.Verdict, id.Decimal)
		require.Len(t, d.Spans, 3, id.Decimal)
		for i, s := range d.Spans {
			span := OddIDs[(at+i)%len(OddIDs)]
			require.Equal(t, []any{span.Hex, span.Decimal, i, fmt.Sprintf("odd%d", i)},
				[]any{s.ID, s.TomographID, s.Depth, s.Name})
			if i == 0 {
				require.Nil(t, s.ParentID)
				continue
			}
			parent := OddIDs[(at+i-1)%len(OddIDs)]
			require.Equal(t, parent.Hex, *s.ParentID)
			if strings.HasPrefix(parent.Decimal, "-") || len(parent.Hex) > 32 {
				require.Equal(t, parent.Decimal, *s.TomographParentID)
			} else {
				require.Nil(t, s.TomographParentID)
			}
		}
	}
}

// MissingParents are lines of traces whose spans miss their parents, with what is told of
// each.
func MissingParents(t testing.TB) (log []byte, told map[string]string) {
	var text bytes.Buffer
	told = map[string]string{}
	line := func(traceID, id, parent, words string) {
		text.WriteString(OddLine(traceID, id, parent, "n"+id, len(told)))
		if words != "" {
			told[traceID+" "+id] = words
		}
	}
	long := "1" + strings.Repeat("0", 100)
	line("300", "1", "None", "")
	line("200", "1", "None", "")
	line("400", "1", "None", "")
	line("5", "51", "1",
		"0000000000000001 (in the log: 1), which is not in this trace but in the trace 00000000000000c8 (in the "+
			"log: 200); it stands at depth 0.")
	line("5", "52", "99", "0000000000000063 (in the log: 99), which is nowhere in what was read; it stands at depth 0.")
	line("5", "53", "52", "")
	line("6", "61", "51",
		"0000000000000033 (in the log: 51), which is not in this trace but in the trace 0000000000000005 (in the "+
			"log: 5); it stands at depth 0.")
	line("-7", "-71", "None", "")
	line("8", "81", "-71",
		"ffffffffffffffb9 (in the log: -71), which is not in this trace but in the trace fffffffffffffff9 (in the "+
			"log: -7); it stands at depth 0.")
	line("8", "82", "-72",
		"ffffffffffffffb8 (in the log: -72), which is nowhere in what was read; it stands at depth 0.")
	line("9", "91", "18446744073709551545",
		"ffffffffffffffb9 (in the log: 18446744073709551545), which is nowhere in what was read; it stands at depth 0.")
	line("9", long, "None", "")
	line("10", "101", long, "not in this trace;")
	return text.Bytes(), told
}

// RequireMissingParents compares what documents tell of missing parents.
func RequireMissingParents(t require.TestingT, want map[string]string, file []byte) {
	got := map[string]string{}
	for line := range bytes.Lines(file) {
		var d struct {
			TomographID string `json:"tomograph_id"`
			Spans       []struct {
				TomographID string `json:"tomograph_id"`
				Problems    []struct{ Code, Text string }
			}
		}
		require.NoError(t, json.Unmarshal(line, &d))
		for _, s := range d.Spans {
			for _, p := range s.Problems {
				if p.Code == string(trace.MissingParent) {
					got[d.TomographID+" "+s.TomographID] = p.Text
				}
			}
		}
	}
	require.Len(t, got, len(want))
	for span, words := range want {
		require.Contains(t, got[span], words, span)
	}
}
