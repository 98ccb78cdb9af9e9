package source

import (
	"bytes"
	"context"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz/lzma"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

var damageable = map[string]string{
	"gzip":         gz(noise(1, 60)),
	"gzips":        gz(noise(1, 20)) + gz(noise(2, 20)),
	"xz":           xzed(noise(3, 60)),
	"xzs":          xzed(noise(3, 20)) + "\x00\x00\x00\x00" + xzed(noise(4, 20)),
	"zstd":         zst(noise(5, 60)),
	"zstds":        zst(noise(5, 20)) + zst(noise(6, 20)),
	"tar":          tarred("a", noise(7, 20), "b.gz", gz(noise(8, 20)), "c", "c"),
	"tar.gz":       gz(tarred("a", noise(7, 20), "b.gz", gz(noise(8, 20)), "c.tar", tarred("d", noise(9, 9)), "e", "e")),
	"tar.xz":       xzed(tarred("a", noise(7, 20), "b.xz", xzed(noise(8, 20)), "c.zip", zipOf("d", noise(9, 9)), "e", "e")),
	"tar.zst":      zst(tarred("a", noise(7, 20), "b.zst", zst(noise(8, 20)), "e", "e")),
	"zip":          zipOf("a", noise(7, 20), "b.gz", gz(noise(8, 20)), "c", "c"),
	"zip of sizes": zipRaw("a", noise(7, 20), "b.gz", gz(noise(8, 20)), "c", "c"),
	"zip.gz":       gz(zipOf("a", noise(7, 20), "b.gz", gz(noise(8, 20)), "c", "c")),
}

// packed are the members of those that are packed themselves.
var packed = map[string]string{
	"b.gz": gz(noise(8, 20)), "b.xz": xzed(noise(8, 20)), "b.zst": zst(noise(8, 20)),
	"c.tar": tarred("d", noise(9, 9)), "c.zip": zipOf("d", noise(9, 9)),
	"-": tarred("an archive by itself", ""),
}

// Whatever is cut, everything before the cut is delivered and the damage is
// named.
func TestCutAnywhere(t *testing.T) {
	for name, data := range damageable {
		t.Run(name, func(t *testing.T) {
			whole, report := readBytes(t, Options{}, []byte(data))
			require.Empty(t, report.Unreadable)
			inDir(t, nil)
			most := 0
			least := 32
			if name == "tar" {
				least = 265 // the end of its magic
			}
			for cut := len(data) - 1; cut >= least; cut -= 1 + len(data)/100 {
				// On disk and as a stream: zip archives are read differently.
				require.NoError(t, os.WriteFile("-", []byte(data[:cut]), 0o644))
				disk, onDisk := read(t, Options{}, "./-")
				list, report := readBytes(t, Options{}, []byte(data[:cut]))
				require.Equal(t, len(list), len(disk))
				require.Equal(t, len(report.Unreadable), len(onDisk.Unreadable))
				require.LessOrEqual(t, len(list), len(whole))
				for i, g := range list {
					require.Equal(t, g.body, disk[i].body)
					if i < len(list)-1 {
						require.Equal(t, whole[i], g, "cut at %d", cut)
					} else if !strings.HasPrefix(whole[i].body, g.body) || whole[i].name != g.name {
						// Cut in the magic, packed data cannot be told from text.
						require.Less(t, len(g.body), unpack.HeadLen, "cut at %d", cut)
						require.NotEqual(t, unpack.Text, unpack.Sniff([]byte(packed[strings.TrimPrefix(g.name, "-!")])).Form, "cut at %d", cut)
					}
				}
				most = max(most, int(report.Bytes))
				if (name == "gzips" && cut == len(gz(noise(1, 20)))) || (name == "zstds" && cut == len(zst(noise(5, 20)))) ||
					(name == "xzs" && report.Unreadable == nil) {
					continue // a whole file by itself
				}
				require.Len(t, report.Unreadable, 1, "cut at %d", cut)
				u := report.Unreadable[0]
				require.Regexp(t, "unexpected end of the|end mark of the tar archive|directory at the end of the zip", u.Reason)
				if n := len(list); n > 0 && u.Name == list[n-1].name {
					require.Equal(t, int64(len(list[n-1].body)), u.Offset)
				}
			}
			sum := 0
			for _, g := range whole {
				sum += len(g.body)
			}
			if !strings.Contains(name, "zst") { // in blocks of 128 KiB
				require.Greater(t, most, sum-200, "what stands right before the cut is delivered")
			}
		})
	}
}

// What a cut tells the user.
func TestDamageIsNamed(t *testing.T) {
	inner := gz(noise(8, 20))
	archive := tarred("a.log", "a\n", "b.log.gz", inner)
	tail := 1024 + 512 - len(inner)%512
	middle := archive[:len(archive)-tail-100]
	for name, tc := range map[string]struct {
		data string
		want string // name: reason
	}{
		"in a tar":             {middle, "-!b.log.gz: unexpected end of the tar archive (-)"},
		"in a tar.gz":          {gz(archive)[:len(gz(archive))-150], "-!b.log.gz: unexpected end of the gzip data (-)"},
		"only the inner":       {tarred("b.log.gz", inner[:len(inner)-100], "c", "c"), "-!b.log.gz: unexpected end of the gzip data"},
		"between tar members":  {archive[:1024], "-: the end mark of the tar archive is missing, it may have been cut"},
		"in a tar header":      {archive[:1024+100], "-: unexpected end of the tar archive"},
		"a damaged tar header": {archive[:1024] + "x" + archive[1025:], "-: a header of the tar archive is damaged, and none that is whole follows"},
		"after a tar":          {archive + "something", "-: something else follows the end of the tar archive and was not read"},
		"zip without end":      {zipOf("a", "a")[:60], "-: the directory at the end of the zip archive is missing or damaged; the members before it were read without it"},
		"zip in a cut tar.gz":  {gz(tarred("z.zip", zipRaw("m", noise(1, 50))))[:700], "-!z.zip!m: unexpected end of the gzip data (-)"},
		"zip of damaged data":  {strings.Replace(zipRaw("a", "good", "b", "b"), "good", "gold", 1), "-!a: the checksum of the data in the zip archive does not match, it may be damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			_, report := readBytes(t, Options{}, []byte(tc.data))
			require.Len(t, report.Unreadable, 1)
			require.Equal(t, tc.want, report.Unreadable[0].Name+": "+report.Unreadable[0].Reason)
		})
	}
	t.Run("several", func(t *testing.T) {
		list, report := readBytes(t, Options{}, []byte(tarred("a.gz", inner[:50], "b.gz", inner[:60], "c", "c")))
		require.Len(t, list, 3)
		require.Len(t, report.Unreadable, 2)
	})
}

// Whatever bytes are changed: no panic, no end of reading without an end.
func TestDamageAnywhere(t *testing.T) {
	var kinds []string
	for name := range damageable {
		kinds = append(kinds, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(damageable[rapid.SampledFrom(kinds).Draw(t, "kind")])
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				data[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				data[at] = rapid.Byte().Draw(t, "byte")
			case 2:
				n := min(rapid.IntRange(1, 40).Draw(t, "gap"), len(data)-at)
				if data = append(data[:at:at], data[at+n:]...); len(data) == 0 {
					return
				}
			}
		}
		report, err := Walk(context.Background(), []string{"-"},
			Options{Stdin: bytes.NewReader(data), MaxUnpacked: 10 << 20}, func(m *Member) error {
				_, err := io.Copy(io.Discard, m.Reader)
				return err
			})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range report.Unreadable {
			if u.Reason == "" {
				t.Fatal("no reason")
			}
		}
	})
}

func TestXZAsksForTooMuch(t *testing.T) {
	data := []byte(xzed("text"))
	data[12+4] = lzma.EncodeDictCap(192 << 20) // of the first block
	le.PutUint32(data[12+8:], crc32.ChecksumIEEE(data[12:12+8]))
	_, report := readBytes(t, Options{}, data)
	require.Equal(t, []Unreadable{{Name: "-", Reason: "the xz data needs a window of more than 128 MiB; unpack it first"}}, report.Unreadable)
}
