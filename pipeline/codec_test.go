package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

var (
	anyString = rapid.SampledFrom([]string{"", "a", "start", "stop", "nova-api", "ä€\U0001f600", "\x00\n"})
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
	anyFields = list(rapid.Custom(func(t *rapid.T) trace.Field {
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
		s.Notes = list(rapid.Custom(func(t *rapid.T) trace.Note {
			n := trace.Note{HasTime: rapid.Bool().Draw(t, "has time"), Value: anyValue.Draw(t, "value"), Service: anyText.Draw(t, "service"),
				Address: anyText.Draw(t, "address"), Port: anyValue.Draw(t, "port"), Duration: anyValue.Draw(t, "duration"), Extra: anyFields.Draw(t, "extra")}
			if n.HasTime {
				n.Time = anyTime.Draw(t, "time")
			}
			return n
		})).Draw(t, "notes")
		s.Dimensions = list(rapid.Custom(func(t *rapid.T) trace.Dimension {
			return trace.Dimension{Key: anyText.Draw(t, "key"), Value: anyValue.Draw(t, "value"), Service: anyText.Draw(t, "service"),
				Address: anyText.Draw(t, "address"), Port: anyValue.Draw(t, "port"), Extra: anyFields.Draw(t, "extra")}
		})).Draw(t, "dimensions")
		s.Origin = list(rapid.Custom(func(t *rapid.T) trace.Origin {
			return trace.Origin{File: anyString.Draw(t, "file"), Line: rapid.Int64().Draw(t, "line"), RequestID: anyString.Draw(t, "request"),
				GlobalRequestID: anyString.Draw(t, "global request"), PID: rapid.Int64().Draw(t, "pid"), LogHost: anyString.Draw(t, "host"), LogTime: anyTime.Draw(t, "log time")}
		})).Draw(t, "origin")
		return s
	})
)

// list is nil, empty or short.
func list[T any](element *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.OneOf(rapid.Just([]T(nil)), rapid.SliceOfN(element, 0, 3))
}

// What is decoded is what was encoded, with names in the table and without.
func TestSpansComeBackFromTheirCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &names{}
		d := decoder{names: n}
		for range 3 {
			want := anySpan.Draw(t, "span")
			code := n.appendSpan(nil, &want)
			n.closed = true
			d.text, d.bad = string(code), false
			got := trace.Span{TraceID: want.TraceID}
			d.span(&got)
			require.NoError(t, d.end())
			require.Equal(t, want, got)
			require.GreaterOrEqual(t, cost(&want), cost(&trace.Span{}))
		}
	})
}

func TestTracesComeBackFromTheirCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spans := rapid.SliceOfN(anySpan, 0, 6).Draw(t, "spans")
		id := anyID.Draw(t, "trace id")
		for i := range spans {
			spans[i].TraceID = id
		}
		want, _ := assemble.Trace(id, spans, assemble.Options{AdjustSkew: rapid.Bool().Draw(t, "adjust")})
		n := &names{}
		d := decoder{names: n}
		head, err := d.head(string(appendHead(nil, &want)))
		require.NoError(t, err)
		code := n.appendTrace(nil, &want)
		got, err := d.trace(head, string(code))
		require.NoError(t, err)
		require.Equal(t, &want, got)

		// Code that is cut or wrong somewhere is an error, or another trace.
		_, err = d.trace(head, string(code[:rapid.IntRange(0, len(code)-1).Draw(t, "cut")]))
		require.ErrorIs(t, err, errCodec)
		code[rapid.IntRange(0, len(code)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		if _, err = d.trace(head, string(code)); err != nil {
			require.ErrorIs(t, err, errCodec)
		}
	})
}

func TestNamesAreBounded(t *testing.T) {
	n := &names{list: make([]string, maxNames-1)}
	require.EqualValues(t, maxNames, n.number("last"))
	require.Zero(t, n.number("one more"))
	require.EqualValues(t, maxNames, n.number("last"))
}
