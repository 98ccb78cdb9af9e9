package export

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/internal/screentest"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

func TestJSON(t *testing.T) {
	traces := sampletest.Traces(t, "basic-a8d619c")
	var out strings.Builder
	require.NoError(t, JSON(&out, rendered(sampletest.Each(traces...)), false))
	want := string(tracejson.Append(nil, &traces[0])) + "\n" + string(tracejson.Append(nil, &traces[1])) + "\n"
	require.Equal(t, want, out.String())

	_, w := io.Pipe()
	require.NoError(t, w.Close())
	require.ErrorIs(t, JSON(w, rendered(sampletest.Each(traces...)), false), io.ErrClosedPipe)
}

func TestJSONOnATerminalIsHarmlessAndTheSame(t *testing.T) {
	traces := sampletest.OddTraces()[6:7]
	traces[0].Spans[0].Name.String += "\u202e\u009b\x7f\U000e0041"
	var raw, safe strings.Builder
	require.NoError(t, JSON(&raw, rendered(sampletest.Each(traces...)), false))
	require.NoError(t, JSON(&safe, rendered(sampletest.Each(traces...)), true))
	screentest.Harmless(t, strings.TrimSuffix(safe.String(), "\n"))
	require.JSONEq(t, raw.String(), safe.String())
	require.Contains(t, safe.String(), `\u202e\u009b\u007f\udb40\udc41`)
}
