package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/faultproxy"
	"github.com/tomoscrape/tomoscrape/internal/zipkintest"
)

// What is hard for other receivers than Zipkin: texts that they take apart, and
// keys that mean something to them.
var (
	hardNotes = []string{"SELECT 1 | 2", "SELECT a || b", `a|{"x":1}|3`, "|", "||", `{"a":1}`, "[1]", "<br>", "é¦", "true", "-1.5", "", "database exception no | such",
		strings.Repeat("long ", 20_000)}
	hardKeys = []string{"host.name", "service.name", "service.version", "otlp.link.0", "otlp.service.name.source", "otel.status_code", "otel.scope.name",
		"otel.library.name", "w3c.tracestate", "span.kind", "net.peer.port", "net.host.port", "peer.service", "network.local.address", "process.pid",
		"container.id", "opencensus.resourcetype", "k8s.pod.name", "internal.span.format", "http.status_code", "error.object", "sampler.type", "key"}
	hardValues = []string{"a|b|c|d|e", "", "007", "1.50", "true", "null", `{"a":1}`}
)

// newNames are what the Collector calls some keys of older conventions.
var newNames = map[string]string{"http.status_code": "http.response.status_code"}

// hardLog has three spans of one trace, with a note of another service each.
func hardLog(t *testing.T) string {
	var log strings.Builder
	for id := range 3 {
		fmt.Fprintf(&log, "2013-07-10 09:00:00,123 INFO tomograph.backends.log Span(trace_id=77, parent_id=%s, id=%d, name='execute', notes=[",
			[]string{"None", "80", "80"}[id], 80+id)
		note := func(i int, value, service string) {
			fmt.Fprintf(&log, "Note(time=1384168296.%06d, value='%s', service_name='%s', address='ctl1', port=8774, duration=0), ", 100_000*id+i, value, service)
		}
		note(0, "start", "nova")
		for i, value := range hardNotes {
			note(i+1, value, "nova")
		}
		note(50, "answer | of it", "db")
		note(90_000, "stop", "nova")
		fmt.Fprintf(&log, "], dimensions=[")
		for i, key := range hardKeys {
			fmt.Fprintf(&log, "Tag(key='%s', value='%s', service_name='nova', address='ctl1', port=8774), ", key, hardValues[(i+id)%len(hardValues)])
		}
		log.WriteString("])\n")
	}
	text := strings.ReplaceAll(log.String(), ", ]", "]")
	path := filepath.Join(t.TempDir(), "hard.log")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// requireWhole finds all that hardLog has in what a receiver made of it.
func requireWhole(t *testing.T, spans []zipkintest.Span) {
	require.Len(t, spans, 3, "one span for all services of a span")
	slices.SortFunc(spans, func(a, b zipkintest.Span) int { return strings.Compare(a.ID, b.ID) })
	for id, span := range spans {
		require.Equal(t, fmt.Sprintf("%016x", 80+id), span.ID)
		require.Equal(t, "nova", span.Service)
		require.Equal(t, id > 0, span.ParentID != "")
		require.EqualValues(t, 1384168296000000+100_000*id, span.Start)
		require.EqualValues(t, 90_000, span.Duration)
		slices.SortStableFunc(span.Notes, func(a, b zipkintest.Note) int { return int(a.Time - b.Time) })
		require.Len(t, span.Notes, len(hardNotes)+3)
		for i, value := range slices.Concat([]string{"start"}, hardNotes) {
			text := cmp.Or(strings.ReplaceAll(value, "|", "¦"), "''")
			require.Equal(t, text, span.Notes[i].Text)
			if whole, is := span.Tags[fmt.Sprintf("tomograph.note.%d.value", i)]; text != value || is {
				require.True(t, is, "%q", value)
				require.Equal(t, value, whole)
			}
		}
		require.Equal(t, "database exception no | such", span.Tags["error.message"])
		require.True(t, span.Tags["error"] == "true" || span.Tags["status"] == "error", span.Tags)
		last := len(hardNotes) + 1
		require.Equal(t, "answer ¦ of it @db", span.Notes[last].Text)
		require.Equal(t, "answer | of it", span.Tags[fmt.Sprintf("tomograph.note.%d.value", last)])
		require.Equal(t, "db", span.Tags[fmt.Sprintf("tomograph.note.%d.service", last)])
		for i, key := range hardKeys {
			want := hardValues[(i+id)%len(hardValues)]
			got, ok := span.Tags["tomograph.dimension."+key]
			for _, other := range []string{key, newNames[key]} {
				if !ok {
					got, ok = span.Tags[other]
				}
			}
			require.True(t, ok, "%s of %s is not among %v", key, span.ID, slices.Sorted(maps.Keys(span.Tags)))
			require.Equal(t, want, got, key)
		}
		for key := range span.Resource {
			require.NotContains(t, []string{"host.name", "service.version", "process.pid", "container.id"}, key)
		}
	}
}

// replayTo runs replay and gives what it said.
func replayTo(t *testing.T, code int, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	args = append([]string{"replay", "--quarantine", filepath.Join(t.TempDir(), "quarantine")}, args...)
	require.Equal(t, code, run(args, strings.NewReader(""), os.Stdout, &said, nil), "%s", &said)
	return said.String()
}

// until waits for what comes by itself.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(late), what)
	}
}

// noJaeger is where nothing listens: there may be a Jaeger at its usual port.
const noJaeger = "http://127.0.0.1:1"

// What docs/receivers.md says of the OpenTelemetry Collector.
func TestReceiverIsOpenTelemetry(t *testing.T) {
	collector := zipkintest.StartCollector(t)
	log := hardLog(t)
	said := replayTo(t, exitWhole, log, "--zipkin", collector.URL)
	require.Contains(t, said, "it is not Zipkin that takes the spans there")
	require.Contains(t, said, "3 spans")
	require.NotContains(t, said, "Cassandra")
	requireWhole(t, collector.Spans(t, 3))

	said = replayTo(t, exitFailed, log, "--zipkin", collector.URL, "--receiver", "otel", "--verify", "--jaeger-query", noJaeger)
	require.Contains(t, said, "cannot be read back: Jaeger's query service")
	sent := 6
	if usual, err := net.Dial("tcp", "127.0.0.1:16686"); err == nil {
		usual.Close() // a Jaeger of somebody else, which would be asked
	} else {
		said = replayTo(t, exitFailed, log, "--zipkin", collector.URL, "--receiver", "otel", "--verify")
		require.Contains(t, said, "passes spans on and keeps none")
		sent += 3
	}

	before := len(collector.Spans(t, sent))
	said = replayTo(t, exitWhole, log, "--zipkin", collector.URL, "--max-value", "10", "--split-services", "on")
	require.NotContains(t, said, "one span for all services")
	spans := collector.Spans(t, before+6)[before:]
	require.Len(t, spans, 6)
	for _, span := range spans {
		if span.Service == "nova" {
			require.Equal(t, "SELECT 1 |", span.Tags["tomograph.note.1.value"])
		}
	}
}

// What docs/receivers.md says of Jaeger.
func TestReceiverIsJaeger(t *testing.T) {
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			jaeger := zipkintest.StartJaeger(t, major)
			log := hardLog(t)
			said := replayTo(t, exitWhole, log, "--zipkin", jaeger.URL, "--jaeger-query", jaeger.Query, "--verify")
			require.Contains(t, said, "read back: 1 of 1 trace stored whole\n")
			require.Contains(t, said, "to be found at "+jaeger.Query+"/trace/000000000000004d\n")
			spans, err := jaeger.Trace("4d")
			require.NoError(t, err)
			requireWhole(t, spans)
			for _, span := range spans { // the second and third end behind their parent
				for _, warning := range span.Warnings {
					require.Contains(t, warning, "clock skew adjustment disabled; not applying calculated delta of")
				}
			}

			for i, c := range warned {
				id := 100 + i
				until(t, c.warning, func() bool { // the second of two spans may come later
					path := filepath.Join(t.TempDir(), "a.log")
					line := fmt.Sprintf("2013-07-10 09:00:00,123 INFO tomograph.backends.log Span(trace_id=%d, parent_id=%s, id=1, name='x', notes=[%s], dimensions=[])\n",
						id, c.parent, c.notes)
					require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
					replayTo(t, exitWhole, path, "--zipkin", jaeger.URL, "--jaeger-query", jaeger.Query, "--verify", "--split-services", "on")
					spans, err := jaeger.Trace(fmt.Sprintf("%x", id))
					require.NoError(t, err)
					return slices.ContainsFunc(spans, func(s zipkintest.Span) bool { return strings.Contains(strings.Join(s.Warnings, "; "), c.warning) })
				})
			}
			response, err := http.Get(jaeger.Query + fmt.Sprintf("/api/v3/traces/%032x", 100))
			require.NoError(t, err)
			third, err := io.ReadAll(response.Body)
			response.Body.Close()
			require.NoError(t, err)
			require.Contains(t, string(third), "parent span ID=0000000000000005 is not in the trace")
			spans, err = jaeger.Trace(fmt.Sprintf("%x", 100))
			require.NoError(t, err)
			require.Equal(t, "database exception no | such", spans[0].Tags["error.message"])
		})
	}
}

// warned are spans that Jaeger warns of, with what it says.
var warned = []struct{ parent, notes, warning string }{
	{"5", noteOf("1", "start", "a") + ", " + noteOf("2", "database exception no | such", "a"), "invalid parent span IDs=0000000000000005"},
	{"None", noteOf("1", "start", "a"), "Negative duration detected, sanitizing end timestamp"},
	{"None", noteOf("1", "start", "a") + ", " + noteOf("2", "x", "b") + ", " + noteOf("3", "stop", "a"), "duplicate span IDs; skipping clock skew adjustment"},
}

func noteOf(tenth, value, service string) string {
	return fmt.Sprintf("Note(time=1384168296.%s, value='%s', service_name='%s', address='h', port=0, duration=0)", tenth, value, service)
}

// digits are so many random ones, which gzip makes hardly shorter.
func digits(n int) string {
	bytes := make([]byte, n*3/4)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return base64.RawStdEncoding.EncodeToString(bytes)
}

// largeLog has a small span, id 1, and one with a large value, id 2.
func largeLog(t *testing.T, large string) string {
	path := filepath.Join(t.TempDir(), "large.log")
	var log strings.Builder
	for id, value := range []string{"x", large} {
		fmt.Fprintf(&log, "2013-07-10 09:00:00,123 INFO tomograph.backends.log Span(trace_id=77, parent_id=None, id=%d, name='x', notes=[%s, %s], dimensions=[])\n",
			id+1, noteOf("1", value, "a"), noteOf("2", "stop", "a"))
	}
	require.NoError(t, os.WriteFile(path, []byte(log.String()), 0o600))
	return path
}

// What is larger than a receiver takes is refused, and said; the rest arrives. The
// Collector counts bytes as they are, Zipkin compressed ones.
func TestSpanThatIsTooLarge(t *testing.T) {
	t.Run("Collector", func(t *testing.T) {
		collector := zipkintest.StartCollector(t)
		path := largeLog(t, strings.Repeat("y", 21<<20))
		said := replayTo(t, exitFailed, path, "--zipkin", collector.URL, "--max-line", "64MiB")
		require.Contains(t, said, "1 span, kept with its words in")
		require.Equal(t, "0000000000000001", collector.Spans(t, 1)[0].ID)
		replayTo(t, exitWhole, path, "--zipkin", collector.URL, "--max-line", "64MiB", "--max-value", "65536")
		require.Eventually(t, func() bool { // the first may have come again meanwhile, to see whether it is the server
			return slices.ContainsFunc(collector.Spans(t, 1), func(s zipkintest.Span) bool { return s.ID == "0000000000000002" })
		}, time.Minute, 10*time.Millisecond)
	})
	t.Run("Zipkin", func(t *testing.T) {
		server := zipkintest.Start(t)
		replayTo(t, exitWhole, largeLog(t, strings.Repeat("y", 15<<20)), "--zipkin", server.URL, "--max-line", "64MiB", "--verify")
		path := largeLog(t, digits(15<<20))
		said := replayTo(t, exitFailed, path, "--zipkin", server.URL, "--max-line", "64MiB")
		require.Contains(t, said, "413 Request Entity Too Large")
		require.Contains(t, said, "refused by Zipkin: 1 span, kept with its words in")
		replayTo(t, exitWhole, path, "--zipkin", server.URL, "--max-line", "64MiB", "--max-value", "65536", "--verify")
	})
}

// What a Collector took and cannot pass on by gRPC, --verify misses.
func TestSpanThatIsTooLargeBehindACollector(t *testing.T) {
	path := largeLog(t, digits(5<<20))
	args := func(j *zipkintest.Jaeger) []string {
		return []string{path, "--zipkin", j.URL, "--jaeger-query", j.Query, "--max-line", "64MiB", "--verify"}
	}
	jaeger := zipkintest.StartJaegerBehindCollector(t, zipkintest.Between{})
	said := replayTo(t, exitFailed, args(jaeger)...)
	require.Contains(t, said, ": 2 spans\n", "they were acknowledged")
	require.Contains(t, said, "missing: 1 span of 1 trace: 000000000000004d (1 of 2). They were acknowledged, and Jaeger does not have them: what passes them on")
	replayTo(t, exitWhole, append(args(jaeger), "--max-value", "65536")...)
	replayTo(t, exitWhole, args(zipkintest.StartJaegerBehindCollector(t, zipkintest.Between{Receiver: "max_recv_msg_size_mib: 16"}))...)
}

// A Collector may be told to make numbers of what looks like one.
func TestCollectorThatParsesTags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	line := fmt.Sprintf("2013-07-10 09:00:00,123 INFO tomograph.backends.log Span(trace_id=77, parent_id=None, id=1, name='x', notes=[%s, %s], dimensions=["+
		"Tag(key='k', value='007', service_name='a', address='h', port=0), Tag(key='l', value='1e3', service_name='a', address='h', port=0), "+
		"Tag(key='m', value='123456789012345678901234567890', service_name='a', address='h', port=0)])\n",
		noteOf("1", "start", "a"), noteOf("2", "stop", "a"))
	require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
	for config, want := range map[string][2]string{"": {"007", "123456789012345678901234567890"}, "parse_string_tags: true": {"7", "9223372036854775807"}} {
		jaeger := zipkintest.StartJaegerBehindCollector(t, zipkintest.Between{Zipkin: config})
		replayTo(t, exitWhole, path, "--zipkin", jaeger.URL, "--jaeger-query", jaeger.Query, "--verify")
		spans, err := jaeger.Trace("4d")
		require.NoError(t, err)
		require.Equal(t, want, [2]string{spans[0].Tags["k"], spans[0].Tags["m"]})
		require.Equal(t, "1e3", spans[0].Tags["l"])
	}
}

// A Collector whose queue is full is waited for; no span of it is at fault.
func TestCollectorWithAFullQueue(t *testing.T) {
	var network *faultproxy.Proxy
	jaeger := zipkintest.StartJaegerBehindCollector(t, zipkintest.Between{
		Exporter: "timeout: 1s, retry_on_failure: {initial_interval: 100ms, max_interval: 1s}, sending_queue: {queue_size: 1, num_consumers: 1}",
		Through: func(address string) string {
			network = faultproxy.Start(t, address)
			network.Set(t, faultproxy.Fault{ResetRequest: true})
			return network.Addr
		},
	})
	path := filepath.Join(t.TempDir(), "a.log")
	var log strings.Builder
	for id := range 8 { // a request each
		fmt.Fprintf(&log, "2013-07-10 09:00:00,123 INFO tomograph.backends.log Span(trace_id=77, parent_id=None, id=%d, name='x', notes=[%s, %s], dimensions=[])\n",
			id+1, noteOf("1", strings.Repeat("y", 600<<10), "a"), noteOf("2", "stop", "a"))
	}
	require.NoError(t, os.WriteFile(path, []byte(log.String()), 0o600))
	said := &watched{word: "trying again for up to 5 min", seen: make(chan struct{})}
	code := make(chan int)
	quarantine := filepath.Join(t.TempDir(), "quarantine")
	go func() {
		code <- run([]string{"replay", path, "--zipkin", jaeger.URL, "--jaeger-query", jaeger.Query, "--verify", "--quarantine", quarantine},
			strings.NewReader(""), os.Stdout, said, nil)
	}()
	select {
	case <-said.seen:
	case c := <-code:
		require.FailNow(t, "it ended before the queue was full", "%d: %s", c, said)
	}
	require.Contains(t, said.String(), ": it answered 50")
	network.Set(t, faultproxy.Fault{})
	require.Equal(t, exitWhole, <-code, "%s", said)
	require.NoFileExists(t, quarantine)
	require.Contains(t, said.String(), "read back: 1 of 1 trace stored whole")
}

// watched keeps what is written and tells when a word is in it.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	word string
	seen chan struct{} // closed then
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.text.String(), w.word)
	w.text.Write(p)
	if !before && strings.Contains(w.text.String(), w.word) {
		close(w.seen)
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// tail sends what replay does.
func TestTailToOpenTelemetry(t *testing.T) {
	collector := zipkintest.StartCollector(t)
	log := hardLog(t)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	var said bytes.Buffer
	code := run([]string{"tail", "-", "--zipkin", collector.URL, "--checkpoint", filepath.Join(t.TempDir(), "c"), "--verify", "--jaeger-query", noJaeger}, bytes.NewReader(text), os.Stdout, &said, nil)
	require.Equal(t, exitWhole, code, "%s", &said)
	require.Equal(t, 1, strings.Count(said.String(), "could not be read back"), "%s", &said)
	requireWhole(t, collector.Spans(t, 3))
}
