package zipkinhttp

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// testNodes makes n spans of one trace with the ids 1 to n.
func testNodes(n int) []trace.Node {
	nodes := make([]trace.Node, n)
	for i := range nodes {
		note := func(µs int64, value string) trace.Note {
			return trace.Note{
				Time: 1363046391123456 + µs, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value},
				Service: trace.NewText("nova-api"), Address: trace.NewText("ctl1"),
			}
		}
		nodes[i].Span = trace.Span{
			TraceID: trace.IDFromUint64(0x15be), ID: trace.IDFromUint64(uint64(i + 1)), Name: trace.NewText("request"),
			Notes: []trace.Note{note(int64(i), "start"), note(int64(i)+5, "stop")}, Origin: []trace.Origin{{File: "nova.log", Line: int64(i + 1)}},
		}
	}
	return nodes
}

// faultyZipkin stores what it accepts. Before that it asks fault, which may
// answer the request itself and then returns true.
type faultyZipkin struct {
	t     *testing.T
	fault func(w http.ResponseWriter, r *http.Request, request int, spans []model.SpanModel, size int) bool
	shows []string // paths that answer; it has nothing to show
	// tolerant of requests that break off
	tolerant bool

	mu       sync.Mutex
	requests int
	got      map[model.ID]int // how often
	sizes    []int            // of the bodies, uncompressed
}

func (f *faultyZipkin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if !slices.Contains(f.shows, r.URL.Path) {
			http.NotFound(w, r)
		} else if r.URL.Path == "/zipkin/config.json" {
			io.WriteString(w, "{}")
		} else {
			io.WriteString(w, "[]")
		}
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	packed, err := io.ReadAll(r.Body)
	if err != nil && f.tolerant {
		return
	}
	if err != nil {
		f.t.Error(err)
		return
	}
	unpacked := io.Reader(bytes.NewReader(packed))
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err = gzip.NewReader(unpacked)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v2/spans" {
		f.t.Errorf("bad request: %v %v %v", err, r.Method, r.URL)
		return
	}
	body, err := io.ReadAll(unpacked)
	if err != nil {
		f.t.Error(err)
		return
	}
	var spans []model.SpanModel
	if r.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(body, &spans); err != nil {
			f.t.Errorf("%v in %s", err, body)
			return
		}
	}
	if f.fault != nil && f.fault(w, r, f.requests, spans, len(body)) {
		return
	}
	if f.got == nil {
		f.got = map[model.ID]int{}
	}
	for _, s := range spans {
		f.got[s.ID]++
	}
	f.sizes = append(f.sizes, len(body))
	w.WriteHeader(http.StatusAccepted)
}

// attempt is one run of the sender.
type attempt struct {
	outcomes map[uint64]Outcome // by span id
	report   Report
	warnings []string
	records  []map[string]any // of the quarantine file
	search   Search
	err      error
}

// deliverTo sends nodes to url with short pauses, unless opt says otherwise.
func deliverTo(ctx context.Context, t *testing.T, url string, nodes []trace.Node, opt Options) attempt {
	t.Helper()
	d := attempt{outcomes: map[uint64]Outcome{}}
	opt.URL = url
	opt.Warn = func(s string) { d.warnings = append(d.warnings, s) }
	if opt.FirstPause == 0 {
		opt.FirstPause = time.Millisecond
	}
	if opt.Quarantine == "" {
		opt.Quarantine = filepath.Join(t.TempDir(), "quarantine.jsonl")
	}
	z, err := New(opt)
	require.NoError(t, err)
	d.err = z.Send(ctx, Nodes(sampletest.Each(trace.Trace{Spans: nodes})), func(n *trace.Node, o Outcome) {
		require.Zero(t, d.outcomes[n.ID.Lo], "one outcome a span")
		d.outcomes[n.ID.Lo] = o
	})
	d.report = z.Report()
	d.search, _ = z.Search(ctx)
	require.NoError(t, z.Close())
	d.records = readLines(t, opt.Quarantine)
	return d
}

func readLines(t *testing.T, path string) (records []map[string]any) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var record map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &record), lines.Text())
		records = append(records, record)
	}
	return records
}

// count gives how many spans had the outcome.
func (d attempt) count(o Outcome) (n int) {
	for _, other := range d.outcomes {
		if other == o {
			n++
		}
	}
	return n
}

func TestZipkinRetries(t *testing.T) {
	faults := map[string]func(w http.ResponseWriter){
		"connection reset": func(w http.ResponseWriter) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			connection.(*net.TCPConn).SetLinger(0)
			connection.Close()
		},
		"half a status line": func(w http.ResponseWriter) {
			connection, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(connection, "HTTP/1.1 20")
			connection.Close()
		},
	}
	for _, status := range []int{408, 429, 500, 502, 503, 504} {
		faults[fmt.Sprint(status)] = func(w http.ResponseWriter) {
			w.WriteHeader(status)
			io.WriteString(w, "over\x1b[31mloaded")
		}
	}
	for name, answer := range faults {
		t.Run(name, func(t *testing.T) {
			server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, request int, _ []model.SpanModel, _ int) bool {
				if request > 2 {
					return false
				}
				answer(w)
				return true
			}}
			web := httptest.NewServer(server)
			defer web.Close()
			d := deliverTo(t.Context(), t, web.URL, testNodes(100), Options{})
			require.NoError(t, d.err)
			require.Equal(t, 100, d.count(Delivered))
			require.Len(t, server.got, 100)
			require.Equal(t, Report{Delivered: 100, Batches: 1, Retried: 2, Bytes: int64(server.sizes[0])}, d.report)
			require.Len(t, d.warnings, 2)
			require.Contains(t, d.warnings[0], "; trying again for up to 5 min")
			require.NotContains(t, d.warnings[0], "\x1b")
			require.Contains(t, d.warnings[1], "it works again, after ")
			require.Empty(t, d.records)
		})
	}
}

// TestZipkinBrokenAnswer: with its status an answer is given, whatever becomes of
// the rest.
func TestZipkinBrokenAnswer(t *testing.T) {
	server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, _ int, _ []model.SpanModel, _ int) bool {
		connection, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(connection, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhal")
		connection.Close()
		return true
	}}
	web := httptest.NewServer(server)
	defer web.Close()
	d := deliverTo(t.Context(), t, web.URL, testNodes(3), Options{})
	require.NoError(t, d.err)
	require.Equal(t, 3, d.count(Delivered))
	require.Equal(t, 1, server.requests)
}

func TestZipkinPoison(t *testing.T) {
	type refusal func(spans []model.SpanModel, size int) (status int, words string)
	poison := func(status int, ids ...model.ID) refusal {
		return func(spans []model.SpanModel, _ int) (int, string) {
			for _, s := range spans {
				if slices.Contains(ids, s.ID) {
					return status, "span <\x1b[2J\u202e> is bad\n"
				}
			}
			return 0, ""
		}
	}
	tests := map[string]struct {
		refuse refusal
		bad    []float64
		most   int // requests
	}{
		"in the middle":  {poison(400, 500), []float64{500}, 25},
		"first and last": {poison(422, 1, 1000), []float64{1, 1000}, 45},
		"all of ten":     {poison(413, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 60},
		"body too large": {func(_ []model.SpanModel, size int) (int, string) {
			if size > 50_000 {
				return 413, "too large"
			}
			return 0, ""
		}, nil, 20},
		"body too large for Zipkin 3.6.1": {func(_ []model.SpanModel, size int) (int, string) {
			if size > 50_000 {
				return 500, "413 Request Entity Too Large"
			}
			return 0, ""
		}, nil, 20},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, _ int, spans []model.SpanModel, size int) bool {
				status, words := test.refuse(spans, size)
				if status == 0 {
					return false
				}
				w.WriteHeader(status)
				io.WriteString(w, words)
				return true
			}}
			web := httptest.NewServer(server)
			defer web.Close()
			d := deliverTo(t.Context(), t, web.URL, testNodes(1000), Options{})
			require.NoError(t, d.err)
			require.Equal(t, len(test.bad), d.count(Quarantined))
			require.Equal(t, 1000-len(test.bad), d.count(Delivered))
			require.Len(t, server.got, 1000-len(test.bad))
			again := 0
			for id, times := range server.got {
				again += times - 1
				require.Equal(t, Delivered, d.outcomes[uint64(id)])
			}
			// Each is sent three times alone, and something else between, which at
			// the start is an empty list.
			require.LessOrEqual(t, again, len(test.bad))
			require.LessOrEqual(t, server.requests, test.most+6*len(test.bad))
			require.EqualValues(t, len(test.bad), d.report.Quarantined)
			require.Len(t, d.records, len(test.bad))
			slices.SortFunc(d.records, func(a, b map[string]any) int {
				return strings.Compare(a["span_id"].(string), b["span_id"].(string))
			})
			for i, record := range d.records {
				require.Equal(t, fmt.Sprintf("%016x", int(test.bad[i])), record["span_id"])
				require.Equal(t, "00000000000015be", record["trace_id"])
				require.Equal(t, "the server refused it", record["reason"])
				require.Equal(t, `span <\x1b[2J\u202e> is bad`, record["server"])
				require.Equal(t, []any{map[string]any{"file": "nova.log", "line": test.bad[i]}}, record["origin"])
				require.Equal(t, record["trace_id"], record["trace"].(map[string]any)["trace_id"])
				require.Equal(t, record["span_id"], record["zipkin"].([]any)[0].(map[string]any)["id"])
			}
			if len(test.bad) > 0 {
				loud := d.warnings[len(d.warnings)-1]
				require.Equal(t, 1, strings.Count(strings.Join(d.warnings, "\n"), d.report.QuarantineFile), "one loud word, then they are counted")
				require.Contains(t, loud, d.report.QuarantineFile)
				require.NotContains(t, loud, "\x1b")
			}
		})
	}
}

func TestZipkinStops(t *testing.T) {
	tests := map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"401": {func(w http.ResponseWriter) { w.WriteHeader(401) }, "it does not let us in (401 Unauthorized); it was given a name and password, or a token: check these, or ask who runs it"},
		"403": {func(w http.ResponseWriter) { http.Error(w, "not\ryou", http.StatusForbidden) }, `it does not let us in (403 Forbidden, in its words: not\ryou); it was given`},
		"404": {func(w http.ResponseWriter) { w.WriteHeader(404) }, "it has no /api/v2/spans there (404 Not Found); check the address"},
		"405": {func(w http.ResponseWriter) { w.WriteHeader(405) }, "it takes no spans there (405 Method Not Allowed); give"},
		"418": {func(w http.ResponseWriter) { w.WriteHeader(418) }, "it gave an answer that Zipkin would not give (418 I'm a teapot); check"},
		"302": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://else\x9bwhere/")
			w.WriteHeader(302)
		}, `it redirects to http://else\x9bwhere/ (302 Found); if that is Zipkin, give its address`},
		"302 to nowhere": {func(w http.ResponseWriter) { w.WriteHeader(302) },
			`it redirects without saying where to (302 Found); check that the address is Zipkin's`},
		"302 to itself": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(302)
		}, `/login (302 Found); if that is Zipkin, give its address`},
		"304": {func(w http.ResponseWriter) { w.WriteHeader(304) }, "it gave an answer that Zipkin would not give (304 Not Modified); check"},
		"407": {func(w http.ResponseWriter) { w.WriteHeader(407) }, "the proxy on the way does not let us through (407 Proxy Authentication Required); " +
			"a name and password for it stand in its address in HTTP_PROXY or HTTPS_PROXY"},
		"many words": {func(w http.ResponseWriter) { http.Error(w, strings.Repeat("é", 1000), http.StatusTeapot) },
			"(418 I'm a teapot, in its words: " + strings.Repeat("é", 250) + "…); check"},
		"a web page": {func(w http.ResponseWriter) { io.WriteString(w, "<!doctype html><title>Welcome</title>") },
			"a web page answered, not Zipkin (200 OK); give the address"},
		"refuses everything": {func(w http.ResponseWriter) {
			http.Error(w, "Client sent an HTTP request to an HTTPS server.", http.StatusBadRequest)
		},
			"it refuses even an empty list of spans (400 Bad Request, in its words: Client sent an HTTP request to an HTTPS server.); check"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, _ int, _ []model.SpanModel, _ int) bool {
				test.answer(w)
				return true
			}}
			web := httptest.NewServer(server)
			defer web.Close()
			secret := strings.Replace(web.URL, "://", "://me:secret@", 1)
			d := deliverTo(t.Context(), t, secret, testNodes(10), Options{})
			var stop *Error
			require.ErrorAs(t, d.err, &stop)
			require.Contains(t, d.err.Error(), test.want)
			require.NotContains(t, d.err.Error(), "me:")
			require.NotContains(t, d.err.Error(), "secret")
			require.Empty(t, d.outcomes, "nothing is discarded")
			require.Empty(t, d.records)
			require.Equal(t, Report{}, d.report)
			require.LessOrEqual(t, server.requests, 3) // the spans, an empty list, and that without compression
		})
	}
}

// TestZipkinStopsLate: what was acknowledged before the stop stays so.
func TestZipkinStopsLate(t *testing.T) {
	server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, request int, _ []model.SpanModel, _ int) bool {
		if request > 2 {
			w.WriteHeader(401)
		}
		return request > 2
	}}
	web := httptest.NewServer(server)
	defer web.Close()
	d := deliverTo(t.Context(), t, web.URL, testNodes(100), Options{BatchBytes: 4000, Requests: 1})
	require.Error(t, d.err)
	require.Equal(t, len(server.got), d.count(Delivered))
	require.EqualValues(t, len(server.got), d.report.Delivered)
	require.Len(t, d.outcomes, len(server.got))
	require.EqualValues(t, 2, d.report.Batches)
}

func TestZipkinTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(&faultyZipkin{t: t})
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	d := deliverTo(t.Context(), t, web.URL, testNodes(1), Options{})
	require.ErrorContains(t, d.err, "it does not agree with us on TLS")
	require.Empty(t, d.outcomes)

	d = deliverTo(t.Context(), t, web.URL, testNodes(1), Options{Transport: web.Client().Transport})
	require.NoError(t, d.err)

	plain := httptest.NewServer(&faultyZipkin{t: t})
	defer plain.Close()
	d = deliverTo(t.Context(), t, strings.Replace(plain.URL, "http", "https", 1), testNodes(1), Options{})
	require.ErrorContains(t, d.err, "it does not agree with us on TLS")
}

func TestZipkinBatches(t *testing.T) {
	server := &faultyZipkin{t: t}
	web := httptest.NewServer(server)
	defer web.Close()
	const limit = 10_000
	nodes := testNodes(1000)
	nodes[500].Dimensions = []trace.Dimension{{Key: trace.NewText("sql"), Value: trace.Value{Kind: trace.String, Text: strings.Repeat("x", 3*limit)}}}
	d := deliverTo(t.Context(), t, web.URL, nodes, Options{BatchBytes: limit})
	require.NoError(t, d.err)
	require.Len(t, server.got, 1000)
	require.EqualValues(t, len(server.sizes), d.report.Batches)
	large, sum := 0, 0
	for _, size := range server.sizes {
		sum += size
		if size > limit+limit/10 { // the pieces are within the limit; commas come on top
			large++
		}
	}
	require.Equal(t, 1, large, "a span larger than a batch goes alone")
	require.Less(t, len(server.sizes), 2*sum/limit)
}

func TestZipkinQuarantine(t *testing.T) {
	server := &faultyZipkin{t: t}
	web := httptest.NewServer(server)
	defer web.Close()
	nodes := testNodes(3)
	nodes[0].ID = trace.ID{}
	nodes[2].Notes = []trace.Note{{Value: trace.Value{Kind: trace.Float, Text: "nan"}}}
	nodes[2].HasParent = true
	nodes[2].Extra = []trace.Field{{Name: "colour", Value: trace.Value{Kind: trace.Bool, Text: "True"}}}
	nodes[2].Dimensions = []trace.Dimension{{Key: trace.NewText("k"), Value: trace.Value{Kind: trace.Float, Text: "16.0"}}}

	path := filepath.Join(t.TempDir(), "quarantine.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{}\n{\"torn\":1}"), 0o600))
	d := deliverTo(t.Context(), t, web.URL, nodes, Options{Quarantine: path})
	require.NoError(t, d.err)
	require.Equal(t, map[uint64]Outcome{0: Quarantined, 2: Delivered, 3: Quarantined}, d.outcomes)
	require.Equal(t, path, d.report.QuarantineFile)
	require.Len(t, d.records, 4, "an existing file is continued on a line of its own")
	require.Equal(t, "its id is 0, which Zipkin refuses", d.records[2]["reason"])
	require.NotContains(t, d.records[2], "zipkin")
	require.NotContains(t, d.records[2], "status")
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	var kept struct{ Trace json.RawMessage }
	require.NoError(t, json.Unmarshal(bytes.Split(file, []byte("\n"))[3], &kept))
	require.NoError(t, tracejson.Read(bytes.NewReader(kept.Trace), "quarantine", func(span trace.Span) error {
		require.Equal(t, nodes[2].Span, span, "it can be read back as a trace")
		return nil
	}, func(e *tracejson.DocumentError) error { return e }, nil))

	// A span that can be kept nowhere is a failure, and has no outcome.
	d = deliverTo(t.Context(), t, web.URL, nodes, Options{Quarantine: filepath.Join(t.TempDir(), "not", "there")})
	require.ErrorContains(t, d.err, "choose another file with --quarantine FILE")
	require.Empty(t, d.outcomes)
}
