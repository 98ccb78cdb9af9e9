package export

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a crash tears is mended before anything is appended.
func TestAppendMends(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct{ before, after string }{
		"nothing":              {"", "new\n"},
		"whole lines":          {"{\"trace_id\":1}\n", "{\"trace_id\":1}\nnew\n"},
		"a torn document":      {"{\"trace_id\":1}\n{\"trace_id\":\"00", "{\"trace_id\":1}\nnew\n"},
		"the first byte of it": {"{\"trace_id\":1}\n{", "{\"trace_id\":1}\nnew\n"},
		"a long one":           {"whole\n{\"trace_id\":\"" + long, "whole\nnew\n"},
		"nothing else":         {"{\"trace_id\":\"" + long, "new\n"},
		"what is not ours":     {"whole\nnotes", "whole\nnotes\nnew\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "traces.jsonl")
			if c.before != "" {
				require.NoError(t, os.WriteFile(path, []byte(c.before), 0o600))
			}
			a, err := Append(path, nil)
			require.NoError(t, err)
			require.NoError(t, a.Write([]byte("new\n")))
			require.NoError(t, a.Sync())
			require.NoError(t, a.Close())
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.after, string(text))
		})
	}
}

func TestAppendFails(t *testing.T) {
	_, err := Append(filepath.Join(t.TempDir(), "none", "traces.jsonl"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "cannot write ")

	var out strings.Builder
	a, err := Append("-", &out)
	require.NoError(t, err)
	require.NoError(t, a.Write([]byte("new\n")))
	require.NoError(t, a.Sync())
	require.NoError(t, a.Close())
	require.Equal(t, "new\n", out.String())

	full, err := Append("/dev/full", nil)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no /dev/full here")
	}
	require.NoError(t, err)
	require.ErrorContains(t, full.Write([]byte("new\n")), "cannot write /dev/full: no space left on device")
}
