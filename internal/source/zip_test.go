package source

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// bothWays reads a zip archive as a file on disk and as a stream.
func bothWays(t *testing.T, data string, check func(t *testing.T, list []got, report *Report)) {
	t.Helper()
	t.Run("on disk", func(t *testing.T) {
		inDir(t, map[string]string{"z": data})
		list, report := read(t, Options{}, "z")
		check(t, list, report)
	})
	t.Run("in a stream", func(t *testing.T) {
		inDir(t, map[string]string{"z": gz(data)})
		list, report := read(t, Options{}, "z")
		check(t, list, report)
	})
}

func TestZipMembers(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zstd.ZipMethodWinZip, zstd.ZipCompressor())
	add := func(h zip.FileHeader, body string) {
		f, err := w.CreateHeader(&h)
		require.NoError(t, err)
		io.WriteString(f, body)
	}
	raw := func(method uint16, flags uint16, name, body string) {
		f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: method, Flags: flags,
			CompressedSize64: uint64(len(body)), UncompressedSize64: 99})
		require.NoError(t, err)
		io.WriteString(f, body)
	}
	add(zip.FileHeader{Name: "dir/"}, "")
	add(zip.FileHeader{Name: "dir/stored", Method: zip.Store}, "stored")
	add(zip.FileHeader{Name: "zstd", Method: zstd.ZipMethodWinZip}, "zstd")
	link := zip.FileHeader{Name: "link"}
	link.SetMode(os.ModeSymlink | 0o777)
	add(link, "dir/stored")
	fifo := zip.FileHeader{Name: "fifo"}
	fifo.SetMode(os.ModeNamedPipe | 0o644)
	add(fifo, "")
	raw(9, 0, "deflate64", "???")
	raw(8, 1, "encrypted", "???")
	raw(8, 0, "damaged", "\x07???")
	add(zip.FileHeader{Name: "empty"}, "")
	add(zip.FileHeader{Name: "../../last\n", Method: zip.Deflate}, "last")
	require.NoError(t, w.Close())

	bothWays(t, b.String(), func(t *testing.T, list []got, report *Report) {
		require.Equal(t, []got{{"z!dir/stored", "stored"}, {"z!zstd", "zstd"}, {"z!empty", ""}, {"z!../../last\n", "last"}}, list)
		require.Equal(t, 7, report.Members)
		require.Equal(t, []Skipped{{"z!link", "a symbolic link to dir/stored"}, {"z!fifo", "a named pipe"}}, report.Skipped)
		require.Equal(t, []Unreadable{
			{Name: "z!deflate64", Reason: "it is packed by a method unknown here (9), unpack it first"},
			{Name: "z!encrypted", Reason: "it is encrypted, unpack it first"},
			{Name: "z!damaged", Reason: "the data in the zip archive is damaged (flate: corrupt input before offset 1)"},
		}, report.Unreadable)
	})
	bothWays(t, fixture(t, "encrypted.zip"), func(t *testing.T, list []got, report *Report) {
		require.Empty(t, list)
		require.Equal(t, []Unreadable{{Name: "z!h.txt", Reason: "it is encrypted, unpack it first"}}, report.Unreadable)
	})
	bothWays(t, zipOf(), func(t *testing.T, list []got, report *Report) {
		require.Empty(t, list)
		require.Equal(t, &Report{Files: 1}, report)
	})
}

// What a member is, its data tell, whatever it was made from: zip and 7z give
// what they read from a pipe the mode of one.
func TestZipModes(t *testing.T) {
	const log = "a line\nand another\n"
	for name, tc := range map[string]struct {
		header zip.FileHeader
		unix   uint32
	}{
		"a pipe":               {zip.FileHeader{Name: "-"}, 0o010600},
		"a pipe without name":  {zip.FileHeader{}, 0o010600},
		"a socket":             {zip.FileHeader{Name: "x"}, 0o140600},
		"a device":             {zip.FileHeader{Name: "x"}, 0o020600},
		"a block device":       {zip.FileHeader{Name: "x"}, 0o060600},
		"a directory":          {zip.FileHeader{Name: "x"}, 0o040700},
		"a symbolic link":      {zip.FileHeader{Name: "x"}, 0o120777},
		"an unknown kind":      {zip.FileHeader{Name: "x"}, 0o170000},
		"a directory of DOS":   {zip.FileHeader{Name: "x", ExternalAttrs: 0x10}, 0},
		"a label of DOS":       {zip.FileHeader{Name: "x", ExternalAttrs: 0x08}, 0},
		"a mode of VMS":        {zip.FileHeader{Name: "x", CreatorVersion: 2 << 8, ExternalAttrs: 0xffffffff}, 0},
		"a directory's name":   {zip.FileHeader{Name: "x:"}, 0},
		"all of a directory's": {zip.FileHeader{Name: "x:", ExternalAttrs: 0x10}, 0o040700},
	} {
		t.Run(name, func(t *testing.T) {
			h := tc.header
			h.CRC32, h.CompressedSize64, h.UncompressedSize64 = crc32.ChecksumIEEE([]byte(log)), uint64(len(log)), uint64(len(log))
			if tc.unix != 0 {
				h.CreatorVersion = 3 << 8
				h.ExternalAttrs |= tc.unix << 16
			}
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			f, err := w.CreateRaw(&h)
			require.NoError(t, err)
			io.WriteString(f, log)
			require.NoError(t, w.Close())
			data := strings.ReplaceAll(b.String(), "x:", "x/") // of such the Writer takes no data
			want := []got{{"z!" + strings.ReplaceAll(h.Name, ":", "/"), log}}
			bothWays(t, data, func(t *testing.T, list []got, report *Report) {
				require.Equal(t, want, list)
				require.Equal(t, 1, report.Members)
				require.Empty(t, report.Skipped)
				require.Empty(t, report.Unreadable)
			})
			bothWays(t, strings.ReplaceAll(data, zipEnd, "nope"), func(t *testing.T, list []got, report *Report) {
				require.Equal(t, want, list, "without the directory")
				require.Len(t, report.Unreadable, 1)
			})
		})
	}
}

// Directories are no members, however nothing was packed.
func TestZipDirectories(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(method, flags uint16, size uint64, name, body string) {
		f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: method, Flags: flags,
			CRC32: crc32.ChecksumIEEE([]byte("x")) * uint32(size), CompressedSize64: uint64(len(body)), UncompressedSize64: size})
		require.NoError(t, err)
		io.WriteString(f, body)
	}
	add(zip.Store, 0, 0, "stored:", "")
	add(zip.Deflate, 0, 0, "deflated:", "\x03\x00")
	add(zip.Deflate, 8, 0, "as Java does:", "\x03\x00")
	add(zip.Store, 8, 0, "described:", "")
	add(zip.Store, 0, 1, "last", "x")
	require.NoError(t, w.Close())
	data := strings.ReplaceAll(b.String(), ":", "/")
	check := func(t *testing.T, list []got, report *Report) {
		require.Equal(t, []got{{"z!last", "x"}}, list)
		require.Equal(t, 1, report.Members)
		require.Empty(t, report.Skipped)
	}
	bothWays(t, data, check)
	bothWays(t, strings.ReplaceAll(data, zipEnd, "nope"), check)
}

// Without its directory an archive is read by the headers before its members.
func TestZipWithoutDirectory(t *testing.T) {
	missing := Unreadable{Name: "z", Reason: "the directory at the end of the zip archive is missing or damaged; the members before it were read without it"}
	for name, data := range map[string]string{
		"sizes after the data":  zipOf("a/", "", "a/x", "x", "e", "", "y", noise(1, 100)),
		"sizes before the data": zipRaw("a/", "", "a/x", "x", "e", "", "y", noise(1, 100)),
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, strings.ReplaceAll(data, zipEnd, "nope"), func(t *testing.T, list []got, report *Report) {
				require.Equal(t, []got{{"z!a/x", "x"}, {"z!e", ""}, {"z!y", noise(1, 100)}}, list)
				require.Equal(t, 3, report.Members)
				require.Len(t, report.Unreadable, 1)
				require.Positive(t, report.Unreadable[0].Offset)
				missing.Offset = report.Unreadable[0].Offset
				require.Equal(t, missing, report.Unreadable[0])
			})
		})
	}
	t.Run("a damaged member of known size", func(t *testing.T) {
		data := strings.Replace(zipRaw("a", "good", "b", "b"), "good", "gold", 1)
		bothWays(t, strings.ReplaceAll(data, zipEnd, "nope"), func(t *testing.T, list []got, report *Report) {
			require.Equal(t, []got{{"z!a", "gold"}, {"z!b", "b"}}, list)
			require.Len(t, report.Unreadable, 2)
		})
	})
	t.Run("a damaged member of unknown size", func(t *testing.T) {
		data := zipOf("a", noise(1, 100), "b", "b")
		data = data[:100] + "damage" + data[106:]
		bothWays(t, strings.ReplaceAll(data, zipEnd, "nope"), func(t *testing.T, list []got, report *Report) {
			require.Len(t, list, 1)
			require.Len(t, report.Unreadable, 2)
			require.Equal(t, "z!a", report.Unreadable[0].Name)
			require.Equal(t, "where the next member begins cannot be told, the rest was not read", report.Unreadable[1].Reason)
		})
	})
	t.Run("stored, of unknown size", func(t *testing.T) {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		f, err := w.CreateHeader(&zip.FileHeader{Name: "a", Method: zip.Store})
		require.NoError(t, err)
		io.WriteString(f, "text")
		w.Flush()
		bothWays(t, b.String(), func(t *testing.T, list []got, report *Report) {
			require.Empty(t, list)
			require.Equal(t, "z!a", report.Unreadable[0].Name)
			require.Contains(t, report.Unreadable[0].Reason, "its size stands only in the missing directory")
		})
	})
	t.Run("a directory too large to hold", func(t *testing.T) {
		var entries []string
		long := strings.Repeat("n", 60_000)
		for i := range 300 {
			entries = append(entries, long+strconv.Itoa(i), "x")
		}
		bothWays(t, zipRaw(entries...), func(t *testing.T, list []got, report *Report) {
			require.Len(t, list, 300)
			require.Empty(t, report.Unreadable)
		})
	})
}

func TestDescriptors(t *testing.T) {
	crc := "\xaa\xbb\xcc\xdd"
	u32 := func(n uint32) string { return string(le.AppendUint32(nil, n)) }
	u64 := func(n uint64) string { return string(le.AppendUint64(nil, n)) }
	for name, tc := range map[string]struct {
		data string
		size int64
		ok   bool
	}{
		"narrow":              {zipDescriptor + crc + u32(7) + u32(9) + zipLocal, 9, true},
		"wide":                {zipDescriptor + crc + u64(7) + u64(9) + zipLocal, 9, true},
		"narrow, unsigned":    {crc + u32(7) + u32(9) + zipCentral, 9, true},
		"wide, unsigned":      {crc + u64(7) + u64(9) + zipCentral, 9, true},
		"wide, empty":         {zipDescriptor + crc + u64(2) + u64(0) + zipLocal, 0, true},
		"at the end":          {zipDescriptor + crc + u32(7) + u32(9), 9, true},
		"cut":                 {zipDescriptor + crc + u32(7), 9, false},
		"of another size":     {zipDescriptor + crc + u32(7) + u32(8) + zipLocal + strings.Repeat("x", 30), 9, false},
		"more than 4 GiB":     {zipDescriptor + crc + u64(7) + u64(5<<32+1) + zipLocal, 5<<32 + 1, true},
		"nothing comes after": {zipDescriptor + crc + u32(7) + u32(9) + strings.Repeat("x", 30), 9, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &walker{}
			br := w.buffer(strings.NewReader(tc.data))
			got, err := readDescriptor(br, tc.size)
			if !tc.ok {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, uint32(0xddccbbaa), got)
			rest, err := io.ReadAll(br)
			require.NoError(t, err)
			require.True(t, len(rest) == 0 || len(rest) == 4, "%q", rest)
		})
	}
}

func TestLocalHeader64(t *testing.T) {
	h := localHeader{packed: zip64Unsigned, size: zip64Unsigned}
	extra := "\x55\x55\x02\x00xx" + "\x01\x00\x10\x00" + string(le.AppendUint64(le.AppendUint64(nil, 5<<32), 4<<32))
	require.NoError(t, h.widen([]byte(extra)))
	require.Equal(t, localHeader{packed: 4 << 32, size: 5 << 32}, h)

	h = localHeader{packed: zip64Unsigned}
	require.Error(t, h.widen([]byte("\x01\x00\x08\x00"+string(le.AppendUint64(nil, 1<<63)))))
	h = localHeader{packed: 1}
	require.NoError(t, h.widen([]byte("\x01\x00\xff\xffcut")))
}
