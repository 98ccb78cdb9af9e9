package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/tarfile"
)

// rawTar is a member as it stands in a tar archive: its header is changed by edit
// before it is summed.
func rawTar(kind byte, name, data string, edit ...func(h []byte)) string {
	h := make([]byte, tarfile.BlockSize)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(data)))
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	for _, e := range edit {
		e(h)
	}
	copy(h[148:], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return string(h) + data + strings.Repeat("\x00", -len(data)&(tarfile.BlockSize-1))
}

// at writes text into a header.
func at(offset int, text string) func(h []byte) {
	return func(h []byte) { copy(h[offset:], text) }
}

var tarTail = strings.Repeat("\x00", 2*tarfile.BlockSize)

const gnuMagic = "ustar  \x00" // of GNU tar's own format

const tarText = "a line\nand another\n"

// readTar reads members, behind which there is one more that must not get lost.
func readTar(t *testing.T, members string) ([]got, *Report) {
	t.Helper()
	list, report := readBytes(t, Options{}, []byte(members+rawTar('0', "last", "last\n")+tarTail))
	require.NotEmpty(t, list)
	require.Equal(t, got{"-!last", "last\n"}, list[len(list)-1])
	return list[:len(list)-1], report
}

// What has data is read, of whatever type it is said to be.
func TestTarTypesWithData(t *testing.T) {
	for _, kind := range "\x0001234567AEINMVDZ_s\xff" {
		t.Run(fmt.Sprintf("%q", kind), func(t *testing.T) {
			for _, name := range []string{"x", "x/"} {
				list, report := readTar(t, rawTar(byte(kind), name, tarText, at(157, "target")))
				require.Equal(t, []got{{"-!" + name, tarText}}, list)
				require.Equal(t, 2, report.Members)
				require.Empty(t, report.Skipped)
				require.Empty(t, report.Unreadable)
			}
		})
	}
}

// What has no data is named, or is a directory; also where its size is not 0, as
// old programs write it.
func TestTarTypesWithoutData(t *testing.T) {
	for _, size := range []string{"00000000000", "00000012345"} {
		for kind, reason := range map[byte]string{
			'1': "a hard link to target", '2': "a symbolic link to target", '3': "a device", '4': "a device",
			'5': "", '6': "a named pipe",
		} {
			list, report := readTar(t, rawTar(kind, "x", "", at(124, size), at(157, "target")))
			require.Empty(t, list)
			if reason == "" {
				require.Empty(t, report.Skipped)
			} else {
				require.Equal(t, []Skipped{{"-!x", reason}}, report.Skipped)
			}
			require.Empty(t, report.Unreadable)
			require.Equal(t, 1, report.Members)
			_, report = readBytes(t, Options{}, []byte(rawTar(kind, "x", "", at(124, size))+tarTail))
			require.Empty(t, report.Unreadable, "at the end of the archive")
		}
	}
	for _, members := range []string{rawTar('0', "x/", ""), rawTar(0, "x/", ""), rawTar('V', "x", ""), rawTar('D', "x", "")} {
		list, report := readTar(t, members)
		require.Empty(t, list)
		require.Equal(t, 1, report.Members)
	}
	list, report := readTar(t, rawTar('D', "x/", "Ya.log\x00Nb.log\x00\x00"))
	require.Empty(t, list)
	require.Equal(t, []Skipped{{"-!x/", "a list of the files in a directory"}}, report.Skipped)
}

// A hard link whose data are an archive themselves: all is read.
func TestTarLinkToArchive(t *testing.T) {
	inner := tarred("inner", "inner\n")
	list, _ := readTar(t, rawTar('1', "x.tar", inner))
	require.Contains(t, fmt.Sprint(list), "inner\n")
}

// Headers that are right, or whose faults do not matter.
func TestTarHeaders(t *testing.T) {
	long := strings.Repeat("long/", 400_000)
	pax := func(records ...string) string {
		text := ""
		for _, r := range records {
			n := len(r) + 3
			for len(fmt.Sprint(n))+len(r)+2 != n {
				n++
			}
			text += fmt.Sprintf("%d %s\n", n, r)
		}
		return text
	}
	gnu := at(257, gnuMagic)
	for name, tc := range map[string]struct{ members, name string }{
		"v7":                        {rawTar(0, "x", tarText, at(257, "\x00\x00\x00\x00\x00\x00\x00\x00")), "x"},
		"a size of base 256":        {rawTar('0', "x", tarText, at(124, "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x13")), "x"},
		"a size with spaces":        {rawTar('0', "x", tarText, at(124, "         23 ")), "x"},
		"a size without end":        {rawTar('0', "x", tarText, at(124, "000000000023")), "x"},
		"a time before 1970":        {rawTar('0', "x", tarText, at(136, strings.Repeat("\xff", 12))), "x"},
		"a time that is none":       {rawTar('0', "x", tarText, at(136, "yesterday   ")), "x"},
		"owners that are none":      {rawTar('0', "x", tarText, at(100, "mode????uid?????gid?????")), "x"},
		"a name of 100 bytes":       {rawTar('0', long[:100], tarText), long[:100]},
		"a prefix":                  {rawTar('0', "x", tarText, at(345, "pre/fix")), "pre/fix/x"},
		"a prefix of star":          {rawTar('0', "x", tarText, at(345, "prefix"), at(476, "00000000000 00000000000 "), at(508, "tar\x00")), "prefix/x"},
		"times of GNU":              {rawTar('0', "x", tarText, gnu, at(345, "00000000001\x0000000000002\x00")), "x"},
		"a prefix of Go before 1.8": {rawTar('0', "x", tarText, gnu, at(345, "prefix/that/is/long")), "prefix/that/is/long/x"},
		"a long name":               {rawTar('L', "././@LongLink", long[:3000]+"\x00", gnu) + rawTar('0', "x", tarText, gnu), shorten(long[:3000], maxMemberName)},
		"a name beyond all limits":  {rawTar('L', "././@LongLink", long+"\x00", gnu) + rawTar('0', "x", tarText, gnu), shorten(long, maxMemberName)},
		"an empty name":             {rawTar('0', "", tarText), ""},
		"pax":                       {rawTar('x', "h", pax("mtime=-1.5", "path=other")) + rawTar('0', "x", tarText), "other"},
		"pax of Solaris":            {rawTar('X', "h", pax("path=other")) + rawTar('0', "x", tarText), "other"},
		"pax with an odd time":      {rawTar('x', "h", pax("mtime=yesterday", "uid=root", "path=other")) + rawTar('0', "x", tarText), "other"},
		"pax with an equals sign":   {rawTar('x', "h", pax("path=a=b", "comment=")) + rawTar('0', "x", tarText), "a=b"},
		"pax with the size":         {rawTar('x', "h", pax("size=19")) + rawTar('0', "x", tarText, at(124, "00000000000\x00")), "x"},
		"pax said twice":            {rawTar('x', "h", pax("path=old", "path=new")) + rawTar('0', "x", tarText), "new"},
		"pax of all":                {rawTar('g', "h", pax("comment=0b7f10c", "path=not this")) + rawTar('0', "x", tarText), "x"},
		"pax of all and of one":     {rawTar('g', "h", pax("comment=c")) + rawTar('x', "h", pax("path=other")) + rawTar('0', "x", tarText), "other"},
		"pax with much of others":   {rawTar('x', "h", pax("LIBARCHIVE.xattr.user.x="+long, "path=other")) + rawTar('0', "x", tarText), "other"},
		"an unknown sparse file":    {rawTar('x', "h", pax("GNU.sparse.major=2", "GNU.sparse.minor=0")) + rawTar('0', "x", tarText), "x"},
	} {
		t.Run(name, func(t *testing.T) {
			list, report := readTar(t, tc.members)
			require.Equal(t, []got{{"-!" + tc.name, tarText}}, list)
			require.Empty(t, report.Unreadable)
			require.Empty(t, report.Skipped)
		})
	}
}

// Headers that lie: the members behind them are read.
func TestTarHeadersThatLie(t *testing.T) {
	for name, members := range map[string]string{
		"a negative size":            rawTar('0', "x", tarText, at(124, strings.Repeat("\xff", 12))),
		"a size beyond all":          rawTar('0', "x", tarText, at(124, "\x80"+strings.Repeat("\xff", 11))),
		"a negative size in pax":     rawTar('x', "h", "11 size=-1\n") + rawTar('0', "x", tarText),
		"a record without end":       rawTar('x', "h", "99 path=x\n") + rawTar('0', "x", tarText),
		"a record of all members":    rawTar('g', "h", "a log\n") + rawTar('0', "x", tarText),
		"a record of no length":      rawTar('x', "h", "0 path=x\n") + rawTar('0', "x", tarText),
		"a name of 100 MiB":          rawTar('L', "h", "", at(124, "00620000000\x00")) + rawTar('0', "x", tarText),
		"a map that is not sorted":   rawTar('S', "x", tarText, at(257, gnuMagic), at(386, "00000001000\x0000000000023\x0000000000000\x0000000000000\x00"), at(483, "00000002000\x00")),
		"a map beyond the file":      rawTar('S', "x", tarText, at(257, gnuMagic), at(386, "00000001000\x0000000000023\x00"), at(483, "00000001000\x00")),
		"a map that is too short":    rawTar('S', "x", tarText, at(257, gnuMagic), at(386, "00000001000\x0000000000003\x00"), at(483, "00000002000\x00")),
		"a map of endless numbers":   rawTar('x', "h", "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n27 GNU.sparse.realsize=10\n") + rawTar('0', "x", strings.Repeat("1", 5120)),
		"a map of too many parts":    rawTar('x', "h", "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n27 GNU.sparse.realsize=10\n") + rawTar('0', "x", "9999999999\n"),
		"a map longer than its data": rawTar('x', "h", "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n27 GNU.sparse.realsize=10\n") + rawTar('0', "x", "9\n0\n"),
		"a map of odd numbers":       rawTar('x', "h", "23 GNU.sparse.map=1,2,3\n22 GNU.sparse.size=19\n") + rawTar('0', "x", tarText),
	} {
		t.Run(name, func(t *testing.T) {
			_, report := readTar(t, rawTar('0', "first", "first\n")+members)
			require.NotEmpty(t, report.Unreadable)
			require.Equal(t, badHeader, report.Unreadable[0].Reason)
		})
	}
}
