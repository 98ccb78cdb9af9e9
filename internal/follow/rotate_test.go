package follow

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

func TestLinesArrive(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\ntwo\nthr")
	b.open()
	b.step(time.Second)
	b.want("one", "two")
	b.write("x.log", "ee\n")
	b.step(time.Second)
	b.want("one", "two", "three")
}

func TestRename(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	b.write("x.log", "two\n")
	b.rename("x.log", "x.log.1")
	b.write("x.log", "three\n")
	b.step(time.Second)
	b.want("one", "two", "three")
}

func TestCopytruncate(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	b.write("x.log", "two\n")
	b.copytruncate("x.log", "x.log.1")
	b.write("x.log", "three is a longer line\n")
	b.step(time.Second)
	b.want("one", "two", "three is a longer line")
	b.step(time.Minute)
	b.step(time.Minute)
	b.step(time.Minute)
	b.want("one", "two", "three is a longer line")
}

// Nothing was read yet when the log was cut, and the copy lacks what was written
// after it was made.
func TestTheCopyLacksTheLastLines(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := lines(0, 1000)
	b.write("x.log", text)
	b.open()
	b.f.look(b.at)
	b.copy("x.log", "x.log.1")
	more, _ := lines(1000, 1100)
	b.write("x.log", more)
	b.at = b.at.Add(time.Second)
	b.f.look(b.at)
	require.NoError(t, os.Truncate(b.path("x.log"), 0))
	b.step(time.Second)
	b.step(time.Second)
	b.write("x.log", "the next\n")
	b.step(time.Second)
	b.want(append(want, "the next")...)
	require.EqualValues(t, 1, b.f.Stats().Truncations)
}

// Each of these is a case in which a follower by path loses or repeats lines.

func TestRenamedWhileTheBacklogIsRead(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := lines(0, 30_000)
	b.write("x.log", text)
	b.open()
	b.rename("x.log", "x.log.1")
	more, list := lines(30_000, 31_000)
	b.write("x.log", more)
	b.step(time.Second)
	b.want(append(want, list...)...)
	require.Contains(t, b.out.blocks, "x.log@0 line 1 continues")
}

func TestTwoRotationsDuringOneStall(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	b.write("x.log", "two\n")
	b.rename("x.log", "x.log.1")
	b.write("x.log", "three\n")
	b.rename("x.log.1", "x.log.2")
	b.rename("x.log", "x.log.1")
	b.write("x.log", "four\n")
	b.step(time.Second)
	b.want("one", "two", "three", "four")
}

func TestDeletedWhileTakeBlocks(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.f.look(b.at) // but nothing is read
	b.rename("x.log", "x.log.1")
	b.write("x.log", "two\n")
	b.at = b.at.Add(time.Second)
	b.f.look(b.at)
	require.NoError(t, os.Remove(b.path("x.log")))
	require.NoError(t, os.Remove(b.path("x.log.1")))
	b.at = b.at.Add(time.Second)
	b.f.look(b.at)
	b.write("x.log", "three\n")
	b.step(time.Second)
	b.want("one", "two", "three")
}

func TestTheOldFileIsWrittenToLate(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	b.rename("x.log", "x.log.1")
	b.write("x.log", "new\n")
	b.step(time.Second)
	b.write("x.log.1", "late\n")
	b.step(time.Second)
	b.step(time.Hour) // long finished
	b.write("x.log.1", "very late\n")
	b.step(time.Second)
	b.want("one", "new", "late", "very late")
	require.Equal(t, []string{"x.log@0 line 1", "x.log@0 line 1 continues", "x.log.1@4 line 2", "x.log.1@9 line 3 continues"}, b.out.blocks)
}

// Services may begin every file with the same lines.
func TestTheSameBannerInEveryFile(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	banner := strings.Repeat("=", 2000) + "\n"
	b.write("x.log", banner+"one\n")
	b.open()
	b.step(time.Second)
	want := []string{banner[:2000], "one"}
	for i, line := range []string{"two", "three"} {
		if i > 0 {
			b.rename("x.log.1", "x.log.2")
		}
		b.rename("x.log", "x.log.1")
		b.write("x.log", banner+line+"\n")
		b.step(time.Second)
		want = append(want, banner[:2000], line)
	}
	b.want(want...)
}

// A day of nothing, then a line: it arrives, also after a rotation in the night.
func TestADayOfNothing(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	for range 24 * 60 {
		b.step(time.Minute)
	}
	b.write("x.log", "two\n")
	b.step(time.Second)
	b.rename("x.log", "x.log.1")
	b.write("x.log", "")
	for range 24 * 60 {
		b.step(time.Minute)
	}
	b.write("x.log", "three\n")
	b.step(time.Second)
	b.want("one", "two", "three")
}

func TestGrownOverTheOldOffsetAfterCopytruncate(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := lines(0, 100)
	b.write("x.log", text)
	b.open()
	b.step(time.Second)
	more, list := lines(100, 150)
	b.write("x.log", more)
	b.copytruncate("x.log", "x.log.1")
	again, last := lines(150, 1000)
	b.write("x.log", again)
	b.step(time.Second)
	b.want(append(append(want, list...), last...)...)
}

func TestTruncatedBetweenReadingAndVerifying(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	text, want := lines(0, 100)
	b.write("x.log", text)
	b.open()
	j, ok := b.f.pick(b.f.families[b.path("x.log")])
	require.True(t, ok)
	b.copytruncate("x.log", "x.log.1")
	more, list := lines(100, 300)
	b.write("x.log", more)
	require.NoError(t, b.f.servePlain(&j)) // what it reads is not the generation's any more
	require.Empty(t, b.out.all())
	b.step(time.Second)
	b.want(append(want, list...)...)
}

func TestUnterminatedLineOfARotatedFile(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\ntw")
	b.open()
	b.step(time.Second)
	b.want("one")
	b.rename("x.log", "x.log.1")
	b.write("x.log", "three\n")
	b.step(time.Second)
	b.want("one", "three")
	b.step(grace)
	b.step(time.Second)
	b.want("one", "three", "tw(final)")
	require.Equal(t, []string{"x.log@0 line 1", "x.log@0 line 1", "x.log.1@4 line 2"}, b.out.blocks)
}

func TestUnterminatedLineStaysOpenInTheActiveFile(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\ntw")
	b.open()
	b.step(time.Hour)
	b.step(time.Hour)
	b.want("one")
	b.write("x.log", "o\n")
	b.step(time.Second)
	b.want("one", "two")
}

func TestRecreatedAfterAGap(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"x.log"}, FromStart: true})
	b.open()
	b.step(time.Second)
	b.write("x.log", "one\n")
	b.step(time.Second)
	require.NoError(t, os.Remove(b.path("x.log")))
	b.step(time.Second)
	b.step(3 * lingers)
	b.write("x.log", "two\n")
	b.step(time.Second)
	b.want("one", "two")
	require.Zero(t, b.f.Stats().Lost)
}

func TestUnreadableForAMoment(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	refused := true
	b.f.openPath = func(path string) (*os.File, error) {
		if refused {
			return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EACCES}
		}
		return os.Open(path)
	}
	b.rename("x.log", "x.log.1")
	b.write("x.log", "two\n")
	b.step(time.Second)
	b.step(time.Second)
	b.want("one")
	require.Equal(t, 1, strings.Count(b.logs.String(), "permission denied"), "said once")
	refused = false
	b.step(time.Second)
	b.want("one", "two")
}

func TestPatternMatchesLater(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"*/*.log"}})
	b.open()
	b.step(time.Second)
	require.NoError(t, os.Mkdir(b.path("nova"), 0o755))
	b.write("nova/api.log", "one\n")
	b.step(3 * time.Second)
	b.want("one")
	b.copytruncate("nova/api.log", "nova/api.log.1")
	b.step(time.Second)
	b.want("one")
}

func TestWhatIsNoLog(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("elf", "\x7fELF\x02\x01\x01")
	b.write("a.zip", "PK\x03\x04 and so on")
	b.write("x.log", "one\n")
	b.write("later", "")
	require.NoError(t, syscall.Mkfifo(b.path("fifo"), 0o600))
	b.open()
	b.step(time.Second)
	b.write("later", "SQLite format 3\x00 and so on\n")
	b.step(time.Second)
	b.write("later", "more\n")
	b.step(3 * time.Second)
	b.step(3 * time.Second)
	b.want("one")
	for _, reason := range []string{"ELF file", "zip archive", "SQLite database"} {
		require.Equal(t, 1, strings.Count(b.logs.String(), reason), reason)
	}
	_, err := Open(Options{Paths: []string{b.path("fifo")}, Logger: b.opt.Logger})
	require.ErrorContains(t, err, b.path("fifo")+" is a named pipe and cannot be followed")
}

func TestLongLinesAreCut(t *testing.T) {
	b := newBench(t, Options{FromStart: true, MaxLine: 10})
	b.write("x.log", "short\n0123456789A\nshort again\nyes\n"+strings.Repeat("x", 3*blockSize))
	b.open()
	b.step(time.Second)
	want := []string{"short", "0123456789(cut)", "short agai(cut)", "yes"}
	b.want(want...)
	for range 5 {
		b.write("x.log", strings.Repeat("y", blockSize))
		b.step(time.Second)
	}
	b.write("x.log", "\nend\n")
	b.step(time.Second)
	b.want(append(want, "xxxxxxxxxx(cut)", "end")...)
	require.EqualValues(t, 3, b.f.Stats().LongLines)
	require.Equal(t, []string{"x.log@0 line 1", "x.log@6 line 2 continues", "x.log@18 line 3 continues", "x.log@30 line 4 continues",
		"x.log@34 line 5 continues", "x.log@4194339 line 6 continues"}, b.out.blocks)
	require.LessOrEqual(t, len(b.f.reader.buf), 2*blockSize)
}

func TestHistoryAndFirstStart(t *testing.T) {
	b := newBench(t, Options{Checkpoint: t.TempDir() + "/c"})
	b.write("x.log", "old\nbegun")
	b.write("x.log.1", "older\n")
	gzipFile(t, b.path("x.log.2.gz"), "oldest\n")
	b.open()
	b.step(time.Second)
	b.want()
	b.write("x.log", " and ended\nnew\n")
	b.write("y.log", "born later\n")
	b.write("x.log.1", "late\n")
	b.step(time.Second)
	require.ElementsMatch(t, []string{"late", "begun and ended", "new", "born later"}, b.out.all())
	require.Contains(t, b.out.blocks, "x.log@4 line 2", "lines are counted from the beginning of the file")
	require.Contains(t, b.out.blocks, "x.log.1@6 line 2")
}

func TestEverythingFromTheStart(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	gzipFile(t, b.path("x.log.2.gz"), "one\n")
	b.write("x.log.1", "two\n")
	b.write("x.log", "three\n")
	b.open()
	b.step(time.Second)
	b.want("one", "two", "three")
	require.Equal(t, []string{"x.log.2.gz@0 line 1", "x.log.1@0 line 1 continues", "x.log@0 line 1 continues"}, b.out.blocks)
}

func TestPackedThatIsStillWritten(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	text, want := lines(0, 5000)
	whole := gzipFile(t, b.path("other"), text)
	require.NoError(t, os.Remove(b.path("other")))
	require.NoError(t, os.WriteFile(b.path("x.log.1.gz"), whole[:len(whole)/2], 0o644))
	b.step(2 * time.Second)
	b.step(2 * time.Second)
	b.want("one")
	require.NoError(t, os.WriteFile(b.path("x.log.1.gz"), whole, 0o644))
	b.step(2 * time.Second)
	b.step(2 * time.Second)
	b.want(append([]string{"one"}, want...)...)
}

func TestPackedThatStaysDamaged(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.open()
	text, want := lines(0, 5000)
	whole := gzipFile(t, b.path("x.log.1.gz"), text)
	require.NoError(t, os.WriteFile(b.path("x.log.1.gz"), whole[:len(whole)/2], 0o644))
	b.step(2 * time.Second)
	for range 10 {
		b.step(patience / 4)
	}
	got := b.out.all()
	require.Greater(t, len(got), 1000)
	require.Equal(t, want[:len(got)-1], got[:len(got)-1], "the last may be cut")
	require.EqualValues(t, 1, b.f.Stats().Lost)
	require.Contains(t, b.f.Stats().Losses[0].Reason, "unexpected end of the gzip data (at byte ")
}

func TestLossIsSaid(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\ntwo\n")
	b.open()
	require.NoError(t, os.Truncate(b.path("x.log"), 0))
	b.step(time.Second)
	b.write("x.log", "three\n")
	b.step(time.Second)
	b.want("three")
	require.Zero(t, b.f.Stats().Lost, "it may still turn up")
	b.step(searching - 2*time.Second)
	require.Zero(t, b.f.Stats().Lost)
	b.step(2 * time.Second)
	s := b.f.Stats()
	require.EqualValues(t, 1, s.Lost)
	require.EqualValues(t, 8, s.LostBytes)
	require.Equal(t, b.path("x.log"), s.Losses[0].Path)
	require.Contains(t, b.logs.String(), "lines were lost")
	b.step(patience / 2)
	b.write("x.log.1", "one\ntwo\n")
	b.step(scanEvery)
	b.want("three", "one", "two")
}

// However often it is started anew, what is lost is said in time.
func TestLossIsSaidThroughRestarts(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: t.TempDir() + "/c"})
	b.write("x.log", "one\ntwo\n")
	b.open()
	require.NoError(t, os.Truncate(b.path("x.log"), 0))
	b.step(time.Second)
	require.NoError(t, b.f.Close())
	from := b.at
	for b.f.Stats().Lost == 0 {
		require.Less(t, b.at.Sub(from), searching+time.Minute)
		b.at = b.at.Add(20 * time.Second)
		b.open()
		b.step(10 * time.Second)
		require.NoError(t, b.f.Close())
	}
	require.GreaterOrEqual(t, b.at.Sub(from), searching)
	require.EqualValues(t, 8, b.f.Stats().LostBytes)
	b.open()
	b.step(10 * time.Second)
	require.Zero(t, b.f.Stats().Lost, "said once")
}

func TestFinishedIsForgottenWithItsFiles(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	for range 20 {
		b.write("x.log", "a line of its own at "+b.at.String()+"\n")
		if b.f == nil {
			b.open()
		}
		b.step(10 * time.Second)
		b.rename("x.log", "x.log.1")
		b.step(10 * time.Second)
	}
	for range 5 {
		b.step(time.Minute)
	}
	require.Len(t, b.out.all(), 20)
	require.LessOrEqual(t, b.f.Stats().Families[0].Generations, 2)
	require.NoError(t, os.Remove(b.path("x.log.1")))
	for range 5 {
		b.step(time.Minute)
	}
	require.Empty(t, b.f.Stats().Families)
	require.Empty(t, b.f.open)
	require.Empty(t, b.f.verdicts)
}

func TestRotatedFilesAreClosedWhenThereAreTooMany(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	const many = 30
	for i := range many {
		b.write(fmt.Sprintf("x%d.log.1", i), fmt.Sprintf("%d is the first line\n", i))
	}
	b.open()
	b.f.mostIdle = 10
	for range 4 {
		b.step(10 * time.Second)
	}
	require.Len(t, b.out.all(), many)
	require.Len(t, b.f.open, 10)
	for i := range many {
		b.write(fmt.Sprintf("x%d.log.1", i), "late\n")
	}
	b.step(3 * time.Second)
	b.step(3 * time.Second)
	require.Len(t, b.out.all(), 2*many)
}

func TestReadErrorsAreTriedAgain(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	g := b.f.families[b.path("x.log")].generations[0]
	for range 3 {
		b.f.failing(g, syscall.EIO)
	}
	b.drain()
	b.want()
	require.EqualValues(t, 1, b.f.Stats().ReadErrors)
	b.step(retryWait)
	b.want("one")
}

func gzipFile(t testing.TB, path, text string) []byte {
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(path, data.Bytes(), 0o644))
	return data.Bytes()
}

// A rotated file that was copied, and is then deleted, is known by the copy for as
// long as that is there.
func TestCopyOfARotatedFileOutlivesIt(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.write("x.log", "one\n")
	b.open()
	b.rename("x.log", "x.log.1")
	b.step(time.Second)
	b.write("x.log.1", "two\n")
	b.copy("x.log.1", "x.log.2")
	require.NoError(t, os.Remove(b.path("x.log.1")))
	for range 10 {
		b.step(time.Minute)
	}
	b.want("one", "two")
}
