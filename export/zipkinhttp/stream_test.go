package zipkinhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// stream is a delivery whose items come one by one; their tokens are the ids of
// their spans.
type stream struct {
	t        testing.TB
	z        *Client
	in       chan Item
	result   chan error
	mu       sync.Mutex
	outcomes map[uint64]Outcome
	warnings []string
	news     chan struct{} // gets a token with every outcome and warning
}

func startStream(ctx context.Context, t testing.TB, opt Options) *stream {
	t.Helper()
	s := &stream{t: t, in: make(chan Item), result: make(chan error, 1), outcomes: map[uint64]Outcome{}, news: make(chan struct{}, 1)}
	opt.Warn = func(text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.warnings = append(s.warnings, text)
		s.tell()
	}
	opt.Quarantine = filepath.Join(t.TempDir(), "quarantine.jsonl")
	opt.FirstPause = cmp.Or(opt.FirstPause, time.Millisecond)
	opt.MaxPause = cmp.Or(opt.MaxPause, 4*time.Millisecond)
	opt.GiveUp = cmp.Or(opt.GiveUp, -1)
	opt.Linger = cmp.Or(opt.Linger, time.Millisecond)
	var err error
	s.z, err = New(opt)
	require.NoError(t, err)
	go func() {
		s.result <- s.z.Stream(ctx, s.in, func(item Item, o Outcome) {
			s.mu.Lock()
			defer s.mu.Unlock()
			id := item.Token.(uint64)
			if s.outcomes[id] != 0 || item.Node.ID.Lo != id {
				t.Errorf("a second outcome of %d, or not its own", id)
			}
			s.outcomes[id] = o
			s.tell()
		})
	}()
	return s
}

func (s *stream) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// feed hands spans over, numbered from first.
func (s *stream) feed(first, last int) {
	nodes := testNodes(last)
	for i := first - 1; i < last; i++ {
		s.in <- Item{&nodes[i], nodes[i].ID.Lo}
	}
}

// await waits until something is so.
func (s *stream) await(so func() bool) {
	s.t.Helper()
	late := time.After(time.Minute)
	for {
		s.mu.Lock()
		is := so()
		s.mu.Unlock()
		if is {
			return
		}
		select {
		case <-s.news:
		case <-late:
			s.mu.Lock()
			defer s.mu.Unlock()
			require.FailNow(s.t, "it never came to that", "%d outcomes, warnings %q", len(s.outcomes), s.warnings)
		}
	}
}

// delivered waits until so many spans have an outcome.
func (s *stream) delivered(n int) {
	s.t.Helper()
	s.await(func() bool { return len(s.outcomes) >= n })
}

// end closes the stream, which must have delivered so many spans.
func (s *stream) end(n int) {
	s.t.Helper()
	close(s.in)
	require.NoError(s.t, <-s.result)
	require.Len(s.t, s.outcomes, n)
	require.NoError(s.t, s.z.Close())
}

// TestZipkinStream: an item goes out although no more come, and the outcome of
// each is told once.
func TestZipkinStream(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	server := &faultyZipkin{t: t}
	web := httptest.NewServer(server)
	defer web.Close()
	s := startStream(t.Context(), t, Options{URL: web.URL, BatchBytes: 4000})
	for i := 1; i <= 3; i++ {
		s.feed(i, i)
		s.delivered(i)
	}
	s.feed(4, 500)
	s.end(500)
	require.Len(t, server.got, 500)
	require.Greater(t, len(server.sizes), 20)
	for _, size := range server.sizes {
		require.LessOrEqual(t, size, 4000+400, "pieces within the limit; commas come on top")
	}
}

// A full request does not wait; one that is not waits as long as it is told.
func TestZipkinLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var after []time.Duration
		s := startStream(t.Context(), t, Options{URL: "http://zipkin", BatchBytes: 4000, Linger: 30 * time.Second,
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				after = append(after, time.Since(began))
				return answer(202, ""), nil
			})})
		s.feed(1, 20)
		s.await(func() bool { return len(s.outcomes) == 20 })
		synctest.Wait()
		require.Equal(t, 30*time.Second, after[len(after)-1])
		require.Zero(t, after[0])
		s.end(20)
	})
}

// While nothing is acknowledged, only so much is taken; the end of the context
// ends it at once, with nothing said to be delivered.
func TestZipkinBackPressure(t *testing.T) {
	for name, server := range map[string]roundTrip{
		"hanging": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"down": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"busy": func(*http.Request) (*http.Response, error) { return answer(429, "3600"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cause := errors.New("stopped")
				ctx, cancel := context.WithCancelCause(t.Context())
				s := startStream(ctx, t, Options{URL: "http://zipkin", BatchBytes: 4000, Requests: 3, Transport: server})
				nodes := testNodes(1000)
				taken := 0
				for blocked := false; !blocked; {
					synctest.Wait()
					select {
					case s.in <- Item{&nodes[taken], nodes[taken].ID.Lo}:
						taken++
					default:
						blocked = true
					}
				}
				require.Greater(t, taken, 10)
				require.Less(t, taken, 60)
				began := time.Now()
				cancel(cause)
				require.ErrorIs(t, <-s.result, cause)
				require.Zero(t, time.Since(began))
				require.Empty(t, s.outcomes)
				require.Zero(t, s.z.Report().Delivered)
			})
		})
	}
}

// In an outage one request at a time knocks, with growing pauses, and a word of
// the server on when to come again holds for all.
func TestZipkinKnocksAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var knocks []time.Duration
		s := startStream(t.Context(), t, Options{URL: "http://zipkin", BatchBytes: 4000, Requests: 4, FirstPause: time.Second, MaxPause: 16 * time.Second,
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				after := time.Since(began)
				knocks = append(knocks, after)
				switch {
				case after < time.Minute:
					return nil, errors.New("connection refused")
				case after < 2*time.Minute:
					return answer(503, "3600"), nil
				}
				return answer(202, ""), nil
			})})
		s.feed(1, 200)
		s.end(200)
		mu.Lock()
		defer mu.Unlock()
		var outage int
		for _, k := range knocks {
			if k < time.Hour {
				outage++
			}
		}
		require.LessOrEqual(t, outage, 15, "%v", knocks)
		require.Equal(t, []string{
			"zipkin http://zipkin: connection refused; trying again until it works",
		}, s.warnings[:1])
		require.Len(t, s.warnings, 3)
		require.Contains(t, s.warnings[1], "zipkin http://zipkin: it answered 503 Service Unavailable, in its words: busy; still trying after 1 min")
		require.Contains(t, s.warnings[2], "zipkin http://zipkin: it works again, after 1 h")
	})
}

// TestZipkinOutage: an outage is seen while it lasts, and told once for each
// cause.
func TestZipkinOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := startStream(t.Context(), t, Options{URL: "http://zipkin", FirstPause: 10 * time.Second, MaxPause: 10 * time.Second,
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				if time.Since(began) < 25*time.Minute {
					return answer(502, ""), nil
				}
				return answer(202, ""), nil
			})})
		_, out := s.z.Outage()
		require.False(t, out)
		s.feed(1, 1)
		time.Sleep(24 * time.Minute)
		outage, out := s.z.Outage()
		require.True(t, out)
		require.WithinDuration(t, began, outage.Since, time.Second)
		require.Equal(t, "it answered 502 Bad Gateway, in its words: busy", outage.Cause)
		s.end(1)
		_, out = s.z.Outage()
		require.False(t, out)
		require.Len(t, s.warnings, 4, "%q", s.warnings) // begins, after 10 and 20 minutes, ends
		require.Greater(t, s.z.Report().Retried, int64(100))
	})
}

// A server that fails now and then does not fill the log.
func TestZipkinFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := startStream(t.Context(), t, Options{URL: "http://zipkin", Requests: 1,
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				if asked++; asked%2 == 1 {
					return answer(503, ""), nil
				}
				return answer(202, ""), nil
			})})
		for i := 1; i <= 100; i++ {
			s.feed(i, i)
			s.delivered(i)
		}
		s.end(100)
		require.Len(t, s.warnings, 2, "%q", s.warnings)
		require.EqualValues(t, 100, s.z.Report().Retried)
	})
}

// What stops a delivery at its start is an outage later, when Zipkin has
// answered there before; but not what says that we may not come in.
func TestZipkinLaterAnswers(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"404": func(w http.ResponseWriter) { w.WriteHeader(404) },
		"302": func(w http.ResponseWriter) { w.Header().Set("Location", "/login"); w.WriteHeader(302) },
		"a web page": func(w http.ResponseWriter) {
			io.WriteString(w, "<html>we are working on it")
		},
		"400 to everything": func(w http.ResponseWriter) { w.WriteHeader(400) },
		"401":               func(w http.ResponseWriter) { w.WriteHeader(401) },
		"403":               func(w http.ResponseWriter) { w.WriteHeader(403) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			last := 4
			if name == "400 to everything" {
				last = 13 // each time: the span twice, and what it took before, compressed and not
			}
			server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, request int, _ []model.SpanModel, _ int) bool {
				if request == 1 || request > last {
					return false
				}
				answer(w)
				return true
			}}
			web := httptest.NewServer(server)
			defer web.Close()
			s := startStream(t.Context(), t, Options{URL: web.URL})
			s.feed(1, 1)
			s.delivered(1)
			s.feed(2, 2)
			if name == "401" || name == "403" {
				var stop *Error
				require.ErrorAs(t, <-s.result, &stop)
				require.Len(t, s.outcomes, 1)
				return
			}
			s.delivered(2)
			s.end(2)
			require.EqualValues(t, 3, s.z.Report().Retried)
		})
	}
}

// A span that breaks the server is waited for, and holds up no other; it is not
// the span's fault that the server answers 500.
func TestZipkinSpanBreaksServer(t *testing.T) {
	var mended atomic.Bool
	server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, _ int, spans []model.SpanModel, _ int) bool {
		for _, s := range spans {
			if !mended.Load() && (s.ID == 77 || s.ID == 78) {
				http.Error(w, "NullPointerException", http.StatusInternalServerError)
				return true
			}
		}
		return false
	}}
	web := httptest.NewServer(server)
	defer web.Close()
	s := startStream(t.Context(), t, Options{URL: web.URL, Linger: time.Second, BatchBytes: 100_000})
	s.feed(1, 100)
	s.delivered(98)
	s.feed(101, 200)
	s.delivered(198)
	s.await(func() bool {
		return slices.ContainsFunc(s.warnings, func(w string) bool {
			return strings.Contains(w, " of trace 00000000000015be alone is not taken, others are: it answered 500 Internal Server Error, in its words: NullPointerException; it is sent again until it is")
		})
	})
	mended.Store(true)
	s.end(200)
	for id, o := range s.outcomes {
		require.Equal(t, Delivered, o, "%d", id)
	}
	require.Empty(t, readLines(t, s.z.opt.Quarantine))
}

// TestZipkinAnyServer: whatever a server answers, each span has one outcome, and
// what is said to be delivered is there.
func TestZipkinAnyServer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		script := rapid.SliceOfN(rapid.SampledFrom([]int{202, 202, 202, 408, 413, 429, 500, 503, 0}), 0, 40).Draw(rt, "answers")
		poison := rapid.SliceOfN(rapid.IntRange(1, 60), 0, 3).Draw(rt, "poison")
		count := rapid.IntRange(0, 60).Draw(rt, "spans")
		requests := rapid.IntRange(1, 5).Draw(rt, "requests")
		synctest.Test(t, func(t *testing.T) {
			server := &faultyZipkin{t: t, fault: func(w http.ResponseWriter, _ *http.Request, request int, spans []model.SpanModel, _ int) bool {
				for _, s := range spans {
					for _, p := range poison {
						if int(s.ID) == p {
							w.WriteHeader(400)
							return true
						}
					}
				}
				if request > len(script) || script[request-1] == 202 || script[request-1] == 413 && len(spans) < 2 {
					return false
				}
				w.WriteHeader(script[request-1])
				return true
			}}
			s := startStream(t.Context(), t, Options{URL: "http://zipkin", BatchBytes: 4000, Requests: requests,
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					w := httptest.NewRecorder()
					defer func() { recover() }() // WriteHeader(0) panics: no answer at all
					server.ServeHTTP(w, r)
					return w.Result(), nil
				})})
			s.feed(1, count)
			if bad := badOf(poison, count); bad == count && count > 0 { // as if it were no Zipkin
				close(s.in)
				require.ErrorContains(t, <-s.result, "though it takes an empty list")
				require.Empty(t, s.outcomes)
				return
			}
			s.end(count)
			for id, o := range s.outcomes {
				if (o == Delivered) != (server.got[model.ID(id)] > 0) {
					t.Errorf("span %d: outcome %v, there %d times", id, o, server.got[model.ID(id)])
				}
			}
		})
	})
}

// badOf is how many spans of 1 to count are in the list.
func badOf(list []int, count int) (n int) {
	for id := range count {
		if slices.Contains(list, id+1) {
			n++
		}
	}
	return n
}

func ExampleClient_Stream() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	sender, err := New(Options{URL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	in := make(chan Item)
	go func() {
		defer close(in)
		nodes := testNodes(3)
		for i := range nodes {
			in <- Item{Node: &nodes[i], Token: i}
		}
	}()
	acknowledged := 0
	err = sender.Stream(context.Background(), in, func(_ Item, o Outcome) {
		if o == Delivered {
			acknowledged++
		}
	})
	fmt.Println(acknowledged, err, sender.Close())
	// Output: 3 <nil> <nil>
}
