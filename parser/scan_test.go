package parser

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
)

func TestDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[0-9]{0,24}`).Draw(t, "digits")
		behind := rapid.StringMatching(`([^0-9].{0,12})?`).Draw(t, "behind")
		n, size := decimal([]byte(digits + behind))
		require.Equal(t, len(digits), size)
		if size > 0 && size < 20 {
			want, err := strconv.ParseUint(digits, 10, 64)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
	})
}

// What a note shares with the one before is not read again: it must be the same to
// its end.
func TestEndpoints(t *testing.T) {
	note := func(port string) string {
		return "Note(time=1, value=2, service_name='s', address=u'\\xe9', port=" + port + ", duration=0)"
	}
	text := "Span(trace_id=1, parent_id=None, id=2, name='n', notes=[" + note("80") + ", " + note("80") + ", " + note("8080") + ", " + note("8080") + ", " +
		note("80") + "], dimensions=[Tag(key='k', value=1, service_name='s', address=u'\\xe9', port=80), Tag(key='k', value=1, service_name='t', address=None, port=8)])"
	s := newScanner()
	end, ok := s.scan([]byte(text), Options{})
	span := s.span
	require.True(t, ok)
	require.Equal(t, len(text), end)
	var ports []string
	for _, n := range span.Notes {
		ports = append(ports, n.Port.Text)
		require.Equal(t, []trace.Text{trace.NewText("s"), trace.NewText("é")}, []trace.Text{n.Service, n.Address})
	}
	require.Equal(t, []string{"80", "80", "8080", "8080", "80"}, ports)
	require.Equal(t, []string{"80", "8"}, []string{span.Dimensions[0].Port.Text, span.Dimensions[1].Port.Text})
	require.Equal(t, trace.NewText("t"), span.Dimensions[1].Service)
	require.Equal(t, trace.Text{}, span.Dimensions[1].Address)
}
