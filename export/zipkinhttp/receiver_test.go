package zipkinhttp

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

// twoReceivers is Zipkin, or what the OpenTelemetry Collector's Zipkin receiver
// does (read in its source, and compared with it in zipkin_foreign_test.go).
type twoReceivers struct {
	mu      sync.Mutex
	foreign bool
	refuse  func(r *http.Request) int // a status to answer with at once, else 0
	asked   int                       // with an empty body
	zipkin  map[model.ID]string       // the annotations that Zipkin got, by span
	events  map[model.ID]string       // those that the other made of them
	spans   []model.SpanModel
}

func (s *twoReceivers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if status := s.refuse(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	reader := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		reader, _ = gzip.NewReader(r.Body)
	}
	body, _ := io.ReadAll(reader)
	if len(body) == 0 {
		s.asked++
		if !s.foreign {
			w.WriteHeader(http.StatusAccepted)
			return
		}
	}
	var spans []model.SpanModel
	if err := json.Unmarshal(body, &spans); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s.zipkin == nil {
		s.zipkin, s.events = map[model.ID]string{}, map[model.ID]string{}
	}
	got := map[model.ID]string{}
	for _, m := range spans {
		for _, a := range m.Annotations {
			value := a.Value
			if parts := strings.Split(a.Value, "|"); s.foreign {
				value = parts[0]
				if len(parts) > 2 {
					if err := json.Unmarshal([]byte(strings.Join(parts[1:len(parts)-1], "|")), new(map[string]any)); err != nil {
						http.Error(w, err.Error(), http.StatusBadRequest)
						return
					}
				}
			}
			got[m.ID] += "[" + value + "]"
		}
	}
	for id, text := range got {
		if s.foreign {
			s.events[id] += text
		} else {
			s.zipkin[id] += text
		}
	}
	s.spans = append(s.spans, spans...)
	w.WriteHeader(http.StatusAccepted)
}

// barredNodes have a note of two services each, and texts with | in them.
func barredNodes() []trace.Node {
	nodes := testNodes(2)
	for i, value := range []string{"SELECT 1 | 2", "SELECT a || b"} {
		n := nodes[i].Notes[1]
		n.Value, n.Service = trace.Value{Kind: trace.String, Text: value}, trace.NewText("db")
		nodes[i].Notes = append(nodes[i].Notes, n)
	}
	return nodes
}

func TestForeignReceiverIsSentWhatItTakesWhole(t *testing.T) {
	server := &twoReceivers{foreign: true}
	s := httptest.NewServer(server)
	defer s.Close()
	d := deliverTo(t.Context(), t, s.URL+"/below/here", barredNodes(), Options{Receiver: ReceiverAuto})
	require.NoError(t, d.err)
	require.EqualValues(t, 2, d.report.Delivered)
	require.Equal(t, map[model.ID]string{1: "[start][SELECT 1 ¦ 2 @db][stop]", 2: "[start][SELECT a ¦¦ b @db][stop]"}, server.events)
	require.Len(t, server.spans, 2, "one span of each id")
	require.Equal(t, "SELECT 1 | 2", server.spans[0].Tags["tomograph.note.2.value"])
	require.Equal(t, "SELECT a || b", server.spans[1].Tags["tomograph.note.2.value"])
	require.Equal(t, 1, server.asked)
	require.Contains(t, strings.Join(d.warnings, "\n"), "it is not Zipkin that takes the spans there, but a receiver of OpenTelemetry's or Jaeger's")
}

func TestZipkinGetsWhatItAlwaysGot(t *testing.T) {
	for _, receiver := range []Receiver{ReceiverZipkin, ReceiverAuto} {
		server := &twoReceivers{}
		s := httptest.NewServer(server)
		d := deliverTo(t.Context(), t, s.URL, barredNodes(), Options{Receiver: receiver})
		s.Close()
		require.NoError(t, d.err)
		require.Empty(t, d.warnings)
		require.Equal(t, map[model.ID]string{1: "[start][stop][SELECT 1 | 2]", 2: "[start][stop][SELECT a || b]"}, server.zipkin)
		require.Len(t, server.spans, 4)
		require.NotContains(t, server.spans[1].Tags, "tomograph.note.2.value")
		require.Equal(t, int(receiver), server.asked, "one that is named is not asked") // 0 and 1
	}
}

// The word of the user counts, whatever answers.
func TestReceiverThatIsNamed(t *testing.T) {
	for _, receiver := range []Receiver{ReceiverJaeger, ReceiverOTel} {
		server := &twoReceivers{}
		s := httptest.NewServer(server)
		d := deliverTo(t.Context(), t, s.URL, barredNodes(), Options{Receiver: receiver})
		require.NoError(t, d.err)
		require.Equal(t, "[start][SELECT a ¦¦ b @db][stop]", server.zipkin[2])
		require.Zero(t, server.asked)

		server.spans = nil
		d = deliverTo(t.Context(), t, s.URL, barredNodes(), Options{Receiver: receiver, AlwaysSplit: true})
		s.Close()
		require.NoError(t, d.err)
		require.Len(t, server.spans, 4)
		require.Equal(t, "SELECT a ¦¦ b", server.spans[3].Annotations[0].Value)
	}
}

// A receiver that is away when the delivery begins is asked when it is there, and
// nothing is written before.
func TestReceiverThatComesLater(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		requests := 0
		server := &twoReceivers{foreign: foreign, refuse: func(*http.Request) int {
			if requests++; requests <= 4 {
				return http.StatusServiceUnavailable
			}
			return 0
		}}
		s := httptest.NewServer(server)
		d := deliverTo(t.Context(), t, s.URL, barredNodes(), Options{Receiver: ReceiverAuto})
		s.Close()
		require.NoError(t, d.err)
		require.Equal(t, foreign, server.events[2] == "[start][SELECT a ¦¦ b @db][stop]")
		require.Equal(t, !foreign, server.zipkin[2] == "[start][stop][SELECT a || b]")
		require.Contains(t, d.warnings[0], "503")
	}
}

// What passes spans on and nothing else does not let the receiver be known: the
// form that all take is sent, and the user is told.
func TestReceiverThatCannotBeKnown(t *testing.T) {
	server := &twoReceivers{refuse: func(r *http.Request) int {
		if r.ContentLength == 0 {
			return http.StatusForbidden
		}
		return 0
	}}
	s := httptest.NewServer(server)
	defer s.Close()
	d := deliverTo(t.Context(), t, s.URL, barredNodes(), Options{Receiver: ReceiverAuto})
	require.NoError(t, d.err)
	require.Equal(t, "[start][SELECT a ¦¦ b @db][stop]", server.zipkin[2])
	require.Contains(t, d.warnings[0], "cannot be told; --receiver says it")
}

// Behind one address another receiver may stand than before. It is noticed after
// an outage, when it refuses something, and in any case after a while.
func TestReceiverThatBecomesAnother(t *testing.T) {
	for name, change := range map[string]func(z *Client, server *twoReceivers){
		"outage": func(_ *Client, server *twoReceivers) {
			server.refuse = func(*http.Request) int {
				server.refuse, server.foreign = nil, true
				return http.StatusBadGateway
			}
		},
		"refusal": func(_ *Client, server *twoReceivers) { server.foreign = true },
		"a while": func(z *Client, server *twoReceivers) { server.foreign, z.receiverAge = true, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			server := &twoReceivers{}
			s := httptest.NewServer(server)
			defer s.Close()
			var warnings []string
			z, err := New(Options{URL: s.URL, Receiver: ReceiverAuto, FirstPause: time.Millisecond, Quarantine: t.TempDir() + "/q",
				Warn: func(text string) { warnings = append(warnings, text) }})
			require.NoError(t, err)
			defer z.Close()
			require.NoError(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: testNodes(1)})), nil))
			change(z, server)
			require.NoError(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: barredNodes()})), nil))
			require.Zero(t, z.Report().Quarantined)
			require.Equal(t, map[model.ID]string{1: "[start][SELECT 1 ¦ 2 @db][stop]", 2: "[start][SELECT a ¦¦ b @db][stop]"}, server.events)
			require.Contains(t, strings.Join(warnings, "\n"), "it is not Zipkin any more")

			server.foreign = false // and it stays so
			require.NoError(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: barredNodes()})), nil))
			require.Equal(t, "[start][SELECT a ¦¦ b @db][stop]", server.zipkin[2])
		})
	}
}

// A span that is at fault is refused in parts, and the receiver is asked once.
func TestRefusalAsksOnce(t *testing.T) {
	server := &twoReceivers{}
	poison := false
	server.refuse = func(r *http.Request) int {
		if r.ContentLength > 100 && poison {
			return http.StatusBadRequest
		}
		return 0
	}
	s := httptest.NewServer(server)
	defer s.Close()
	poison = true
	d := deliverTo(t.Context(), t, s.URL, testNodes(8), Options{Receiver: ReceiverAuto})
	require.NoError(t, d.err)
	require.EqualValues(t, 8, d.report.Quarantined)
	require.Equal(t, 2, server.asked)
}

// What refuses everything that is empty may take spans; what takes none is told as
// ever.
func TestReceiverThatRefusesWhatIsEmpty(t *testing.T) {
	for _, takes := range []bool{true, false} {
		s := &scripted{t: t, answer: func(_ *http.Request, spans []model.SpanModel) (*http.Response, error) {
			if len(spans) == 0 || !takes {
				return answer(400, ""), nil
			}
			return nil, nil
		}}
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost && (r.Body == nil || r.Body == http.NoBody) { // who are you?
				return answer(400, ""), nil
			}
			return s.RoundTrip(r)
		})
		d := deliverTo(t.Context(), t, "http://zipkin", testNodes(10), Options{Transport: transport, Receiver: ReceiverAuto})
		require.NotEmpty(t, d.warnings, "%v", d.err)
		require.Contains(t, d.warnings[0], "whether it is Zipkin that takes the spans there cannot be told")
		require.Empty(t, d.records)
		if takes {
			require.NoError(t, d.err)
			require.Len(t, s.got, 10)
			require.Equal(t, 10, d.count(Delivered))
		} else {
			require.ErrorContains(t, d.err, "it refuses even an empty list of spans (400 Bad Request, in its words: busy); check that the address is Zipkin's own")
			require.Empty(t, d.outcomes)
		}
	}
}

// A server that says nothing is told of when it is asked first, not only when it
// got spans.
func TestReceiverThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		told := time.Duration(0)
		z, err := New(Options{URL: "http://zipkin", Receiver: ReceiverAuto, Quarantine: filepath.Join(t.TempDir(), "q"),
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}),
			Warn: func(text string) {
				require.Zero(t, told, text)
				told = time.Since(began)
				require.Equal(t, "zipkin http://zipkin: no answer within 1m0s; trying again for up to 5 min", text)
			}})
		require.NoError(t, err)
		nodes := testNodes(2)
		require.ErrorContains(t, z.Send(t.Context(), Nodes(sampletest.Each(trace.Trace{Spans: nodes})), nil), "without progress: no answer within 1m0s")
		require.Equal(t, time.Minute, told)
		require.LessOrEqual(t, time.Since(began), 6*time.Minute)
		require.LessOrEqual(t, z.Report().Retried, int64(4), "the first question counts, too")
		require.NoError(t, z.Close())
	})
}
