package source

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/tarfile"
)

const (
	badHeader  = "a header of the tar archive is damaged; reading went on with the next one that is whole"
	lastHeader = "a header of the tar archive is damaged, and none that is whole follows"
)

// flip changes one bit.
func flip(data string, at int) string {
	b := []byte(data)
	b[at] ^= 1
	return string(b)
}

// Behind a damaged header, reading goes on with the next one.
func TestTarDamagedHeader(t *testing.T) {
	big := noise(1, 100)
	archive := tarred("a", "a\n", "b", big, "c", "c\n", "d", "d\n")
	c := 1024 + 512 + (len(big)+511)/512*512
	end := len(archive) - 1024
	zeros := strings.Repeat("\x00", tarfile.BlockSize)
	for name, tc := range map[string]struct {
		data   string
		want   string // names of members
		unread []Unreadable
	}{
		"the second":        {flip(archive, 1024), "acd", []Unreadable{{"-", 1024, badHeader}}},
		"the first":         {flip(archive, 0), "bcd", []Unreadable{{"-", 0, badHeader}}},
		"the last":          {flip(archive, end-1024), "abc", []Unreadable{{"-", int64(end - 1024), lastHeader}}},
		"two in a row":      {flip(flip(archive, 1024), c), "ad", []Unreadable{{"-", 1024, badHeader}}},
		"two apart":         {flip(flip(archive, 0), c), "bd", []Unreadable{{"-", 0, badHeader}, {"-", int64(c), badHeader}}},
		"a lone zero block": {archive[:c] + zeros + archive[c:], "abcd", []Unreadable{{"-", int64(c + 512), badHeader}}},
		"in a second archive": {tarred("x", "x") + flip(archive, 1024), "xacd",
			[]Unreadable{{"-", int64(len(tarred("x", "x")) + 1024), badHeader}}},
		"cut behind it":    {flip(archive, 1024)[:c], "a", []Unreadable{{"-", 1024, lastHeader}}},
		"then another one": {flip(tarred("a", "a", "b", "b"), 1024) + archive, "aabcd", []Unreadable{{"-", 1024, badHeader}}},
	} {
		t.Run(name, func(t *testing.T) {
			for pack, data := range map[string]string{"": tc.data, "gz": gz(tc.data), "zst": zst(tc.data)} {
				list, report := readBytes(t, Options{}, []byte(data))
				require.Equal(t, "-!"+strings.Join(strings.Split(tc.want, ""), " -!"), strings.Join(names(list), " "), pack)
				require.Equal(t, tc.unread, report.Unreadable)
			}
		})
	}
	t.Run("in damaged compression", func(t *testing.T) {
		packed := gz(flip(archive, 1024))
		list, report := readBytes(t, Options{}, []byte(packed[:len(packed)/2]))
		require.Equal(t, []string{"-!a"}, names(list))
		require.Equal(t, []string{lastHeader, "unexpected end of the gzip data"},
			[]string{report.Unreadable[0].Reason, report.Unreadable[1].Reason})
	})
}

// A header whose checksum is right, but that cannot be read, is tried once.
func TestTarImpossibleHeader(t *testing.T) {
	sum := func(h []byte) {
		copy(h[148:156], "        ")
		n := 0
		for _, b := range h[:tarfile.BlockSize] {
			n += int(b)
		}
		copy(h[148:], []byte{'0', '0' + byte(n>>12&7), '0' + byte(n>>9&7), '0' + byte(n>>6&7), '0' + byte(n>>3&7), '0' + byte(n&7), 0})
	}
	data := []byte(tarred("a", "a\n", "b", "b\n", "c", "c\n"))
	copy(data[1024+124:], "no number!!\x00")
	sum(data[1024:])
	list, report := readBytes(t, Options{}, data)
	require.Equal(t, []string{"-!a", "-!c"}, names(list))
	require.Equal(t, []Unreadable{{"-", 1024, badHeader}}, report.Unreadable)

	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"a", strings.Repeat("long/", 60) + "name", "c"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: 1, Format: tar.FormatPAX}))
		io.WriteString(w, "x")
	}
	w.Close()
	data = b.Bytes()
	at := bytes.Index(data, []byte(" path=long"))
	copy(data[at-3:], "xxx")
	list, report = readBytes(t, Options{}, data)
	require.Len(t, list, 3, "the name is damaged, its header is whole")
	require.Equal(t, "-!c", list[2].name)
	require.Len(t, report.Unreadable, 1)
}

// Whatever header is damaged, all others are delivered.
func TestTarDamagedAnywhere(t *testing.T) {
	bodies := []string{noise(1, 3), noise(2, 90), "", noise(3, 40), "last\n"}
	var entries []string
	var at []int
	n := 0
	for i, body := range bodies {
		entries = append(entries, string(rune('a'+i)), body)
		at = append(at, n)
		n += 512 + (len(body)+511)/512*512
	}
	archive := tarred(entries...)
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, len(at)-1).Draw(rt, "header")
		byteAt := rapid.IntRange(0, 256).Draw(rt, "byte") // not the magic: the first header must be known as one
		if 148 <= byteAt && byteAt < 156 || 257 <= byteAt {
			return // some bits of the checksum mean nothing
		}
		data := []byte(archive)
		data[at[i]+byteAt] ^= 1 << rapid.IntRange(0, 6).Draw(rt, "bit")
		if data[at[i]] == 0 && i == 0 {
			return // no archive
		}
		list, report := readBytes(t, Options{}, data)
		var want []got
		for k := range bodies {
			if k != i {
				want = append(want, got{"-!" + entries[2*k], bodies[k]})
			}
		}
		require.Equal(t, want, list)
		require.Len(t, report.Unreadable, 1)
		require.Equal(t, int64(at[i]), report.Unreadable[0].Offset)
	})
}
