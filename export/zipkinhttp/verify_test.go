package zipkinhttp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/internal/zipkintest"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// storingZipkin keeps what it accepts, unless drop says otherwise, and answers
// the questions of Verify.
type storingZipkin struct {
	faultyZipkin
	drop   func(s *model.SpanModel) bool
	hidden func(traceID string) bool               // from search
	rows   int                                     // a search asked for less finds but one trace
	ask    func(w http.ResponseWriter) (done bool) // before each answer to a question

	mu     sync.Mutex
	traces map[string][]json.RawMessage
}

func startStoring(t *testing.T) (*storingZipkin, string) {
	s := &storingZipkin{traces: map[string][]json.RawMessage{}}
	s.t = t
	s.fault = func(_ http.ResponseWriter, _ *http.Request, _ int, spans []model.SpanModel, _ int) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range spans {
			if s.drop != nil && s.drop(&spans[i]) {
				continue
			}
			raw, err := json.Marshal(spans[i])
			require.NoError(t, err)
			id := spans[i].TraceID.String()
			s.traces[id] = append(s.traces[id], raw)
		}
		return false
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL
}

func (s *storingZipkin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.faultyZipkin.ServeHTTP(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ask != nil && s.ask(w) {
		return
	}
	var answer any
	switch id, isTrace := strings.CutPrefix(r.URL.Path, "/api/v2/trace/"); {
	case isTrace && s.traces[id] == nil:
		http.Error(w, id+" not found", http.StatusNotFound)
		return
	case isTrace:
		answer = s.traces[id]
	case r.URL.Path == "/api/v2/services":
		answer = []string{"nova-api"}
	case r.URL.Path == "/api/v2/traces":
		require.Equal(s.t, "nova-api", r.FormValue("serviceName"))
		list := [][]json.RawMessage{}
		for id, spans := range s.traces {
			if s.hidden == nil || !s.hidden(id) {
				list = append(list, spans)
			}
			if limit, _ := strconv.Atoi(r.FormValue("limit")); len(list) == limit || limit < s.rows {
				break
			}
		}
		answer = list
	}
	json.NewEncoder(w).Encode(answer)
}

// manyTraces are n traces of two spans each.
func manyTraces(n int) []trace.Node {
	nodes := testNodes(2 * n)
	for i := range nodes {
		nodes[i].TraceID = trace.IDFromUint64(uint64(1000 + i/2))
	}
	return nodes
}

// verify delivers nodes and reads them back.
func verify(t *testing.T, url string, nodes []trace.Node, opt Options, patience time.Duration) (Verification, error) {
	t.Helper()
	opt.URL, opt.FirstPause, opt.MaxPause = url, time.Millisecond, 4*time.Millisecond
	opt.Remember = cmp.Or(opt.Remember, -1)
	z, err := New(opt)
	require.NoError(t, err)
	defer z.Close()
	require.NoError(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: nodes})), nil))
	return z.Verify(t.Context(), patience)
}

func TestZipkinVerify(t *testing.T) {
	const n = 100
	t.Run("all is there", func(t *testing.T) {
		server, url := startStoring(t)
		nodes := manyTraces(n)
		v, err := verify(t, url, append(nodes, nodes[:10]...), Options{}, 0) // some are logged twice
		require.NoError(t, err)
		require.Equal(t, Verification{Accepted: 2*n + 10, Spans: 2 * n, Traces: n}, v)
		require.Equal(t, []string{"read back: 100 of 100 traces stored whole, and found by search"}, v.Lines())
		require.Len(t, server.traces, n)
	})
	t.Run("acknowledged and dropped", func(t *testing.T) {
		server, url := startStoring(t)
		server.drop = func(s *model.SpanModel) bool { return s.ID == 7 || s.TraceID.Low == 1010 }
		v, err := verify(t, url, manyTraces(n), Options{}, 0)
		require.NoError(t, err)
		require.False(t, v.OK())
		require.Equal(t, []Missing{{"00000000000003eb", 1, 2}, {"00000000000003f2", 2, 2}}, v.Missing)
		lines := v.Lines()
		require.Equal(t, "read back: 98 of 100 traces stored whole", lines[0])
		require.True(t, strings.HasPrefix(lines[1], "missing: 3 spans of 2 traces: 00000000000003eb (1 of 2), 00000000000003f2 (2 of 2). Zipkin acknowledged them"), lines[1])
		require.Len(t, lines, 2)
	})
	t.Run("stored but not found", func(t *testing.T) {
		server, url := startStoring(t)
		server.hidden = func(id string) bool { return id != "00000000000003eb" }
		nodes := manyTraces(n)
		v, err := verify(t, url, nodes, Options{}, 0)
		require.NoError(t, err)
		require.True(t, v.OK())
		require.Len(t, v.Old, n-1)
		require.Contains(t, v.Lines()[1], "stored, but not found by search: 99 traces: 00000000000003e8, ")
		require.Contains(t, v.Lines()[1], " and 89 more. They open by trace ID. On Cassandra Zipkin's search looks no further back than its index is kept, 3 days")
		require.Contains(t, v.Lines()[1], "--shift-to now moves traces to the present, in a Zipkin that does not have them yet")
		require.Len(t, v.Lines(), 2)

		shift := zipkin.Options{Shift: time.Since(time.UnixMicro(nodes[0].Notes[0].Time)).Truncate(time.Microsecond)}
		server, url = startStoring(t)
		server.hidden = func(id string) bool { return id != "00000000000003eb" }
		v, err = verify(t, url, nodes, Options{Mapping: shift}, 0)
		require.NoError(t, err)
		require.Len(t, v.Unfound, n-1)
		require.Contains(t, v.Lines()[1], "stored, but not found by search: 99 traces: ")
		require.NotContains(t, v.Lines()[1], "Cassandra")
		require.Len(t, v.Lines(), 2)
	})
	t.Run("there at another time", func(t *testing.T) {
		_, url := startStoring(t)
		nodes := manyTraces(n)
		_, err := verify(t, url, nodes[:10], Options{}, 0)
		require.NoError(t, err)
		v, err := verify(t, url, nodes, Options{Mapping: zipkin.Options{Shift: time.Hour}}, time.Minute) // nothing is waited for
		require.NoError(t, err)
		require.True(t, v.OK())
		require.Empty(t, v.Old)
		require.Empty(t, v.Unfound)
		require.Equal(t, []string{"00000000000003e8", "00000000000003e9", "00000000000003ea", "00000000000003eb", "00000000000003ec"}, v.Doubled)
		lines := v.Lines()
		require.Equal(t, "read back: 100 of 100 traces stored whole", lines[0])
		require.Contains(t, lines[1], "stored, but there with other times, too: 5 traces: 00000000000003e8, ")
		require.Contains(t, lines[1], "Zipkin had them from an earlier replay, with or without --shift-to now")
		require.Len(t, lines, 2)
	})
	t.Run("it comes to light late", func(t *testing.T) {
		server, url := startStoring(t)
		asked := 0
		server.ask = func(w http.ResponseWriter) bool {
			if asked++; asked < 200 && asked%3 == 0 {
				w.WriteHeader(503)
				return true
			}
			return false
		}
		server.hidden = func(string) bool { return asked < 300 }
		v, err := verify(t, url, manyTraces(n), Options{}, time.Minute)
		require.NoError(t, err)
		require.Equal(t, Verification{Accepted: 2 * n, Spans: 2 * n, Traces: n}, v)
		require.GreaterOrEqual(t, asked, 300)
	})
	t.Run("others crowd a trace out", func(t *testing.T) {
		server, url := startStoring(t)
		for i := range 200 {
			server.traces[fmt.Sprintf("%032x", i+1)] = []json.RawMessage{json.RawMessage(`{"traceId":"x"}`)}
		}
		v, err := verify(t, url, manyTraces(3), Options{}, 0)
		require.NoError(t, err)
		require.Equal(t, Verification{Accepted: 6, Spans: 6, Traces: 3}, v)
	})
	t.Run("the spans of a trace crowd others out", func(t *testing.T) {
		server, url := startStoring(t)
		server.rows = 1000
		v, err := verify(t, url, manyTraces(n), Options{}, 0)
		require.NoError(t, err)
		require.Equal(t, Verification{Accepted: 2 * n, Spans: 2 * n, Traces: n}, v)
	})
	t.Run("it cannot be asked", func(t *testing.T) {
		for status, want := range map[int]string{
			404: "what was delivered cannot be read back: it has no /api/v2/services there (404 Not Found); only Zipkin itself",
			401: "it does not let us in (401 Unauthorized)",
			500: "what was delivered could not be read back, so whether it is stored is not known: it answered 500 Internal Server Error; it is to be asked again when it works",
		} {
			server, url := startStoring(t)
			server.ask = func(w http.ResponseWriter) bool { w.WriteHeader(status); return true }
			v, err := verify(t, url, manyTraces(1), Options{}, time.Millisecond)
			require.ErrorContains(t, err, want)
			require.Zero(t, v)
		}
	})
	t.Run("its answers are of no use", func(t *testing.T) {
		for body, want := range map[string]string{
			"<!doctype html><title>Hello</title>": "it gave an answer of another kind than it was asked for",
			`{"error":"x"}`:                       "it gave an answer of another kind than it was asked for",
			"":                                    "its answer is empty",
			`["a"`:                                "its answer broke off",
		} {
			server, url := startStoring(t)
			server.ask = func(w http.ResponseWriter) bool { io.WriteString(w, body); return true }
			_, err := verify(t, url, manyTraces(1), Options{}, time.Millisecond)
			require.ErrorContains(t, err, "so whether it is stored is not known: "+want+"; it is to be asked again")
		}
		server, url := startStoring(t)
		server.ask = func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(403)
			io.WriteString(w, "<html><title>Keep out</title>and much more")
			return true
		}
		_, err := verify(t, url, manyTraces(1), Options{}, time.Millisecond)
		require.ErrorContains(t, err, "it does not let us in (403 Forbidden, in its words: Keep out); ask")
	})
	t.Run("it cannot be asked for a while", func(t *testing.T) {
		server, url := startStoring(t)
		z, err := New(Options{URL: url, FirstPause: time.Millisecond, MaxPause: time.Millisecond, Remember: -1})
		require.NoError(t, err)
		defer z.Close()
		nodes := manyTraces(n)
		server.drop = func(*model.SpanModel) bool { return true }
		server.ask = func(w http.ResponseWriter) bool { w.WriteHeader(500); return true }
		require.NoError(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: nodes[:11]})), nil))
		_, err = z.Verify(t.Context(), 0)
		require.ErrorContains(t, err, "tail does so while it runs")

		server.drop, server.ask = nil, nil
		require.NoError(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: nodes[11:]})), nil))
		v, err := z.Verify(t.Context(), 0)
		require.NoError(t, err)
		require.EqualValues(t, 2*n, v.Accepted)
		require.Equal(t, 2*n, v.Spans)
		require.Equal(t, n, v.Traces)
		require.Len(t, v.Missing, 6)
		require.Contains(t, v.Lines()[1], "00000000000003ed (1 of 2)")

		v, err = z.Verify(t.Context(), 0)
		require.NoError(t, err)
		require.Zero(t, v, "what was said is not said again")
	})
	t.Run("nothing", func(t *testing.T) {
		v, err := verify(t, "http://127.0.0.1:1", nil, Options{}, 0)
		require.NoError(t, err)
		require.Equal(t, []string{"nothing was there to be read back"}, v.Lines())
	})
	t.Run("a sample", func(t *testing.T) {
		_, url := startStoring(t)
		v, err := verify(t, url, manyTraces(n), Options{Remember: 50}, 0)
		require.NoError(t, err)
		require.True(t, v.Sample)
		require.EqualValues(t, 2*n, v.Accepted)
		require.LessOrEqual(t, v.Spans, 50)
		require.Positive(t, v.Traces)
		require.Equal(t, 2*v.Traces, v.Spans, "whole traces")
		require.Contains(t, v.Lines()[0], "(a sample: ")
	})
}

// TestZipkinMemory: whatever is accepted, in whatever order, the limit holds, and
// what is remembered of a trace is all of it, unless that alone is too much.
func TestZipkinMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 200).Draw(t, "limit")
		ids := rapid.SliceOf(rapid.Uint64Range(1, 300)).Draw(t, "traces")
		m := newZipkinMemory(limit)
		all := map[uint64]int{}
		split := rapid.IntRange(0, len(ids)).Draw(t, "split")
		var earlier *memory // which the later one takes over in the end
		for i, id := range ids {
			if i == split {
				earlier, m = m, newZipkinMemory(limit)
			}
			s := stored{spanKey: spanKey{model.ID(i + 1), int64(i), false}, trace: model.TraceID{Low: id}}
			m.add([]stored{s})
			all[id]++
			if m.spans > limit {
				t.Fatalf("%d spans", m.spans)
			}
		}
		if earlier != nil {
			m.take(earlier)
			if m.spans > limit {
				t.Fatalf("%d spans of two memories", m.spans)
			}
		}
		if int(m.accepted) != len(ids) {
			t.Fatal("not all are counted")
		}
		for id, r := range m.traces {
			if len(r.spans) != all[id.Low] && len(r.spans) <= limit/4 {
				t.Fatalf("%d of %d spans of %v", len(r.spans), all[id.Low], id)
			}
		}
		if !m.partial && len(m.traces) != len(all) {
			t.Fatal("traces are gone, and it is not said")
		}
	})
}

// TestRealZipkinForgets: of a Zipkin that has not the room for all, it is said
// which traces are gone.
func TestRealZipkinForgets(t *testing.T) {
	server := zipkintest.Start(t, "MEM_MAX_SPANS=60")
	v, err := verify(t, server.URL, manyTraces(100), Options{}, 500*time.Millisecond)
	require.NoError(t, err)
	require.False(t, v.OK())
	require.GreaterOrEqual(t, len(v.Missing), 70)
	require.Empty(t, v.Unfound)
	for _, m := range v.Missing {
		require.ErrorIs(t, server.Get("/api/v2/trace/"+m.TraceID, new(any)), zipkintest.ErrNotFound)
	}
	require.Contains(t, v.Lines()[1], "MEM_MAX_SPANS")
}
