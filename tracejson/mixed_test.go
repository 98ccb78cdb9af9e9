package tracejson_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// mixed is what Read made of a file.
type mixed struct {
	spans  []trace.Span
	errs   []*tracejson.DocumentError
	lines  []string
	places [][2]int64 // number and offset of each line
}

func readMixed(t require.TestingT, r io.Reader) (m mixed) {
	require.NoError(t, tracejson.Read(r, "f.json",
		func(s trace.Span) error { m.spans = append(m.spans, s); return nil },
		func(e *tracejson.DocumentError) error { m.errs = append(m.errs, e); return nil },
		func(line []byte, number, offset int64) error {
			m.lines = append(m.lines, string(line))
			m.places = append(m.places, [2]int64{number, offset})
			return nil
		}))
	return m
}

// logLine is a line that is no document.
func logLine() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=1)", "", "   FROM token", "\tat x", " ", "\r", "{}",
			`{"message": "Span(", "name": "tomograph"}`, `{"log":"x\n"}`, "[-] no list", "{", "}", "\ufeffbom", strings.Repeat(" ", 5000) + "x", strings.Repeat("long ", 20000),
		}),
		rapid.StringMatching(`[^\n\]\,]*`),
	).Filter(func(line string) bool {
		return !tracejson.IsDocument([]byte(line)) && !strings.HasPrefix(line, "\ufeff")
	})
}

// Documents among the lines of a log: each is read as what it is, wherever it
// stands.
func TestMixed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file []byte
		var want mixed
		line := int64(1)
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			if rapid.Bool().Draw(t, "log") {
				text := logLine().Draw(t, "line")
				want.lines = append(want.lines, text)
				want.places = append(want.places, [2]int64{line, int64(len(file))})
				file = append(file, text...)
			} else {
				documents, spans := someDocuments(t)
				file = append(file, bytes.Join(documents, nil)...)
				want.spans = append(want.spans, spans...)
			}
			file = append(file, '\n')
			line++
		}
		require.Equal(t, want, readMixed(t, bytes.NewReader(file)))
		require.Equal(t, want, readMixed(t, iotest.OneByteReader(bytes.NewReader(file))))
	})
}

func TestMixedOddly(t *testing.T) {
	const log = "2013-04-18 Span("
	for name, test := range map[string]struct {
		input string
		spans int
		lines string // each with its place
		errs  string
	}{
		"a log behind a document": {whole + log + "\n" + log, 1, "1:202 " + log + "|2:219 " + log, ""},
		"a list, then a log":      {"[\n  " + whole + ",\n  " + whole + "\n]\n" + log + "\n", 2, "5:415 " + log, ""},
		"torn, then a log": {whole[:58] + "\n" + log + "\n  " + log + "\n" + whole, 1, "2:59 " + log + "|3:76   " + log,
			`f.json:1:59: trace document 1: the line ends within a string; expected "`},
		"torn behind a comma, then a log": {whole[:51] + "\n" + log + "\n" + whole, 1, "2:52 " + log,
			"f.json:2:1: trace document 1: found '2'; expected a string"},
		"a list torn, then a log": {"[" + whole + ",\n" + log + "\n" + whole, 2, "2:205 " + log,
			"f.json:2:1: trace document 1: found a line of something else within a list of documents; expected {, a comma or ]"},
		"lines behind damage": {"{\n\"tomograph_id\": \"1\",\n\"trace_id\": \"00000000000000ff\",\n\"spans\": [\n]}\n" + whole, 1, "4:55 \"spans\": [|5:66 ]}",
			`f.json:3:13: trace document 1: trace_id "00000000000000ff" is not the number of tomograph_id "1"; expected "0000000000000001"`},
		"a byte order mark between": {log + "\n\ufeff" + whole, 1, "1:0 " + log, ""},
		"blanks at the end":         {whole + " \t", 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := readMixed(t, strings.NewReader(test.input))
			var lines, errs []string
			for i, line := range m.lines {
				lines = append(lines, fmt.Sprintf("%d:%d %s", m.places[i][0], m.places[i][1], line))
			}
			for _, e := range m.errs {
				errs = append(errs, e.Error())
			}
			require.Len(t, m.spans, test.spans)
			require.Equal(t, test.lines, strings.Join(lines, "|"))
			require.Equal(t, test.errs, strings.Join(errs, "\n"))
		})
	}
}

func TestOtherEndsTheReading(t *testing.T) {
	stop := errors.New("enough")
	calls := 0
	err := tracejson.Read(strings.NewReader("a\nb\n"), "f", nil, nil, func([]byte, int64, int64) error { calls++; return stop })
	require.ErrorIs(t, err, stop)
	require.Equal(t, 1, calls)

	r := io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(stop))
	calls = 0
	err = tracejson.Read(r, "f", nil, nil, func([]byte, int64, int64) error { calls++; return nil })
	require.ErrorIs(t, err, stop)
	require.Equal(t, 2, calls, "what came before is handed on")
}

// Lines that look like the beginning of a document cost no more than others: if each
// were looked for in all that follows, this would take hours.
func TestManyObjectsInALog(t *testing.T) {
	for _, line := range []string{"{\n", "[\n", "[[[[\n", `{"x":[` + "\n", ` {"x":[` + "\n", `{"problems":[` + "\n", "{" + strings.Repeat("\n", 5000), `{"a":"` + strings.Repeat("b", 60) + "\n"} {
		input := strings.Repeat(line, (1<<20)/len(line))
		lines := 0
		require.NoError(t, tracejson.Read(strings.NewReader(input), "f",
			nil, func(*tracejson.DocumentError) error { lines++; return nil }, func([]byte, int64, int64) error { lines++; return nil }))
		require.InDelta(t, strings.Count(input, "\n"), lines, 1)
	}
}
