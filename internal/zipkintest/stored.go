package zipkintest

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"
)

// RequireStored reads the traces of the spans back, each by its id, and fails the
// test unless they are these spans, field by field, each once.
func (s *Server) RequireStored(t testing.TB, spans []*model.SpanModel) {
	t.Helper()
	want := map[string]map[string]int{} // how often there, by trace and span
	for _, m := range spans {
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		id := m.TraceID.String()
		if want[id] == nil {
			want[id] = map[string]int{}
		}
		want[id][canonical(t, raw)] = 1
	}
	for id, spans := range want {
		var got map[string]int
		// Zipkin stores behind its answer
		for late := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			var stored []json.RawMessage
			err := s.Get("/api/v2/trace/"+id, &stored)
			got = map[string]int{}
			for _, raw := range stored {
				got[canonical(t, raw)]++
			}
			if err == nil && maps.Equal(got, spans) || time.Now().After(late) {
				break
			}
		}
		require.Equal(t, spans, got, "trace %s", id)
	}
}

// canonical is a JSON object with its keys in order.
func canonical(t testing.TB, raw []byte) string {
	var v any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&v))
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
