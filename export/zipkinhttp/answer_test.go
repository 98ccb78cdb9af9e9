package zipkinhttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
)

// scripted is a server without a network. For what it answers nothing to, it is
// a Zipkin.
type scripted struct {
	t      *testing.T
	answer func(r *http.Request, spans []model.SpanModel) (*http.Response, error)

	mu  sync.Mutex
	got map[model.ID]int // how often
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.serve(r)
	if errors.Is(err, errSilence) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return response, err
}

func (s *scripted) serve(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Scheme == "https":
		return nil, http.ErrSchemeMismatch
	case r.Method == http.MethodGet:
		return answer(404, ""), nil
	}
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(bytes.NewReader(body))
		require.NoError(s.t, err)
		body, err = io.ReadAll(unpacked)
		require.NoError(s.t, err)
	}
	var spans []model.SpanModel
	require.NoError(s.t, json.Unmarshal(body, &spans))
	if response, err := s.answer(r, spans); response != nil || err != nil {
		return response, err
	}
	if s.got == nil {
		s.got = map[model.ID]int{}
	}
	for i := range spans {
		s.got[spans[i].ID]++
	}
	return answer(202, ""), nil
}

// errSilence stands for no answer at all.
var errSilence = errors.New("silence")

// What becomes of spans.
const (
	waits       = "waits"       // replay ends with an error after 5 minutes, tail waits
	stops       = "stops"       // both end with an error at once
	quarantines = "quarantines" // the span is set aside, the others are delivered
)

// answers is the table of docs/adr/0004-zipkin-sender.md.
var answers = []struct {
	name   string
	answer func(*http.Request) (*http.Response, error)
	start  string // what becomes of spans if everything is answered so
	later  string // if everything is, after something was taken
	alone  string // if every request with a certain span in it is, after something was taken
}{
	{"301", status(301), stops, waits, waits},
	{"302", status(302), stops, waits, waits},
	{"304", status(304), stops, waits, waits},
	{"307", status(307), stops, waits, waits},
	{"308", status(308), stops, waits, waits},
	{"400", status(400), stops, waits, quarantines},
	{"400, a web page of a proxy", page(400), stops, waits, quarantines},
	{"401", status(401), stops, stops, stops},
	{"403", status(403), stops, stops, stops},
	{"404", status(404), stops, waits, waits},
	{"405", status(405), stops, waits, waits},
	{"406", status(406), stops, waits, waits},
	{"407", status(407), stops, stops, stops},
	{"408", status(408), waits, waits, waits},
	{"409", status(409), stops, waits, waits},
	{"410", status(410), stops, waits, waits},
	{"413", status(413), stops, waits, quarantines},
	{"415", status(415), stops, waits, quarantines},
	{"418", status(418), stops, waits, waits},
	{"421", status(421), stops, waits, waits},
	{"422", status(422), stops, waits, quarantines},
	{"425", status(425), waits, waits, waits},
	{"429", status(429), waits, waits, waits},
	{"429 with Retry-After", retryLater(429), waits, waits, waits},
	{"431", status(431), stops, waits, waits},
	{"500", status(500), waits, waits, waits},
	{"500, as Zipkin 3.6.1 for 413", func(*http.Request) (*http.Response, error) {
		r := answer(500, "")
		r.Body = io.NopCloser(strings.NewReader("413 Request Entity Too Large"))
		return r, nil
	}, stops, waits, quarantines},
	{"500, a web page", page(500), waits, waits, waits},
	{"501", status(501), stops, waits, waits},
	{"502", page(502), waits, waits, waits},
	{"503", status(503), waits, waits, waits},
	{"503 with Retry-After", retryLater(503), waits, waits, waits},
	{"504", status(504), waits, waits, waits},
	{"505", status(505), waits, waits, waits},
	{"511, a captive portal", page(511), waits, waits, waits},
	{"599", status(599), waits, waits, waits},
	{"600", status(600), stops, waits, waits},
	{"200 with a web page", page(200), stops, waits, waits},
	{"203 with a web page", page(203), stops, waits, waits},
	{"connection refused", failing(syscall.ECONNREFUSED), waits, waits, waits},
	{"connection reset", failing(syscall.ECONNRESET), waits, waits, waits},
	{"end of the connection", failing(io.EOF), waits, waits, waits},
	{"no HTTP", failing(errors.New(`malformed HTTP response "SSH-2.0"`)), waits, waits, waits},
	{"silence", failing(errSilence), waits, waits, waits},
}

func status(code int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return answer(code, ""), nil }
}

func retryLater(code int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return answer(code, "7"), nil }
}

func page(code int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		r := answer(code, "")
		r.Header.Set("Content-Type", "text/html; charset=utf-8")
		r.Body = io.NopCloser(strings.NewReader("<!doctype html>\n<html><head><title>\n Gateway \u202e says</title>"))
		return r, nil
	}
}

func failing(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// TestZipkinAnswers: for every answer there is one rule, the same for replay,
// which ends, and tail, which waits; and no answer but 400 and its like, to one
// span alone, sets that aside.
func TestZipkinAnswers(t *testing.T) {
	const n, bad, mended = 10, 7, 2 * time.Hour
	opt := Options{BatchBytes: 700, Requests: 2} // about two spans a request
	for _, row := range answers {
		server := func(t *testing.T, when string, until time.Duration) *scripted {
			began, begins := time.Now(), when == "start"
			s := &scripted{t: t}
			s.answer = func(r *http.Request, spans []model.SpanModel) (*http.Response, error) {
				is := func(id model.ID) bool {
					return slices.ContainsFunc(spans, func(s model.SpanModel) bool { return s.ID == id })
				}
				// Both lanes have had their first answer then.
				begins = begins || when == "later" && is(5)
				if time.Since(began) < until && (begins || when == "alone" && is(bad)) {
					return row.answer(r)
				}
				return nil, nil
			}
			return s
		}
		// A server that asks for patience is not asked for anything else meanwhile.
		asksToWait := strings.HasPrefix(row.name, "429") || strings.HasSuffix(row.name, "Retry-After")
		for when, want := range map[string]string{"start": row.start, "later": row.later, "alone": row.alone} {
			isolated := when == "alone" && !asksToWait
			t.Run(row.name+"/"+when+"/replay", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, opt := server(t, when, 1<<62), opt
					opt.Transport, opt.FirstPause = s, time.Second
					began := time.Now()
					d := deliverTo(t.Context(), t, "http://zipkin", testNodes(n), opt)
					require.Equal(t, len(s.got), d.count(Delivered), "what is there, and nothing else, is said to be there")
					switch want {
					case quarantines:
						require.NoError(t, d.err)
						require.Equal(t, Quarantined, d.outcomes[bad])
						require.Len(t, d.records, 1)
						require.Len(t, d.outcomes, n)
						return
					case stops:
						require.Less(t, time.Since(began), 30*time.Second)
					case waits:
						require.Greater(t, time.Since(began), 4*time.Minute)
						require.Less(t, time.Since(began), 8*time.Minute)
						if isolated {
							require.ErrorContains(t, d.err, "gave up on span 0000000000000007 of trace 00000000000015be after")
							require.Len(t, d.outcomes, n-1, "the others are delivered")
						} else {
							require.ErrorContains(t, d.err, "without progress")
						}
					}
					require.ErrorAs(t, d.err, new(*Error))
					require.Zero(t, d.count(Quarantined))
					require.Empty(t, d.records)
				})
			})
			t.Run(row.name+"/"+when+"/tail", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s, opt := server(t, when, mended), opt
					opt.Transport, opt.URL, opt.FirstPause, opt.MaxPause = s, "http://zipkin", time.Second, 30*time.Second
					tail := startStream(ctx, t, opt)
					feeder, stop := context.WithCancel(ctx)
					defer stop()
					nodes := testNodes(n)
					go func() {
						defer close(tail.in)
						for i := range nodes {
							select {
							case tail.in <- Item{&nodes[i], nodes[i].ID.Lo}:
							case <-feeder.Done():
								return
							}
						}
					}()
					err := <-tail.result
					if want == stops {
						require.ErrorAs(t, err, new(*Error))
						require.Len(t, tail.outcomes, len(s.got))
						return
					}
					require.NoError(t, err)
					require.Len(t, tail.outcomes, n)
					for id, o := range tail.outcomes {
						require.Equal(t, want == quarantines && id == bad, o == Quarantined, "%d", id)
					}
				})
			})
		}
	}
}

// No verdict of a server that does not know what it says.
func TestZipkinVerdicts(t *testing.T) {
	refuse := func(int) (*http.Response, error) { return answer(400, ""), nil }
	lanes := 4
	deliver := func(t *testing.T, n int, answer func(request int, spans []model.SpanModel) (*http.Response, error)) (d attempt, s *scripted) {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			s = &scripted{t: t, answer: func(_ *http.Request, spans []model.SpanModel) (*http.Response, error) {
				requests++
				return answer(requests, spans)
			}}
			d = deliverTo(t.Context(), t, "http://zipkin", testNodes(n), Options{Transport: s, BatchBytes: 4000, Requests: lanes, FirstPause: time.Second})
		})
		return d, s
	}
	t.Run("a full queue: 500 to spans, 202 to an empty list", func(t *testing.T) {
		d, s := deliver(t, 100, func(_ int, spans []model.SpanModel) (*http.Response, error) {
			if len(spans) > 0 {
				return answer(500, ""), nil
			}
			return nil, nil
		})
		require.ErrorContains(t, d.err, " without progress (500 Internal Server Error, in its words: busy); run it again when it works")
		require.Empty(t, d.outcomes)
		require.Empty(t, d.records)
		require.Empty(t, s.got)
		require.Equal(t, []string{"zipkin http://zipkin: it answered 500 Internal Server Error, in its words: busy; trying again for up to 5 min"},
			d.warnings, "it took no other span, and does not work again")
	})
	t.Run("it breaks at the first span and takes all others", func(t *testing.T) {
		d, s := deliver(t, 100, func(_ int, spans []model.SpanModel) (*http.Response, error) {
			if slices.ContainsFunc(spans, func(s model.SpanModel) bool { return s.ID == 1 }) {
				return answer(500, ""), nil
			}
			return nil, nil
		})
		require.ErrorContains(t, d.err, "gave up on span 0000000000000001 of trace 00000000000015be after")
		require.Len(t, s.got, 99)
		require.Equal(t, 99, d.count(Delivered))
		require.Empty(t, d.records)
	})
	t.Run("the first, alone in its request, breaks it for good", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{t: t, answer: func(_ *http.Request, spans []model.SpanModel) (*http.Response, error) {
				if slices.ContainsFunc(spans, func(s model.SpanModel) bool { return s.ID == 1 }) {
					return answer(500, ""), nil
				}
				return nil, nil
			}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tail := startStream(ctx, t, Options{Transport: s, URL: "http://zipkin", FirstPause: time.Second, MaxPause: 30 * time.Second})
			tail.feed(1, 1)
			time.Sleep(10 * time.Minute)
			tail.feed(2, 50)
			tail.delivered(49)
			require.NotContains(t, tail.outcomes, uint64(1))
			cancel()
			require.ErrorIs(t, <-tail.result, context.Canceled)
		})
	})
	t.Run("a full queue that takes some now and then", func(t *testing.T) {
		d, s := deliver(t, 100, func(request int, spans []model.SpanModel) (*http.Response, error) {
			if len(spans) > 0 && request%3 != 0 {
				return answer(500, ""), nil
			}
			return nil, nil
		})
		require.NoError(t, d.err)
		require.Equal(t, 100, d.count(Delivered))
		require.Len(t, s.got, 100)
	})
	t.Run("one of two servers behind a balancer refuses everything", func(t *testing.T) {
		lanes = 1 // else a span may meet the same server each time
		defer func() { lanes = 4 }()
		d, s := deliver(t, 100, func(request int, _ []model.SpanModel) (*http.Response, error) {
			if request%2 == 1 {
				return refuse(request)
			}
			return nil, nil
		})
		require.NoError(t, d.err)
		require.Equal(t, 100, d.count(Delivered))
		require.Len(t, s.got, 100)
		require.Empty(t, d.records)
	})
	t.Run("all spans are refused, an empty list is not", func(t *testing.T) {
		onlyEmpty := func(request int, spans []model.SpanModel) (*http.Response, error) {
			if len(spans) > 0 {
				return refuse(request)
			}
			return nil, nil
		}
		d, _ := deliver(t, 1000, onlyEmpty)
		require.EqualError(t, d.err, "zipkin http://zipkin: it refused each of the 100 spans that it was sent, though it takes an empty list "+
			"(400 Bad Request, in its words: busy); check that the address is Zipkin's own, and what it says in its log")
		require.Empty(t, d.outcomes)
		require.Empty(t, d.records)
		d, _ = deliver(t, 99, onlyEmpty) // nothing else comes
		require.NoError(t, d.err)
		require.Equal(t, 99, d.count(Quarantined))
		require.Len(t, d.warnings, 2)
		require.Contains(t, d.warnings[0], "whether that span is at fault shows when it takes one")
	})
	t.Run("the first spans are refused until it takes others", func(t *testing.T) {
		d, s := deliver(t, 200, func(request int, spans []model.SpanModel) (*http.Response, error) {
			if request < 60 && len(spans) > 0 {
				return refuse(request)
			}
			return nil, nil
		})
		require.NoError(t, d.err)
		require.Equal(t, 200, d.count(Delivered))
		require.Len(t, s.got, 200)
	})
	t.Run("an outage between two refusals of one span", func(t *testing.T) {
		d, s := deliver(t, 1, func(request int, _ []model.SpanModel) (*http.Response, error) {
			switch request {
			case 1, 3:
				return refuse(request)
			case 2, 4:
				return answer(503, ""), nil
			}
			return nil, nil
		})
		require.NoError(t, d.err)
		require.Len(t, s.got, 1)
	})
}

// A server that refuses what is compressed gets it as it is, whenever it begins
// to; it is said once.
func TestZipkinWithoutGzip(t *testing.T) {
	for _, status := range []int{400, 415, 422} {
		for _, after := range []int{0, 3} { // spans that it took compressed
			t.Run(strconv.Itoa(status)+" after "+strconv.Itoa(after), func(t *testing.T) {
				packed, requests := 0, 0
				s := &scripted{t: t}
				s.answer = func(r *http.Request, _ []model.SpanModel) (*http.Response, error) {
					requests++
					if r.Header.Get("Content-Encoding") != "" && len(s.got) >= after {
						packed++
						return answer(status, ""), nil
					}
					return nil, nil
				}
				d := deliverTo(t.Context(), t, "http://zipkin", testNodes(300), Options{Transport: s, BatchBytes: 1000, Requests: 1})
				require.NoError(t, d.err)
				require.Equal(t, 300, d.count(Delivered))
				require.Len(t, s.got, 300)
				require.LessOrEqual(t, packed, 6)
				require.Len(t, d.warnings, 1)
				require.Equal(t, "zipkin http://zipkin: it does not take what is compressed with gzip ("+strconv.Itoa(status)+" "+http.StatusText(status)+
					", in its words: busy); from now on nothing is compressed", d.warnings[0])
				require.Empty(t, d.records)
			})
		}
	}
}

func TestInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 ms", 300 * time.Microsecond: "1 ms", 1499 * time.Microsecond: "1 ms", 420 * time.Millisecond: "420 ms",
		1499 * time.Millisecond: "1 s", 61 * time.Second: "1 min 1 s", 5 * time.Minute: "5 min",
	} {
		require.Equal(t, want, inWords(d))
	}
}
