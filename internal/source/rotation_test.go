package source

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files of a rotation come oldest first, where the log would stand.
func TestFamiliesInOrder(t *testing.T) {
	want := []string{
		"d/0.log.20260228-235959.gz", "d/0.log.20260301-080000", "d/0.log",
		"d/1.log.1", "d/1.log",
		"d/abc-json.log.2.gz", "d/abc-json.log.1", "d/abc-json.log",
		"d/api-metadata.log",
		"d/api.log.10.gz", "d/api.log.9.gz", "d/api.log.2.gz", "d/api.log.1", "d/api.log",
		"d/api.log.d/x.log",
		"d/dated.log-20251231.gz", "d/dated.log-20260101.gz", "d/dated.log-20260102", "d/dated.log",
		"d/gone.log.2", "d/gone.log.1.gz", "d/gone.log.1",
		"d/once.log.gz", "d/once.log",
		"d/run.1/a", "d/run.2/a",
		"d/timed.log.2026-02-28", "d/timed.log.2026-03-01", "d/timed.log",
	}
	t.Chdir(t.TempDir())
	for _, i := range rand.New(rand.NewPCG(1, 0)).Perm(len(want)) {
		require.NoError(t, os.MkdirAll(filepath.Dir(want[i]), 0o755))
		require.NoError(t, os.WriteFile(want[i], nil, 0o644))
	}
	for _, path := range []string{"d", "d/*", "d/**", "./d/**/*", "{nothing,d}/*"} {
		list, report := read(t, Options{}, path)
		require.Equal(t, want, names(list), path)
		require.Equal(t, &Report{Files: len(want)}, report, path)
	}

	var continued []string
	_, err := Walk(context.Background(), []string{"d"}, Options{}, func(m *Member) error {
		if m.Continues {
			continued = append(continued, m.Name)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"d/0.log.20260301-080000", "d/0.log", "d/1.log", "d/abc-json.log.1", "d/abc-json.log", "d/api.log.9.gz", "d/api.log.1", "d/api.log",
		"d/dated.log-20260101.gz", "d/dated.log-20260102", "d/dated.log", "d/gone.log.1.gz", "d/timed.log.2026-03-01", "d/timed.log"}, continued)
	_, err = Walk(context.Background(), []string{"d/api.log", "d/api.log.1", "d/dated.log"}, Options{}, func(m *Member) error {
		require.False(t, m.Continues, "the newer one comes first, or it is another log")
		return nil
	})
	require.NoError(t, err)

	t.Run("a pattern that matches some", func(t *testing.T) {
		list, _ := read(t, Options{}, "d/*.log*[0-9]")
		require.Equal(t, []string{"d/0.log.20260301-080000", "d/1.log.1", "d/abc-json.log.1", "d/api.log.1", "d/dated.log-20260102",
			"d/gone.log.2", "d/gone.log.1", "d/timed.log.2026-02-28", "d/timed.log.2026-03-01"}, names(list))
	})
	t.Run("paths and archives in their own order", func(t *testing.T) {
		list, _ := read(t, Options{}, "d/api.log", "d/api.log.1")
		require.Equal(t, []string{"d/api.log", "d/api.log.1"}, names(list))
		for _, data := range []string{tarred("a.log", "", "a.log.1", "", "a.log.2", ""), zipOf("a.log", "", "a.log.1", "", "a.log.2", "")} {
			list, _ := readBytes(t, Options{}, []byte(data))
			require.Equal(t, []string{"-!a.log", "-!a.log.1", "-!a.log.2"}, names(list))
		}
	})
	t.Run("names beside the directory itself", func(t *testing.T) {
		inDir(t, map[string]string{"d/-x": "1", "d/!": "2", "d/y": "3"})
		list, report := read(t, Options{}, "d/**")
		require.Equal(t, []got{{"d/!", "2"}, {"d/-x", "1"}, {"d/y", "3"}}, list)
		require.Zero(t, report.SameFile)
	})
}
