package zipkinhttp

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// jaegerStorage is a collector and, at another address, a query service that has
// what the collector took unless that is dropped. Its answers are those of Jaeger
// 1.76.
type jaegerStorage struct {
	twoReceivers
	dropped string // span id

	asked    []string
	logins   map[string]bool // that the query service was shown
	noJaeger bool            // something else answers there
}

func (j *jaegerStorage) query(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = append(j.asked, r.URL.Path)
	if j.logins == nil {
		j.logins = map[string]bool{}
	}
	j.logins[r.Header.Get("Authorization")] = true
	if j.noJaeger {
		w.Write([]byte(`{"status":"ok"}`))
		return
	}
	if r.URL.Path == "/below/api/services" {
		w.Write([]byte(`{"data":null,"total":0,"limit":0,"offset":0,"errors":null}`)) // so it says at first
		return
	}
	id, ok := strings.CutPrefix(r.URL.Path, "/below/api/traces/")
	if !ok || r.FormValue("raw") != "true" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	type span struct {
		SpanID    string `json:"spanID"`
		StartTime int64  `json:"startTime"`
	}
	var spans []span
	for _, s := range j.spans {
		if s.TraceID.String() == id && s.ID.String() != j.dropped {
			spans = append(spans, span{s.ID.String(), s.Timestamp.UnixMicro()})
		}
	}
	if spans == nil {
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte(`{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":404,"msg":"trace not found"}]}`))
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"data": []any{map[string]any{"traceID": id, "spans": spans}}})
}

// atHost sends what is for Jaeger's usual port to a handler.
type atHost struct{ jaeger http.HandlerFunc }

func (a atHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Port() != jaegerPort {
		return http.DefaultTransport.RoundTrip(r)
	}
	if a.jaeger == nil {
		return nil, http.ErrServerClosed
	}
	w := httptest.NewRecorder()
	a.jaeger(w, r)
	return w.Result(), nil
}

func startJaeger(t *testing.T) (j *jaegerStorage, spans, query string) {
	j = &jaegerStorage{}
	j.foreign = true
	s, q := httptest.NewServer(j), httptest.NewServer(http.HandlerFunc(j.query))
	t.Cleanup(s.Close)
	t.Cleanup(q.Close)
	return j, s.URL, q.URL + "/below"
}

func TestVerifyInJaeger(t *testing.T) {
	for _, receiver := range []Receiver{ReceiverAuto, ReceiverJaeger, ReceiverOTel} {
		j, spans, query := startJaeger(t)
		opt := Options{Receiver: receiver, JaegerQuery: query + "/search/", AlwaysSplit: receiver == ReceiverJaeger}
		v, err := verify(t, spans, barredNodes(), opt, 0)
		require.NoError(t, err)
		require.True(t, v.OK())
		require.Equal(t, []string{"read back: 1 of 1 trace stored whole"}, v.Lines())

		j.spans, j.dropped = nil, "0000000000000002"
		v, err = verify(t, spans, testNodes(3), opt, 0)
		require.NoError(t, err)
		require.Equal(t, []Missing{{"00000000000015be", 1, 3}}, v.Missing)
		require.Contains(t, v.Lines()[1], "missing: 1 span of 1 trace: 00000000000015be (1 of 3). They were acknowledged, and Jaeger does not have them")
		require.NotContains(t, strings.Join(v.Lines(), ""), "Zipkin")

		j.spans, j.dropped = nil, ""
		j.refuse = nil
		v, err = verify(t, spans, manyTraces(50), opt, 0)
		require.NoError(t, err)
		require.Equal(t, 50, v.Traces)
		require.True(t, v.OK())
	}
}

// Nothing can be read back where nothing is kept; it is not said that it can be
// asked again.
func TestVerifyWithoutJaeger(t *testing.T) {
	for receiver, want := range map[Receiver]string{
		ReceiverOTel:   "cannot be read back from an OpenTelemetry Collector, which passes spans on and keeps none; where the spans end up in Jaeger, --jaeger-query",
		ReceiverAuto:   "cannot be read back: Jaeger's query service is not at http://127.0.0.1:16686",
		ReceiverJaeger: "cannot be read back: Jaeger's query service is not at http://127.0.0.1:16686",
	} {
		_, spans, _ := startJaeger(t)
		_, err := verify(t, spans, testNodes(1), Options{Receiver: receiver, Transport: atHost{}}, 0)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "again")
	}
	j, spans, query := startJaeger(t)
	j.noJaeger = true
	_, err := verify(t, spans, testNodes(1), Options{Receiver: ReceiverAuto, JaegerQuery: query}, 0)
	require.ErrorContains(t, err, "it gives another answer than Jaeger")
	require.ErrorContains(t, err, "check --jaeger-query")
}

// A Jaeger that nobody named is looked for, and shown no secret.
func TestJaegerThatNobodyNamed(t *testing.T) {
	j, spans, query := startJaeger(t)
	opt := Options{Receiver: ReceiverAuto, Access: Access{Auth: "name:secret"}, Transport: atHost{func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/below" + r.URL.Path
		j.query(w, r)
	}}}
	v, err := verify(t, spans, testNodes(2), opt, 0)
	require.NoError(t, err)
	require.True(t, v.OK())
	require.Equal(t, map[string]bool{"": true}, j.logins)

	opt.JaegerQuery = query
	j.logins = nil
	_, err = verify(t, spans, testNodes(2), opt, 0)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"Basic bmFtZTpzZWNyZXQ=": true}, j.logins)
}

// A Jaeger that nobody named may be another one than that to which the spans go: it
// is not said that it lost them, or that they are there.
func TestAnotherJaegerThatNobodyNamed(t *testing.T) {
	before := jaegerGuess
	jaegerGuess = 10 * time.Millisecond
	defer func() { jaegerGuess = before }()
	empty := &jaegerStorage{}
	for _, receiver := range []Receiver{ReceiverAuto, ReceiverOTel} {
		_, spans, _ := startJaeger(t)
		opt := Options{Receiver: receiver, Transport: atHost{func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/below" + r.URL.Path
			empty.query(w, r)
		}}}
		v, err := verify(t, spans, testNodes(2), opt, 0)
		require.Error(t, err)
		require.Zero(t, v)
		require.NotContains(t, err.Error(), "dropped")
		if receiver == ReceiverAuto {
			require.ErrorContains(t, err, "what was delivered is not in the Jaeger at http://127.0.0.1:16686; whether it is to end up there is not known; "+
				"where the spans end up in Jaeger, --jaeger-query URL names its query service")
		}
		require.Equal(t, Search{}, deliverTo(t.Context(), t, spans, testNodes(2), opt).search)
	}
	_, spans, _ := startJaeger(t) // of one that was named it is
	other := httptest.NewServer(http.HandlerFunc(empty.query))
	defer other.Close()
	v, err := verify(t, spans, testNodes(2), Options{Receiver: ReceiverAuto, JaegerQuery: other.URL + "/below"}, 0)
	require.NoError(t, err)
	require.Contains(t, v.Lines()[1], "missing: 2 spans of 1 trace")
}

func TestSearchInJaeger(t *testing.T) {
	_, spans, query := startJaeger(t)
	opt := Options{Receiver: ReceiverAuto, JaegerQuery: query}
	d := deliverTo(t.Context(), t, spans, testNodes(3), opt)
	require.Equal(t, Search{Page: query + "/trace/00000000000015be"}, d.search)
	d = deliverTo(t.Context(), t, spans, manyTraces(2), opt)
	require.Equal(t, Search{Page: query + "/search?end=1363046391123459&limit=10&service=nova-api&start=1363046391123456"}, d.search)
	opt = Options{Receiver: ReceiverAuto, Transport: atHost{}}
	d = deliverTo(t.Context(), t, spans, manyTraces(2), opt)
	require.Equal(t, Search{}, d.search, "nothing is known of a page, and nothing of Cassandra")
}

func TestJaegerAddress(t *testing.T) {
	for address, problem := range map[string]string{"jaeger:16686": "does not begin with http", "http://h:99999": "port", "http://": "host",
		"http://h:16686/api/traces": "it is not that of its page;"} {
		_, err := New(Options{URL: "http://h", JaegerQuery: address})
		bad := (*URLError)(nil)
		require.ErrorAs(t, err, &bad)
		require.ErrorContains(t, err, problem)
		require.ErrorContains(t, err, "expected something like http://HOST:16686")
	}
	for address, base := range map[string]string{"http://h:16686/": "http://h:16686", "http://h/j/search/": "http://h/j", "http://h/j/trace/4d": "http://h/j"} {
		j, err := parseJaeger(address, endpoint{})
		require.NoError(t, err)
		require.Equal(t, base, j.shown())
	}
}
