package tracejson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// someDocuments are documents and the spans in them.
func someDocuments(t *rapid.T) (documents [][]byte, spans []trace.Span) {
	for range rapid.IntRange(1, 3).Draw(t, "documents") {
		id := anyID().Draw(t, "trace")
		var own []trace.Span
		for range rapid.IntRange(0, 3).Draw(t, "spans") {
			own = append(own, anySpan(t, id))
		}
		tr := traceOf(id, own...)
		documents = append(documents, tracejson.Append(nil, &tr))
		spans = append(spans, own...)
	}
	return documents, spans
}

// shuffled writes a JSON value with the fields of all objects in another order:
// sorted, or any.
func shuffled(t *rapid.T, value json.RawMessage, sorted bool) json.RawMessage {
	switch value[0] {
	case '{':
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(value, &fields))
		var names []string
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		if !sorted {
			names = rapid.Permutation(names).Draw(t, "names")
		}
		var out []byte
		for _, name := range names {
			key, err := json.Marshal(name)
			require.NoError(t, err)
			out = append(append(append(append(out, ','), key...), ':'), shuffled(t, fields[name], sorted)...)
		}
		if out == nil {
			return json.RawMessage("{}")
		}
		out[0] = '{'
		return append(out, '}')
	case '[':
		var elements []json.RawMessage
		require.NoError(t, json.Unmarshal(value, &elements))
		for i := range elements {
			elements[i] = shuffled(t, elements[i], sorted)
		}
		out, err := json.Marshal(elements)
		require.NoError(t, err)
		return out
	}
	return value
}

// sortExtra forgets the order of what has none in JSON.
func sortExtra(spans []trace.Span) []trace.Span {
	byName := func(fields []trace.Field) {
		slices.SortStableFunc(fields, func(a, b trace.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	for i := range spans {
		byName(spans[i].Extra)
		for j := range spans[i].Notes {
			byName(spans[i].Notes[j].Extra)
		}
		for j := range spans[i].Dimensions {
			byName(spans[i].Dimensions[j].Extra)
		}
	}
	return spans
}

// What other programs make of documents is read as the documents were.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		documents, spans := someDocuments(t)
		order := rapid.SampledFrom([]string{"own", "sorted", "any"}).Draw(t, "order")
		if order != "own" {
			for i := range documents {
				documents[i] = shuffled(t, documents[i], order == "sorted")
			}
		}
		file := bytes.Join(documents, []byte(rapid.SampledFrom([]string{"\n", " "}).Draw(t, "between")))
		if rapid.Bool().Draw(t, "list") {
			file = slices.Concat([]byte("["), bytes.Join(documents, []byte(",")), []byte("]"))
			if rapid.Bool().Draw(t, "of lists") {
				file = slices.Concat([]byte("["), file, []byte(","), []byte("]\n"))
			}
		}
		indents := []string{"no", "  ", "\t"}
		if order != "any" {
			indents = append(indents, "") // spans stand at the beginning of lines, and begin as documents do not
		}
		if indent := rapid.SampledFrom(indents).Draw(t, "indent"); indent != "no" {
			var indented bytes.Buffer
			for _, document := range documents {
				require.NoError(t, json.Indent(&indented, document, "", indent))
				indented.WriteByte('\n')
			}
			file = indented.Bytes()
		}
		require.True(t, tracejson.IsDocument(file[:min(len(file), tracejson.Lookahead)]), "%s", file)
		require.Equal(t, sortExtra(spans), sortExtra(spansOf(t, bytes.NewReader(file))), "%s", file)
	})
}

// A document that holds more than the schema knows is read all the same, and
// every such name is told once.
func TestUnknownFields(t *testing.T) {
	document := strings.NewReplacer(
		`"verdict"`, `"tags":[1,{"a":[]},{"id":null}],"verdict"`,
		`"depth"`, "\"later\":\"\\ud800\",\"later\":{\"deep\":[[{\"\":-1.5e3}]]},\"depth\"",
		`"notes":[]`, `"notes":[{"value":"start","colour":true}]`,
	).Replace(whole)
	var told []string
	var spans []trace.Span
	require.NoError(t, tracejson.Read(strings.NewReader(document+"\n"+document), "f.json",
		func(s trace.Span) error { spans = append(spans, s); return nil },
		func(e *tracejson.DocumentError) error {
			require.Equal(t, tracejson.UnknownField, e.Kind)
			told = append(told, e.Error())
			return nil
		}, nil))
	require.Equal(t, []string{
		`f.json:1:52: trace document 1: the unknown field "tags" is ignored`,
		`f.json:1:186: trace document 1: the unknown field "later" is ignored`,
		`f.json:1:272: trace document 1: the unknown field "colour" is ignored`,
	}, told)
	require.Len(t, spans, 2)
	require.Equal(t, spans[0], spans[1])
	require.Zero(t, spans[0].Damage, "what is ignored damages nothing")
	require.Equal(t, "start", spans[0].Notes[0].Value.Text)

	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, `"new%d":%d,`, i, i)
	}
	told = nil
	require.NoError(t, tracejson.Read(strings.NewReader(strings.Replace(whole, `"verdict"`, many.String()+`"verdict"`, 1)), "f.json",
		func(trace.Span) error { return nil },
		func(e *tracejson.DocumentError) error { told = append(told, e.Reason); return nil }, nil))
	require.Len(t, told, 16)
	require.Equal(t, `the unknown field "new15" is ignored, and so are further ones, which are not told`, told[15])
}

func TestIsDocument(t *testing.T) {
	for text, want := range map[string]bool{
		whole:                 true,
		whole[:60]:            true,
		whole[:30]:            true,
		whole[:20]:            true,
		"\ufeff \r\n" + whole: true,
		"[" + whole + "]":     true,
		"[\n [" + whole[:40]:  true,
		"{\n  \"trace_id\": \"000000000000000a\",\n  \"tomograph_id\": \"10\"":      true,
		`{"duration": 114403, "problems": [], "services": ["nova-api"], "spans": [`: true,
		`{"problems":[{"code":"open","text":"` + strings.Repeat("x", 5000):          true,
		`{"spans":[{"depth":0,"dimensions":[`:                                       true,
		`{"comment":"mine","duration":1,"problems":[]`:                              true,
		`{"verdict":"complete","trace_id":"00`:                                      true,
		"{\"verdict\":\"complete\",\n{":                                             true,
		"":                                                                          false,
		"{":                                                                         false,
		"[":                                                                         false,
		"[]":                                                                        false,
		"{}":                                                                        false,
		"[1,2]":                                                                     false,
		`{"trace_id":`:                                                              false,
		`{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","message":"x"}`:                          false,
		`{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","message":"` + strings.Repeat("x", 5000): false,
		`{"trace_id":"req-1","tomograph_id":"1"}`:                                                     false,
		`{"trace_id":"5731","tomograph_id":"1"}`:                                                      false,
		`{"duration":12,"start":3,"message":"Span("}`:                                                 false,
		`{"duration":0.25,"problems":[]}`:                                                             false,
		`{"message": "Span(trace_id=1", "name": "tomograph.backends.log"}`:                            false,
		`{"message": "Span(", "trace_id":"000000000000000a","tomograph_id":"10"}`:                     false,
		`{"__CURSOR":"s=1","MESSAGE":"Span(trace_id=1)"}`:                                             false,
		`{"log":"Span(trace_id=1)\n","stream":"stdout"}`:                                              false,
		`[{"traceId":"000000000000000a","id":"1"}]`:                                                   false,
		`{"id":"0000000000000001","tomograph_id":"1","depth":0,"start":1,"problems":[]`:               false,
		`{"depth":0,"duration":1,"id":"0000000000000001","problems":[],"start":1,"tomograph_id":"1"}`: false,
		`{"spans":[],"x":"` + strings.Repeat("y", 100) + `"}`:                                         false,
		`2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(`:                          false,
		`[2013-04-18 02:02:08] {"trace_id":"000000000000000a","tomograph_id":"10"`:                    false,
		`{"trace_id" "000000000000000a"}`:                                                             false,
		`{trace_id:"000000000000000a","tomograph_id":"10"}`:                                           false,
	} {
		require.Equal(t, want, tracejson.IsDocument([]byte(text)), text)
	}
}

func FuzzIsDocument(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`[{"a\"":{"b":[1]},"duration":1,"problems":[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		tracejson.IsDocument(text) // does not panic
	})
}
