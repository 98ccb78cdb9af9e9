package follow

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd is more logs than files that may be open.
func crowd(t *testing.T, opt Options, most int) (b *bench, want map[string]bool, write func(round int, name string)) {
	opt.Open = most
	b = newBench(t, opt)
	want = map[string]bool{}
	b.openPath = func(path string) (*os.File, error) {
		open := 0
		if b.f != nil {
			open = len(b.f.open) + b.f.copies
		}
		require.LessOrEqual(t, open, most, "opened beside this one")
		return openReadable(path)
	}
	return b, want, func(round int, name string) {
		text := fmt.Sprintf("round %d of %s", round, name)
		b.write(name, text+"\n")
		want[text] = true
	}
}

func (b *bench) wantAll(want map[string]bool) {
	b.t.Helper()
	got := map[string]int{}
	for _, line := range b.out.all() {
		got[line]++
		require.Equal(b.t, 1, got[line], "%s\n%s", line, b.logs.String())
	}
	for line := range want {
		require.Contains(b.t, got, line, "%s", b.logs.String())
	}
	require.Len(b.t, got, len(want))
}

func TestMoreLogsThanFilesThatMayBeOpen(t *testing.T) {
	const logs = 20
	for name, rotate := range map[string]func(b *bench, log string, round int){
		"none": func(b *bench, log string, round int) {},
		"rename": func(b *bench, log string, round int) {
			for i := round; i > 0; i-- {
				b.rename(fmt.Sprintf("%s.%d", log, i), fmt.Sprintf("%s.%d", log, i+1))
			}
			b.rename(log, log+".1")
		},
		"copytruncate": func(b *bench, log string, round int) { b.copytruncate(log, fmt.Sprintf("%s.%d", log, 9-round)) },
		"pack": func(b *bench, log string, round int) {
			b.rename(log, fmt.Sprintf("%s.%d", log, 9-round))
			b.pack(fmt.Sprintf("%s.%d", log, 9-round))
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", restart), func(t *testing.T) {
				b, want, write := crowd(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")}, 5)
				for i := range logs {
					write(0, fmt.Sprintf("%02d.log", i))
				}
				b.open()
				for round := range 3 {
					for i := 0; i < 20*logs && len(b.out.all()) < len(want); i++ {
						b.step(time.Second)
					}
					b.wantAll(want)
					for i := range logs {
						log := fmt.Sprintf("%02d.log", i)
						write(10*round+1, log)
						if i%3 != 0 {
							rotate(b, log, round)
							write(10*round+2, log)
						}
					}
					if restart {
						require.NoError(t, b.f.Close())
						b.open()
					}
				}
				for range 2 * logs {
					b.step(10 * time.Second)
				}
				b.wantAll(want)
				require.Zero(t, b.f.Stats().Lost, b.logs.String())
				said := strings.Count(b.logs.String(), "followed in turns")
				if restart {
					require.Equal(t, 4, said)
				} else {
					require.Equal(t, 1, said)
				}
				require.NotContains(t, b.logs.String(), "level=ERROR")
			})
		}
	}
}

// What is there at the very first start is history also for logs that have to wait.
func TestFirstStartWithMoreLogsThanFilesThatMayBeOpen(t *testing.T) {
	b, want, write := crowd(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")}, 5)
	for i := range 30 {
		write(0, fmt.Sprintf("%02d.log", i))
		b.write(fmt.Sprintf("%02d.log", i), strings.Repeat("x", i)) // some have a line that goes on
	}
	clear(want)
	b.open()
	for i := range 30 {
		b.write(fmt.Sprintf("%02d.log", i), "\n")
		want[strings.Repeat("x", i)] = true
		write(1, fmt.Sprintf("%02d.log", i))
	}
	delete(want, "")
	for range 30 {
		b.step(3 * time.Second)
	}
	got := slices.DeleteFunc(b.out.all(), func(line string) bool { return line == "" })
	require.Len(t, got, len(want), "%v", got)
}

// A log that is deleted while it waits is said to be gone.
func TestDeletedWhileItWaits(t *testing.T) {
	b, want, write := crowd(t, Options{FromStart: true}, 5)
	for i := range 20 {
		write(0, fmt.Sprintf("%02d.log", i))
	}
	b.open()
	for range 20 {
		b.step(time.Second)
	}
	b.wantAll(want)
	for i := range 20 {
		b.write(fmt.Sprintf("%02d.log", i), "unseen\n")
		require.NoError(t, os.Remove(b.path(fmt.Sprintf("%02d.log", i))))
	}
	for range 20 {
		b.step(time.Minute)
	}
	require.Equal(t, 15, strings.Count(b.logs.String(), "not found again"), b.logs.String())
	require.Equal(t, 5, strings.Count(strings.Join(b.out.all(), "\n"), "unseen"), "those that were open")
}

// A half line of a log that was closed, and is rotated, is given up in the end.
func TestHalfLineOfALogThatWaits(t *testing.T) {
	b, _, _ := crowd(t, Options{FromStart: true}, 3)
	for i := range 10 {
		b.write(fmt.Sprintf("%d.log", i), fmt.Sprintf("one %d\ntw %d", i, i))
	}
	b.open()
	for range 10 {
		b.step(time.Second)
	}
	require.Len(t, b.out.all(), 10)
	for i := range 10 {
		b.rename(fmt.Sprintf("%d.log", i), fmt.Sprintf("%d.log.1", i))
		b.write(fmt.Sprintf("%d.log", i), fmt.Sprintf("three %d\n", i))
	}
	for range 40 {
		b.step(10 * time.Second)
	}
	for i := range 10 {
		for _, line := range []string{"one %d", "tw %d(final)", "three %d"} {
			require.Contains(t, b.out.all(), fmt.Sprintf(line, i))
		}
	}
}

// Where something else has the descriptors, the logs make do with what is left.
func TestDescriptorsThatOthersHave(t *testing.T) {
	b, want, write := crowd(t, Options{FromStart: true}, 100)
	b.openPath = func(path string) (*os.File, error) {
		if b.f != nil && len(b.f.open) >= 6 {
			return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
		}
		return openReadable(path)
	}
	b.open()
	for i := range 20 {
		write(0, fmt.Sprintf("%02d.log", i))
	}
	for range 30 {
		b.step(time.Second)
	}
	b.wantAll(want)
	require.NotContains(t, b.logs.String(), "too many open files")
	require.Equal(t, 1, strings.Count(b.logs.String(), "followed in turns"))
}

// So they do where the checkpoint cannot be written.
func TestDescriptorsForTheCheckpoint(t *testing.T) {
	b, want, write := crowd(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")}, 12)
	b.open()
	b.f.check.fault = func(string) error {
		if len(b.f.open) > 7 {
			return &os.PathError{Op: "open", Path: "c.tmp", Err: syscall.EMFILE}
		}
		return nil
	}
	for i := range 20 {
		write(0, fmt.Sprintf("%02d.log", i))
	}
	failed := 0
	for range 30 {
		b.step(time.Second)
		if b.f.save() != nil {
			failed++
		}
	}
	b.wantAll(want)
	require.NoError(t, b.f.save())
	require.Less(t, failed, 6)
	require.Positive(t, failed)
}

// A new log may get the inode of one that rested and is gone.
func TestInodeOfALogThatWaitsIsUsedAgain(t *testing.T) {
	b, want, write := crowd(t, Options{FromStart: true}, 2)
	for _, name := range []string{"a.log", "b.log", "c.log"} {
		write(0, name)
	}
	b.open()
	for range 5 {
		b.step(time.Second)
	}
	b.wantAll(want)
	var resting *Generation
	for _, fam := range b.f.families {
		if fam.generations[0].rests() {
			resting = fam.generations[0]
		}
	}
	require.NotNil(t, resting)
	name := filepath.Base(resting.Name())
	write(1, name)
	b.pack(name)
	write(0, "d.log")
	st, err := statPath(b.path("d.log"))
	require.NoError(t, err)
	delete(b.f.verdicts, resting.where)
	resting.where = st.file
	require.NoError(t, os.Rename(b.path(name+".gz"), b.path(name+".1.gz")))
	for range 10 {
		b.step(3 * time.Second)
	}
	b.wantAll(want)
}
