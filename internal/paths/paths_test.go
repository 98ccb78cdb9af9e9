package paths

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// inDir makes files, links (NAME -> TARGET), directories (NAME/) and named pipes
// (NAME|) in a directory of its own and goes there.
func inDir(t *testing.T, names ...string) {
	t.Chdir(t.TempDir())
	for _, name := range names {
		link, target, isLink := strings.Cut(name, " -> ")
		require.NoError(t, os.MkdirAll(filepath.Dir(strings.TrimSuffix(link, "/")), 0o755))
		switch {
		case isLink:
			require.NoError(t, os.Symlink(target, link))
		case strings.HasSuffix(name, "/"):
			require.NoError(t, os.MkdirAll(name, 0o755))
		case strings.HasSuffix(name, "|"):
			require.NoError(t, syscall.Mkfifo(strings.TrimSuffix(name, "|"), 0o600))
		default:
			require.NoError(t, os.WriteFile(name, []byte(name), 0o600))
		}
	}
}

var kinds = map[Kind]string{File: "", Stdin: "stdin", Stream: "stream", Member: "member of", Directory: "dir", Repeated: "again",
	Skipped: "skipped", Missing: "missing", Unreadable: "unreadable"}

// expand gives the files, and what else is not just a directory.
func expand(t *testing.T, names ...string) (list []string) {
	require.NoError(t, Expand(names, func(e *Entry) error {
		if e.Kind == Directory && e.Reason == "" {
			return nil
		}
		said := strings.TrimSpace(kinds[e.Kind] + " " + e.Path)
		if e.Member != "" {
			said += ": " + e.Member
		}
		if e.Reason != "" {
			said += ": " + e.Reason
		}
		list = append(list, said)
		return nil
	}))
	return list
}

func TestExpand(t *testing.T) {
	tree := []string{"a/x.log", "a/b/y.log", "a/b/c/z.log", "a/b/note.txt", "e/", "s p/n\nl.log", "bang!.log", "\xff\xfe.log", "[1].log", "1.log", "*", "{q}", `back\slash.log`}
	for _, tc := range []struct {
		names string // apart by |
		want  []string
	}{
		{"a/x.log", []string{"a/x.log"}},
		{"a", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log", "a/x.log"}},
		{"./a/b/", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log"}},
		{"a/../a/b/c/.", []string{"a/b/c/z.log"}},
		{"a/b/..", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log", "a/x.log"}},
		{"e", nil},
		{"-", []string{"stdin -"}},

		{"a/*.log", []string{"a/x.log"}},
		{"a/*", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log", "a/x.log"}},
		{"a/**", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log", "a/x.log"}},
		{"a/**/*.log", []string{"a/b/c/z.log", "a/b/y.log", "a/x.log"}},
		{"**/b/**/*.log", []string{"a/b/c/z.log", "a/b/y.log"}},
		{"**/b/*", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log"}},
		{"**/**/z.log", []string{"a/b/c/z.log"}},
		{"a/*/y.log", []string{"a/b/y.log"}},
		{"a/b/c/../*.log", []string{"a/b/y.log"}},
		{"a/?.log", []string{"a/x.log"}},
		{"a/[w-y].log", []string{"a/x.log"}},
		{"a/[!x].log", []string{"missing a/[!x].log: " + NoMatch}},
		{"{a,e}/*.log", []string{"a/x.log"}},
		{"{a/b,e}/*.log", []string{"a/b/y.log"}},
		{"{a/{b/y,x},e/?}.{log,txt}", []string{"a/b/y.log", "a/x.log"}},
		{"{e,a/**}/z.log", []string{"a/b/c/z.log"}},
		{"a/*/", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log"}}, // directories only
		{"a/**/", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log", "a/x.log"}},
		{"a/x*/", []string{"missing a/x*/: " + NoMatch}},
		{"no*", []string{"missing no*: " + NoMatch}},
		{"no/*.log", []string{"missing no/*.log: " + NoMatch}},
		{"a/x.log/*", []string{"missing a/x.log/*: " + NoMatch}},
		{"a[", []string{"unreadable a[: no such file, and not a valid pattern either"}},
		{strings.Repeat("{a/,b/,c/}", 20), []string{"unreadable " + strings.Repeat("{a/,b/,c/}", 20) + ": no such file, and not a valid pattern either"}},

		{"[1].log", []string{"[1].log"}}, // what has the name comes before what matches
		{"*", []string{"*"}},
		{"{q}", []string{"{q}"}},
		{`back\slash.log`, []string{`back\slash.log`}},
		{`\[1\].l*`, []string{"[1].log"}},
		{`\[1\].lo[g]`, []string{"[1].log"}},
		{"[12].log", []string{"1.log"}},
		{"s */*", []string{"s p/n\nl.log"}},
		{"\xff*.log", []string{"\xff\xfe.log"}},
		{"bang!.log", []string{"bang!.log"}},
		{"bang!*", []string{"bang!.log"}},

		{"no.log", []string{"missing no.log: no such file or directory"}},
		{"", []string{"missing: no such file or directory"}},
		{"a/x.log/", []string{"unreadable a/x.log/: not a directory"}},
		{"a/x.log!member/y", []string{"member of a/x.log: member/y"}},
		{"a/x.log!", []string{"missing a/x.log!: no such file or directory"}},
		{"a!b", []string{"missing a!b: no such file or directory"}},
		{"a/x.log!m|a/x.log", []string{"member of a/x.log: m", "a/x.log"}},

		{"a/b|a", []string{"a/b/c/z.log", "a/b/note.txt", "a/b/y.log", "again a/b", "a/x.log"}},
		{"a/x.log|a/x.log", []string{"a/x.log", "a/x.log"}}, // the same file: who reads it knows
		{"a/**/*.log|a/b/*.log", []string{"a/b/c/z.log", "a/b/y.log", "a/x.log", "a/b/y.log"}},
	} {
		t.Run(tc.names, func(t *testing.T) {
			inDir(t, tree...)
			require.Equal(t, tc.want, expand(t, strings.Split(tc.names, "|")...))
		})
	}
}

func TestAbsolute(t *testing.T) {
	inDir(t, "a/x.log", "a/b/y.log")
	dir, err := os.Getwd()
	require.NoError(t, err)
	for _, pattern := range []string{dir + "/a/**/*.log", dir + "/*/*.log", "{" + dir + "/a/b,nothing/x}/*", filepath.Join(dir, "a")} {
		list := expand(t, pattern)
		require.NotEmpty(t, list)
		for _, path := range list {
			require.True(t, strings.HasPrefix(path, dir+"/a/"), path)
		}
	}
	t.Chdir("a/b")
	require.Equal(t, []string{"../x.log"}, expand(t, "../x*"))
}

func TestLinks(t *testing.T) {
	inDir(t, "d/real.log", "other/x.log", "d/again.log -> real.log", "d/loop -> .", "d/up -> ..", "d/self -> self", "d/gone -> nowhere", "d/other -> ../other")
	require.Equal(t, []string{"d/again.log", "skipped d/gone: symbolic link to a file that does not exist", "again d/loop", "d/other/x.log",
		"d/real.log", "skipped d/self: symbolic link that leads to itself", "again d/up/d", "again d/up/other"}, expand(t, "d"))
	require.Equal(t, []string{"missing d/gone: symbolic link to a file that does not exist", "unreadable d/self: symbolic link that leads to itself"},
		expand(t, "d/gone", "d/self"))
	require.Equal(t, []string{"d/other/x.log"}, expand(t, "d/**/x.log"))
	require.Equal(t, []string{"skipped d/gone: symbolic link to a file that does not exist"}, expand(t, "d/g*"))
	links := map[string]bool{}
	require.NoError(t, Expand([]string{"d"}, func(e *Entry) error { links[e.Path] = e.Link; return nil }))
	require.True(t, links["d/again.log"])
	require.False(t, links["d/real.log"])
}

// However links lead back or cross each other, each directory is listed once for
// each part of a pattern.
func TestCrossingLinks(t *testing.T) {
	const many = 12
	names := []string{"a/x.log", "a/l1 -> .", "a/l2 -> .", "a/l3 -> ../a/l1"}
	for i := range many {
		names = append(names, fmt.Sprintf("c/%02d/x.log", i))
		for k := range many {
			names = append(names, fmt.Sprintf("c/%02d/to%02d -> ../%02d", i, k, k))
		}
	}
	inDir(t, names...)
	for path, want := range map[string]int{"a": 1, "a/**": 1, "a/**/*.log": 1, "a/**/**/*.log": 1, "a/*/*/*/*.log": 1, "a/*/*/x.log": 1,
		"c": many, "c/**/x.log": many, "c/**/**/*.l*": many, "c/*/*/x.log": many, "c/*/to*/to*/to*/to*/to*/to*/*.log": many} {
		list, listed := expand(t, path), 0
		require.NoError(t, Expand([]string{path}, func(e *Entry) error {
			if e.Kind == Directory {
				listed++
			}
			return nil
		}))
		files := map[ID]bool{}
		for _, name := range list {
			if info, err := os.Stat(name); err == nil {
				id, _ := IDOf(info)
				files[id] = true
			}
		}
		require.Len(t, files, want, path)
		require.LessOrEqual(t, listed, (want+1)*(strings.Count(path, "/")+1), path)
	}
}

func TestSpecialFiles(t *testing.T) {
	inDir(t, "d/a.log", "d/fifo|", "d/link -> fifo")
	ln, err := net.Listen("unix", "d/sock")
	require.NoError(t, err)
	defer ln.Close()
	skipped := []string{"skipped d/fifo: a named pipe", "skipped d/link: a named pipe", "skipped d/sock: a socket"}
	require.Equal(t, append([]string{"d/a.log"}, skipped...), expand(t, "d"))
	require.Equal(t, skipped[:1], expand(t, "d/f*"))
	require.Equal(t, []string{"stream d/fifo", "stream /dev/null", "unreadable d/sock: it is a socket, not a file"}, expand(t, "d/fifo", "/dev/null", "d/sock"))
	require.Equal(t, []string{"skipped /dev/null: a device"}, expand(t, "/dev/nul[l]"))
}

func TestNotAllowed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	inDir(t, "d/a.log", "d/shut/x.log", "d/dark/x.log")
	require.NoError(t, os.Chmod("d/shut", 0o600))
	require.NoError(t, os.Chmod("d/dark", 0o100))
	defer os.Chmod("d/shut", 0o700)
	defer os.Chmod("d/dark", 0o700)
	require.Equal(t, []string{"d/a.log", "dir d/dark: the directory cannot be listed: permission denied", "unreadable d/shut/x.log: permission denied"},
		expand(t, "d"))
	require.Equal(t, []string{"d/dark/x.log"}, expand(t, "d/dar[k]/x.log"), "it need not be listed for that")
	require.Equal(t, []string{"unreadable d/shut/x.log: permission denied"}, expand(t, "d/shu[t]/x.log"))
}

func TestManyFiles(t *testing.T) {
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("d/%05d.log", i))
	}
	inDir(t, names...)
	require.Equal(t, names, expand(t, "d"))
	require.Equal(t, names, expand(t, "d/*.log"))
	require.Equal(t, names, expand(t, "**/*.log"))
}

func TestVisitEnds(t *testing.T) {
	inDir(t, "d/a.log", "d/b.log")
	enough := errors.New("enough")
	for _, path := range []string{"d", "d/*", "**", "d/a.log", "nothing", "no*", "{d/x,d/a}.log"} {
		visited := 0
		err := Expand([]string{path, "d"}, func(*Entry) error { visited++; return enough })
		require.ErrorIs(t, err, enough)
		require.Equal(t, 1, visited, path)
	}
}

func TestLeads(t *testing.T) {
	inDir(t, "d/a.log", "d/sub -> ../other", "other/b.log", "c.log -> d/a.log")
	a, err := os.Stat("d/a.log")
	require.NoError(t, err)
	b, err := os.Stat("other/b.log")
	require.NoError(t, err)
	for _, path := range []string{"d", "d/a.log", "d/*", "**/a*", "c.log", "./d/../d", "*.log"} {
		require.True(t, Leads(path, a), path)
	}
	for _, path := range []string{"d", "d/**/b.log", "d/sub", "d/sub/*"} {
		require.True(t, Leads(path, b), path)
	}
	for _, path := range []string{"other", "nothing", "-", "d/b*", "a["} {
		require.False(t, Leads(path, a), path)
	}
}
