package pipeline

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
)

var (
	anyString = rapid.SampledFrom([]string{"", "a", "start", "stop", "nova-api", "ä€\U0001f600", "\x00\n", strings.Repeat("SELECT ", 9)})
	anyTime   = rapid.OneOf(rapid.Int64Range(-3, 30), rapid.Int64())
	anyText   = rapid.Custom(func(t *rapid.T) trace.Text {
		if rapid.Bool().Draw(t, "set") {
			return trace.NewText(anyString.Draw(t, "text"))
		}
		return trace.Text{}
	})
	anyValue = rapid.Custom(func(t *rapid.T) trace.Value {
		kind := trace.Kind(rapid.IntRange(int(trace.Absent), int(trace.Repr)).Draw(t, "kind"))
		switch kind {
		case trace.Absent, trace.None:
			return trace.Value{Kind: kind}
		case trace.Int:
			return trace.Value{Kind: kind, Text: "12"}
		case trace.Float:
			return trace.Value{Kind: kind, Text: "1.5"}
		case trace.Bool:
			return trace.Value{Kind: kind, Text: "True"}
		}
		return trace.Value{Kind: kind, Text: anyString.Draw(t, "value")}
	})
	anyFields = listOf(rapid.Custom(func(t *rapid.T) trace.Field {
		return trace.Field{Name: anyString.Draw(t, "name"), Value: anyValue.Draw(t, "value")}
	}))
	anyID = rapid.OneOf(
		rapid.Custom(func(t *rapid.T) trace.ID { return trace.IDFromUint64(rapid.Uint64Range(0, 5).Draw(t, "id")) }),
		rapid.SampledFrom([]trace.ID{{Lo: 1<<64 - 1, Odd: "-1"}, {Hi: 7, Lo: 9}, {Odd: "340282366920938463463374607431768211456"}}))
	anySpan = rapid.Custom(func(t *rapid.T) trace.Span {
		s := trace.Span{TraceID: anyID.Draw(t, "trace id"), ID: anyID.Draw(t, "id"), HasParent: rapid.Bool().Draw(t, "has parent"),
			Name: anyText.Draw(t, "name"), Extra: anyFields.Draw(t, "extra"), Damage: trace.Damage(rapid.IntRange(0, 15).Draw(t, "damage")),
			Moved: rapid.Int64().Draw(t, "moved")}
		if s.HasParent {
			s.ParentID = anyID.Draw(t, "parent id")
		}
		s.Notes = listOf(rapid.Custom(func(t *rapid.T) trace.Note {
			n := trace.Note{HasTime: rapid.Bool().Draw(t, "has time"), Value: anyValue.Draw(t, "value"), Service: anyText.Draw(t, "service"),
				Address: anyText.Draw(t, "address"), Port: anyValue.Draw(t, "port"), Duration: anyValue.Draw(t, "duration"), Extra: anyFields.Draw(t, "extra")}
			if n.HasTime {
				n.Time = anyTime.Draw(t, "time")
			}
			return n
		})).Draw(t, "notes")
		s.Dimensions = listOf(rapid.Custom(func(t *rapid.T) trace.Dimension {
			return trace.Dimension{Key: anyText.Draw(t, "key"), Value: anyValue.Draw(t, "value"), Service: anyText.Draw(t, "service"),
				Address: anyText.Draw(t, "address"), Port: anyValue.Draw(t, "port"), Extra: anyFields.Draw(t, "extra")}
		})).Draw(t, "dimensions")
		s.Origin = listOf(rapid.Custom(func(t *rapid.T) trace.Origin {
			return trace.Origin{File: anyString.Draw(t, "file"), Line: rapid.Int64().Draw(t, "line"), RequestID: anyString.Draw(t, "request"),
				GlobalRequestID: anyString.Draw(t, "global request"), PID: rapid.Int64().Draw(t, "pid"), LogHost: anyString.Draw(t, "host"), LogTime: anyTime.Draw(t, "log time")}
		})).Draw(t, "origin")
		return s
	})
)

// listOf is nil, empty or short.
func listOf[T any](element *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.OneOf(rapid.Just([]T(nil)), rapid.SliceOfN(element, 0, 3))
}

// What is decoded is what was encoded, whatever stands in the decoder's room, and
// a line that was moved.
func TestSpansComeBackFromTheirRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &names{}
		e, d := encoder{names: n, repeated: make([]repetition, 1<<repeatedBits)}, decoder{names: n}
		for range 3 {
			want := anySpan.Draw(t, "span")
			record := e.appendRecord(nil, &want)
			if len(want.Origin) > 0 {
				lines := rapid.Int64().Draw(t, "lines")
				moveLine(record, lines)
				want.Origin[0].Line += lines
			}
			var got trace.Span
			d.reuse()
			require.NoError(t, d.record(string(record), &got))
			require.Equal(t, want, got)
			k, err := d.keyOf(string(record))
			require.NoError(t, err)
			first, _, timed := want.Extent()
			require.Equal(t, key{id: want.TraceID, cost: cost(&want), start: first, hasStart: timed > 0, moved: want.Moved != 0}, k)
			require.GreaterOrEqual(t, k.cost, cost(&trace.Span{}))

			// A record that is cut or wrong somewhere is an error, or another span.
			require.ErrorIs(t, d.record(string(record[:rapid.IntRange(0, len(record)-1).Draw(t, "cut")]), &got), errCodec)
			record[rapid.IntRange(0, len(record)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			if err := d.record(string(record), &got); err != nil {
				require.ErrorIs(t, err, errCodec)
			}
		}
	})
}

func TestNamesAreBounded(t *testing.T) {
	number := func(n *names, name string) int {
		number, kept := n.number(name)
		if number > 0 {
			require.Equal(t, name, kept)
		}
		return int(number)
	}
	n := &names{list: make([]string, maxNames-1)}
	require.Equal(t, maxNames, number(n, "last"))
	require.Zero(t, number(n, "one more"))
	require.Equal(t, maxNames, number(n, "last"))

	n = &names{}
	require.Equal(t, 1, number(n, strings.Repeat("x", maxNameBytes-1)))
	require.Zero(t, number(n, "xx"))
	require.Equal(t, 2, number(n, "x"))
}

// A value is written once, where it is first seen, and then where it comes again:
// from there on it is a number.
func TestRepeatedValues(t *testing.T) {
	n := &names{}
	e, d := encoder{names: n, repeated: make([]repetition, 1<<repeatedBits)}, decoder{names: n}
	inline := func(text string) bool {
		want := trace.Span{Notes: []trace.Note{{Value: trace.Value{Kind: trace.String, Text: text}}}}
		record := e.appendRecord(nil, &want)
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
	require.ErrorIs(t, d.record(string(e.appendRecord(nil, &trace.Span{Notes: []trace.Note{{Value: trace.Value{Kind: trace.String, Text: strings.Repeat("SELECT ", 9)}}}})), &got), errCodec)
}
