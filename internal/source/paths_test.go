package source

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

func names(list []got) (names []string) {
	for _, g := range list {
		names = append(names, g.name)
	}
	return names
}

func TestPaths(t *testing.T) {
	files := map[string]string{
		"logs/nova/api.log": "1", "logs/nova/api.log.1": "2", "logs/glance.log": "3", "logs/.hidden": "4",
		"a[1].log": "5", "a1.log": "6", "z/{x}.log": "7", "*": "8",
	}
	for _, tc := range []struct {
		paths  []string
		want   []string
		same   int
		unread []Unreadable
	}{
		{paths: []string{"logs"}, want: []string{"logs/.hidden", "logs/glance.log", "logs/nova/api.log.1", "logs/nova/api.log"}},
		{paths: []string{"./logs/nova/"}, want: []string{"logs/nova/api.log.1", "logs/nova/api.log"}},
		{paths: []string{"z", "./a1.log"}, want: []string{"z/{x}.log", "./a1.log"}},
		{paths: []string{"a[1].log"}, want: []string{"a[1].log"}},
		{paths: []string{"a[12].log"}, want: []string{"a1.log"}},
		{paths: []string{"*"}, want: []string{"*"}},
		{paths: []string{"logs/*"}, want: []string{"logs/.hidden", "logs/glance.log", "logs/nova/api.log.1", "logs/nova/api.log"}},
		{paths: []string{"logs/**"}, want: []string{"logs/.hidden", "logs/glance.log", "logs/nova/api.log.1", "logs/nova/api.log"}},
		{paths: []string{"**/*.log"}, want: []string{"*", "a1.log", "a[1].log", "logs/glance.log", "logs/nova/api.log", "z/{x}.log"}[1:]},
		{paths: []string{"log?/{glance,nova/api}.log"}, want: []string{"logs/glance.log", "logs/nova/api.log"}},
		{paths: []string{"a1.log", "logs/glance.log", "a1.log", "*.log"}, want: []string{"a1.log", "logs/glance.log", "a[1].log"}, same: 2},
		{paths: []string{"logs", "logs/nova", "logs/nova/api.log"}, same: 2,
			want: []string{"logs/.hidden", "logs/glance.log", "logs/nova/api.log.1", "logs/nova/api.log"}},
		{paths: []string{"nothing.log", "a1.log", "no*thing", "logs/no/**", "a[", "a1.log/x"}, want: []string{"a1.log"}, unread: []Unreadable{
			{Name: "nothing.log", Reason: "no such file or directory"},
			{Name: "no*thing", Reason: "no file matches this pattern"},
			{Name: "logs/no/**", Reason: "no file matches this pattern"},
			{Name: "a[", Reason: "no such file, and not a valid pattern either"},
			{Name: "a1.log/x", Reason: "not a directory"},
		}},
		{paths: []string{""}, unread: []Unreadable{{Reason: "no such file or directory"}}},
	} {
		t.Run(strings.Join(tc.paths, " "), func(t *testing.T) {
			inDir(t, files)
			list, report := read(t, Options{}, tc.paths...)
			require.Equal(t, tc.want, names(list))
			for _, g := range list {
				require.Equal(t, files[filepath.Clean(g.name)], g.body)
			}
			require.Equal(t, tc.unread, report.Unreadable)
			require.Equal(t, len(tc.want), report.Files)
			require.Equal(t, tc.same, report.SameFile)
		})
	}
	t.Run("absolute", func(t *testing.T) {
		inDir(t, files)
		dir, err := os.Getwd()
		require.NoError(t, err)
		list, _ := read(t, Options{}, filepath.Join(dir, "logs", "n*"))
		require.Equal(t, []string{filepath.Join(dir, "logs/nova/api.log.1"), filepath.Join(dir, "logs/nova/api.log")}, names(list))
	})
}

func TestLinks(t *testing.T) {
	inDir(t, map[string]string{"d/real.log": "real", "other/x.log": "x"})
	for link, target := range map[string]string{
		"d/again.log": "real.log", "d/loop": ".", "d/up": "..", "d/self": "self", "d/gone": "nowhere", "d/other": "../other",
	} {
		require.NoError(t, os.Symlink(target, link))
	}
	require.NoError(t, os.Link("d/real.log", "d/hard.log"))

	list, report := read(t, Options{}, "d")
	require.Equal(t, []got{{"d/again.log", "real"}, {"d/other/x.log", "x"}}, list)
	require.Equal(t, &Report{Files: 2, Bytes: 5, SameFile: 5, Skipped: []Skipped{
		{"d/gone", "symbolic link to a file that does not exist"},
		{"d/self", "symbolic link that leads to itself"},
	}}, report)

	_, report = read(t, Options{}, "d/gone", "d/self")
	require.Equal(t, []Unreadable{
		{Name: "d/gone", Reason: "symbolic link to a file that does not exist"},
		{Name: "d/self", Reason: "symbolic link that leads to itself"},
	}, report.Unreadable)

	// Patterns follow links, too, and their cycles end.
	list, report = read(t, Options{}, "d/**/x.log")
	require.Equal(t, []string{"d/other/x.log"}, names(list))
	require.Empty(t, report.Unreadable)
}

func TestPipesAndSockets(t *testing.T) {
	inDir(t, map[string]string{"d/a.log": "a"})
	require.NoError(t, syscall.Mkfifo("d/fifo", 0o600))
	ln, err := net.Listen("unix", "d/sock")
	require.NoError(t, err)
	defer ln.Close()

	list, report := read(t, Options{}, "d")
	require.Equal(t, []got{{"d/a.log", "a"}}, list)
	require.Equal(t, []Skipped{{"d/fifo", "a named pipe"}, {"d/sock", "a socket"}}, report.Skipped)
	require.Empty(t, report.Unreadable)

	_, report = read(t, Options{}, "d/f*", "d/sock")
	require.Equal(t, []Skipped{{"d/fifo", "a named pipe"}}, report.Skipped)
	require.Equal(t, []Unreadable{{Name: "d/sock", Reason: "it is a socket, not a file"}}, report.Unreadable)

	written := make(chan error)
	go func() { written <- os.WriteFile("d/fifo", []byte(gz("piped")), 0) }()
	list, report = read(t, Options{}, "d/fifo", "/dev/null")
	require.NoError(t, <-written)
	require.Equal(t, []got{{"d/fifo", "piped"}, {"/dev/null", ""}}, list)
	require.Equal(t, &Report{Files: 2, Bytes: 5}, report)

	// A pipe that took the place of a file after it was listed.
	w := &walker{files: map[paths.ID]bool{}}
	require.NoError(t, w.file(planned{name: "d/fifo"}))
	require.Equal(t, []Skipped{{"d/fifo", "a named pipe"}}, w.report.Skipped)
}

func TestProcessSubstitution(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	_, err = w.WriteString("from a shell")
	require.NoError(t, err)
	w.Close()
	defer r.Close()
	name := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	list, report := read(t, Options{}, name, name)
	require.Equal(t, []got{{name, "from a shell"}}, list)
	require.Equal(t, 1, report.SameFile)
}

func TestStandardInput(t *testing.T) {
	inDir(t, map[string]string{"a.log": "a"})
	f, err := os.Open("a.log")
	require.NoError(t, err)
	defer f.Close()
	list, report := read(t, Options{Stdin: f}, "-", "a.log", "-")
	require.Equal(t, []got{{"-", "a"}}, list)
	require.Equal(t, 1, report.Files)
	require.Equal(t, 2, report.SameFile)
}

func TestNotAllowed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	inDir(t, map[string]string{"d/a.log": "a", "d/shut.log": "x", "d/shut/x.log": "x"})
	require.NoError(t, os.Chmod("d/shut.log", 0))
	require.NoError(t, os.Chmod("d/shut", 0))
	defer os.Chmod("d/shut", 0o700)
	list, report := read(t, Options{}, "d", "d/**/*.log")
	require.Equal(t, []got{{"d/a.log", "a"}}, list)
	require.Equal(t, []Unreadable{
		{Name: "d/shut", Reason: "the directory cannot be listed: permission denied"},
		{Name: "d/shut.log", Reason: "permission denied"},
		{Name: "d/shut.log", Reason: "permission denied"},
	}, report.Unreadable)
}
