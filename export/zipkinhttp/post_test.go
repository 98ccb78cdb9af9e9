package zipkinhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

func TestZipkinEndsWithContext(t *testing.T) {
	cause := errors.New("interrupted")
	t.Run("while the server does not answer", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			cancel(cause)
			<-r.Context().Done() // the client is gone
		}))
		defer web.Close()
		d := deliverTo(ctx, t, web.URL, testNodes(1), Options{})
		require.ErrorIs(t, d.err, cause)
		require.Empty(t, d.outcomes)
	})
	t.Run("during a pause", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		z, err := New(Options{
			URL: "http://127.0.0.1:1", FirstPause: time.Hour, GiveUp: -1,
			Warn: func(string) { cancel(cause) },
		})
		require.NoError(t, err)
		require.ErrorIs(t, z.Send(ctx, Nodes(sampletest.Each(trace.Trace{Spans: testNodes(1)})), nil), cause)
	})
}

// roundTrip is a server without a network, for tests with a clock of their own.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, retryAfter string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("busy"))}
	if retryAfter != "" {
		r.Header.Set("Retry-After", retryAfter)
	}
	return r
}

func TestZipkinRetryAfter(t *testing.T) {
	tests := map[string]struct {
		header      func() string
		least, most time.Duration
	}{
		"seconds":       {func() string { return "120" }, 120 * time.Second, 121 * time.Second},
		"date":          {func() string { return time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat) }, 89 * time.Second, 91 * time.Second},
		"0":             {func() string { return "0" }, 250 * time.Millisecond, time.Second},
		"a date gone":   {func() string { return "Thu, 11 Mar 1999 23:59:51 GMT" }, 250 * time.Millisecond, time.Second},
		"nonsense":      {func() string { return "-5 soon" }, 250 * time.Millisecond, time.Second},
		"for ever":      {func() string { return "18446744073709551615" }, time.Hour, time.Hour + time.Second},
		"not a number!": {func() string { return "99999999999999999999999" }, 250 * time.Millisecond, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, asked := time.Now(), 0
				d := deliverTo(t.Context(), t, "http://zipkin", testNodes(1), Options{
					FirstPause: 500 * time.Millisecond, GiveUp: -1,
					Transport: roundTrip(func(*http.Request) (*http.Response, error) {
						if asked++; asked == 1 {
							return answer(503, test.header()), nil
						}
						return answer(202, ""), nil
					}),
				})
				require.NoError(t, d.err)
				require.Equal(t, 1, d.count(Delivered))
				require.GreaterOrEqual(t, time.Since(began), test.least)
				require.LessOrEqual(t, time.Since(began), test.most)
			})
		})
	}
}

func TestZipkinGivesUp(t *testing.T) {
	down := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
	silent := roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	busy := roundTrip(func(*http.Request) (*http.Response, error) { return answer(429, "1200"), nil })
	weeks := roundTrip(func(*http.Request) (*http.Response, error) { return answer(503, "1209600"), nil })
	tests := map[string]struct {
		server roundTrip
		want   string
	}{
		"weeks":  {weeks, "it asks to wait 14 d; tomoscrape gives up after 5 min without progress (503 Service Unavailable, in its words: busy); run it again"},
		"down":   {down, "without progress: connection refused; run it again"},
		"silent": {silent, "without progress: no answer within 1m0s; run it again"},
		"busy":   {busy, "it asks to wait 20 min; tomoscrape gives up after 5 min without progress (429 Too Many Requests, in its words: busy); run it again"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				d := deliverTo(t.Context(), t, "http://zipkin", testNodes(1), Options{Transport: test.server, FirstPause: time.Second})
				require.ErrorContains(t, d.err, test.want)
				require.Empty(t, d.outcomes)
				require.LessOrEqual(t, time.Since(began), 6*time.Minute)
				require.Len(t, d.warnings, 1, "one outage, one cause, one word")
				require.True(t, strings.HasSuffix(d.warnings[0], "; trying again for up to 5 min"), d.warnings[0])
			})
		})
	}
	t.Run("never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			d := deliverTo(t.Context(), t, "http://zipkin", testNodes(1), Options{
				GiveUp: -1,
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if time.Since(began) < 48*time.Hour {
						return down(r)
					}
					return answer(202, ""), nil
				}),
			})
			require.NoError(t, d.err)
			require.Equal(t, 1, d.count(Delivered))
		})
	})
}
