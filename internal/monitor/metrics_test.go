package monitor

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hostile is what paths of logs and words of servers may be.
const hostile = "/var/log/\x1b[2J\n\r\"\\ \u202egol\u2066\u009b31m\x7f\xff\xfe\u200b\U000e0001.log"

// counted is an Output in which each number is another one.
func counted(name string) Output {
	o := Output{Name: name, Up: true, LastCheckpoint: time.UnixMilli(1_700_000_000_500)}
	v := reflect.ValueOf(&o).Elem()
	n := int64(1000)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Int64 {
			f.SetInt(n)
			n++
		}
	}
	return o
}

// gathered are the samples of outputs, by name and labels.
func gathered(t require.TestingT, outputs ...Output) map[string]float64 {
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(newCollector(func() []Output { return outputs })))
	families, err := registry.Gather()
	require.NoError(t, err)
	samples := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				require.True(t, utf8.ValidString(l.GetValue()))
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			samples[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return samples
}

func TestMetricsOfAnOutput(t *testing.T) {
	zipkin, json := counted("zipkin"), counted("json")
	json.Up = false
	json.LastCheckpoint = time.Time{}
	zipkin.Files = []File{
		{Path: "/var/log/nova/nova-api.log", Offset: 10, Lag: 20, LagSeconds: 1.5, Unacked: 30},
		{Path: "/var/log/glance/api.log", Offset: 1, Lag: 2, LagSeconds: 0.25, Unacked: 3},
	}
	samples := gathered(t, zipkin, json)
	for name, want := range map[string]float64{
		"bytes_total output=zipkin":                                       1000,
		"lines_total output=zipkin":                                       1001,
		"unreadable_lines_total output=json":                              1003,
		"spans_total output=json":                                         1005,
		"output_up output=zipkin":                                         1,
		"output_up output=json":                                           0,
		"last_checkpoint_timestamp_seconds output=zipkin":                 1_700_000_000.5,
		"last_checkpoint_timestamp_seconds output=json":                   0,
		"files output=zipkin":                                             2,
		"files output=json":                                               0,
		"files_left_out output=zipkin":                                    0,
		"lag_bytes output=zipkin":                                         22,
		"lag_seconds output=zipkin":                                       1.5,
		"unacked_bytes output=zipkin":                                     33,
		"file_offset_bytes file=/var/log/nova/nova-api.log output=zipkin": 10,
		"file_lag_bytes file=/var/log/nova/nova-api.log output=zipkin":    20,
		"file_lag_seconds file=/var/log/glance/api.log output=zipkin":     0.25,
		"file_unacked_bytes file=/var/log/glance/api.log output=zipkin":   3,
	} {
		require.Contains(t, samples, prefix+name)
		require.Equal(t, want, samples[prefix+name], name)
	}
	// Every count of an Output is in exactly one metric.
	seen := map[float64]int{}
	for name, value := range samples {
		if strings.HasSuffix(name, "output=json") {
			seen[value]++
		}
	}
	for i := 1000.0; i < 1000+float64(counts()); i++ {
		require.Equal(t, 1, seen[i], i)
	}
}

// counts is how many counts an Output has.
func counts() (n int) {
	for f := range reflect.TypeFor[Output]().Fields() {
		if f.Type.Kind() == reflect.Int64 {
			n++
		}
	}
	return n
}

func TestMetricsFollowPrometheusConventions(t *testing.T) {
	o := counted("zipkin")
	o.Files = []File{{Path: hostile}}
	problems, err := testutil.CollectAndLint(newCollector(func() []Output { return []Output{o} }))
	require.NoError(t, err)
	require.Empty(t, problems)
}

// The document names every metric with its type, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	var documented, are []string
	for _, m := range regexp.MustCompile("(?m)^\\| `("+prefix+"\\w+)` \\| (counter|gauge) \\| ").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1]+" "+m[2])
	}
	kinds := map[prometheus.ValueType]string{counter: "counter", gauge: "gauge"}
	for _, m := range outputMetrics {
		are = append(are, prefix+m.name+" "+kinds[m.kind])
	}
	for _, m := range fileMetrics {
		are = append(are, prefix+m.name+" "+kinds[m.kind])
	}
	slices.Sort(documented)
	slices.Sort(are)
	require.Equal(t, are, documented)
	for _, name := range regexp.MustCompile(prefix+`\w+`).FindAllString(string(text), -1) {
		require.True(t, name == prefix+"file_" || slices.ContainsFunc(are, func(m string) bool { return strings.HasPrefix(m, name+" ") }), name)
	}
}

func TestFileThatGoesAwayVanishes(t *testing.T) {
	outputs := []Output{{Name: "json", Files: []File{{Path: "a"}, {Path: "b"}}}}
	c := newCollector(func() []Output { return outputs })
	name := prefix + "file_lag_bytes"
	require.Equal(t, 2, testutil.CollectAndCount(c, name))
	outputs[0].Files = outputs[0].Files[:1]
	require.Equal(t, 1, testutil.CollectAndCount(c, name))
	outputs = nil
	require.Zero(t, testutil.CollectAndCount(c))
}

// Of too many files those with the largest lag have series, whatever their
// order; the sums count all.
func TestSeriesOfFilesAreBounded(t *testing.T) {
	o := Output{Name: "json"}
	for i := range maxFiles + 500 {
		o.Files = append(o.Files, File{Path: fmt.Sprintf("/log/%05d", i), Lag: int64(i * 7919 % (maxFiles + 500))})
	}
	before := slices.Clone(o.Files)
	samples := gathered(t, o)
	require.Equal(t, before, o.Files, "what was given is only read")
	n := 0
	for name, value := range samples {
		if strings.HasPrefix(name, prefix+"file_lag_bytes ") {
			n++
			require.GreaterOrEqual(t, value, 500.0)
		}
	}
	require.Equal(t, maxFiles, n)
	require.EqualValues(t, 500, samples[prefix+"files_left_out output=json"])
	require.EqualValues(t, maxFiles+500, samples[prefix+"files output=json"])
	require.EqualValues(t, (maxFiles+499)*(maxFiles+500)/2, samples[prefix+"lag_bytes output=json"])
}

// Whatever paths there are, the scrape succeeds and nothing vanishes in it.
func TestAnyPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Output{Name: rapid.SampledFrom([]string{"json", "", hostile}).Draw(t, "name")}
		paths := map[string]bool{}
		for _, p := range rapid.SliceOf(rapid.SliceOfN(rapid.SampledFrom([]byte("ab\\x0f\"\n\x1b\xff\xc3\xa9{}")), 0, 6)).Draw(t, "paths") {
			o.Files = append(o.Files, File{Path: string(p), Lag: 1, LagSeconds: math.Inf(1)})
			paths[string(p)] = true
		}
		series, lag := 0, 0.0
		for name, value := range gathered(t, o) {
			if strings.HasPrefix(name, prefix+"file_lag_bytes ") {
				series++
				lag += value
			}
		}
		require.Equal(t, len(paths), series, "different paths stay different")
		require.EqualValues(t, len(o.Files), lag)
	})
}

func TestPrintable(t *testing.T) {
	for in, out := range map[string]string{
		"":                       "",
		"/var/log/nova api.log":  "/var/log/nova api.log",
		`say "hi"`:               `say "hi"`,
		"say \"hi\"\n":           `say "hi"\n`,
		`a\nb`:                   `a\\nb`,
		"Gößenwahn 日本":           "Gößenwahn 日本",
		"\x1b[2J\x7f\u009b":      `\x1b[2J\x7f\u009b`,
		"\u202etxt.\u2066\u200b": `\u202etxt.\u2066\u200b`,
		"\xff\ufffd":             `\xff�`,
		"\U000e0001":             `\U000e0001`,
	} {
		require.Equal(t, out, safetext.Printable(in))
	}
	require.Equal(t, "日", safetext.ClipBytes("日本", 5))
	require.Equal(t, "日本", safetext.ClipBytes("日本", 6))
	require.Equal(t, "", safetext.ClipBytes("日本", 2))
}
