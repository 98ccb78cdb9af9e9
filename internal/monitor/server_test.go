package monitor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// tailOf is a Tail that is well: one output "zipkin" that takes spans.
func tailOf() *Tail {
	return &Tail{
		Outputs: func() []Output { return []Output{{Name: "zipkin", Up: true, Files: []File{{Path: hostile}}}} },
		Checks:  []Check{{"zipkin", func() error { return nil }}},
		Log:     slog.New(slog.DiscardHandler),
	}
}

// get is what the handler of a Tail answers.
func get(t *Tail, method, path string) *http.Response {
	w := httptest.NewRecorder()
	handler(t).ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	return string(b)
}

func TestHealth(t *testing.T) {
	tail := tailOf()
	r := get(tail, "GET", "/healthz")
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "ok\n", body(t, r))

	tail.Checks = append(tail.Checks,
		Check{"json", func() error { return errors.New("no block for 2m0s") }},
		Check{"otlp", func() error { return errors.New("<script>\r\n\x1b[2J") }})
	r = get(tail, "GET", "/healthz")
	require.Equal(t, 503, r.StatusCode)
	require.Equal(t, "json: no block for 2m0s\notlp: <script>\\r\\n\\x1b[2J\n", body(t, r))
	require.Equal(t, "text/plain; charset=utf-8", r.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
}

func TestReadiness(t *testing.T) {
	tail := tailOf()
	require.Equal(t, 200, get(tail, "GET", "/readyz").StatusCode)

	since := time.Date(2026, 3, 1, 13, 3, 4, 0, time.FixedZone("CET", 3600))
	tail.Outputs = func() []Output {
		return []Output{{Name: "json", Up: true}, {Name: "zipkin", Reason: "connection refused", Since: since}, {Name: "a\nb"}}
	}
	r := get(tail, "GET", "/readyz")
	require.Equal(t, 503, r.StatusCode)
	require.Equal(t, "zipkin: takes no spans since 2026-03-01T12:03:04Z: connection refused\na\\nb: takes no spans: no reason is known\n", body(t, r))

	tail.Outputs = func() []Output { return nil }
	r = get(tail, "GET", "/readyz")
	require.Equal(t, 503, r.StatusCode)
	require.Equal(t, "no output has started yet\n", body(t, r))
}

func TestScrape(t *testing.T) {
	r := get(tailOf(), "GET", "/metrics")
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	text := body(t, r)
	for _, line := range []string{
		`tomoscrape_tail_output_up{output="zipkin"} 1`, "# TYPE tomoscrape_tail_spans_total counter", "go_goroutines ", "process_",
	} {
		require.Contains(t, text, "\n"+line)
	}
	for _, line := range strings.Split(text, "\n") {
		require.Equal(t, strings.ReplaceAll(line, `\`, ""), strings.ReplaceAll(safetext.Printable(line), `\`, ""), "only backslashes may change")
	}
}

func TestEverythingElse(t *testing.T) {
	for _, path := range []string{"/", "/metrics/", "//metrics", "/../metrics", "/debug/pprof/", "/%3Cscript%3E"} {
		r := get(tailOf(), "GET", path)
		require.Equal(t, 404, r.StatusCode, path)
		require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "There are /metrics, /healthz and /readyz here.\n", body(t, r))
	}
	require.Equal(t, 405, get(tailOf(), "POST", "/metrics").StatusCode)
	require.Equal(t, 200, get(tailOf(), "HEAD", "/healthz").StatusCode)
}

// A pipeline that hangs is asked once, and all who ask get an answer.
func TestCheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int64
		tail := tailOf()
		tail.Checks[0].Healthy = func() error { asked.Add(1); <-release; return nil }
		h := handler(tail)
		answers := make(chan *httptest.ResponseRecorder)
		for range 3 {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
				answers <- w
			}()
		}
		for range 3 {
			w := <-answers
			require.Equal(t, 503, w.Code)
			require.Equal(t, "the pipelines do not answer\n", w.Body.String())
		}
		require.EqualValues(t, 1, asked.Load())
		close(release)
	})
}

func TestOutputsThatPanic(t *testing.T) {
	tail := tailOf()
	tail.Outputs = func() []Output { panic("a mistake") }
	require.Equal(t, 500, get(tail, "GET", "/metrics").StatusCode)
}

func TestListen(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for address, message := range map[string]string{
		l.Addr().String():    "another program listens there already; choose another port",
		"9464":               `"9464" is no address to serve metrics on: expected HOST:PORT, for example 127.0.0.1:9464`,
		"":                   "expected HOST:PORT",
		"::1:9464":           "expected HOST:PORT",
		"http://localhost:1": "expected HOST:PORT",
		"127.0.0.1:99999":    "invalid port",
		"127.0.0.1:\x1b[2J":  `"127.0.0.1:\x1b[2J" is no address`,
		"127.0.0.1:\x1bc":    `cannot serve metrics on "127.0.0.1:\x1bc": lookup tcp/\x1bc: `,
		"192.0.2.1:9464":     "this machine does not have that address",
	} {
		_, err := Listen(t.Context(), address)
		require.ErrorContains(t, err, message)
		require.NotContains(t, err.Error(), "\x1b")
	}
}

// server serves tail, and gives its address and what ends it.
func server(t *testing.T, tail *Tail) (address string, end func() error) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, tail) }()
	return l.Addr().String(), func() error { cancel(); return <-served }
}

func TestServe(t *testing.T) {
	address, end := server(t, tailOf())
	client := &http.Client{Transport: &http.Transport{}}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		r, err := client.Get("http://" + address + path)
		require.NoError(t, err)
		require.Equal(t, 200, r.StatusCode)
		require.NotEmpty(t, body(t, r))
	}
	require.NoError(t, end()) // with the client's connection still open
	client.CloseIdleConnections()
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

// A request that is under way, and a client that sends nothing, hold nobody up.
func TestServeEndsThoughRequestsHang(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	tail := tailOf()
	tail.Checks[0].Healthy = func() error { close(asked); <-release; return nil }
	address, end := server(t, tail)
	silent, err := net.Dial("tcp", address)
	require.NoError(t, err)
	hanging, err := net.Dial("tcp", address)
	require.NoError(t, err)
	_, err = io.WriteString(hanging, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	<-asked
	require.NoError(t, end()) // before the answer is let go
	for _, c := range []net.Conn{silent, hanging} {
		answer, _ := io.ReadAll(c) // ends, since the server has closed it
		require.Empty(t, answer)
		require.NoError(t, c.Close())
	}
	close(release)
}

func TestListenerThatFails(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorContains(t, Serve(t.Context(), l, tailOf()), "metrics are no longer served on 127.0.0.1:")
}

// Those who open connections and say nothing cannot take all descriptors.
func TestConnectionsAreBounded(t *testing.T) {
	address, end := server(t, tailOf())
	var open []net.Conn
	for range maxConnections {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		open = append(open, c)
	}
	// Connections are accepted in order, so this one is over the limit.
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, _ := io.ReadAll(c)
	require.Empty(t, answer)
	require.NoError(t, c.Close())
	// One of the others is answered.
	_, err = io.WriteString(open[0], "GET /healthz HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	answer, err = io.ReadAll(open[0])
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
	for _, c := range open {
		require.NoError(t, c.Close())
	}
	require.NoError(t, end())
}

// What is left out of a Tail is not there, and nothing else.
func TestZeroTail(t *testing.T) {
	tail := &Tail{Checks: []Check{{Name: "zipkin"}}}
	require.Equal(t, 200, get(tail, "GET", "/metrics").StatusCode)
	require.Equal(t, 200, get(tail, "GET", "/healthz").StatusCode)
	r := get(tail, "GET", "/readyz")
	require.Equal(t, 503, r.StatusCode)
	require.Equal(t, "no output has started yet\n", body(t, r))
}
