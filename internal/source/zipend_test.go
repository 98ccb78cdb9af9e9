package source

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// zipWays are the ways in which writers put a member into an archive.
var zipWays = map[string]func(w *zip.Writer, name, body string){
	"deflated, sizes behind": func(w *zip.Writer, name, body string) {
		f, _ := w.Create(name)
		io.WriteString(f, body)
	},
	"stored, sizes behind": func(w *zip.Writer, name, body string) {
		f, _ := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		io.WriteString(f, body)
	},
	"stored": func(w *zip.Writer, name, body string) { addRaw(w, name, zip.Store, body, body) },
	"deflated": func(w *zip.Writer, name, body string) {
		var b bytes.Buffer
		d, _ := flate.NewWriter(&b, flate.BestSpeed)
		io.WriteString(d, body)
		d.Close()
		addRaw(w, name, zip.Deflate, body, b.String())
	},
}

func addRaw(w *zip.Writer, name string, method uint16, body, packed string) {
	f, _ := w.CreateRaw(&zip.FileHeader{Name: name, Method: method, CRC32: crc32.ChecksumIEEE([]byte(body)),
		CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(body))})
	io.WriteString(f, packed)
}

// drawZip makes an archive, also of archives, and tells what is to be read in it.
func drawZip(t *rapid.T, name string, depth int) (data string, want []got) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range rapid.IntRange(1, 3).Draw(t, "members") {
		way := rapid.SampledFrom([]string{"deflated", "deflated, sizes behind", "stored", "stored, sizes behind"}).Draw(t, "way")
		member := fmt.Sprint(i)
		if depth > 0 && rapid.Bool().Draw(t, "an archive") {
			inner, in := drawZip(t, name+"!"+member, depth-1)
			want = append(want, in...)
			zipWays[way](w, member, inner)
			continue
		}
		body := noise(i, rapid.IntRange(0, 8).Draw(t, "lines"))
		want = append(want, got{name + "!" + member, body})
		zipWays[way](w, member, body)
	}
	if rapid.Bool().Draw(t, "comment") {
		w.SetComment("a comment\x00")
	}
	w.Close()
	return b.String(), want
}

// A zip archive that is cut anywhere is never taken for a whole one.
func TestZipCutAnywhere(t *testing.T) {
	inDir(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		data, want := drawZip(rt, "-", 2)
		for _, cut := range []int{len(data), len(data) - 1, rapid.IntRange(4, len(data)-1).Draw(rt, "cut")} {
			list, report := readBytes(t, Options{}, []byte(data[:cut]))
			require.NoError(t, os.WriteFile("-", []byte(data[:cut]), 0o644))
			disk, onDisk := read(t, Options{}, "./-")
			require.Equal(t, len(list), len(disk))
			for i := range disk {
				require.Equal(t, got{"./" + list[i].name, list[i].body}, disk[i])
			}
			require.Equal(t, len(report.Unreadable), len(onDisk.Unreadable))
			if cut == len(data) {
				require.Equal(t, want, list)
				require.Empty(t, report.Unreadable)
				continue
			}
			require.NotEmpty(t, report.Unreadable, "cut at %d", cut)
			require.LessOrEqual(t, len(list), len(want))
			for i, g := range list {
				switch {
				case i < len(list)-1:
					require.Equal(t, want[i], g)
				case strings.HasPrefix(want[i].name, g.name+"!"):
					require.Less(t, len(g.body), 4, "cut in the magic, an archive cannot be told from text")
				default:
					require.Equal(t, want[i].name, g.name)
					require.True(t, strings.HasPrefix(want[i].body, g.body))
				}
			}
		}
	})
}

func TestZipArchivesInARow(t *testing.T) {
	commented := zipWithComment("with a comment")
	a, b := zipOf("a", "a"), zipRaw("b", "b", "dir/", "")
	unlisted := zipRaw("a", "a", "b", "b")
	at := strings.Index(unlisted, zipCentral)
	length := (strings.Index(unlisted, zipEnd) - at) / 2
	tail := []byte(unlisted[at+2*length:])
	tail[8], tail[10], tail[12] = 1, 1, byte(length)
	unlisted = unlisted[:at] + unlisted[at+length:at+2*length] + string(tail)
	trailing := "something else follows the end of the zip archive and was not read"
	missing := "the directory at the end of the zip archive is missing or damaged; the members before it were read without it"
	for name, tc := range map[string]struct {
		data   string
		want   string
		unread []Unreadable
	}{
		"two":                     {a + b, "ab", nil},
		"of the same shape":       {zipRaw("a", "a") + zipRaw("b", "b"), "ab", nil},
		"zeros between":           {a + strings.Repeat("\x00", 700) + b, "ab", nil},
		"three, one empty":        {commented + zipOf() + b, "ab", nil},
		"many members":            {zipRaw(repeat(300, "a", "a")...) + b, strings.Repeat("a", 300) + "b", nil},
		"the second cut":          {a + b[:len(b)-1], "ab", []Unreadable{{"z", int64(len(a+b) - 1), missing}}},
		"the second cut early":    {a + b[:31], "a", []Unreadable{{"z!b", 0, "unexpected end of the data in the zip archive"}}},
		"zeros behind":            {a + strings.Repeat("\x00", 700), "a", nil},
		"many zeros behind":       {a + strings.Repeat("\x00", 70_000), "a", nil},
		"a word behind":           {a + "word", "a", []Unreadable{{"z", int64(len(a)), trailing}}},
		"a word behind zeros":     {commented + "\x00\x00word", "a", []Unreadable{{"z", int64(len(commented) + 2), trailing}}},
		"much behind":             {a + strings.Repeat("word", 30_000), "a", []Unreadable{{"z", int64(len(a)), trailing}}},
		"PK behind":               {a + "PK", "a", []Unreadable{{"z", int64(len(a)), trailing}}},
		"empty, a word behind":    {zipOf() + "word", "", []Unreadable{{"z", int64(len(zipOf())), trailing}}},
		"an end in the comment":   {zipWithComment(zipEnd), "a", nil},
		"members not in the list": {unlisted, "ab", []Unreadable{{"z", 68, missing}}},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, tc.data, func(t *testing.T, list []got, report *Report) {
				bodies := ""
				for _, g := range list {
					bodies += g.body
				}
				require.Equal(t, tc.want, bodies)
				require.Equal(t, len(tc.unread), len(report.Unreadable), "%v", report.Unreadable)
				for i, u := range tc.unread {
					require.Equal(t, u.Name+u.Reason, report.Unreadable[i].Name+report.Unreadable[i].Reason)
					if u.Reason == trailing {
						require.Equal(t, u, report.Unreadable[i])
					}
				}
			})
		})
	}
}

func zipWithComment(comment string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	zipWays["stored"](w, "a", "a")
	w.SetComment(comment)
	w.Close()
	return b.String()
}

// An end record of 64 bits stands before the other one, needed or not.
func TestZipEnd64(t *testing.T) {
	plain := zipRaw("a", "a", "b", "b")
	at := strings.Index(plain, zipEnd)
	length, offset := le.Uint32([]byte(plain[at+12:])), le.Uint32([]byte(plain[at+16:]))
	type end64 struct {
		Sig                  [4]byte
		Size                 uint64
		Made, Needed         uint16
		Disk, First          uint32
		Here, All            uint64
		Length, Offset       uint64
		Locator              [4]byte
		LocatorDisk          uint32
		At                   uint64
		Disks                uint32
		End                  [4]byte
		EndDisk, EndFirst    uint16
		EndHere, EndAll      uint16
		EndLength, EndOffset uint32
		Comment              uint16
	}
	e := end64{Sig: [4]byte([]byte(zipEnd64)), Size: 44, Here: 2, All: 2, Length: uint64(length), Offset: uint64(offset),
		Locator: [4]byte([]byte(zipLocator64)), At: uint64(at), Disks: 1, End: [4]byte([]byte(zipEnd)),
		EndHere: 2, EndAll: 2, EndLength: length, EndOffset: offset}
	make := func(e end64) string {
		b, err := binary.Append([]byte(plain[:at]), le, e)
		require.NoError(t, err)
		return string(b)
	}
	full := e
	full.EndHere, full.EndAll, full.EndLength, full.EndOffset = 1<<16-1, 1<<16-1, 1<<32-1, 1<<32-1
	for name, data := range map[string]string{
		"not needed": make(e), "needed": make(full), "in a row": make(full) + make(e), "behind a plain one": plain + make(full),
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, data, func(t *testing.T, list []got, report *Report) {
				require.Len(t, list, 2*strings.Count(data, zipEnd))
				require.Equal(t, got{"z!b", "b"}, list[len(list)-1])
				require.Empty(t, report.Unreadable)
			})
		})
	}
	t.Run("absurd sizes", func(t *testing.T) {
		for _, damage := range []func(e *end64){
			func(e *end64) { e.Size = 1<<64 - 1 }, func(e *end64) { e.Size = 1<<63 - 13 }, func(e *end64) { e.Length = 1<<64 - 1 },
			func(e *end64) { e.Offset = 1<<64 - 1 }, func(e *end64) { e.At = 1<<64 - 1 },
		} {
			e := full
			damage(&e)
			bothWays(t, make(e), func(t *testing.T, list []got, report *Report) {
				require.Equal(t, []got{{"z!a", "a"}, {"z!b", "b"}}, list)
			})
		}
	})
}

// A program or script that unpacks the archive behind it is read as the archive.
func TestSelfExtractingZip(t *testing.T) {
	archive := zipOf("a.log", "in a\n", "d/b.log", "in b\n")
	for name, stub := range map[string]string{
		"script": "#!/bin/sh\nunzip -q \"$0\"\nexit 0\n", "program": "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + strings.Repeat("x", 3000),
	} {
		adjusted := []byte(stub + archive)
		end := len(adjusted) - zipEndLen
		directory := int(le.Uint32(adjusted[end+16:])) + len(stub)
		le.PutUint32(adjusted[end+16:], uint32(directory))
		for at := directory; at < end; {
			le.PutUint32(adjusted[at+42:], le.Uint32(adjusted[at+42:])+uint32(len(stub)))
			at += zipCentralLen + int(le.Uint16(adjusted[at+28:])) + int(le.Uint16(adjusted[at+30:])) + int(le.Uint16(adjusted[at+32:]))
		}
		for _, data := range []string{stub + archive, string(adjusted)} {
			inDir(t, map[string]string{name: data})
			list, report := read(t, Options{}, name)
			require.Equal(t, []got{{name + "!a.log", "in a\n"}, {name + "!d/b.log", "in b\n"}}, list)
			require.Equal(t, &Report{Files: 1, Members: 2, Bytes: 10}, report)
			list, report = read(t, Options{}, name+"!d/b.log")
			require.Equal(t, []got{{name + "!d/b.log", "in b\n"}}, list)
			require.Empty(t, report.Unreadable)
		}
	}
	inDir(t, map[string]string{"script.log": "#!/bin/sh\necho PK\x05\x06" + strings.Repeat("\x00", 18)})
	list, _ := read(t, Options{}, "script.log")
	require.Len(t, list, 1, "no archive")
}
