package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMembersByName(t *testing.T) {
	inner := tarred("a.log", "1", "dir/b.log", "2", "dir/c.log.gz", gz("3"), "dirt.log", "4")
	var links bytes.Buffer
	w := tar.NewWriter(&links)
	w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: "a.log"})
	w.WriteHeader(&tar.Header{Name: "y", Typeflag: tar.TypeSymlink, Linkname: "a.log"})
	w.Close()
	inDir(t, map[string]string{
		"s.tar.xz": xzed(tarred("in.tar", inner, "in.zip", zipOf("z.log", "5", "b[1]", "6", "core", "\x7fELF"), "core", "\x7fELF", "top.log", "7")),
		"z.zip":    zipRaw("a.log", "8", "b.log", "9", "b.log!literal", "10"),
		"cut.zip":  zipRaw("a.log", "11", "b.log", "12")[:80], "hard.log": "13", "d!r/s.tar": inner, "z.zip!literal": "14", "l.tar": links.String(),
		"z.tar": flip(tarred("a", "a", "b", "b"), 1024),
	})
	const none = "the archive has no such member"
	for _, tc := range []struct {
		paths  []string
		want   []string
		unread []Unreadable
		skip   []Skipped
	}{
		{paths: []string{"s.tar.xz!in.tar!dir/b.log"}, want: []string{"s.tar.xz!in.tar!dir/b.log"}},
		{paths: []string{"s.tar.xz!in.tar!dir"}, want: []string{"s.tar.xz!in.tar!dir/b.log", "s.tar.xz!in.tar!dir/c.log.gz"}},
		{paths: []string{"s.tar.xz!in.tar!dir/"}, want: []string{"s.tar.xz!in.tar!dir/b.log", "s.tar.xz!in.tar!dir/c.log.gz"}},
		{paths: []string{"./s.tar.xz!in.zip"}, want: []string{"./s.tar.xz!in.zip!z.log", "./s.tar.xz!in.zip!b[1]"},
			skip: []Skipped{{"./s.tar.xz!in.zip!core", "ELF file"}}},
		{paths: []string{"s.tar.xz!in.zip!b[1]", "s.tar.xz!top.log", "s.tar.xz!gone"}, want: []string{"s.tar.xz!in.zip!b[1]", "s.tar.xz!top.log"},
			unread: []Unreadable{{"s.tar.xz!gone", 0, none}}},
		{paths: []string{"s.tar.xz!dir/b.log", "s.tar.xz!in.tar!a"}, unread: []Unreadable{{"s.tar.xz!dir/b.log", 0, none}, {"s.tar.xz!in.tar!a", 0, none}}},
		{paths: []string{"z.zip!b.log", "z.zip!b.log"}, want: []string{"z.zip!b.log", "z.zip!b.log!literal"}},
		{paths: []string{"z.zip!literal", "z.zip!a.log"}, want: []string{"z.zip!literal", "z.zip!a.log"}},
		{paths: []string{"z.zip!a.log", "./z.zip"}, want: []string{"z.zip!a.log", "z.zip!b.log", "z.zip!b.log!literal"}},
		{paths: []string{"z.zip", "./z.zip!a.log"}, want: []string{"z.zip!a.log", "z.zip!b.log", "z.zip!b.log!literal"}},
		{paths: []string{"d!r/s.tar!a.log"}, want: []string{"d!r/s.tar!a.log"}},
		{paths: []string{"hard.log!x"}, unread: []Unreadable{{"hard.log!x", 0, none}}},
		{paths: []string{"l.tar!x"}, unread: []Unreadable{{"l.tar!x", 0, "it is a symbolic link to a.log, and the archive has no such member"}}},
		{paths: []string{"gone.tar!x", "z.zip!", "d!r!x"}, unread: []Unreadable{
			{"gone.tar!x", 0, "no such file or directory"}, {"z.zip!", 0, "no such file or directory"}, {"d!r!x", 0, "no such file or directory"}}},
		{paths: []string{"cut.zip!b.log"}, want: []string{"cut.zip!b.log"}, unread: []Unreadable{
			{"cut.zip", 80, "the directory at the end of the zip archive is missing or damaged; the members before it were read without it"}}},
		{paths: []string{"z.tar!b"}, unread: []Unreadable{
			{"z.tar", 1024, lastHeader}, {"z.tar!b", 0, "what could be read of the archive has no such member"}}},
	} {
		t.Run(strings.Join(tc.paths, " "), func(t *testing.T) {
			list, report := read(t, Options{}, tc.paths...)
			require.Equal(t, tc.want, names(list))
			require.Equal(t, tc.unread, report.Unreadable)
			require.Equal(t, tc.skip, report.Skipped)
		})
	}
}

// Links in an archive are followed as on disk, when what they stand for is asked
// for; each thing is read once.
func TestLinksInArchives(t *testing.T) {
	link := func(name, target string) string { return rawTar('2', name, "", at(157, target)) }
	hard := func(name, target string) string { return rawTar('1', name, "", at(157, target)) }
	file := func(name, data string) string { return rawTar('0', name, data) }
	inner := link("sym", "dir/b") + file("dir/b", "b") + tarTail
	links := link("early", "./dir/a") + rawTar('5', "dir/", "") + file("dir/a", "a") + hard("hard", "dir/a") + link("dir/rel", "../top") +
		link("dir/sub", "../other") + link("chain", "hard") + link("loop1", "loop2") + link("loop2", "loop1") + link("self", "self/x") + link("it", "it") +
		link("gone", "nowhere") + link("abs", "/etc/passwd") + link("up", "dir/../../up") + link("d", "dir") + link("dir/up", "..") +
		file("other/c", "c") + file("top", "t") + link("il.gz", "x/inner.gz") + file("x/inner.gz", gz(inner)) + hard("dir/a", "dir/a") +
		rawTar('6', "pipe", "") + rawTar('5', "empty/", "") + link("x/e", "../empty")
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for _, e := range [][2]string{{"l", "sub/a"}, {"l2", "sub"}, {"l3", "../.."}} {
		h := zip.FileHeader{Name: e[0]}
		h.SetMode(os.ModeSymlink | 0o777)
		f, err := w.CreateHeader(&h)
		require.NoError(t, err)
		io.WriteString(f, e[1])
	}
	f, err := w.Create("sub/a")
	require.NoError(t, err)
	io.WriteString(f, "za")
	require.NoError(t, w.Close())
	inDir(t, map[string]string{
		"l.tar.gz": gz(links + tarTail), "dot.tar": file("./a/b", "ab") + link("./s", "a/b") + link("./r", ".") + tarTail,
		"abs.tar": file("/v/a", "va") + link("s", "/v/a") + tarTail, "l.zip": z.String(),
		"in.tar": link("l", "d") + link("d/up", "../a") + link("d/gone", "x") + file("a", "a") + tarTail,
	})
	const (
		none = "the archive has no such member"
		loop = "symbolic link that leads to itself"
	)
	for _, tc := range []struct {
		paths   string
		want    string // name=content
		unread  []Unreadable
		skipped []Skipped // if not nil
	}{
		{paths: "l.tar.gz!early", want: "l.tar.gz!early=a"},
		{paths: "l.tar.gz!hard", want: "l.tar.gz!hard=a"},
		{paths: "l.tar.gz!chain", want: "l.tar.gz!chain=a"},
		{paths: "l.tar.gz!dir/rel", want: "l.tar.gz!dir/rel=t"},
		{paths: "l.tar.gz!d/rel", want: "l.tar.gz!d/rel=t"},
		{paths: "l.tar.gz!dir/sub", want: "l.tar.gz!dir/sub/c=c"},
		{paths: "l.tar.gz!d/sub/c", want: "l.tar.gz!d/sub/c=c"},
		{paths: "l.tar.gz!d/a", want: "l.tar.gz!d/a=a"},
		{paths: "l.tar.gz!dir/a", want: "l.tar.gz!dir/a=a"},
		{paths: "l.tar.gz!./dir//a", want: "l.tar.gz!dir/a=a"},
		{paths: "l.tar.gz!chain l.tar.gz!hard l.tar.gz!dir/a", want: "l.tar.gz!dir/a=a"},
		{paths: "l.tar.gz!il.gz!sym", want: "l.tar.gz!il.gz!sym=b"},
		{paths: "l.tar.gz!il.gz", want: "l.tar.gz!il.gz!dir/b=b"},
		{paths: "l.tar.gz!x/inner.gz!sym", want: "l.tar.gz!x/inner.gz!sym=b"},
		{paths: "l.tar.gz!empty"},
		{paths: "l.tar.gz!x/e"},
		{paths: "l.tar.gz!loop1", unread: []Unreadable{{"l.tar.gz!loop1", 0, loop}}},
		{paths: "l.tar.gz!self", unread: []Unreadable{{"l.tar.gz!self", 0, loop}}},
		{paths: "l.tar.gz!it", unread: []Unreadable{{"l.tar.gz!it", 0, loop}}},
		{paths: "l.tar.gz!gone", unread: []Unreadable{{"l.tar.gz!gone", 0, "it is a symbolic link to nowhere, and " + none}}},
		{paths: "l.tar.gz!abs", unread: []Unreadable{{"l.tar.gz!abs", 0, "it is a symbolic link to /etc/passwd, which leads out of the archive"}}},
		{paths: "l.tar.gz!up", unread: []Unreadable{{"l.tar.gz!up", 0, "it is a symbolic link to dir/../../up, which leads out of the archive"}}},
		{paths: "l.tar.gz!pipe", unread: []Unreadable{{"l.tar.gz!pipe", 0, "it is a named pipe, not a file"}}},
		{paths: "l.tar.gz!d/none", unread: []Unreadable{{"l.tar.gz!d/none", 0, "it is a symbolic link to dir, and " + none}}},
		{paths: "l.tar.gz!none l.tar.gz!top", want: "l.tar.gz!top=t", unread: []Unreadable{{"l.tar.gz!none", 0, none}}},
		{paths: "l.tar.gz!il.gz!none", unread: []Unreadable{{"l.tar.gz!il.gz!none", 0, "it is a symbolic link to x/inner.gz, and " + none}}},
		// What lies in a directory is followed, too; by dir/up all the rest is met.
		{paths: "l.tar.gz!dir", want: "l.tar.gz!dir/a=a l.tar.gz!dir/sub/c=c l.tar.gz!dir/rel=t l.tar.gz!dir/up/x/inner.gz!dir/b=b"},
		{paths: "dot.tar!a/b", want: "dot.tar!./a/b=ab"},
		{paths: "dot.tar!s", want: "dot.tar!s=ab"},
		{paths: "dot.tar!r", want: "dot.tar!r/a/b=ab"},
		{paths: "abs.tar!s", want: "abs.tar!s=va"},
		{paths: "in.tar!l", want: "in.tar!l/up=a", skipped: []Skipped{{"in.tar!d/gone", "a symbolic link to x"}}},
		{paths: "l.zip!l", want: "l.zip!l=za"},
		{paths: "l.zip!l2", want: "l.zip!l2/a=za"},
		{paths: "l.zip!l3", unread: []Unreadable{{"l.zip!l3", 0, "it is a symbolic link to ../.., which leads out of the archive"}}},
		// All of an archive: links are named, and read by their targets.
		{paths: "l.zip", want: "l.zip!sub/a=za"},
		{paths: "dot.tar", want: "dot.tar!./a/b=ab"},
	} {
		t.Run(tc.paths, func(t *testing.T) {
			list, report := read(t, Options{}, strings.Fields(tc.paths)...)
			var told []string
			for _, g := range list {
				told = append(told, g.name+"="+g.body)
			}
			require.Equal(t, tc.want, strings.Join(told, " "))
			require.Equal(t, tc.unread, report.Unreadable)
			if tc.skipped != nil {
				require.Equal(t, tc.skipped, report.Skipped)
			}
		})
	}
}
