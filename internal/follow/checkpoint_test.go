package follow

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRestartGoesOnAtTheMark(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\ntwo\nthree\n")
	b.open()
	b.out.hold = true
	b.step(time.Second)
	b.out.holds[0].Done()
	b.out.holds[2].Done()
	require.NoError(t, b.f.Close())
	b.want("one", "two", "three")

	b.out = newTaken()
	b.open()
	b.step(time.Second)
	b.want("two")
	require.Equal(t, []string{"x.log@4 line 2"}, b.out.blocks, "three is given, too, as acknowledged")
	require.NoError(t, b.f.Close())
	b.out = newTaken()
	b.open()
	b.step(time.Second)
	b.want()
}

func TestRotatedWhileDown(t *testing.T) {
	for name, rotate := range map[string]func(b *bench){
		"rename": func(b *bench) {
			b.rename("x.log", "x.log.1")
			b.write("x.log", "three\n")
			b.rename("x.log.1", "x.log.2")
			b.rename("x.log", "x.log.1")
			b.write("x.log", "four\n")
		},
		"copytruncate": func(b *bench) {
			b.copytruncate("x.log", "x.log.1")
			b.write("x.log", "three\n")
			b.rename("x.log.1", "x.log.2")
			b.copytruncate("x.log", "x.log.1")
			b.write("x.log", "four\n")
		},
		"copytruncate and compress": func(b *bench) {
			data, err := os.ReadFile(b.path("x.log"))
			require.NoError(b.t, err)
			gzipFile(b.t, b.path("x.log.2.gz"), string(data))
			gzipFile(b.t, b.path("x.log.1.gz"), "three\n")
			require.NoError(b.t, os.Truncate(b.path("x.log"), 0))
			b.write("x.log", "four\n")
		},
		"rename, compress, gone": func(b *bench) {
			data, err := os.ReadFile(b.path("x.log"))
			require.NoError(b.t, err)
			gzipFile(b.t, b.path("x.log-20260101.gz"), string(data))
			require.NoError(b.t, os.Remove(b.path("x.log")))
			b.write("x.log", "three\nfour\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
			b.write("x.log", "old\n")
			b.open()
			b.write("x.log", "one\n")
			b.step(time.Second)
			require.NoError(t, b.f.Close())
			b.write("x.log", "two\n")
			rotate(b)
			b.open()
			b.step(time.Second)
			b.want("one", "two", "three", "four")
			require.NoError(t, b.f.Close())
			b.open()
			b.step(time.Second)
			b.step(time.Minute)
			b.want("one", "two", "three", "four")
		})
	}
}

func TestCrashBeforeTheFirstCheckpointSkipsNothing(t *testing.T) {
	b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "old\n")
	b.open()
	b.write("x.log", "one\n")
	b.kill()
	b.open()
	b.step(time.Second)
	b.want("one")
}

// A log that may not be read for a while after a start is neither lost nor new.
func TestUnreadableAtTheStart(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\n")
	b.open()
	b.step(time.Second)
	b.write("x.log", "two\n")
	b.f.look(b.at.Add(time.Second)) // it is seen, and not read
	require.NoError(t, b.f.Close())
	refused := true
	b.openPath = func(path string) (*os.File, error) {
		if refused && path == b.path("x.log") {
			return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EACCES}
		}
		return openReadable(path)
	}
	b.open()
	for range 10 {
		b.step(patience)
	}
	require.Zero(t, b.f.Stats().Lost)
	refused = false
	b.step(scanEvery)
	b.want("one", "two")
}

func TestANewPathIsAFirstStartForItself(t *testing.T) {
	b := newBench(t, Options{Paths: []string{"a"}, Checkpoint: filepath.Join(t.TempDir(), "c")})
	require.NoError(t, os.Mkdir(b.path("a"), 0o755))
	require.NoError(t, os.Mkdir(b.path("b"), 0o755))
	b.write("b/y.log", "history\n")
	b.open()
	require.NoError(t, b.f.Close())
	b.write("a/x.log", "born while down\n")
	b.opt.Paths = append(b.opt.Paths, b.path("b"))
	b.open()
	b.step(time.Second)
	b.want("born while down")
}

func TestTwoProcesses(t *testing.T) {
	b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.open()
	_, err := Open(b.opt)
	require.ErrorContains(t, err, "is in use by another process; each needs a --checkpoint of its own")
	require.NoError(t, b.f.Close())
	b.open()
}

// A process that starts another one has its files twice for a moment.
func TestClosedIsFreeThoughAChildHasTheLock(t *testing.T) {
	b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")}).open()
	inherited, err := syscall.Dup(int(b.f.check.lock.Fd()))
	require.NoError(t, err)
	defer syscall.Close(inherited)
	require.NoError(t, b.f.Close())
	again, err := Open(b.opt)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestCorruptCheckpoint(t *testing.T) {
	b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\n")
	b.open()
	require.NoError(t, b.f.Close())
	good, err := os.ReadFile(b.opt.Checkpoint)
	require.NoError(t, err)
	edit := func(old, new string) string {
		require.Contains(t, string(good), old)
		return strings.Replace(string(good), old, new, 1)
	}
	for name, text := range map[string]string{
		"empty":   "",
		"cut":     string(good[:len(good)/2]),
		"noise":   "\x00\x01\x02",
		"list":    "[]",
		"version": edit(`"version":1`, `"version":2`),
		"mark":    edit(`"mark":4`, `"mark":-4`),
		"head":    edit(`"head_length":4`, `"head_length":4000`),
		"sum":     edit(`"head_sha256":"`, `"head_sha256":"zz`),
		"seams":   edit(`"mark":4`, `"seams":[{"end":9,"sha256":""}],"mark":4`),
		"state":   edit(`"state":"following"`, `"state":"asleep"`),
		"ranges":  edit(`"end":4`, `"ranges":[[9,8]],"end":4`),
		"id":      edit(`"generation":1`, `"generation":99`),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(b.opt.Checkpoint, []byte(text), 0o600))
			_, err := Open(b.opt)
			require.ErrorContains(t, err, b.opt.Checkpoint+" is no checkpoint that can be used: ")
			require.ErrorContains(t, err, "start anew with --reset-checkpoint")
			kept, err := os.ReadFile(b.opt.Checkpoint)
			require.NoError(t, err)
			require.Equal(t, text, string(kept), "it is left as it is")
		})
	}
	b.opt.Reset = true
	b.open()
	require.NoError(t, b.f.Close())
	b.opt.Reset = false
	b.open()
}

// A crash between any two steps of writing leaves the old checkpoint or the new.
func TestCrashWhileTheCheckpointIsWritten(t *testing.T) {
	for _, step := range []string{"create", "write", "sync", "rename", "sync directory"} {
		t.Run(step, func(t *testing.T) {
			b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
			b.write("x.log", "one\n")
			b.open()
			b.step(time.Second)
			require.NoError(t, b.f.save())
			b.write("x.log", "two\n")
			b.step(time.Second)
			b.f.check.fault = func(s string) error {
				if s == step {
					return errors.New("power failure")
				}
				return nil
			}
			require.ErrorContains(t, b.f.save(), "power failure")
			b.kill()
			b.open()
			b.step(time.Second)
			if step == "sync directory" { // it was renamed already
				b.want("one", "two")
			} else {
				b.want("one", "two", "two")
			}
		})
	}
}

func TestNoSpaceForTheCheckpoint(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.open()
	b.write("x.log", "one\n")
	b.step(time.Second)
	full := true
	b.f.check.fault = func(s string) error {
		if full && s == "write" {
			return &os.PathError{Op: "write", Path: b.opt.Checkpoint + ".tmp", Err: syscall.ENOSPC}
		}
		return nil
	}
	require.ErrorIs(t, b.f.save(), syscall.ENOSPC)
	b.want("one")
	full = false
	require.NoError(t, b.f.save(), "it is tried again though nothing has changed")
	b.kill()
	b.open()
	b.step(time.Second)
	b.want("one")
	_, err := Open(Options{Paths: []string{b.dir}, Checkpoint: b.path("no/such/directory")})
	require.ErrorContains(t, err, "its directory must exist and be writable")
}

// A start is not refused, with a checkpoint and without: lines come.
func TestNoSpaceForTheCheckpointAtTheStart(t *testing.T) {
	for _, name := range []string{"first", "later"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
			if name == "later" {
				b.open()
				require.NoError(t, b.f.Close())
			}
			require.NoError(t, os.Mkdir(b.opt.Checkpoint+".tmp", 0o700)) // so that it cannot be written
			b.write("x.log", "one\n")
			b.open()
			require.Contains(t, b.logs.String(), "the checkpoint cannot be written")
			require.Equal(t, name == "first", strings.Contains(b.logs.String(), "there is no checkpoint yet"))
			require.EqualValues(t, 1, b.f.Stats().CheckpointErrors)
			b.write("x.log", "two\n")
			b.step(time.Second)
			if name == "first" {
				b.want("two")
			} else {
				b.want("one", "two")
			}
			require.ErrorContains(t, b.f.save(), "the checkpoint cannot be written")
			require.NoError(t, os.Remove(b.opt.Checkpoint+".tmp"))
			require.NoError(t, b.f.Close())
			b.open()
			b.step(time.Second)
			require.NotContains(t, b.out.all()[1:], "one", "it was kept in the end")
		})
	}
}

func TestTheCheckpointIsNotFollowed(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	b.opt.Checkpoint = b.path("c")
	b.opt.Exclude = []string{b.path("out.json")}
	for _, rotated := range []string{"out.json.1", "out.json-20260101", "out.json.2.gz"} {
		b.write(rotated, "it was written before\n")
	}
	b.write("out.json", "{}\n")
	b.write("x.log", "one\n")
	b.open()
	for range 5 {
		b.step(3 * time.Second)
		b.f.markDirty()
		require.NoError(t, b.f.save())
	}
	b.want("one")
}

// What a crash, or somebody else, left where the checkpoint is written first is
// neither followed nor written to.
func TestCheckpointBesideLeftOvers(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "checkpoint"), filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, []byte("mine"), 0o644))
	for _, lay := range []func() error{
		func() error { return os.Link(other, path+".tmp") },
		func() error { return os.Symlink(other, path+".tmp") },
		func() error { return os.WriteFile(path+".tmp", []byte("half"), 0o666) },
	} {
		require.NoError(t, lay())
		c, _, err := openCheckpoint(path, true)
		require.NoError(t, err)
		require.NoError(t, c.write(&saved{}))
		c.close()
		text, err := os.ReadFile(other)
		require.NoError(t, err)
		require.Equal(t, "mine", string(text))
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), "a file of its own")
		require.NoFileExists(t, path+".tmp")
	}
}

func TestUnchangedIsNotWritten(t *testing.T) {
	b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\n")
	b.open()
	before := b.f.Stats().Checkpoints
	for range 10 {
		b.step(3 * time.Second)
		require.NoError(t, b.f.save())
	}
	require.Equal(t, before, b.f.Stats().Checkpoints)
}

func TestCheckpointOfManyFiles(t *testing.T) {
	b := newBench(t, Options{Checkpoint: filepath.Join(t.TempDir(), "c")})
	for i := range 500 {
		b.write("x"+itoa(int64(i))+".log", "one\n")
	}
	b.open()
	require.NoError(t, b.f.Close())
	data, err := os.ReadFile(b.opt.Checkpoint)
	require.NoError(t, err)
	require.Less(t, len(data), 200<<10)
	var s saved
	require.NoError(t, json.Unmarshal(data, &s))
	require.Len(t, s.Generations, 500)
}

func TestCrowdedMark(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	var crowded []*InFlight
	b.opt.Stuck = func(holds []*InFlight) { crowded = append(crowded, holds...) }
	b.write("x.log", strings.Repeat("a\n", 5000))
	b.open()
	b.out.hold = true
	b.step(time.Second)
	for i, h := range b.out.holds {
		if i%2 == 1 {
			h.Done()
		}
	}
	require.NoError(t, b.f.save())
	require.Len(t, crowded, 2500-maxRanges)
	require.Equal(t, b.out.holds[0], crowded[0])
	b.kill()
	b.out = newTaken()
	b.open()
	b.step(time.Second)
	require.Len(t, b.out.all(), 5000-maxRanges, "what the checkpoint could not keep is repeated")
}
