package sampletest

import (
	"strings"

	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
)

var (
	anyString = rapid.SampledFrom([]string{"", "a", "start", "stop", "nova-api", "ä€\U0001f600", "\x00\n",
		strings.Repeat("SELECT ", 9)})
	anyTime = rapid.OneOf(rapid.Int64Range(-3, 30), rapid.Int64())
	anyText = rapid.Custom(func(t *rapid.T) trace.Text {
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
		rapid.SampledFrom([]trace.ID{{Lo: 1<<64 - 1, Odd: "-1"}, {Hi: 7, Lo: 9},
			{Odd: "340282366920938463463374607431768211456"}}))
	// AnySpan draws spans of all kinds.
	AnySpan = rapid.Custom(func(t *rapid.T) trace.Span {
		s := trace.Span{TraceID: anyID.Draw(t, "trace id"), ID: anyID.Draw(t, "id"), HasParent: rapid.Bool().Draw(t,
			"has parent"),
			Name: anyText.Draw(t, "name"), Extra: anyFields.Draw(t, "extra"), Damage: trace.Damage(rapid.IntRange(0,
				15).Draw(t, "damage")),
			Moved: rapid.Int64().Draw(t, "moved")}
		if s.HasParent {
			s.ParentID = anyID.Draw(t, "parent id")
		}
		s.Notes = listOf(rapid.Custom(func(t *rapid.T) trace.Note {
			n := trace.Note{HasTime: rapid.Bool().Draw(t, "has time"), Value: anyValue.Draw(t, "value"),
				Service: anyText.Draw(t, "service"),
				Address: anyText.Draw(t, "address"), Port: anyValue.Draw(t, "port"), Duration: anyValue.Draw(t,
					"duration"), Extra: anyFields.Draw(t, "extra")}
			if n.HasTime {
				n.Time = anyTime.Draw(t, "time")
			}
			return n
		})).Draw(t, "notes")
		s.Dimensions = listOf(rapid.Custom(func(t *rapid.T) trace.Dimension {
			return trace.Dimension{Key: anyText.Draw(t, "key"), Value: anyValue.Draw(t, "value"),
				Service: anyText.Draw(t, "service"),
				Address: anyText.Draw(t, "address"), Port: anyValue.Draw(t, "port"), Extra: anyFields.Draw(t, "extra")}
		})).Draw(t, "dimensions")
		s.Origin = listOf(rapid.Custom(func(t *rapid.T) trace.Origin {
			return trace.Origin{File: anyString.Draw(t, "file"), Line: rapid.Int64().Draw(t, "line"),
				RequestID:       anyString.Draw(t, "request"),
				GlobalRequestID: anyString.Draw(t, "global request"), PID: rapid.Int64().Draw(t,
					"pid"), LogHost: anyString.Draw(t, "host"), LogTime: anyTime.Draw(t, "log time")}
		})).Draw(t, "origin")
		return s
	})
)

// listOf is nil, empty or short.
func listOf[T any](element *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.OneOf(rapid.Just([]T(nil)), rapid.SliceOfN(element, 0, 3))
}
