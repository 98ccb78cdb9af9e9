package faultproxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestProxy(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const answer = "a long answer that breaks off"
	got := make(chan int, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			got <- len(body)
			io.WriteString(w, answer)
		}
	}))
	defer web.Close()
	t.Run("faults", func(t *testing.T) {
		proxy := Start(t, strings.TrimPrefix(web.URL, "http://"))
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		post := func(ctx context.Context) (string, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+proxy.Addr, bytes.NewReader(make([]byte, 100_000)))
			require.NoError(t, err)
			response, err := client.Do(request)
			if err != nil {
				return "", err
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			return string(text), err
		}
		works := func() {
			t.Helper()
			proxy.Set(t, Fault{})
			text, err := post(t.Context())
			require.NoError(t, err)
			require.Equal(t, answer, text)
			require.Equal(t, 100_000, <-got)
		}
		works()

		proxy.Set(t, Fault{Refuse: true})
		client.CloseIdleConnections() // the one of before was reset
		_, err := post(t.Context())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		works()

		proxy.Set(t, Fault{ResetRequest: true, After: 50_000})
		_, err = post(t.Context())
		require.Error(t, err)
		<-proxy.Struck()
		require.Empty(t, got, "the server never had it whole")
		works()

		for _, after := range []int64{0, 20, 130} {
			proxy.Set(t, Fault{ResetAnswer: true, After: after})
			text, err := post(t.Context())
			require.Error(t, err)
			require.NotEqual(t, answer, text)
			<-proxy.Struck()
			require.Equal(t, 100_000, <-got, "the server had it whole")
			works()
		}

		proxy.Set(t, Fault{BlackHole: true})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-proxy.Struck(); cancel() }()
		_, err = post(ctx)
		require.ErrorIs(t, err, context.Canceled)
		works()

		for _, f := range []Fault{{Delay: 20 * time.Millisecond}, {Rate: 5_000_000}} {
			proxy.Set(t, f)
			began := time.Now()
			text, err := post(t.Context())
			require.NoError(t, err)
			require.Equal(t, answer, text)
			require.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
			<-proxy.Struck()
			<-got
		}
	})
}
