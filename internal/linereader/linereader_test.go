package linereader

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type line struct {
	text              string
	number, offset    int64
	cut, unterminated bool
}

func linesOf(r io.Reader, max int) (list []line, err error) {
	l := New(r, max)
	for {
		n, ok := l.Next()
		if !ok {
			return list, l.Err()
		}
		list = append(list, line{string(n.Text), n.Number, n.Offset, n.Cut, n.Unterminated})
	}
}

// expected is the plain definition of what Lines gives.
func expected(data []byte, max int) (list []line) {
	offset := int64(0)
	for len(data) > 0 {
		text, rest, found := bytes.Cut(data, []byte("\n"))
		zeros := 0
		if len(text) > max {
			zeros = len(text) - len(bytes.TrimLeft(text, "\x00"))
		}
		kept := text[zeros:]
		n := line{string(kept), int64(len(list) + 1), offset + int64(zeros), len(kept) > max, !found}
		if n.cut {
			n.text = n.text[:max]
		}
		if found || len(kept) > 0 {
			list = append(list, n)
		}
		offset += int64(len(text)) + 1
		data = rest
	}
	return list
}

// chunked gives data in pieces of the sizes given, over and over, some with
// nothing and the last one with the end.
type chunked struct {
	data  []byte
	sizes []int
	at    int
}

func (c *chunked) Read(p []byte) (int, error) {
	n := min(len(p), len(c.data), c.sizes[c.at%len(c.sizes)])
	c.at++
	copy(p, c.data[:n])
	if c.data = c.data[n:]; len(c.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestLinesAreThoseOfSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var data []byte
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 400), 0, 40).Draw(t, "lengths") {
			fill := rapid.SampledFrom([]string{"a", "\x00", "\r", "\x00\x00x"}).Draw(t, "fill")
			data = append(data, bytes.Repeat([]byte(fill), n)...)
			data = append(data, rapid.SampledFrom([]string{"\n", "\n", "x\n", "\r\n", ""}).Draw(t, "end")...)
		}
		max := rapid.IntRange(1, 500).Draw(t, "max")
		sizes := append(rapid.SliceOfN(rapid.IntRange(0, 300), 0, 5).Draw(t, "sizes"), 7)
		l := New(&chunked{data: bytes.Clone(data), sizes: sizes}, max)
		l.buf = l.buf[:max+rapid.IntRange(1, 200).Draw(t, "buffer")] // small, so that all of it happens
		var list []line
		for {
			n, ok := l.Next()
			if !ok {
				break
			}
			list = append(list, line{string(n.Text), n.Number, n.Offset, n.Cut, n.Unterminated})
		}
		want := expected(data, max)
		if len(list) != len(want) || l.Err() != nil {
			t.Fatalf("%d lines instead of %d, %v", len(list), len(want), l.Err())
		}
		for i := range list {
			if list[i] != want[i] {
				t.Fatalf("line %d: %+v instead of %+v", i, list[i], want[i])
			}
		}
	})
}

func TestLines(t *testing.T) {
	for _, tc := range []struct {
		data string
		want []line
	}{
		{"", nil},
		{"\n", []line{{"", 1, 0, false, false}}},
		{"a\r\n\nb", []line{{"a\r", 1, 0, false, false}, {"", 2, 3, false, false}, {"b", 3, 4, false, true}}},
		{"123456\n", []line{{"123456", 1, 0, false, false}}},
		{"1234567\nx\n", []line{{"123456", 1, 0, true, false}, {"x", 2, 8, false, false}}},
		{"1234567", []line{{"123456", 1, 0, true, true}}},
		{"\x00\x00\x00abc\n", []line{{"\x00\x00\x00abc", 1, 0, false, false}}},
		{"\x00\x00\x00\x00abc\nx", []line{{"abc", 1, 4, false, false}, {"x", 2, 8, false, true}}},
		{"\x00\x00\x00\x00abcdefg\n", []line{{"abcdef", 1, 4, true, false}}},
		{strings.Repeat("\x00", 100), nil},
	} {
		list, err := linesOf(strings.NewReader(tc.data), 6)
		require.NoError(t, err)
		require.Equal(t, tc.want, list, "%q", tc.data)
	}
}

// A log that begins with more NULs than a line may have bytes keeps its first
// line, and an endless line takes no more memory than a long one.
func TestLinesBoundMemory(t *testing.T) {
	const max = 1 << 20
	zeros := strings.Repeat("\x00", 5<<20)
	list, err := linesOf(strings.NewReader(zeros+"first\nsecond\n"), max)
	require.NoError(t, err)
	require.Equal(t, []line{{"first", 1, 5 << 20, false, false}, {"second", 2, 5<<20 + 6, false, false}}, list)

	l := New(io.MultiReader(strings.NewReader(strings.Repeat("x", 20<<20)), strings.NewReader("\nnext\n")), max)
	n, ok := l.Next()
	require.True(t, ok)
	require.True(t, n.Cut)
	require.Len(t, n.Text, max)
	n, ok = l.Next()
	require.True(t, ok)
	require.Equal(t, "next", string(n.Text))
	require.Equal(t, int64(20<<20+1), n.Offset)
	require.LessOrEqual(t, len(l.buf), max+blockSize)
}

func TestLinesOfABadReader(t *testing.T) {
	broken := errors.New("broken")
	list, err := linesOf(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 100)
	require.Equal(t, broken, err)
	require.Equal(t, []line{{"a", 1, 0, false, false}, {"b", 2, 2, false, true}}, list)

	_, err = linesOf(&chunked{data: []byte("never given"), sizes: []int{0}}, 100)
	require.Equal(t, io.ErrNoProgress, err)
}

func BenchmarkLines(b *testing.B) {
	data := []byte(strings.Repeat(strings.Repeat("x", 299)+"\n", 100_000))
	r := bytes.NewReader(data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(data)
		l := New(r, 8<<20)
		for {
			if _, ok := l.Next(); !ok {
				break
			}
		}
	}
}
