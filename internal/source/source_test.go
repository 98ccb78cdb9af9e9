package source

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/packtest"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// A walk may leave no goroutine behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(code) // fuzzing has goroutines of its own
	}
	for range 100_000 { // those that are about to end
		if runtime.NumGoroutine() <= before {
			break
		}
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); code == 0 && n > before {
		fmt.Println("goroutines left behind:", n-before)
		code = 1
	}
	os.Exit(code)
}

// Short names of what packs.
var (
	gz, zst, xzed         = packtest.Gzip, packtest.Zstd, packtest.XZ
	xzInBlocks            = packtest.XZBlocks
	tarred, zipOf, zipRaw = packtest.Tar, packtest.Zip, packtest.ZipStored
	noise                 = packtest.Noise
)

// got is a member as a visitor saw it.
type got struct{ name, body string }

func read(t testing.TB, opt Options, paths ...string) ([]got, *Report) {
	t.Helper()
	var list []got
	report, err := Walk(context.Background(), paths, opt, func(m *Member) error {
		body, err := io.ReadAll(m.Reader)
		require.NoError(t, err)
		list = append(list, got{m.Name, string(body)})
		return nil
	})
	require.NoError(t, err)
	var sum int64
	for _, g := range list {
		sum += int64(len(g.body))
	}
	require.Equal(t, sum, report.Bytes)
	return list, report
}

// readBytes walks data as standard input, named "-".
func readBytes(t testing.TB, opt Options, data []byte) ([]got, *Report) {
	t.Helper()
	opt.Stdin = bytes.NewReader(data)
	return read(t, opt, "-")
}

// inDir makes files (content by name) in a fresh directory and goes there.
func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, body := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(body), 0o644))
	}
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(b)
}

const bz2Text = "first line of the bzip2 fixture\nsecond stream\n"

func TestEveryPackingInOneArchive(t *testing.T) {
	everything := xzed(tarred(
		"plain.log", "plain\n",
		"a.log.gz", gz("gzip\n"),
		"b.log.bz2", fixture(t, "two-streams.log.bz2"),
		"c.log.xz", xzed("xz\n"),
		"d.log.zst", zst("zstd\n"),
		"e.zip", zipOf("in/zip.log", "zip\n", "in/zip.log.gz", gz("zipped gzip\n")),
		"f.tar.gz", gz(tarred("deep.log", "deep\n", "deeper.zip", zipRaw("x.log", "deepest\n"))),
		"empty.log", "",
	))
	inDir(t, map[string]string{"misnamed.txt": everything})
	want := []got{
		{"misnamed.txt!plain.log", "plain\n"},
		{"misnamed.txt!a.log.gz", "gzip\n"},
		{"misnamed.txt!b.log.bz2", bz2Text},
		{"misnamed.txt!c.log.xz", "xz\n"},
		{"misnamed.txt!d.log.zst", "zstd\n"},
		{"misnamed.txt!e.zip!in/zip.log", "zip\n"},
		{"misnamed.txt!e.zip!in/zip.log.gz", "zipped gzip\n"},
		{"misnamed.txt!f.tar.gz!deep.log", "deep\n"},
		{"misnamed.txt!f.tar.gz!deeper.zip!x.log", "deepest\n"},
		{"misnamed.txt!empty.log", ""},
	}
	list, report := read(t, Options{}, "misnamed.txt")
	require.Equal(t, want, list)
	require.Equal(t, &Report{Files: 1, Members: 13, Bytes: report.Bytes}, report)

	t.Run("zip archives held on disk", func(t *testing.T) {
		temp := t.TempDir()
		list, report := read(t, Options{Memory: 16, Temp: temp}, "misnamed.txt")
		require.Equal(t, want, list)
		require.Empty(t, report.Unreadable)
		left, err := os.ReadDir(temp)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	t.Run("no place to hold them", func(t *testing.T) {
		list, report := read(t, Options{Memory: 16, Temp: "/nowhere"}, "misnamed.txt")
		require.Len(t, list, len(want)-3)
		require.Len(t, report.Unreadable, 2)
		require.Equal(t, "misnamed.txt!e.zip", report.Unreadable[0].Name)
		require.Contains(t, report.Unreadable[0].Reason, "/nowhere (--temp): no such file or directory")
	})
	t.Run("too deep", func(t *testing.T) {
		list, report := read(t, Options{MaxDepth: 2}, "misnamed.txt")
		require.Equal(t, []got{want[0], want[9]}, list)
		require.Len(t, report.Unreadable, 6)
		require.Equal(t, Unreadable{Name: "misnamed.txt!a.log.gz", Reason: "packed more than 2 layers deep (--max-depth)"}, report.Unreadable[0])
	})
}

func TestVisitorNeedNotRead(t *testing.T) {
	data := gz(tarred("a", strings.Repeat("a", 5000), "b.gz", gz("b"), "c.zip", zipOf("d", "d", "e", "e"), "f", "f"))
	for _, n := range []int64{0, 1} {
		var names []string
		report, err := Walk(context.Background(), []string{"-"}, Options{Stdin: strings.NewReader(data)}, func(m *Member) error {
			names = append(names, m.Name)
			_, err := io.CopyN(io.Discard, m.Reader, n)
			return err
		})
		require.NoError(t, err)
		require.Equal(t, []string{"-!a", "-!b.gz", "-!c.zip!d", "-!c.zip!e", "-!f"}, names)
		require.Equal(t, 5*n, report.Bytes)
		require.Empty(t, report.Unreadable)
	}
}

func TestVisitorsErrorEndsTheWalk(t *testing.T) {
	mine := errors.New("mine")
	for name, data := range map[string]string{
		"tar": tarred("a", "a", "b", "b"), "zip": zipOf("a", "a", "b", "b"), "cut zip": zipOf("a", "a", "b", "b")[:100],
		"gzip": gz("a"), "plain": "a",
	} {
		t.Run(name, func(t *testing.T) {
			visits := 0
			report, err := Walk(context.Background(), []string{"-", "-"}, Options{Stdin: strings.NewReader(data)}, func(m *Member) error {
				visits++
				return mine
			})
			require.True(t, err == mine)
			require.Equal(t, 1, visits)
			require.Equal(t, 1, report.Files)
			require.Empty(t, report.Unreadable)
		})
	}
}

func TestContextEndsTheWalk(t *testing.T) {
	big := strings.Repeat("some text that goes on\n", 100_000)
	for name, data := range map[string]string{
		"plain": big, "gzip": gz(big), "tar": tarred("a", big, "b", "b"), "xz": xzed(big), "zstd": zst(big),
		"zip": zipOf("a", big, "b", "b"), "zip in tar": tarred("a.zip", zipOf("a", big, "b", "b")),
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"in": data})
			temp := t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			var n int64
			visits := 0
			report, err := Walk(ctx, []string{"in"}, Options{Memory: 1, Temp: temp}, func(m *Member) error {
				visits++
				buf := make([]byte, 100_000)
				k, err := m.Reader.Read(buf)
				require.NoError(t, err)
				cancel()
				rest, err := io.Copy(io.Discard, m.Reader)
				n = int64(k) + rest
				return err
			})
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 1, visits)
			require.Less(t, n, int64(1<<20))
			require.Equal(t, n, report.Bytes)
			require.Empty(t, report.Unreadable, "the context is no damage")
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	t.Run("before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		report, err := Walk(ctx, []string{"testdata", "testdata/*"}, Options{}, func(*Member) error { return errors.New("visited") })
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, &Report{}, report)
	})
	t.Run("silent standard input", func(t *testing.T) {
		r, w := io.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		read := make(chan struct{})
		go func() {
			io.WriteString(w, strings.Repeat("x", unpack.HeadLen))
			<-read
			cancel()
		}()
		_, err := Walk(ctx, []string{"-"}, Options{Stdin: r}, func(m *Member) error {
			_, err := io.CopyN(io.Discard, m.Reader, unpack.HeadLen)
			close(read)
			io.Copy(io.Discard, m.Reader)
			return err
		})
		require.ErrorIs(t, err, context.Canceled)
		w.Close() // lets the reading goroutine go
	})
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a bug in a library") }

func TestPanicOfAReader(t *testing.T) {
	list, report := read(t, Options{Stdin: io.MultiReader(strings.NewReader(gz("text")[:15]), panicking{})}, "-")
	require.Equal(t, []Unreadable{{Name: "-", Reason: "reading failed: a bug in a library"}}, report.Unreadable)
	require.Empty(t, list)

	w := &walker{ctx: context.Background()}
	s := &stream{w: w, r: panicking{}, what: "xz data", of: "x"}
	_, err := s.Read(make([]byte, 1))
	require.EqualError(t, err, "the xz data is damaged (a bug in a library)")
}

func TestBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	for name, data := range map[string]string{
		"gzip":              gz(zeros),
		"gzip in zstd":      zst(gz(zeros)),
		"skipped in tar":    gz(tarred("core", "\x7fELF"+zeros)),
		"padding of tar":    gz(tarred("a", "") + zeros),
		"zip":               zipOf("a", zeros),
		"cut zip":           zipOf("a", zeros, "b", zeros)[:1500],
		"zip held":          gz(zipRaw("a", zeros)),
		"many small in zip": zipOf(repeat(50, "a", zeros[:4096])...),
		"a hole in a tar":   rawTar('x', "h", "24 GNU.sparse.map=0,512\n27 GNU.sparse.size=1024000\n26 GNU.sparse.numblocks=1\n") + rawTar('0', "inner.tar", rawTar('0', "x", "", at(124, "00003720000\x00"))) + tarTail,
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"bomb": data, "next.log": "next\n"})
			list, report := read(t, Options{MaxUnpacked: 100_000}, "bomb", "next.log")
			require.LessOrEqual(t, report.Bytes, int64(100_005))
			require.Len(t, report.Unreadable, 1)
			require.True(t, strings.HasPrefix(report.Unreadable[0].Name, "bomb"))
			require.Equal(t, "more than 100000 bytes were unpacked, reading stops here (--max-unpacked)", report.Unreadable[0].Reason)
			require.Equal(t, got{"next.log", "next\n"}, list[len(list)-1], "what is not packed is read on")
		})
	}
	t.Run("exactly the limit", func(t *testing.T) {
		_, report := readBytes(t, Options{MaxUnpacked: 1 << 20}, []byte(gz(zeros)))
		require.Empty(t, report.Unreadable)
	})
}

// Members are counted, whatever they are, and what is not in an archive is read on.
func TestMaxMembers(t *testing.T) {
	three := []string{"a", "", "b/", "", "c", "c\n"}
	for name, data := range map[string]string{
		"tar":                 rawTar('0', "a", "") + rawTar('5', "b/", "") + rawTar('2', "c", "") + tarTail,
		"zip":                 zipOf(three...),
		"zip in a stream":     gz(zipOf(three...)),
		"cut zip":             zipOf(three...)[:len(zipOf(three...))-30],
		"an archive in a tar": tarred("a", "", "b", gz(tarred("c", ""))),
		"a zip in a tar":      tarred("a", "", "b", zipOf("c", "")),
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"x": data, "y": tarred("last", ""), "z": "next\n"})
			list, report := read(t, Options{MaxMembers: 2}, "x", "y", "z")
			require.Equal(t, got{"z", "next\n"}, list[len(list)-1])
			require.Len(t, report.Unreadable, 2)
			for i, name := range []string{"x", "y"} {
				require.True(t, strings.HasPrefix(report.Unreadable[i].Name, name))
				require.Equal(t, "archives hold more than 2 members in all, reading stops here (--max-members)", report.Unreadable[i].Reason)
			}
			_, report = read(t, Options{MaxMembers: 4}, "x", "y", "z")
			if name != "cut zip" {
				require.Empty(t, report.Unreadable)
			}
		})
	}
}

// Members without content cost no buffers.
func TestManyEmptyMembers(t *testing.T) {
	const n = 10_000
	entries := make([]string, 0, 2*n)
	for i := range n {
		entries = append(entries, fmt.Sprint(i), "")
	}
	for form, data := range map[string]string{"tar": tarred(entries...), "zip": gz(zipRaw(entries...))} {
		before, after := new(runtime.MemStats), new(runtime.MemStats)
		runtime.ReadMemStats(before)
		_, report := readBytes(t, Options{}, []byte(data))
		runtime.ReadMemStats(after)
		require.Equal(t, n, report.Members)
		require.Less(t, (after.TotalAlloc-before.TotalAlloc)/n, uint64(32<<10), form)
	}
}

func repeat(n int, entry ...string) (list []string) {
	for range n {
		list = append(list, entry...)
	}
	return list
}

func TestReportStaysSmall(t *testing.T) {
	data := tarred(append(repeat(1500, "core", "\x7fELF"), repeat(2000, "x.7z", "7z\xbc\xaf\x27\x1c")...)...)
	_, report := readBytes(t, Options{}, []byte(data))
	require.Equal(t, 3500, report.Members)
	require.Len(t, report.Skipped, 1001)
	require.Equal(t, Skipped{Reason: "500 more were skipped"}, report.Skipped[1000])
	require.Len(t, report.Unreadable, 1001)
	require.Equal(t, Unreadable{Reason: "1000 more could not be read"}, report.Unreadable[1000])
}

func TestProgress(t *testing.T) {
	inDir(t, map[string]string{
		"d/a.log": strings.Repeat("a", 1000), "d/b.gz": gz("b"), "d/c.zip": zipOf("x", "x"), "d/core": "\x7fELF" + strings.Repeat("c", 200_000),
	})
	var total int64
	for _, name := range []string{"a.log", "b.gz", "c.zip", "core"} {
		info, err := os.Stat("d/" + name)
		require.NoError(t, err)
		total += info.Size()
	}
	var calls [][2]int64
	read(t, Options{Progress: func(done, total int64) { calls = append(calls, [2]int64{done, total}) }, Stdin: strings.NewReader("")}, "d", "-")
	last := int64(0)
	for _, c := range calls {
		require.Equal(t, total, c[1])
		require.GreaterOrEqual(t, c[0], last)
		last = c[0]
	}
	require.Equal(t, total, last)
	require.GreaterOrEqual(t, len(calls), 2)
}
