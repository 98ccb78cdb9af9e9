package follow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

// Links that lead back and cross each other, under a pattern and a directory.
func TestLinkLoops(t *testing.T) {
	for _, path := range []string{"a", "a/**/*.log", "**/x.log", "a/*"} {
		b := newBench(t, Options{Paths: []string{path}, FromStart: true})
		require.NoError(t, os.MkdirAll(b.path("a/b"), 0o755))
		for link, target := range map[string]string{"a/l1": ".", "a/l2": ".", "a/b/up": "..", "a/b/l3": "../l1"} {
			require.NoError(t, os.Symlink(target, b.path(link)))
		}
		b.write("a/x.log", "one\n")
		b.open()
		b.step(time.Second)
		b.want("one")
		b.write("a/x.log", "two\n")
		b.rename("a/x.log", "a/x.log.1")
		b.write("a/x.log", "three\n")
		b.step(scanEvery)
		b.want("one", "two", "three")
		require.NotContains(t, b.logs.String(), "level=WARN")
	}
}

// Names are bytes.
func TestOddNames(t *testing.T) {
	for _, path := range []string{"d", "d/?*", "**/*.log", "d/?*/*.log"} {
		b := newBench(t, Options{Paths: []string{path}, FromStart: true})
		names := []string{"with space", "new\nline", "bang!x", "\xff\xfe", "[1]", "*", "{a,b}", `back\slash`, "-", "tab\t"}
		for _, name := range names {
			require.NoError(t, os.MkdirAll(b.path("d/"+name), 0o755))
			b.write("d/"+name+"/"+name+".log", name[:1]+"\n")
		}
		b.open()
		b.step(time.Second)
		require.Len(t, b.out.all(), len(names), "%s\n%s", path, b.logs.String())
		for _, name := range names {
			b.write("d/"+name+"/"+name+".log", "more\n")
		}
		b.step(time.Second)
		require.Len(t, b.out.all(), 2*len(names), path)
	}
	for name := range map[string]bool{"[1].log": true, "*": true, "a!b.log": true, "\xff.log": true} {
		b := newBench(t, Options{Paths: []string{name}, FromStart: true})
		b.open()
		b.write("1.log", "another\n")
		if name == "*" {
			require.NoError(t, os.Remove(b.path("1.log")))
		}
		b.write(name, "one\n")
		b.step(scanEvery)
		b.want("one")
	}
}

// What replay names as skipped or unreadable, tail names once, and goes on.
func TestWhatIsNotFollowedIsSaidOnce(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"d", "no*", "gone.log", "a["}, FromStart: true})
	require.NoError(t, os.Mkdir(b.path("d"), 0o755))
	require.NoError(t, syscall.Mkfifo(b.path("d/fifo"), 0o600))
	require.NoError(t, os.Symlink("nowhere", b.path("d/dangling")))
	require.NoError(t, os.Symlink("self", b.path("d/self")))
	b.write("d/x.log", "one\n")
	b.write("d/binary", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 100))
	b.open()
	for range 5 {
		b.step(scanEvery)
	}
	b.want("one")
	log := b.logs.String()
	for path, reason := range map[string]string{
		"d/fifo": "a named pipe", "d/dangling": "symbolic link to a file that does not exist", "d/self": "symbolic link that leads to itself",
		"no*": paths.NoMatch, "gone.log": "no such file or directory", "a[": "not a valid pattern", "d/binary": "ELF",
	} {
		said := ""
		for line := range strings.Lines(log) {
			if strings.Contains(line, "path="+filepath.Join(b.dir, path)) || strings.Contains(line, fmt.Sprintf("path=%q", b.path(path))) {
				said += line
			}
		}
		require.Equal(t, 1, strings.Count(said, reason), "%s\n%s", path, log)
	}

	// It becomes something to follow.
	b.write("gone.log", "two\n")
	b.write("note", "three\n")
	require.NoError(t, os.Remove(b.path("d/fifo")))
	b.write("d/fifo", "four\n")
	b.write("d/nowhere", "five\n")
	b.step(scanEvery)
	require.ElementsMatch(t, []string{"one", "two", "three", "four", "five"}, b.out.all(), b.logs.String())
	require.Contains(t, b.logs.String(), "can be followed now")
}

// A path that can never be followed is refused at the start, in the words of replay.
func TestNeverFollowed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/a.tar", []byte("x"), 0o600))
	require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o600))
	for path, says := range map[string]string{
		dir + "/a.tar!x.log": "a.tar!x.log cannot be followed: it is a part of the archive " + dir + "/a.tar",
		dir + "/fifo":        "fifo is a named pipe and cannot be followed",
		"/dev/null":          "/dev/null is a device and cannot be followed",
	} {
		_, err := Open(Options{Paths: []string{path}})
		require.ErrorContains(t, err, says)
	}
}

// What this process writes is not followed, whatever link leads to it.
func TestOwnFileThroughALink(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"d/**/*.log"}, FromStart: true})
	require.NoError(t, os.Mkdir(b.path("d"), 0o755))
	require.NoError(t, os.Mkdir(b.path("own"), 0o755))
	require.NoError(t, os.Symlink("../own", b.path("d/link")))
	b.opt.Exclude = []string{b.path("own/out.log")}
	b.write("own/out.log", "mine\n")
	b.write("own/x.log", "one\n")
	b.open()
	b.step(time.Second)
	b.want("one")
}
