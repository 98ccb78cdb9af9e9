package follow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inPlace is a service that does not append: it makes its log larger with NULs and
// writes lines where they are.
type inPlace struct {
	b      *bench
	file   *os.File
	mapped []byte // nil: it writes
	at     int64
	chunk  int64 // by which the file is made larger; 0: it is not
	size   int64
	number int
	want   []string
}

func newInPlace(b *bench, name string, size, chunk int64, mapped bool) *inPlace {
	file, err := os.OpenFile(b.path(name), os.O_RDWR|os.O_CREATE, 0o644)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { file.Close() })
	_, err = file.Write(make([]byte, size))
	require.NoError(b.t, err)
	w := &inPlace{b: b, file: file, size: size, chunk: chunk}
	if mapped {
		w.mapped, err = syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		require.NoError(b.t, err)
		b.t.Cleanup(func() { _ = syscall.Munmap(w.mapped) })
	}
	return w
}

func (w *inPlace) put(text string) {
	for w.chunk > 0 && w.at+int64(len(text)) > w.size {
		_, err := w.file.WriteAt(make([]byte, w.chunk), w.size)
		require.NoError(w.b.t, err)
		w.size += w.chunk
	}
	if w.mapped != nil {
		copy(w.mapped[w.at:], text)
	} else {
		_, err := w.file.WriteAt([]byte(text), w.at)
		require.NoError(w.b.t, err)
	}
	w.at += int64(len(text))
}

// line writes a line, in two parts if in is not nil, which is called in between.
func (w *inPlace) line(in func()) {
	text := fmt.Sprintf("2026-01-01 00:00:00.000 %06d some text", w.number)
	w.number++
	w.want = append(w.want, text)
	if in != nil {
		w.put(text[:20])
		in()
		text = text[20:]
	}
	w.put(text + "\n")
}

func TestWrittenInPlace(t *testing.T) {
	for name, c := range map[string]struct {
		size, chunk int64
		mapped      bool
	}{
		"allocated":            {64 << 10, 0, false},
		"allocated, large":     {3 << 20, 0, false},
		"mapped":               {64 << 10, 0, true},
		"in small chunks":      {512, 512, false},
		"in chunks":            {8 << 10, 8 << 10, false},
		"in chunks, as needed": {1, 100, false},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", restart), func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
				w := newInPlace(b, "x.log", c.size, c.chunk, c.mapped)
				b.open()
				for i := range 100 {
					var in func()
					if i%3 == 0 {
						in = func() { b.step(time.Second) }
					}
					w.line(in)
					if i%7 != 0 {
						b.step(time.Second)
						b.want(w.want...)
					}
					if restart && i%20 == 10 {
						require.NoError(t, b.f.Close())
						w.line(nil)
						b.open()
					}
				}
				b.step(time.Second)
				b.want(w.want...)
				require.Zero(t, b.f.Stats().Truncations, b.logs.String())
				require.Zero(t, b.f.Stats().Families[0].Lag)

				// What was not needed is cut off, and the log is rotated.
				require.NoError(t, w.file.Truncate(w.at))
				b.step(time.Second)
				b.want(w.want...)
				b.rename("x.log", "x.log.1")
				w2 := newInPlace(b, "x.log", c.size, c.chunk, c.mapped)
				w2.number = 500
				w2.line(nil)
				b.step(3 * time.Second)
				b.step(time.Minute)
				w2.line(nil)
				b.step(time.Second)
				b.want(append(w.want, w2.want...)...)
				require.Zero(t, b.f.Stats().Truncations, b.logs.String())
				require.Zero(t, b.f.Stats().Lost, b.logs.String())
			})
		}
	}
}

// Several writers take their places one after the other and write in any order: what
// was written first is not handed out before what stands in front of it, unless
// that does not come.
func TestWrittenInPlaceByTwo(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	w := newInPlace(b, "x.log", 64<<10, 0, false)
	b.open()
	text, want := lines(0, 100)
	size := int64(len(text) / 100)
	put := func(i int) {
		w.at = int64(i) * size
		w.put(text[w.at : w.at+size])
	}
	for i := 0; i < 100; i += 2 {
		put(i + 1)
		b.step(100 * time.Millisecond)
		b.want(want[:i]...)
		if i%10 == 0 { // in two parts
			w.at = int64(i) * size
			w.put(text[w.at : w.at+5])
			b.step(100 * time.Millisecond)
			b.want(want[:i]...)
		}
		put(i)
		b.step(retryWait)
		b.want(want[:i+2]...)
	}
	w.at = 102 * size
	w.put("behind one that does not come\n")
	b.step(100 * time.Millisecond)
	b.want(want...)
	b.step(retryWait)
	b.step(retryWait)
	require.Equal(t, "behind one that does not come", strings.TrimLeft(b.out.all()[100], "\x00"))
	require.Len(t, b.out.all(), 101)
}

// Rotated with the NULs that were not needed, and still written to.
func TestWrittenInPlaceAfterARename(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	w := newInPlace(b, "x.log", 1<<20, 0, false)
	b.open()
	w.line(nil)
	b.step(time.Second)
	b.rename("x.log", "x.log.1")
	b.write("x.log", "new\n")
	b.step(time.Minute)
	b.step(time.Minute)
	w.line(func() { b.step(time.Second) })
	b.step(time.Second)
	b.want(w.want[0], "new", w.want[1])
	require.NoError(t, w.file.Close())
	for range 5 {
		b.step(time.Minute)
	}
	lines := b.out.all()
	require.Equal(t, "(final)", strings.Trim(lines[len(lines)-1], "\x00"), "as replay reads them")
	require.Len(t, lines, 4)
	require.Zero(t, b.f.Stats().Lost, b.logs.String())
}

// What stands there at the first start is history, whatever NULs come behind it.
func TestWrittenInPlaceFromNowOn(t *testing.T) {
	b := newBench(t, Options{})
	w := newInPlace(b, "x.log", 20<<20, 0, false) // more than the longest line
	w.line(nil)
	w.put("begun ")
	b.open()
	b.step(time.Second)
	w.put("before\n")
	w.line(nil)
	b.step(time.Second)
	b.want("begun before", w.want[1])
}

// NULs in place cost a look at a byte, not a search of all of them each time.
func TestWrittenInPlaceIsNotSearchedAgain(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	w := newInPlace(b, "x.log", 4<<20, 0, false)
	b.open()
	b.step(time.Second)
	passes := func() (n int) {
		for {
			worked, err := b.f.pass(t.Context())
			require.NoError(t, err)
			if !worked {
				return n
			}
			n++
		}
	}
	for range 20 {
		w.line(nil)
		b.at = b.at.Add(time.Second)
		b.f.look(b.at)
		require.LessOrEqual(t, passes(), 2)
	}
	b.want(w.want...)
	require.Equal(t, 0, strings.Count(b.logs.String(), "truncated"))
}
