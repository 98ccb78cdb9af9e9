package assemble_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// truthSpan is a span as the truth files tell it, with the folder of its log and
// the mark that says what it is there for.
type truthSpan struct {
	trace.Span
	folder, mark string
}

// realSpans are the spans of testdata/truth/real-openstack.jsonl.
func realSpans(t testing.TB) []truthSpan {
	var spans []truthSpan
	for row := range truthRows(t, "real-openstack.jsonl") {
		spans = append(spans, truthSpan{Span: span(t, row["span"].(map[string]any)), folder: "real-openstack"})
	}
	return spans
}

// sampleSpans are the spans of testdata/truth/samples.jsonl that stand whole in a
// log.
func sampleSpans(t testing.TB) []truthSpan {
	var spans []truthSpan
	for row := range truthRows(t, "samples.jsonl") {
		if row["kind"] != "span" {
			continue
		}
		s := truthSpan{Span: span(t, row), folder: row["folder"].(string)}
		s.mark, _ = row["mark"].(string)
		for _, place := range row["files"].([]any) {
			place := place.(map[string]any)
			line, err := place["line"].(json.Number).Int64()
			require.NoError(t, err)
			s.Origin = append(s.Origin, trace.Origin{File: place["file"].(string), Line: line})
		}
		spans = append(spans, s)
	}
	return spans
}

func truthRows(t testing.TB, name string) func(yield func(map[string]any) bool) {
	data, err := os.ReadFile(filepath.Join("..", "testdata", "truth", name))
	require.NoError(t, err)
	return func(yield func(map[string]any) bool) {
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var row map[string]any
			decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			decoder.UseNumber()
			require.NoError(t, decoder.Decode(&row))
			if !yield(row) {
				return
			}
		}
		require.NoError(t, lines.Err())
	}
}

func span(t testing.TB, row map[string]any) trace.Span {
	s := trace.Span{TraceID: id(t, row["trace_id"]), ID: id(t, row["id"]), Name: text(row["name"])}
	if parent := row["parent_id"]; parent != nil {
		s.ParentID, s.HasParent = id(t, parent), true
	}
	for _, note := range row["notes"].([]any) {
		note := note.(map[string]any)
		n := trace.Note{
			HasTime:  true,
			Value:    value(note["value"]),
			Service:  text(note["service_name"]),
			Address:  text(note["address"]),
			Port:     value(note["port"]),
			Duration: value(note["duration"]),
		}
		if us, ok := note["time_us"].(json.Number); ok {
			n.Time = integer(t, us)
		} else {
			n.Time = microseconds(t, note["time"].(json.Number))
		}
		s.Notes = append(s.Notes, n)
	}
	dimensions, _ := row["dimensions"].([]any)
	if dimensions != nil {
		s.Dimensions = []trace.Dimension{}
	}
	for _, dimension := range dimensions {
		dimension := dimension.(map[string]any)
		s.Dimensions = append(s.Dimensions, trace.Dimension{
			Key:     text(dimension["key"]),
			Value:   value(dimension["value"]),
			Service: text(dimension["service_name"]),
			Address: text(dimension["address"]),
			Port:    value(dimension["port"]),
		})
	}
	return s
}

func id(t testing.TB, number any) trace.ID {
	parsed, err := trace.ParseID(number.(json.Number).String())
	require.NoError(t, err)
	return parsed
}

func integer(t testing.TB, number json.Number) int64 {
	n, err := number.Int64()
	require.NoError(t, err)
	return n
}

// microseconds rounds decimal seconds half to even.
func microseconds(t testing.TB, seconds json.Number) int64 {
	exact, ok := new(big.Rat).SetString(seconds.String())
	require.True(t, ok)
	exact.Mul(exact, big.NewRat(1_000_000, 1))
	floor := new(big.Int).Div(exact.Num(), exact.Denom()).Int64()
	switch exact.Sub(exact, big.NewRat(floor, 1)).Cmp(big.NewRat(1, 2)) {
	case -1:
		return floor
	case 0:
		return floor + floor&1
	default:
		return floor + 1
	}
}

func text(v any) trace.Text {
	if v == nil {
		return trace.Text{}
	}
	return trace.NewText(value(v).Text)
}

func value(v any) trace.Value {
	switch v := v.(type) {
	case nil:
		return trace.Value{}
	case string:
		return trace.Value{Kind: trace.String, Text: v}
	case json.Number:
		if strings.ContainsAny(v.String(), ".e") {
			return trace.Value{Kind: trace.Float, Text: v.String()}
		}
		return trace.Value{Kind: trace.Int, Text: v.String()}
	}
	for kind, inner := range v.(map[string]any) {
		switch kind {
		case "str", "unicode":
			return trace.Value{Kind: trace.String, Text: inner.(string)}
		case "bytes":
			raw, _ := hex.DecodeString(inner.(string))
			return trace.Value{Kind: trace.String, Text: strings.ToValidUTF8(string(raw), "\uFFFD")}
		case "bool":
			if inner.(bool) {
				return trace.Value{Kind: trace.Bool, Text: "True"}
			}
			return trace.Value{Kind: trace.Bool, Text: "False"}
		case "none":
			return trace.Value{Kind: trace.None}
		case "other":
			return trace.Value{Kind: trace.Repr, Text: inner.(string)}
		case "int":
			return trace.Value{Kind: trace.Int, Text: numberText(inner)}
		case "float":
			return trace.Value{Kind: trace.Float, Text: numberText(inner)}
		}
	}
	panic("the truth has a value of a kind its README does not name")
}

func numberText(v any) string {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	return v.(string)
}
