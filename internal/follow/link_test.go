package follow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSymlinkRepointed(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"current"}, FromStart: true})
	b.write("a.log", "one\n")
	require.NoError(t, os.Symlink("a.log", b.path("current")))
	b.open()
	b.step(time.Second)
	b.write("b.log", "two\n")
	require.NoError(t, os.Remove(b.path("current")))
	require.NoError(t, os.Symlink("b.log", b.path("current")))
	b.write("a.log", "late\n")
	b.step(3 * time.Second)
	b.want("one", "late", "two")
}

// What is read of the log that a link led to, when the link became another while
// nothing followed it.
func TestSymlinkRepointedWhileDown(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(b *bench)
		want      []string
		says      string
	}{
		"written to":              {func(b *bench) {}, []string{"one", "two", "new"}, ""},
		"renamed":                 {func(b *bench) { b.rename("old/a.log", "old/a.log.1") }, []string{"one", "two", "new"}, ""},
		"renamed and written to":  {func(b *bench) { b.rename("old/a.log", "old/a.log.1"); b.write("old/a.log", "three\n") }, []string{"one", "two", "three", "new"}, ""},
		"copied and written to":   {func(b *bench) { b.copytruncate("old/a.log", "old/a.log.1"); b.write("old/a.log", "three\n") }, []string{"one", "two", "three", "new"}, ""},
		"gone":                    {func(b *bench) { require.NoError(b.t, os.Remove(b.path("old/a.log"))) }, []string{"one", "new"}, "not found again"},
		"gone with its directory": {func(b *bench) { require.NoError(b.t, os.RemoveAll(b.path("old"))) }, []string{"one", "new"}, "not found again"},
	} {
		for _, link := range []string{"current", "links/current", "*/current"} {
			if name != "written to" && name != "renamed and written to" && link != "current" {
				continue // the others show how links are found
			}
			t.Run(name+" "+link, func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
				b.opt.Paths = []string{b.path(link)}
				if link = strings.Replace(link, "*", "links", 1); link == "links/current" {
					require.NoError(t, os.Mkdir(b.path("links"), 0o755))
				}
				if name == "written to" && link == "links/current" {
					b.opt.Paths = []string{b.path("links")}
				}
				require.NoError(t, os.Mkdir(b.path("old"), 0o755))
				b.write("old/a.log", "one\n")
				require.NoError(t, os.Symlink(b.path("old/a.log"), b.path(link)))
				b.open()
				b.step(time.Second)
				require.NoError(t, b.f.Close())
				b.write("old/a.log", "two\n")
				c.meanwhile(b)
				b.write("b.log", "new\n")
				require.NoError(t, os.Remove(b.path(link)))
				require.NoError(t, os.Symlink(b.path("b.log"), b.path(link)))
				b.open()
				b.step(time.Second)
				require.ElementsMatch(t, c.want, b.out.all(), "%s", b.logs.String())
				b.step(searching)
				require.Equal(t, c.says != "", strings.Contains(b.logs.String(), "level=WARN"), b.logs.String())
				require.Contains(t, b.logs.String(), c.says)
				require.NoError(t, b.f.Close())

				// It was read to its end: what comes into it now is another's.
				b.open()
				b.write("b.log", "newer\n")
				_ = os.Mkdir(b.path("old"), 0o755)
				b.write("old/a.log.2", "foreign\n")
				b.step(scanEvery)
				require.ElementsMatch(t, append(c.want, "newer"), b.out.all())
			})
		}
	}
}

// A path that is no longer named is not followed by way of the checkpoint.
func TestPathNoLongerNamed(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"a.log", "b.log"}, FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("a.log", "one\n")
	b.open()
	b.step(time.Second)
	require.NoError(t, b.f.Close())
	b.write("a.log", "two\n")
	b.opt.Paths = b.opt.Paths[1:]
	b.open()
	b.step(scanEvery)
	b.step(searching)
	b.want("one")
	require.Contains(t, b.logs.String(), "no longer followed, no path leads to it: "+b.path("a.log"))
	require.Zero(t, b.f.Stats().Lost)
}

func TestSymlinkIntoAnotherDirectory(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"links"}, FromStart: true})
	require.NoError(t, os.MkdirAll(b.path("links"), 0o755))
	require.NoError(t, os.MkdirAll(b.path("data"), 0o755))
	b.write("data/x.log", "one\n")
	require.NoError(t, os.Symlink("../data/x.log", b.path("links/pod.log")))
	b.open()
	b.step(time.Second)
	b.write("data/x.log", "two\n")
	b.copytruncate("data/x.log", "data/x.log.1")
	b.write("data/x.log", "three\n")
	b.step(time.Second)
	b.want("one", "two", "three")
	b.rename("data/x.log.1", "data/x.log.2")
	b.rename("data/x.log", "data/x.log.1")
	b.write("data/x.log", "four\n")
	b.step(3 * time.Second)
	b.want("one", "two", "three", "four")
}

// A log that got the name of another one while nothing followed it, or before, is
// not read again.
func TestRenamedToAnotherLog(t *testing.T) {
	for _, when := range []string{"while up", "while down"} {
		b := newBench(t, Options{FromStart: true, Checkpoint: t.TempDir() + "/c"})
		b.write("x.log", "one\n")
		b.open()
		b.step(time.Second)
		if when == "while up" {
			b.rename("x.log", "y.log")
			b.step(scanEvery)
		}
		require.NoError(t, b.f.Close())
		if when == "while down" {
			b.rename("x.log", "y.log")
		}
		b.write("y.log", "two\n")
		b.write("x.log", "three\n")
		b.open()
		b.step(time.Second)
		require.ElementsMatch(t, []string{"one", "two", "three"}, b.out.all(), when)
		b.step(time.Hour)
		require.NotContains(t, b.logs.String(), "level=WARN")
	}
}

// A pattern matches the log, and not what it was rotated to; a new log is still to
// come.
func TestRotatedOutOfAPatternWhileDown(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"*.log"}, FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	require.NoError(t, b.f.Close())
	b.write("x.log", "two\n")
	b.rename("x.log", "x.log.1")
	b.open()
	b.step(time.Second)
	b.want("one", "two")
	b.step(searching)
	b.write("x.log", "three\n")
	b.step(scanEvery)
	b.want("one", "two", "three")
	require.NotContains(t, b.logs.String(), "level=WARN")
}
