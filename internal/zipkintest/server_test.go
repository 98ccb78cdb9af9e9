package zipkintest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStart(t *testing.T) {
	var gone string
	t.Run("lives", func(t *testing.T) {
		s := Start(t, "AUTOCOMPLETE_KEYS=site")
		gone = s.URL
		var keys []string
		require.NoError(t, s.Get("/api/v2/autocompleteKeys", &keys))
		require.Equal(t, []string{"site"}, keys, "the environment is passed on")
		require.ErrorIs(t, s.Get("/api/v2/trace/1", &keys), ErrNotFound)
	})
	if gone == "" {
		t.Skip("no server was started")
	}
	require.False(t, (&Server{URL: gone}).healthy(), "it must end with the test that started it")
}

func TestStartCassandra(t *testing.T) {
	var gone *Cassandra
	t.Run("lives", func(t *testing.T) {
		gone = StartCassandra(t)
		require.NoError(t, gone.Exec("CREATE KEYSPACE a WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"))
		require.ErrorContains(t, gone.Exec("SELECT * FROM a.b"), "table b does not exist")
	})
	if gone == nil {
		t.Skip("no server was started")
	}
	require.Error(t, gone.Exec("SELECT key FROM system.local"), "it must end with the test that started it")
}

// Both are sent a span as Zipkin's own clients send it.
func TestOtherReceivers(t *testing.T) {
	send := func(t *testing.T, url string) {
		const span = `[{"traceId":"4d","id":"4e","name":"x","timestamp":1384168296800000,"duration":5,"localEndpoint":{"serviceName":"s"},` +
			`"annotations":[{"timestamp":1384168296800001,"value":"a note|cut off"}],"tags":{"key":"value"}}]`
		response, err := http.Post(url+"/api/v2/spans", "application/json", strings.NewReader(span))
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, http.StatusAccepted, response.StatusCode)
	}
	want := Span{TraceID: "0000000000000000000000000000004d", ID: "000000000000004e", Service: "s", Name: "x",
		Start: 1384168296800000, Duration: 5, Notes: []Note{{1384168296800001, "a note"}}}
	t.Run("OpenTelemetry", func(t *testing.T) {
		c := StartCollector(t)
		send(t, c.URL)
		got := c.Spans(t, 1)[0]
		require.Equal(t, "value", got.Tags["key"])
		got.Tags, got.Resource = nil, nil
		require.Equal(t, want, got)
	})
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprintf("Jaeger %d", major), func(t *testing.T) {
			j := StartJaeger(t, major)
			_, err := j.Trace("4d")
			require.ErrorIs(t, err, ErrNotFound)
			send(t, j.URL)
			var spans []Span
			for late := time.Now().Add(time.Minute); len(spans) == 0; time.Sleep(10 * time.Millisecond) {
				require.True(t, time.Now().Before(late))
				spans, _ = j.Trace("4d")
			}
			require.Equal(t, "value", spans[0].Tags["key"])
			spans[0].Tags, spans[0].Resource = nil, nil
			require.Equal(t, []Span{want}, spans)
		})
	}
}
