package follow

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openWriter opens a file for appending, as a service does.
func (b *bench) openWriter(name string) *os.File {
	w, err := os.OpenFile(b.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { w.Close() })
	return w
}

// pack compresses a file, as logrotate does.
func (b *bench) pack(name string) {
	data, err := os.ReadFile(b.path(name))
	require.NoError(b.t, err)
	gzipFile(b.t, b.path(name+".gz"), string(data))
	require.NoError(b.t, os.Remove(b.path(name)))
}

// A line that was begun before the rotation is waited for as long as the service
// has the file open, whether the file still has a name or not.
func TestHalfLineOfARenamedFileIsWaitedFor(t *testing.T) {
	for _, moved := range []string{"renamed", "deleted"} {
		b := newBench(t, Options{FromStart: true})
		w := b.openWriter("x.log")
		_, err := w.WriteString("one\ntw")
		require.NoError(t, err)
		b.open()
		b.step(time.Second)
		if moved == "renamed" {
			b.rename("x.log", "x.log.1")
		} else {
			require.NoError(t, os.Remove(b.path("x.log")))
		}
		b.write("x.log", "three\n")
		for range 20 {
			b.step(7 * time.Second)
			b.step(time.Hour)
		}
		b.want("one", "three")
		_, err = w.WriteString("o\n")
		require.NoError(t, err)
		b.step(time.Second)
		b.want("one", "three", "two")
		b.step(time.Hour) // what is whole is let go of, and still read when it grows
		b.step(time.Hour)
		_, err = w.WriteString("four\nfi")
		require.NoError(t, err)
		b.step(time.Second)
		b.want("one", "three", "two", "four")
		require.NoError(t, w.Close())
		b.step(time.Minute)
		b.step(time.Minute)
		b.want("one", "three", "two", "four", "fi(final)")
		require.Zero(t, b.f.Stats().Lost)
	}
}

// Where it cannot be known who has it open, time decides.
func TestHalfLineOfARenamedFileIsWaitedForByTime(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Idle: time.Minute})
	w := b.openWriter("x.log")
	_, err := w.WriteString("one\ntw")
	require.NoError(t, err)
	b.open()
	b.f.writers = func(int) bool { return false }
	b.step(time.Second)
	b.rename("x.log", "x.log.1")
	b.step(58 * time.Second)
	b.want("one")
	_, err = w.WriteString("o\nthr")
	require.NoError(t, err)
	b.step(58 * time.Second)
	b.want("one", "two")
	b.step(time.Minute)
	b.want("one", "two", "thr(final)")
}

// The rest of a line whose beginning was taken as it was joins it, in whatever file
// its content is by then, and after a restart, too.
func TestRestOfALineThatWasGivenUp(t *testing.T) {
	for name, meanwhile := range map[string]func(b *bench){
		"in place": func(b *bench) { b.write("x.log.1", "o\nthree\n") },
		"renamed":  func(b *bench) { b.rename("x.log.1", "x.log.2"); b.write("x.log.2", "o\nthree\n") },
		"packed":   func(b *bench) { b.write("x.log.1", "o\nthree\n"); b.pack("x.log.1") },
		"copied": func(b *bench) {
			b.write("x.log.1", "o\nthree\n")
			b.copy("x.log.1", "x.log.2")
			require.NoError(b.t, os.Remove(b.path("x.log.1")))
		},
	} {
		for _, restart := range []string{"", "closed", "killed"} {
			t.Run(name+" "+restart, func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
				b.write("x.log", "zero\none\ntw")
				b.open()
				b.step(time.Second)
				b.rename("x.log", "x.log.1")
				b.step(time.Minute)
				b.step(time.Minute)
				b.want("zero", "one", "tw(final)")
				require.NoError(t, b.f.save())
				if restart == "closed" {
					require.NoError(t, b.f.Close())
				} else if restart == "killed" {
					b.kill()
				}
				if restart != "" { // nothing of it comes again by itself
					b.open()
					for range 5 {
						b.step(time.Minute)
					}
					b.want("zero", "one", "tw(final)")
					require.NoError(t, b.f.Close())
				}
				meanwhile(b)
				if restart != "" {
					b.open()
				}
				for range 5 {
					b.step(time.Minute)
				}
				b.want("zero", "one", "tw(final)", "two", "three")
				require.Contains(t, b.out.blocks[len(b.out.blocks)-1], "@9 line 3")
				require.Zero(t, b.f.Stats().Lost, b.logs.String())
			})
		}
	}
}

// A half line that was handed out and not delivered is repeated after a crash.
func TestHalfLineThatIsHeld(t *testing.T) {
	b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
	b.write("x.log", "one\ntw")
	b.open()
	b.step(time.Second)
	b.rename("x.log", "x.log.1")
	b.out.hold = true
	b.step(time.Minute)
	b.step(time.Minute)
	b.want("one", "tw(final)")
	require.NoError(t, b.f.save())
	b.kill()
	b.open()
	b.step(time.Minute)
	b.step(time.Minute)
	b.want("one", "tw(final)", "tw(final)")
}

func TestHasWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	w, err := os.Create(path)
	require.NoError(t, err)
	r, err := os.Open(path)
	require.NoError(t, err)
	defer r.Close()
	require.True(t, hasWriters(int(r.Fd())))
	require.NoError(t, w.Close())
	require.False(t, hasWriters(int(r.Fd())))
	require.False(t, hasWriters(int(r.Fd())), "the lease was given back")
	w, err = os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}
