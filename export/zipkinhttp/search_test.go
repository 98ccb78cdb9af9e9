package zipkinhttp

import (
	"errors"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

func TestParseZipkinURL(t *testing.T) {
	for address, want := range map[string]string{
		"http://h:9411":                       "http://h:9411/api/v2/spans",
		"http://h:9411/":                      "http://h:9411/api/v2/spans",
		"http://h:9411//":                     "http://h:9411/api/v2/spans",
		"http://h:9411/zipkin":                "http://h:9411/api/v2/spans",
		"http://h:9411/zipkin/":               "http://h:9411/api/v2/spans",
		"http://h:9411/zipkin/api/v2":         "http://h:9411/api/v2/spans",
		"http://h:9411/api/v2/":               "http://h:9411/api/v2/spans",
		"http://h:9411/api/v2/spans":          "http://h:9411/api/v2/spans",
		"http://h:9411/api/v2/spans/":         "http://h:9411/api/v2/spans",
		"https://h/tracing/":                  "https://h/tracing/api/v2/spans",
		"https://h/tracing/zipkin/":           "https://h/tracing/api/v2/spans",
		"https://h/proxy/zipkin/api/v2/spans": "https://h/proxy/zipkin/api/v2/spans",
		"HTTP://[::1]:9411":                   "http://[::1]:9411/api/v2/spans",
		"http://h:65535":                      "http://h:65535/api/v2/spans",
		"http://me:pw@h":                      "http://me:pw@h/api/v2/spans",
	} {
		got, err := ParseURL(address)
		require.NoError(t, err, address)
		require.Equal(t, want, got, address)
	}
	for address, problem := range map[string]string{
		"":                           "it does not begin with http:// or https://",
		"localhost:9411":             "it does not begin with http:// or https://",
		"127.0.0.1:9411":             "it is no URL",
		"ftp://h":                    "it does not begin with http:// or https://",
		"http://":                    "it names no host",
		"http://:9411":               "it names no host",
		"http:///zipkin":             "it names no host",
		"http://h:99999":             "its port is none: ports are 1 to 65535",
		"http://h:0/":                "its port is none: ports are 1 to 65535",
		"http://h/zipkin/?limit=10":  "nothing may follow a ? or # in it",
		"http://h/?":                 "nothing may follow a ? or # in it",
		"http://h/#x":                "nothing may follow a ? or # in it",
		"http://h\x1b[2J":            "it is no URL",
		"http://me:secret@h/zipkin?": "nothing may follow a ? or # in it",
	} {
		_, err := New(Options{URL: address})
		var wrong *URLError
		require.ErrorAs(t, err, &wrong, address)
		require.Equal(t, problem, wrong.Problem, address)
		require.Contains(t, err.Error(), "expected something like http://HOST:9411")
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "\x1b")
	}
}

// An address that is for something else says what to write in its place.
func TestZipkinURLInstead(t *testing.T) {
	for address, want := range map[string]string{
		"http://h:9411/api/v1/spans":             `zipkin address "http://h:9411/api/v1/spans": it is of Zipkin's first API, and spans go to the second; write http://h:9411`,
		"https://h/tracing/api/v1/":              "; write https://h/tracing",
		"https://h/tracing/zipkin/api/v1/spans/": "; write https://h/tracing",
		"http://h:9411/api/v2/traces":            "Zipkin is asked for traces there, and takes no spans; write http://h:9411",
		"http://h:9411/zipkin/api/v2/trace/15be": "; write http://h:9411",
		"http://h:9411/zipkin/traces/15be":       "it is the page of a trace; write http://h:9411",
		"http://h:9411/zipkin/dependency/":       "; write http://h:9411",
		"http://h:14268/api/traces":              "Jaeger takes spans in its own form there, not in Zipkin's; write http://h:9411",
		"http://h:14268/api/traces?format=x":     "Jaeger takes spans in its own form there, not in Zipkin's; write http://h:9411",
		"http://h:4318/v1/traces":                "spans in OpenTelemetry's form are taken there, not in Zipkin's; write http://h:9411",
		"http://me:secret@h/\u202e/api/v1/spans": "; write http://h/%E2%80%AE",
	} {
		_, err := ParseURL(address)
		require.ErrorAs(t, err, new(*URLError), address)
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "\u202e")
	}
	for _, address := range []string{"https://h/zipkin/tenant", "https://h/api/v1/zipkin", "https://h/api/v2/spans", "https://h/traces"} {
		_, err := ParseURL(address)
		require.NoError(t, err, address)
	}
}

func TestZipkinSearch(t *testing.T) {
	server := &faultyZipkin{t: t, shows: []string{"/zipkin/config.json", "/api/v2/services"}}
	web := httptest.NewServer(server)
	defer web.Close()
	address := web.URL + "/zipkin/"

	d := deliverTo(t.Context(), t, address, nil, Options{})
	require.Zero(t, d.search, "nothing delivered, nothing to find")

	nodes := testNodes(2) // at 1363046391.123456 and .123457
	d = deliverTo(t.Context(), t, address, nodes, Options{})
	require.Equal(t, web.URL+"/zipkin/?lookback=range&startTs=1363046391123&endTs=1363046391124&limit=10", d.search.Page)
	require.Equal(t, web.URL+"/api/v2/traces?endTs=1363046391124&lookback=1&limit=10", d.search.API)
	require.Contains(t, d.search.Old, "older than three days")

	// A Zipkin without its page has the API, and what is only posted through has none.
	server.shows = server.shows[1:]
	d = deliverTo(t.Context(), t, address, nodes, Options{})
	require.Empty(t, d.search.Page)
	require.Equal(t, web.URL+"/api/v2/traces?endTs=1363046391124&lookback=1&limit=10", d.search.API)
	server.shows = nil
	require.Zero(t, deliverTo(t.Context(), t, address, nodes, Options{}).search)
	server.shows = []string{"/zipkin/config.json", "/api/v2/services"}

	// A window of no width is refused by Zipkin; both of its ends are included.
	for i := range nodes {
		for j := range nodes[i].Notes {
			nodes[i].Notes[j].Time = 1363046391123000
		}
	}
	d = deliverTo(t.Context(), t, address, nodes, Options{})
	require.Equal(t, web.URL+"/api/v2/traces?endTs=1363046391124&lookback=1&limit=10", d.search.API)

	// As many traces are asked for as there are spans.
	nodes = testNodes(2000)
	for i := range nodes {
		nodes[i].TraceID = trace.IDFromUint64(uint64(1 + i/2))
		nodes[i].Notes[0].Time += int64(i) * 1_000_000
	}
	d = deliverTo(t.Context(), t, address, nodes[:40], Options{})
	require.Contains(t, d.search.API, "&limit=40")
	d = deliverTo(t.Context(), t, address, nodes, Options{})
	require.Contains(t, d.search.API, "&limit=1000")

	// Moved to the present they are found without more ado.
	now := time.Now()
	traces := []trace.Trace{{HasStart: true, End: nodes[0].Notes[1].Time}, {HasStart: true, End: nodes[9].Notes[1].Time + 9_000_000}, {End: 1 << 62}}
	shift, err := ShiftToNow(sampletest.Each(traces...), now)
	require.NoError(t, err)
	require.Equal(t, now.UnixMicro(), traces[1].End+shift.Microseconds())
	d = deliverTo(t.Context(), t, address, nodes[:10], Options{Mapping: zipkin.Options{Shift: shift}})
	require.Empty(t, d.search.Old)
	none, err := ShiftToNow(sampletest.Each(traces[2]), now)
	require.NoError(t, err)
	require.Zero(t, none)
}

// Delivery stops at an error among the traces, and returns it.
func TestErrorAmongTraces(t *testing.T) {
	broken := errors.New("the disk is broken")
	traces := func(yield func(*trace.Trace, error) bool) { yield(nil, broken) }
	_, err := ShiftToNow(traces, time.Now())
	require.ErrorIs(t, err, broken)
	z, err := New(Options{URL: "http://localhost:1", Quarantine: filepath.Join(t.TempDir(), "quarantine.jsonl")})
	require.NoError(t, err)
	require.ErrorIs(t, z.Send(t.Context(), Nodes(traces), nil), broken)
	require.NoError(t, z.Close())
}
