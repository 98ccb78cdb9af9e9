package source

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogsAreNeverTakenForSomethingElse(t *testing.T) {
	line := "2013-04-18 02:02:08.797 1234 INFO tomograph Span(...)\n"
	for _, begin := range []string{
		"", "\n", "PK", "PK\x05\x06 ", "BZh9 is a magic", "BZh91AY&SX", "070701 12:00:00 mysqld started, 070701", "070707 12:00", "MZ", "]",
		"] " + strings.Repeat("\x00", 20), "\x1f\x8b", "\x1f\x8b\x08\xff", "\x1f\x8b\x00\x00", "\xef\xbb\xbf", "\xff", "\xfd7z", "7z", "Rar!",
		"ELF", "SQLite format 4", "GIF", "%PD", "LPKSHH", "\x00", strings.Repeat("\x00", 300), strings.Repeat("\x00", 5<<20),
		strings.Repeat("x", 257) + "ustar is a format", strings.Repeat(" ", 512), "\x50\x2a\x4d\x18\x04\x00\x00\x00text",
		"\xc3\xa4\xf6 is no UTF-8", "\x89PNG", "!<arch>", "\x0a\x0d\x0d\x0a",
	} {
		list, report := readBytes(t, Options{}, []byte(begin+line))
		require.Equal(t, []got{{"-", begin + line}}, list, "%.40q", begin)
		require.Equal(t, &Report{Files: 1, Bytes: int64(len(begin + line))}, report)
	}
}

func TestWhatIsNoLog(t *testing.T) {
	rest := strings.Repeat("\x00", 600)
	for begin, reason := range map[string]string{
		"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00": "ELF file",
		"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x04\x00": "ELF core dump",
		"SQLite format 3\x00": "SQLite database",
		"\x89PNG\r\n\x1a\n":   "PNG image",
		"\xff\xd8\xff\xe0":    "JPEG image",
		"GIF89a":              "GIF image",
		"%PDF-1.4":            "PDF document",
		"\xca\xfe\xba\xbe":    "Java class or Mach-O file",
		"MZ" + strings.Repeat("\x00", 58) + "\x80\x00\x00\x00" + strings.Repeat("\x00", 64) + "PE\x00\x00": "Windows program",
	} {
		list, report := readBytes(t, Options{}, []byte(gz(begin+rest)))
		require.Empty(t, list)
		require.Equal(t, &Report{Files: 1, Skipped: []Skipped{{"-", reason}}}, report)
	}
	for begin, reason := range map[string]string{
		"LPKSHHRH":                                         "systemd journal; read it with: journalctl --file F -o json -a | tomoscrape replay -",
		"\xff\xfeS\x00p\x00":                               "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8",
		"\xfe\xff\x00S\x00p":                               "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8",
		"7z\xbc\xaf\x27\x1c\x00\x04":                       "7z archive; it cannot be read here, unpack it first",
		"Rar!\x1a\x07\x01\x00":                             "rar archive; it cannot be read here, unpack it first",
		"\x04\x22\x4d\x18\x64\x40":                         "lz4 data; it cannot be read here, unpack it first (lz4 -d)",
		"\x1f\x9d\x90":                                     "compress (.Z) data; it cannot be read here, unpack it first (uncompress)",
		"070701" + strings.Repeat("0", 104):                "cpio archive; it cannot be read here, unpack it first",
		"070707" + strings.Repeat("7", 70):                 "cpio archive; it cannot be read here, unpack it first",
		"\x5d\x00\x00\x80\x00" + strings.Repeat("\xff", 8): "lzma data; it cannot be read here, unpack it first (xz -d --format=lzma)",
		"\x5d\x00\x00\x00\x01\x40\x42\x0f":                 "lzma data; it cannot be read here, unpack it first (xz -d --format=lzma)",
	} {
		list, report := readBytes(t, Options{}, []byte(tarred("x", begin+rest)))
		require.Empty(t, list)
		require.Equal(t, &Report{Files: 1, Members: 1, Unreadable: []Unreadable{{Name: "-!x", Reason: reason}}}, report)
	}
}

func TestTarOfOldKinds(t *testing.T) {
	// v7: no magic, only the checksum tells.
	data := []byte(tarred("old.log", "from 1979\n"))
	clear(data[257:512])
	copy(data[148:156], "        ")
	sum := 0
	for _, b := range data[:512] {
		sum += int(b)
	}
	copy(data[148:], []byte{'0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0})
	list, report := readBytes(t, Options{}, data)
	require.Equal(t, []got{{"-!old.log", "from 1979\n"}}, list)
	require.Empty(t, report.Unreadable)

	inDir(t, map[string]string{"gnu": fixture(t, "sparse-gnu.tar.gz"), "posix": fixture(t, "sparse-posix.tar.gz")})
	for _, name := range []string{"gnu", "posix"} {
		list, at, report := places(t, Options{}, name, "before the hole", "after the hole")
		require.Equal(t, []got{{name + "!sparse.log", "before the hole\nafter the hole\n"}},
			[]got{{list[0].name, strings.ReplaceAll(list[0].body, "\x00", "")}})
		require.Equal(t, map[string]int64{"before the hole": 0, "after the hole": 1_000_000}, at)
		require.Empty(t, report.Unreadable)
	}
}

func TestTarMembers(t *testing.T) {
	long := strings.Repeat("dir/", 100) + "x.log"
	absurd := strings.Repeat("a", 1000) + strings.Repeat("b", 1000)
	hostile := "../../etc/\x1b[31m\xff\n!passwd"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir}, {Name: "link", Typeflag: tar.TypeSymlink, Linkname: "x"},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "x"}, {Name: "dev", Typeflag: tar.TypeChar}, {Name: "fifo", Typeflag: tar.TypeFifo},
		{Name: long, Size: 1, Format: tar.FormatPAX}, {Name: long + "2", Size: 1, Format: tar.FormatGNU},
		{Name: absurd, Size: 1, Format: tar.FormatGNU}, {Name: hostile, Size: 1, Format: tar.FormatGNU},
	} {
		require.NoError(t, w.WriteHeader(&h))
		if h.Size > 0 {
			w.Write([]byte("x"))
		}
	}
	require.NoError(t, w.Close())
	list, report := readBytes(t, Options{}, b.Bytes())
	require.Equal(t, []got{
		{"-!" + long, "x"}, {"-!" + long + "2", "x"},
		{"-!" + strings.Repeat("a", 512) + "…" + strings.Repeat("b", 512), "x"}, {"-!" + hostile, "x"},
	}, list)
	require.Equal(t, &Report{Files: 1, Members: 4, Bytes: 4, Skipped: []Skipped{
		{"-!link", "a symbolic link to x"}, {"-!hard", "a hard link to x"}, {"-!dev", "a device"}, {"-!fifo", "a named pipe"},
	}}, report)

	t.Run("one after the other", func(t *testing.T) {
		list, report := readBytes(t, Options{}, []byte(tarred("a", "a")+strings.Repeat("\x00", 4096)+tarred("b", "b")))
		require.Equal(t, []got{{"-!a", "a"}, {"-!b", "b"}}, list)
		require.Empty(t, report.Unreadable)
	})
}

func TestCompressedStreams(t *testing.T) {
	skippable := "\x53\x2a\x4d\x18\x05\x00\x00\x00hello"
	zeros := strings.Repeat("\x00", 1000)
	emptyBz2, err := hex.DecodeString("425a683917724538509000000000")
	require.NoError(t, err)
	trailing := func(what string) string {
		return "something else follows the end of the " + what + " data and was not read"
	}
	mismatch := func(what string) string {
		return "the checksum of the " + what + " data does not match, it may be damaged"
	}
	flip := func(data string, fromEnd int) string {
		b := []byte(data)
		b[len(b)-fromEnd] ^= 1
		return string(b)
	}
	for name, tc := range map[string]struct{ data, body, reason string }{
		"gzip members":          {gz("a") + gz("") + gz("b"), "ab", ""},
		"gzip zero padding":     {gz("a") + zeros + gz("b") + zeros, "ab", ""},
		"gzip garbage":          {gz("a") + "garbage", "a", trailing("gzip")},
		"gzip checksum":         {flip(gz("a"), 8), "a", mismatch("gzip")},
		"gzip length":           {flip(gz("a"), 4), "a", mismatch("gzip")},
		"zstd frames":           {zst("a") + skippable + zst("b"), "ab", ""},
		"zstd skippable first":  {skippable + zst("a"), "a", ""},
		"zstd garbage":          {zst("a") + "garbage", "a", trailing("zstd")},
		"zstd checksum":         {flip(zst(strings.Repeat("abc", 99)), 1), "", mismatch("zstd")},
		"xz streams":            {xzed("a") + zeros + xzed("b"), "ab", ""},
		"xz garbage":            {xzed("a") + "garbage", "a", trailing("xz")},
		"xz blocks":             {fixture(t, "blocks-sha256.log.xz"), "", ""},
		"xz filter":             {fixture(t, "x86-filter.log.xz"), "", "the xz data uses a filter other than LZMA2, unpack it first: xz -d"},
		"bzip2 streams":         {fixture(t, "two-streams.log.bz2"), bz2Text, ""},
		"bzip2 garbage":         {fixture(t, "two-streams.log.bz2") + "garbage", bz2Text, trailing("bzip2")},
		"bzip2 checksum":        {flip(fixture(t, "two-streams.log.bz2"), 2), bz2Text, mismatch("bzip2")},
		"bzip2 empty":           {string(emptyBz2), "", ""},
		"gzip of gzip":          {gz(gz("a")), "a", ""},
		"not gzip after all":    {"\x1f\x8b\x08\x00 is how a log line might begin", "", "the gzip data is damaged (flate: corrupt input before offset 1)"},
		"zstd dictionary":       {"\x28\xb5\x2f\xfd\x67\x9d\x2d\x0f\x54\xd8\x06\x95\x04\x00", "", "the zstd data needs the dictionary that it was packed with; unpack it first: zstd -d -D DICTIONARY"},
		"zstd window too large": {"\x28\xb5\x2f\xfd\x00\xf8rest of the data", "", "the zstd data needs a window of more than 128 MiB; unpack it first"},
	} {
		t.Run(name, func(t *testing.T) {
			list, report := readBytes(t, Options{}, []byte(tc.data))
			body := ""
			for _, g := range list {
				body += g.body
			}
			if name == "xz blocks" {
				require.Len(t, body, 6071)
				require.True(t, strings.HasSuffix(body, "line 200 of the xz fixture 0\n"))
			} else if name != "zstd checksum" {
				require.Equal(t, tc.body, body)
			}
			if tc.reason == "" {
				require.Empty(t, report.Unreadable)
			} else {
				require.Equal(t, []Unreadable{{"-", int64(len(body)), tc.reason}}, report.Unreadable)
			}
		})
	}
}
