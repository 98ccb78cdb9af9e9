package source

import (
	"archive/tar"
	"bytes"
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
		{paths: []string{"l.tar!x"}, skip: []Skipped{{"l.tar!x", "a symbolic link to a.log"}}},
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
