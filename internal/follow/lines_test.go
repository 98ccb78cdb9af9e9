package follow

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/linereader"
)

// line is one as a follower hands it out.
type line struct {
	text           string
	number, offset int64
	cut            bool
}

// takeLines is a take that collects lines.
func takeLines(list *[]line) func(*Block) error {
	return func(b *Block) error {
		number, offset := b.Line, b.Offset
		if b.Cut {
			*list = append(*list, line{string(b.Data), number, offset, true})
			return nil
		}
		for text := range bytes.Lines(b.Data) {
			*list = append(*list, line{strings.TrimSuffix(string(text), "\n"), number, offset, false})
			number++
			offset += int64(len(text))
		}
		return nil
	}
}

// replayed are the lines as replay cuts them.
func replayed(text []byte, longest int) (list []line) {
	lines := linereader.New(bytes.NewReader(text), longest)
	for {
		l, ok := lines.Next()
		if !ok {
			return list
		}
		list = append(list, line{string(l.Text), l.Number, l.Offset, l.Cut})
	}
}

// hardText draws lines of all lengths, with NULs in front of and between them.
func hardText(t *rapid.T, longest int) []byte {
	text := bytes.NewBufferString("the first line\n") // what is shorter and has no end may become anything
	for range rapid.IntRange(1, 12).Draw(t, "lines") {
		length := rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(longest-3, longest+3), rapid.IntRange(longest, 3*longest))
		if rapid.Bool().Draw(t, "NULs") {
			text.Write(make([]byte, length.Draw(t, "zeros")))
		}
		text.WriteString(strings.Repeat(string('a'+rune(text.Len()%26)), length.Draw(t, "length")))
		if rapid.IntRange(0, 5).Draw(t, "ended") > 0 {
			text.WriteByte('\n')
		}
	}
	return text.Bytes()
}

// What a line is, how long it may be, and which NULs are none of it, replay says:
// of a log that grows, of a rotated one, a packed one, and of standard input.
func TestLinesAreThoseOfReplay(t *testing.T) {
	const longest = 1000
	rapid.Check(t, func(rt *rapid.T) {
		text := hardText(rt, longest)
		want := replayed(text, longest)
		b := newBench(t, Options{FromStart: true, MaxLine: longest})
		defer os.RemoveAll(b.dir)
		b.write("x.log", "")
		b.open()
		defer func() { b.f.abandon() }()
		var live, packed, piped []line
		b.f.reader.take = takeLines(&live)
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "chunk")
			b.write("x.log", string(rest[:n]))
			rest = rest[n:]
			b.step(quietPoll)
		}
		b.rename("x.log", "x.log.1")
		b.step(time.Second)
		for range 3 { // its last line is final; NULs at its end may be written over for a while
			b.step(2 * grace)
		}
		require.Equal(rt, want, live, "a live log")

		require.NoError(t, os.Remove(b.path("x.log.1")))
		gzipFile(t, b.path("y.log.1.gz"), string(text))
		b.f.abandon()
		b.open()
		b.f.reader.take = takeLines(&packed)
		b.step(time.Second)
		require.Equal(rt, want, packed, "a packed log")

		in, err := Open(Options{Paths: []string{"-"}, Stdin: bytes.NewReader(text), MaxLine: longest, Logger: b.opt.Logger})
		require.NoError(rt, err)
		require.NoError(rt, in.Run(context.Background(), takeLines(&piped)))
		require.NoError(rt, in.Close())
		require.Equal(rt, want, piped, "standard input")
	})
}

// copytruncate under a writer that does not append leaves a hole before its next
// line. It is no part of the line, however large, and is not read.
func TestHolesBeforeLines(t *testing.T) {
	for _, hole := range []int64{3, 3*blockSize + 5, 9 << 20, 1 << 40} {
		t.Run(fmt.Sprint(hole), func(t *testing.T) {
			b := newBench(t, Options{FromStart: true, Checkpoint: t.TempDir() + "/c"})
			writer, err := os.Create(b.path("x.log"))
			require.NoError(t, err)
			defer writer.Close()
			put := func(text string, at int64) {
				_, err := writer.WriteAt([]byte(text), at)
				require.NoError(t, err)
			}
			want := func(lines ...string) {
				t.Helper()
				var got []string
				for _, text := range b.out.all() { // NULs of a line that is short are the parser's
					got = append(got, strings.TrimLeft(text, "\x00"))
				}
				require.Equal(t, lines, got)
			}
			put("one\n", 0)
			b.open()
			b.step(time.Second)
			b.copytruncate("x.log", "x.log.1")
			if err := os.Truncate(b.path("x.log"), hole); err != nil {
				t.Skip("the file system has no room for it: ", err)
			}
			put("two\n", hole)
			b.step(time.Second)
			want("one", "two")
			require.NoError(t, b.f.Close())
			b.open() // and the first line of a start
			put("three\n", hole+4)
			b.step(time.Second)
			want("one", "two", "three")
			put("four\n", 2*hole+10) // a second hole, between lines
			b.step(time.Second)
			want("one", "two", "three", "four")
			b.rename("x.log", "x.log.2")
			b.step(time.Second)
			b.step(2 * grace)
			want("one", "two", "three", "four")
			require.Zero(t, b.f.Stats().Lost+b.f.Stats().LongLines)
		})
	}
}

// A record that goes on in the next line does so over NULs, in one file and over
// a rotation.
func TestLinesContinueOverNULs(t *testing.T) {
	b := newBench(t, Options{FromStart: true, MaxLine: 100})
	zeros := strings.Repeat("\x00", 1000)
	b.write("x.log.1", "one\n"+zeros+"two\n")
	b.write("x.log", zeros+"three\n"+zeros)
	b.open()
	b.step(time.Second)
	b.step(retryWait) // for those that write in place
	b.want("one", "two", "three")
	require.Equal(t, []string{"x.log.1@0 line 1", "x.log.1@1004 line 2 continues", "x.log@1000 line 1 continues"}, b.out.blocks)
	b.write("x.log", "four\n")
	b.step(time.Second)
	b.want("one", "two", "three", "four")
}

// What is held back of a line that is too long keeps its whole length from being
// acknowledged.
func TestACutLineIsHeldWhole(t *testing.T) {
	b := newBench(t, Options{FromStart: true, MaxLine: 10, Checkpoint: t.TempDir() + "/c"})
	b.write("x.log", strings.Repeat("x", 100)+"\nend\n")
	b.open()
	var hold *InFlight
	b.f.reader.take = func(block *Block) error {
		if block.Cut {
			hold = block.Generation.InFlight(block.Offset, block.Offset+block.Size, block.Line)
		}
		return nil
	}
	b.step(time.Second)
	mark := func() int64 { return b.f.Stats().Families[0].Mark }
	require.Zero(t, mark())
	require.NoError(t, b.f.Close())
	b.open()
	b.step(time.Second)
	b.want("xxxxxxxxxx(cut)") // the rest was acknowledged
	require.EqualValues(t, 105, mark())
	require.NotNil(t, hold)
}
