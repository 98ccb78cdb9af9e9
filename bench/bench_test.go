package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// made is a log of 2 MB with its truth.
func made(t *testing.T, seed uint64) ([]byte, Truth) {
	var log bytes.Buffer
	truth, err := Generate(&log, seed, 2e6)
	require.NoError(t, err)
	return log.Bytes(), truth
}

func TestSeedDecidesTheLog(t *testing.T) {
	first, truth := made(t, 1)
	again, _ := made(t, 1)
	require.Equal(t, string(first), string(again))
	other, otherTruth := made(t, 2)
	require.NotEqual(t, string(first), string(other))
	require.NotEqual(t, truth.Checksum, otherTruth.Checksum)
	require.Equal(t, "1 d04a756b", fmt.Sprintf("%d %.4x", generatorVersion, sha256.Sum256(first)),
		"the generator makes other logs: give it the next version, so that old data is made anew")
}

// What the generator says of its log is what is in it, by the eye of a regular
// expression and by tomoscrape's own.
func TestTruthIsTrue(t *testing.T) {
	log, truth := made(t, 1)
	require.EqualValues(t, len(log), truth.Bytes)
	require.InDelta(t, 2e6, truth.Bytes, 0.2e6)
	require.EqualValues(t, bytes.Count(log, []byte("\n")), truth.Lines)
	require.EqualValues(t, bytes.Count(log, []byte("Span(")), truth.SpanLines+truth.Mentions)
	require.InDelta(t, 0.2, float64(truth.SpanLines)/float64(truth.Lines), 0.01)

	ids := map[string]bool{}
	var sum Sum
	spanBytes := 0
	pattern := regexp.MustCompile(`tomograph\.backends\.log (?:\[[^]]*\] )?(Span\(trace_id=(\d+), parent_id=(None|\d+), id=(\d+), .*)`)
	for _, m := range pattern.FindAllSubmatch(log, -1) {
		spanBytes += len(m[1])
		key := string(bytes.Join(m[2:], []byte(" ")))
		if !ids[key] {
			var traceID, parent, id uint64
			_, _ = fmt.Sscan(strings.Replace(key, "None", "0", 1), &traceID, &parent, &id)
			sum.add(traceID, id, parent)
		}
		ids[key] = true
	}
	require.EqualValues(t, spanBytes, truth.SpanBytes)
	require.EqualValues(t, len(ids), truth.Spans)
	require.Equal(t, sum, truth.Checksum)
	require.Equal(t, truth.SpanLines, truth.Spans+truth.Duplicates)

	traces, counts := read(t, log)
	require.Equal(t, truth.Lines, counts.Lines)
	require.Equal(t, truth.SpanLines, counts.Parsed)
	require.Equal(t, truth.Mentions, counts.Mentions)
	require.Zero(t, counts.Salvaged+counts.Rejected)
	require.EqualValues(t, len(traces), truth.Traces)
	require.Equal(t, truth.Traces, truth.Complete+truth.Incomplete)
	require.Positive(t, truth.Incomplete)
	incomplete, largest := 0, 0
	for i := range traces {
		if !traces[i].Complete() {
			incomplete++
		}
		largest = max(largest, len(traces[i].Spans))
		for _, problem := range traces[i].Problems {
			require.Contains(t, []trace.Code{trace.MissingParent, trace.SeveralRoots}, problem.Code, problem.Text)
		}
	}
	require.EqualValues(t, incomplete, truth.Incomplete)
	require.InDelta(t, 38, largest, 2)
}

// read makes traces of a log.
func read(t *testing.T, log []byte) (traces []trace.Trace, counts parser.Counts) {
	spans := map[trace.ID][]trace.Span{}
	reader := parser.NewReader("made.log", parser.Options{}, parser.Output{Record: func(r *parser.Result) {
		require.Nil(t, r.Complaint)
		spans[r.Span.TraceID] = append(spans[r.Span.TraceID], r.Span.Clone())
	}})
	for line := range bytes.Lines(log) {
		reader.Feed(parser.Line{Text: bytes.TrimSuffix(line, []byte("\n"))})
	}
	reader.Flush()
	for id, some := range spans {
		tr, _ := assemble.Trace(id, some, assemble.Options{})
		traces = append(traces, tr)
	}
	return traces, reader.Counts
}

func TestCheckTraces(t *testing.T) {
	log, truth := made(t, 1)
	traces, _ := read(t, log)
	var documents []string
	for i := range traces {
		documents = append(documents, string(tracejson.Append(nil, &traces[i]))+"\n")
	}
	path := filepath.Join(t.TempDir(), "traces.json")
	check := func(documents string) error {
		require.NoError(t, os.WriteFile(path, []byte(documents), 0o600))
		_, err := checkTraces(path, &truth)
		return err
	}
	whole := strings.Join(documents, "")
	require.NoError(t, check(whole))

	require.ErrorContains(t, check(strings.Join(documents[1:], "")), "the truth is", "a trace is lost")
	require.ErrorContains(t, check(whole+documents[0]), "the truth is", "one is there twice")
	parent := regexp.MustCompile(`"parent_id":"[0-9a-f]{15}`).FindString(whole)
	require.ErrorContains(t, check(strings.Replace(whole, parent, `"parent_id":"fffffffffffffff`, 1)), "the truth is")
	require.ErrorContains(t, check("[]\n"), "does not begin")
	require.ErrorContains(t, check(`{"trace_id":"12"}`), "16 hexadecimal digits")
}

func TestCheckSummary(t *testing.T) {
	truth := Truth{Seed: 1, Bytes: 10, Lines: 4, SpanLines: 3, Spans: 2, Duplicates: 1, Traces: 1, Complete: 1, Checksum: 5}
	path := filepath.Join(t.TempDir(), "summary.json")
	good := `{"bytes":10,"lines":4,"span_lines":3,"parsed":3,"spans":2,"duplicates":1,"traces":1,"complete":1,"unreadable":[]}`
	for _, c := range []struct{ from, to, says string }{
		{"", "", ""},
		{`"lines":4`, `"lines":5`, "the truth"},
		{`"parsed":3`, `"parsed":2`, "not all"},
		{`[]`, `[{"name":"x"}]`, "not all"},
	} {
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(good, c.from, c.to, 1)), 0o600))
		err := checkSummary(path, &truth)
		if c.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.says)
		}
	}
}

// The script that tomoscrape is compared with does the same work: it writes the same
// documents.
func TestEvalScript(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	log, truth := made(t, 1)
	in, out := filepath.Join(t.TempDir(), "made.log"), filepath.Join(t.TempDir(), "out.json")
	require.NoError(t, os.WriteFile(in, log, 0o600))
	said, err := exec.Command(python, "eval.py", in, out).CombinedOutput()
	require.NoError(t, err, string(said))
	_, err = checkTraces(out, &truth)
	require.NoError(t, err)

	theirs, err := os.ReadFile(out)
	require.NoError(t, err)
	result, err := replay.Run(t.Context(), replay.Options{Paths: []string{in}})
	require.NoError(t, err)
	defer result.Close()
	var ours bytes.Buffer
	require.NoError(t, export.JSON(&ours, result.Render, false))
	want, got := bytes.Split(ours.Bytes(), []byte("\n")), bytes.Split(theirs, []byte("\n"))
	require.Len(t, got, len(want))
	for i := range want[:len(want)-1] {
		var a, b any
		require.NoError(t, json.Unmarshal(want[i], &a))
		require.NoError(t, json.Unmarshal(got[i], &b))
		sameAsPython(t, a, b)
	}
}

// sameAsPython compares what tomoscrape writes with what the script does, which has
// no texts for problems, takes bytes of UTF-8 for characters and times through a
// float: one of 17 digits may be a few units of the last off.
func sameAsPython(t *testing.T, ours, theirs any) {
	switch a := ours.(type) {
	case map[string]any:
		b := theirs.(map[string]any)
		if a["code"] != nil {
			delete(a, "text")
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
		for key := range a {
			sameAsPython(t, a[key], b[key])
		}
	case []any:
		b := theirs.([]any)
		require.Len(t, b, len(a))
		for i := range a {
			sameAsPython(t, a[i], b[i])
		}
	case float64:
		require.InDelta(t, a, theirs, 2)
	case string:
		var raw []byte
		for _, c := range theirs.(string) {
			raw = append(raw, byte(c))
		}
		require.Contains(t, []any{theirs, string(raw)}, ours)
	default:
		require.Equal(t, a, theirs)
	}
}

func TestDataIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	d, err := makeData(dir, "1MB")
	require.NoError(t, err)
	stale := d.path + ".gz"
	require.NoError(t, os.WriteFile(stale, nil, 0o600))
	before, err := os.Stat(d.path)
	require.NoError(t, err)
	again, err := makeData(dir, "1MB")
	require.NoError(t, err)
	require.Equal(t, d, again)
	after, err := os.Stat(d.path)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))

	require.NoError(t, os.Truncate(d.path, 10)) // it is no more what its truth says
	again, err = makeData(dir, "1MB")
	require.NoError(t, err)
	require.Equal(t, d, again)
	require.NoError(t, checkSize(d.path, d.truth.Bytes))
	require.NoFileExists(t, stale)
}

func TestInterleave(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	order := ""
	echo := func(name string) *contender {
		return &contender{name: name, args: []string{"echo", name}, out: out, stdout: true, check: func() error {
			order += name
			return checkLines(out, 1)
		}}
	}
	runs := Runs{}
	require.NoError(t, runs.interleave(3, []*contender{echo("a"), echo("b"), echo("c")}))
	require.Equal(t, "abcacbcab", order)
	for _, name := range []string{"a", "b", "c"} {
		require.Len(t, runs[name], 3)
		wall, ran := runs.wall(name)
		require.True(t, ran)
		require.Positive(t, wall)
	}
	require.NoFileExists(t, out)

	wrong := echo("d")
	wrong.check = func() error { return checkLines(out, 2) }
	require.ErrorContains(t, runs.interleave(1, []*contender{wrong}), "has 1 lines, not 2")
	failing := &contender{name: "e", args: []string{"sh", "-c", "echo no luck >&2; exit 3"}, out: out}
	require.ErrorContains(t, runs.interleave(1, []*contender{failing}), "no luck")
}

func TestVerdict(t *testing.T) {
	for value, want := range map[float64]string{1: "goal", 1.5: "goal", 2.5: "must", 2.6: "MISSED"} {
		require.Equal(t, want, Row{Value: value, Must: 2.5, Goal: 1.5}.verdict(), value)
	}
	for value, want := range map[float64]string{1000: "goal", 500: "must", 499: "MISSED"} {
		require.Equal(t, want, Row{Value: value, Must: 500, Goal: 1000, More: true}.verdict(), value)
	}
	require.Empty(t, Row{Value: 3}.verdict(), "no target")
}

func TestTable(t *testing.T) {
	r := &Results{Runs: Runs{
		"tomoscrape": {{Wall: 3}, {Wall: 1}, {Wall: 2}}, "rg": {{Wall: 1}},
		"tomoscrape 10MB": {{Wall: 1, Peak: 1 << 20}}, "tomoscrape 90MB": {{Wall: 9, Peak: 3 << 20}},
		"tomoscrape 900MB": {{Wall: 180, Peak: 6 << 20}},
	}}
	r.compare("replay / rg", Runs.wall, "tomoscrape", "rg", 2.5, 1.5)
	r.compare("replay / lnav", Runs.wall, "tomoscrape", "lnav", 2.5, 1.5)
	r.faster("python / replay", "python", "tomoscrape", 50, 100)
	r.grow([]*data{{size: "10MB", truth: Truth{Bytes: 10e6}}, {size: "90MB", truth: Truth{Bytes: 90e6}}},
		[]*data{{size: "900MB", truth: Truth{Bytes: 900e6}}})
	require.Len(t, r.Rows, 3)
	require.InDelta(t, 2, r.Rows[0].Value, 1e-9)
	require.InDelta(t, 10, r.Rows[1].Value, 1e-9, "9 x the time for 9 x the bytes")
	require.Equal(t, "must", r.Rows[2].verdict(), "spilling, 2 x for each byte")
	table := r.table()
	require.Regexp(t, `replay / rg +2\.000 s +1\.000 s +2 x +<= 2\.5 +<= 1\.5 +must`, table)
	require.Contains(t, table, "note: replay / lnav is not measured: lnav is missing")
	require.Contains(t, table, "note: python / replay is not measured: python is missing")
	require.Regexp(t, `90MB +9\.000 s +10 +- +3 MiB +- +10\.00 x +3\.33 x`, table)
}

func TestGoBenchmarkOutput(t *testing.T) {
	const output = `goos: linux
BenchmarkDecode 	     157	   2559587 ns/op	 500.00 MB/s	       500.0 lines/op	 1988053 B/op	    1000 allocs/op
BenchmarkDecode 	     157	   2559587 ns/op	 600.00 MB/s	       500.0 lines/op	 1988053 B/op	    1500 allocs/op
BenchmarkReader 	     162	   2459357 ns/op	 672.88 MB/s	      1844 lines/op	 2001823 B/op	    4445 allocs/op
`
	speed, allocations := benchmark(output, "BenchmarkDecode")
	require.InDelta(t, 550, speed, 1e-9)
	require.InDelta(t, 2.5, allocations, 1e-9)
	speed, _ = benchmark(output, "BenchmarkNone")
	require.Zero(t, speed)
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"300MB": 300e6, "1GB": 1e9, "128MiB": 128 << 20, "2GiB": 2 << 30} {
		got, err := parseSize(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "300", "MB", "-1MB", "0MB", "1.5GB", "300 MB"} {
		_, err := parseSize(text)
		require.ErrorContains(t, err, "is no size", text)
	}
}
