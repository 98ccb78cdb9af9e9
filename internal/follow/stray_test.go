package follow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/packtest"
)

// move is a way in which a rotation takes a log's content away; the log is empty
// or not there after it.
type move struct {
	name string
	do   func(b *bench, to string)
}

var moves = []move{
	{"renamed", func(b *bench, to string) { b.rename("x.log", to) }},
	{"copied", func(b *bench, to string) { b.copytruncate("x.log", to) }},
	{"packed", func(b *bench, to string) {
		b.packTo("x.log", to)
		require.NoError(b.t, os.Remove(b.path("x.log")))
	}},
	{"copied and packed", func(b *bench, to string) {
		b.packTo("x.log", to)
		require.NoError(b.t, os.Truncate(b.path("x.log"), 0))
	}},
}

func (b *bench) packTo(from, to string) {
	text, err := os.ReadFile(b.path(from))
	require.NoError(b.t, err)
	gzipFile(b.t, b.path(to), string(text))
}

// names are what rotations call a file: logrotate with extension, dateext,
// dateformat and olddir, Python's namers, people.
var names = []string{"x.1.log", "x-20260101.log", "x.log_20260101", "x.log.old", "x.log.bak", "x.log-1767225600", "x.log-2026w01",
	"anything at all", "x.1.log.gz", "old/x.log", "old/x.1.log", "../beside/x.log", "x.log.1"}

// Wherever a rotation takes the content of a log, and whatever it calls it, all of
// it comes, once, and nothing is said to be lost: while the log is followed, and
// when that happens between two runs.
func TestRotatedToAnyName(t *testing.T) {
	checkpoints := inMemory(t)
	for _, paths := range []string{"x.log", "*.log", "."} {
		for _, how := range moves {
			for i, name := range names {
				for _, size := range []int{3, 100} { // the head alone is known, or samples
					if size == 3 && i%3 > 0 {
						continue
					}
					for _, when := range []string{"while it is followed", "between two runs", "before a restart"} {
						t.Run(fmt.Sprintf("%s %s to %s, %d lines, %s", paths, how.name, name, size, when), func(t *testing.T) {
							b := newBench(t, Options{FromStart: true, Paths: []string{paths},
								Checkpoint: filepath.Join(checkpoints, strings.ReplaceAll(t.Name(), "/", "!"))})
							require.NoError(t, os.Mkdir(b.path("old"), 0o755))
							require.NoError(t, os.Mkdir(b.path("../beside"), 0o755))
							text, want := lines(0, size)
							b.write("x.log", text)
							b.open()
							b.step(time.Second)
							b.want(want...)
							if when == "between two runs" {
								require.NoError(t, b.f.Close())
							}
							more, list := lines(size, size+10)
							want = append(want, list...)
							b.write("x.log", more)
							how.do(b, name)
							if when == "while it is followed" {
								b.step(quietPoll)
							}
							again, last := lines(size+10, size+15)
							want = append(want, last...)
							b.write("x.log", again)
							if when == "before a restart" {
								b.at = b.at.Add(quietPoll)
								b.f.look(b.at) // it is seen, and not read
								require.NoError(t, b.f.Close())
							}
							if when != "while it is followed" {
								b.open()
							}
							for range 5 {
								b.step(scanEvery)
							}
							require.ElementsMatch(t, want, b.out.all(), "%s", b.logs.String())
							b.step(2 * searching)
							b.step(scanEvery)
							require.NoError(t, b.f.Close())
							b.open()
							b.step(scanEvery)
							b.step(2 * searching)
							b.step(scanEvery)
							require.ElementsMatch(t, want, b.out.all(), "%s", b.logs.String())
							require.Zero(t, b.f.Stats().Lost)
							require.NotContains(t, b.logs.String(), "not found again")
							require.NotContains(t, b.logs.String(), "lines were lost")
						})
					}
				}
			}
		}
	}
}

// Rotated more than once while nothing follows the log: nobody has seen the beginning
// of those between. They are called as the one that is found, but for number or date,
// and are read, too; not what was there before, nor other logs.
func TestRotatedTwiceInOnePause(t *testing.T) {
	for _, list := range [][]string{
		{"x.3.log", "x.2.log", "x.1.log", "x.4.log"},
		{"x.10.log", "x.9.log", "x.8.log", "x.11.log"},
		{"x-20251231.log", "x-20260101.log", "x-20260102.log", "x-20251230.log"},
		{"x.log_20251231", "x.log_20260101.gz", "x.log_20260102", "x.log_20251230.gz"},
		{"x.log-1767225600", "x.log-1767225700", "x.log-1767225800", "x.log-1767225500"},
		{"2025-12-31 x.log", "2026-01-01 x.log", "2026-01-02 x.log", "2025-12-30 x.log"},
		{"old/x.log.3", "old/x.log.2", "old/x.log.1", "old/x.log.4"},
		{"old/x.log.3.gz", "old/x.log.2.gz", "old/x.log.1", "old/x.log.4.gz"},
		{"../beside/x.log-20251231", "../beside/x.log-20260101", "../beside/x.log-20260102", "../beside/x.log-20251230"},
	} {
		for _, first := range []int{0, 1, 2} { // of those that were rotated in the pause
			t.Run(fmt.Sprint(list, first), func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}, Checkpoint: t.TempDir() + "/c"})
				require.NoError(t, os.Mkdir(b.path("old"), 0o755))
				require.NoError(t, os.Mkdir(b.path("../beside"), 0o755))
				begin := time.Now().Add(-time.Hour).Truncate(time.Second).Add(500 * time.Millisecond)
				put := func(name, text string, after time.Duration) {
					at := begin.Add(after)
					if strings.HasSuffix(name, ".gz") {
						gzipFile(t, b.path(name), text)
						at = at.Truncate(time.Second)
					} else {
						b.write(name, text)
					}
					require.NoError(t, os.Chtimes(b.path(name), at, at))
				}
				put(list[3], "what was there before the first start\n", -time.Hour)
				text, want := lines(0, 100)
				b.write("x.log", text)
				b.open()
				b.step(time.Second)
				b.want(want...)
				require.NoError(t, b.f.Close())
				more, last := lines(100, 110)
				want = append(want, last...)
				require.NoError(t, os.Remove(b.path("x.log")))
				put(list[first], text+more, 0)
				for i := first + 1; i < 3; i++ {
					text, last := lines(1000*i, 1000*i+20)
					want = append(want, last...)
					put(list[i], text, time.Duration(i)*100*time.Millisecond)
				}
				b.write("x.log", "the next\n")
				want = append(want, "the next")
				for _, other := range []string{"y.1.log", "x-2.log", "xx.2.log", "x.2.2.log", "old/xx.log.1", "old/y.log.1", "x1.log"} {
					b.write(other, "another log\n")
				}
				b.open()
				for range 5 {
					b.step(scanEvery)
				}
				require.ElementsMatch(t, want, b.out.all(), "%s", b.logs.String())
				for range 3 { // all of it is known from then on, also when it moves on
					b.step(2 * searching)
					b.step(scanEvery)
					require.NoError(t, b.f.Close())
					b.open()
					b.step(scanEvery)
					b.step(scanEvery)
				}
				require.NoError(t, os.Rename(b.path("x.log"), b.path(list[2])+".last"))
				b.write("x.log", "and the next\n")
				b.step(scanEvery)
				require.ElementsMatch(t, append(want, "and the next"), b.out.all(), "%s", b.logs.String())
				require.Zero(t, b.f.Stats().Lost)
			})
		}
	}
}

// A file that is not the log's is not taken for it, however it begins, and what is
// really lost is said.
func TestAnotherFileWithTheSameBanner(t *testing.T) {
	short := "==== the service has been started ====\n"
	for name, banner := range map[string]string{"short": short, "longer than a head": strings.Repeat(short, 50)} {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " packed ", packed), func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}, Checkpoint: t.TempDir() + "/c"})
				text, want := lines(0, 20)
				b.write("x.log", banner+text)
				other, _ := lines(1000, 2000)
				b.write("other.log", banner+other)
				if packed {
					b.packTo("other.log", "other")
					require.NoError(t, os.Remove(b.path("other.log")))
				}
				b.open()
				b.step(time.Second)
				want = append(strings.Split(strings.TrimSuffix(banner, "\n"), "\n"), want...)
				b.want(want...)
				more, _ := lines(20, 30)
				b.write("x.log", more)
				b.f.look(b.at.Add(quietPoll)) // it is known, and not read
				require.NoError(t, b.f.Close())
				require.NoError(t, os.Remove(b.path("x.log")))
				b.write("x.log", banner)
				b.open()
				for range 5 {
					b.step(scanEvery)
				}
				b.step(searching)
				b.want(append(want, strings.Split(strings.TrimSuffix(banner, "\n"), "\n")...)...)
				require.EqualValues(t, 1, b.f.Stats().Lost)
				require.EqualValues(t, len(more), b.f.Stats().LostBytes)
			})
		}
	}
}

// Of two files that begin as all that is known of a log, none is taken: it cannot
// be told which.
func TestTwoFilesThatMayBeIt(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}, Checkpoint: t.TempDir() + "/c"})
	banner := "==== the service has been started ====\n"
	b.write("x.log", banner)
	b.open()
	b.step(time.Second)
	require.NoError(t, b.f.Close())
	for i, name := range []string{"a", "b"} {
		text, _ := lines(1000*i, 1000*i+3)
		b.write(name, banner+text)
	}
	require.NoError(t, os.Remove(b.path("x.log")))
	b.open()
	for range 5 {
		b.step(scanEvery)
	}
	b.want(strings.TrimSuffix(banner, "\n"))
}

// Beside a log lie ten thousand files. They are opened only while something of the
// log is missing, and each once.
func TestManyFilesBesideALog(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}})
	const many = 10_000
	for i := range many {
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, fmt.Sprintf("%05d", i)), fmt.Appendf(nil, "%d is another file\n", i), 0o644))
	}
	opened := map[string]int{}
	b.openPath = func(path string) (*os.File, error) {
		opened[filepath.Base(path)]++
		return openReadable(path)
	}
	text, want := lines(0, 100)
	b.write("x.log", text)
	b.open()
	for i := range 5 {
		b.write(fmt.Sprint("new", i), "the directory changes\n")
		b.step(scanEvery)
	}
	require.Equal(t, map[string]int{"x.log": 1}, opened)
	more, list := lines(100, 200)
	b.write("x.log", more)
	b.f.look(b.at.Add(quietPoll))
	b.copytruncate("x.log", "copy")
	b.write("x.log", "the next\n")
	for i := range 5 {
		b.write(fmt.Sprint("newer", i), "the directory changes\n")
		b.step(scanEvery)
	}
	require.ElementsMatch(t, append(append(want, list...), "the next"), b.out.all())
	for name, n := range opened {
		require.LessOrEqual(t, n, 2, name)
	}
	require.Contains(t, opened, "00007")
	clear(opened)
	b.write("x.log", "and the next\n")
	b.step(scanEvery)
	require.Empty(t, opened)
}

// What is found in a file that nobody asked for is what was missing, and nothing
// else of it is read, whatever is done to it.
func TestAStrayIsNoLog(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}, Checkpoint: t.TempDir() + "/c"})
	b.write("other.log", "not asked for\n")
	text, want := lines(0, 100)
	b.write("x.log", text)
	b.open()
	b.step(time.Second)
	require.NoError(t, b.f.Close())
	b.write("x.log", "the last\n")
	b.rename("x.log", "x.1.log")
	b.open()
	b.step(time.Second)
	want = append(want, "the last")
	b.want(want...)
	b.write("x.1.log", "late\n")
	b.step(time.Second)
	want = append(want, "late")
	b.want(want...)
	require.NoError(t, b.f.Close())
	b.rename("x.1.log", "x.2.log")
	b.write("x.2.log", "very late\n")
	b.open()
	b.step(time.Second)
	want = append(want, "very late")
	b.want(want...)
	require.Equal(t, "x.2.log", filepath.Base(b.f.families[b.path("x.log")].generations[0].Name()))
	require.NoError(t, os.Truncate(b.path("x.2.log"), 0))
	b.write("x.2.log", "something else\n")
	b.write("other.log", "and never read\n")
	for range 5 {
		b.step(scanEvery)
	}
	b.want(want...)
}

// A copy of a log that is followed is none of its own, in a directory, either, even
// if it was empty when it was found.
func TestACopyBesideIsNoLogOfItsOwn(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := lines(0, 1000)
	b.write("x.log", text)
	b.open()
	b.step(time.Second)
	b.write("copy of x", "")
	b.step(scanEvery)
	b.write("copy of x", text[:100])
	b.step(scanEvery)
	b.write("copy of x", text[100:20_000])
	b.step(scanEvery)
	b.write("copy of x", text[20_000:])
	b.step(scanEvery)
	b.want(want...)
	require.NoError(t, os.Truncate(b.path("x.log"), 0))
	b.write("x.log", "the next\n")
	b.step(scanEvery)
	b.step(searching)
	b.want(append(want, "the next")...)
	require.Zero(t, b.f.Stats().Lost)
	b.write("copy of x", "somebody writes to the copy\n")
	b.step(scanEvery)
	b.want(append(want, "the next", "somebody writes to the copy")...)
}

// Two logs may begin with the same lines: both are followed.
func TestTwoLogsWithTheSameBanner(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	banner := strings.Repeat("=", 2000) + "\n"
	b.write("a.log", banner+"one\n")
	b.open()
	b.step(time.Second)
	b.write("b.log", banner)
	b.step(scanEvery)
	b.write("b.log", "two\n")
	b.step(scanEvery)
	b.write("a.log", "three\n")
	b.step(scanEvery)
	b.want(banner[:2000], "one", banner[:2000], "two", "three")
}

// So many rotations in one pause that all that was known is gone.
func TestRotatedAwayInOnePause(t *testing.T) {
	for _, name := range []string{"x.%d.log", "old/x.log.%d", "x-2026010%d.log"} {
		b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}, Checkpoint: t.TempDir() + "/c"})
		require.NoError(t, os.Mkdir(b.path("old"), 0o755))
		text, want := lines(0, 100)
		b.write("x.log", text)
		b.open()
		b.step(time.Second)
		numbered := func(number int) string { return fmt.Sprintf(name, number) }
		b.rename("x.log", numbered(7))
		b.write(numbered(9), "what was there before\n")
		old := time.Now().Add(-time.Hour)
		require.NoError(t, os.Chtimes(b.path(numbered(9)), old, old))
		text, list := lines(100, 200)
		want = append(want, list...)
		b.write("x.log", text)
		b.step(scanEvery)
		b.step(scanEvery)
		require.ElementsMatch(t, want, b.out.all())
		require.NoError(t, b.f.Close())
		require.NoError(t, os.Remove(b.path("x.log")))
		require.NoError(t, os.Remove(b.path(numbered(7))))
		for i := range 3 {
			text, list := lines(1000*(i+1), 1000*(i+1)+100)
			want = append(want, list...)
			b.write(numbered(3-i), text)
		}
		b.write("x.log", "the next\n")
		b.open()
		for range 5 {
			b.step(scanEvery)
		}
		require.ElementsMatch(t, append(want, "the next"), b.out.all(), "%s", b.logs.String())
	}
}

// Through a link to its directory a log has another name, and is no file of its own
// rotation.
func TestRotatedTwiceBehindALink(t *testing.T) {
	for _, names := range [][]string{{"x.3.log", "x.2.log", "x.1.log"}, {"x.log.3", "x.log.2", "x.log.1"}} {
		b := newBench(t, Options{FromStart: true, Paths: []string{"link/x.log"}, Checkpoint: t.TempDir() + "/c"})
		require.NoError(t, os.Symlink(".", b.path("link")))
		text, want := lines(0, 100)
		b.write("x.log", text)
		b.open()
		b.step(time.Second)
		require.NoError(t, b.f.Close())
		for i, name := range names {
			text, list := lines(1000*i, 1000*i+100)
			if i == 0 {
				text, list = lines(100, 110)
			}
			want = append(want, list...)
			b.write("x.log", text)
			b.rename("x.log", name)
		}
		b.write("x.log", "the next\n")
		for range 3 {
			b.open()
			for range 5 {
				b.step(scanEvery)
				b.step(searching)
			}
			require.ElementsMatch(t, append(want, "the next"), b.out.all(), "%s", b.logs.String())
			for _, fam := range b.f.families {
				active := 0
				for _, g := range fam.generations {
					if g.active {
						active++
					}
				}
				require.Equal(t, 1, active)
			}
			require.NoError(t, b.f.Close())
		}
	}
}

// What was packed while the log was followed is known as long as it is there, whatever
// time the packed file has.
func TestPackedUnderAnyNameIsRemembered(t *testing.T) {
	for _, pattern := range []string{"x.%d.log", "old/x.%d", "x.log.%d"} {
		b := newBench(t, Options{FromStart: true, Paths: []string{"x.log"}, Checkpoint: t.TempDir() + "/c"})
		require.NoError(t, os.Mkdir(b.path("old"), 0o755))
		name := func(number int) string { return fmt.Sprintf(pattern, number) }
		var want []string
		b.open()
		for round := range 4 {
			text, list := lines(100*round, 100*round+3+50*(round%2))
			want = append(want, list...)
			b.write("x.log", text)
			b.step(time.Second)
			for i := round; i > 0; i-- {
				b.rename(name(i)+".gz", name(i+1)+".gz")
			}
			b.rename("x.log", name(1))
			b.write("x.log", "")
			b.step(time.Second)
			b.pack(name(1))
			for range 3 {
				b.step(scanEvery)
				b.step(5 * time.Minute)
			}
			now := time.Now()
			for i := range round + 1 {
				require.NoError(t, os.Chtimes(b.path(name(i+1)+".gz"), now, now))
			}
			for range 3 {
				b.step(scanEvery)
				b.step(5 * time.Minute)
			}
			if round%2 == 1 {
				require.NoError(t, b.f.Close())
				b.open()
			}
		}
		require.ElementsMatch(t, want, b.out.all(), pattern)
	}
}

// A copy that was first seen when it was empty, and packed before anything of it was
// read, is not taken for read when it turns out to be a copy.
func TestACopyThatIsPackedBeforeItIsRead(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Paths: []string{""}, Checkpoint: t.TempDir() + "/c"})
	b.open()
	b.step(time.Second)
	text, want := lines(0, 1)
	b.write("x.log", text)
	b.write("x.1.log", "")
	b.f.look(b.at.Add(scanEvery))
	b.write("x.1.log", text)
	b.write("x.1.log.gz", packtest.Gzip(text))
	require.NoError(t, os.Remove(b.path("x.1.log")))
	require.NoError(t, os.Truncate(b.path("x.log"), 0))
	b.at = b.at.Add(scanEvery)
	b.f.scan(b.at) // before it is looked at what became of the files
	for range 6 {
		b.step(scanEvery)
	}
	require.ElementsMatch(t, want, b.out.all(), "%s", b.logs.String())
}

// So it is where the log was read in part, and its rest found in what was packed.
func TestACopyOfWhatIsReadInAPackedFile(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: t.TempDir() + "/c"})
	b.open()
	first, want := lines(0, 2)
	b.write("x.log", first)
	b.step(time.Second)
	require.Len(t, b.out.all(), 2)
	more, list := lines(2, 100)
	want = append(want, list...)
	b.write("x.log", more)
	b.write("x.1.log", "")
	b.at = b.at.Add(scanEvery)
	b.f.scan(b.at)
	b.write("x.1.log", first+more)
	b.write("x.1.log.gz", packtest.Gzip(first+more))
	require.NoError(t, os.Remove(b.path("x.1.log")))
	require.NoError(t, os.Truncate(b.path("x.log"), 0))
	for range 6 {
		b.step(scanEvery)
	}
	require.ElementsMatch(t, want, b.out.all(), "%s", b.logs.String())
}
