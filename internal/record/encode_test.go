package record

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

// What is decoded is what was encoded, whatever stands in the decoder's room, and
// a line that was moved.
func TestSpansComeBackFromTheirRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &Names{}
		e, d := Encoder{names: n, repeated: make([]repetition, 1<<repeatedBits)}, decoder{names: n}
		for range 3 {
			want := sampletest.AnySpan.Draw(t, "span")
			record := e.Append(nil, &want)
			if len(want.Origin) > 0 {
				lines := rapid.Int64().Draw(t, "lines")
				MoveLine(record, lines)
				want.Origin[0].Line += lines
			}
			var got trace.Span
			d.reuse()
			require.NoError(t, d.record(string(record), &got))
			require.Equal(t, want, got)
			k, err := d.keyOf(string(record))
			require.NoError(t, err)
			first, _, timed := want.Extent()
			require.Equal(t, Key{ID: want.TraceID, Cost: Cost(&want), Start: first, HasStart: timed > 0, Moved: want.Moved != 0}, k)
			require.GreaterOrEqual(t, k.Cost, Cost(&trace.Span{}))

			// A record that is cut or wrong somewhere is an error, or another span.
			require.ErrorIs(t, d.record(string(record[:rapid.IntRange(0, len(record)-1).Draw(t, "cut")]), &got), ErrDamaged)
			record[rapid.IntRange(0, len(record)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			if err := d.record(string(record), &got); err != nil {
				require.ErrorIs(t, err, ErrDamaged)
			}
		}
	})
}

func TestNamesAreBounded(t *testing.T) {
	number := func(n *Names, name string) int {
		number, kept := n.number(name)
		if number > 0 {
			require.Equal(t, name, kept)
		}
		return int(number)
	}
	n := &Names{list: make([]string, maxNames-1)}
	require.Equal(t, maxNames, number(n, "last"))
	require.Zero(t, number(n, "one more"))
	require.Equal(t, maxNames, number(n, "last"))

	n = &Names{}
	require.Equal(t, 1, number(n, strings.Repeat("x", maxNameBytes-1)))
	require.Zero(t, number(n, "xx"))
	require.Equal(t, 2, number(n, "x"))
}

// A value is written once, where it is first seen, and then where it comes again:
// from there on it is a number.
func TestRepeatedValues(t *testing.T) {
	n := &Names{}
	e, d := Encoder{names: n, repeated: make([]repetition, 1<<repeatedBits)}, decoder{names: n}
	inline := func(text string) bool {
		want := trace.Span{Notes: []trace.Note{{Value: trace.Value{Kind: trace.String, Text: text}}}}
		record := e.Append(nil, &want)
		var got trace.Span
		require.NoError(t, d.record(string(record), &got))
		require.Equal(t, want, got)
		return bytes.Contains(record, []byte(text))
	}
	long := strings.Repeat("SELECT ", 9)
	borrowed := []byte(long)
	require.True(t, inline(string(borrowed)))
	require.False(t, inline(unsafe.String(&borrowed[0], len(borrowed))))
	clear(borrowed)
	require.False(t, inline(long))
	for _, never := range []string{"start", strings.Repeat("x", maxRepeated+1)} {
		require.True(t, inline(never))
		require.True(t, inline(never))
	}
	other := long + "2"
	r := &e.repeated[maphash.String(repeatedSeed, other)>>(64-repeatedBits)]
	*r = repetition{hash: maphash.String(repeatedSeed, other), text: long, number: 1} // of the same hash
	require.True(t, inline(other))
	require.True(t, inline(other))

	n.size = maxNameBytes
	long += "3"
	require.True(t, inline(long))
	require.True(t, inline(long), "there is no room")
	var got trace.Span
	n.list = nil
	require.ErrorIs(t, d.record(string(e.Append(nil, &trace.Span{Notes: []trace.Note{{Value: trace.Value{Kind: trace.String, Text: strings.Repeat("SELECT ", 9)}}}})), &got), ErrDamaged)
}
