package export

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
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

// Whatever becomes of the file, what was written since the last Sync stands in
// the file of that name when Sync returns, and somebody is told.
func TestAppendNoticesWhatBecomesOfTheFile(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(path string) error
		says string
		left string // of what was on the disk before
	}{
		"deleted":   {os.Remove, "was deleted or renamed", ""},
		"renamed":   {func(path string) error { return os.Rename(path, path+".1") }, "was deleted or renamed", ""},
		"truncated": {func(path string) error { return os.Truncate(path, 0) }, "was truncated", ""},
		"cut in the middle": {func(path string) error { return os.Truncate(path, int64(len("{\"trace_id\":1}\n{\"trace"))) },
			"was truncated", "{\"trace_id\":1}\n"},
		"replaced": {func(path string) error {
			if err := os.WriteFile(path+".new", []byte("another\n"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, "was replaced by another file", "another\n"},
		"in a directory that is another": {func(path string) error {
			dir := filepath.Dir(path)
			if err := os.Rename(dir, dir+".old"); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o700)
		}, "was deleted or renamed", ""},
	} {
		for _, between := range []string{"before a write", "before a sync", "while it is synced"} {
			t.Run(name+" "+between, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "out")
				require.NoError(t, os.Mkdir(dir, 0o700))
				path := filepath.Join(dir, "traces.jsonl")
				a, err := Append(path, nil)
				require.NoError(t, err)
				var said []string
				a.Warn = func(text string) { said = append(said, text) }
				require.NoError(t, a.Write([]byte("{\"trace_id\":1}\n")))
				require.NoError(t, a.Sync())
				require.Zero(t, a.Unsynced())
				require.NoError(t, a.Write([]byte("{\"trace_id\":2}\n")))
				want := c.left + "{\"trace_id\":2}\n"
				switch between {
				case "before a write":
					require.NoError(t, c.do(path))
					require.NoError(t, a.Write([]byte("{\"trace_id\":3}\n")))
					want += "{\"trace_id\":3}\n"
					require.NoError(t, a.Sync())
				case "before a sync":
					require.NoError(t, c.do(path))
					require.NoError(t, a.Sync())
				default:
					syncs := 0
					require.NoError(t, a.ensure(func() error {
						if syncs++; syncs == 1 {
							require.NoError(t, c.do(path))
						}
						return a.file.Sync()
					}))
					require.Equal(t, 2, syncs)
				}
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, want, string(text))
				require.Len(t, said, 1)
				require.Contains(t, said[0], path+" "+c.says)
				require.NoError(t, a.Write([]byte("{\"trace_id\":4}\n")))
				require.NoError(t, a.Sync())
				require.NoError(t, a.Close())
				text, err = os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, want+"{\"trace_id\":4}\n", string(text))
			})
		}
	}
}

// Where it cannot be written again, nothing counts as written, until it can.
func TestAppendWaitsForItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "traces.jsonl")
	a, err := Append(path, nil)
	require.NoError(t, err)
	require.NoError(t, a.Write([]byte("one\n")))
	require.NoError(t, os.RemoveAll(dir))
	for range 2 {
		require.ErrorContains(t, a.Sync(), "cannot write "+path+": no such file or directory")
		require.Error(t, a.Write([]byte("two\n")))
	}
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Mkdir(path, 0o700))
	require.ErrorContains(t, a.Sync(), "cannot write "+path)
	require.NoError(t, os.Remove(path))
	require.NoError(t, a.Write([]byte("two\n")))
	require.NoError(t, a.Sync())
	require.NoError(t, a.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(text))
}

// Another process may append to the same file: nothing of it is taken for ours.
func TestAppendBesideAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traces.jsonl")
	a, err := Append(path, nil)
	require.NoError(t, err)
	b, err := Append(path, nil)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, a.Write([]byte("a\n")))
		require.NoError(t, b.Write([]byte("b\n")))
		require.NoError(t, a.Sync())
		require.NoError(t, b.Sync())
	}
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a\nb\na\nb\n", string(text))
}

// A quarantine file that is deleted is written again with the next span.
func TestQuarantineIsWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quarantine.jsonl")
	var said []string
	q := Quarantine{Path: path, Warn: func(text string) { said = append(said, text) }}
	add := func(id uint64) {
		node := trace.Node{Span: trace.Span{ID: trace.ID{Lo: id}}, Parent: -1}
		require.NoError(t, q.Add(&node, nil, "a test", 0, ""))
	}
	add(1)
	require.NoError(t, os.Remove(path))
	add(2)
	add(3)
	require.NoError(t, q.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(text), "\n"))
	require.Len(t, said, 1)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
}
