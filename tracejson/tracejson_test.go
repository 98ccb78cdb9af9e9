package tracejson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

func schema(t testing.TB) *jsonschema.Schema {
	compiled, err := jsonschema.NewCompiler().Compile("../docs/trace.schema.json")
	require.NoError(t, err)
	return compiled
}

func requireValid(t require.TestingT, schema *jsonschema.Schema, document []byte) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	require.NoError(t, err, "%s", document)
	require.NoError(t, schema.Validate(parsed), "%s", document)
}

// spansOf reads documents that are expected to be whole.
func spansOf(t require.TestingT, r io.Reader) (spans []trace.Span) {
	err := tracejson.Read(r, "f.json", func(s trace.Span) error {
		spans = append(spans, s)
		return nil
	}, func(e *tracejson.DocumentError) error { return e }, nil)
	require.NoError(t, err)
	return spans
}

func anyID() *rapid.Generator[trace.ID] {
	return rapid.Custom(func(t *rapid.T) trace.ID {
		id, err := trace.ParseID(rapid.OneOf(
			rapid.StringMatching(`0|[1-9][0-9]{0,19}`),
			rapid.StringMatching(`-?[1-9][0-9]{0,60}`),
			rapid.SampledFrom([]string{"-1", "-340282366920938463463374607431768211456", "340282366920938463463374607431768211456"}),
		).Draw(t, "id"))
		require.NoError(t, err)
		return id
	})
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "stop", "\x00\x1b[31m\x7f\u0080\u009b\u2028\u2029\ufffd\ufeff\U0001F600", `a"b\c/</script>&`, "{\"trace_id\":\"", "\r\n\t",
	}))
}

func maybe(t *rapid.T) trace.Text {
	if rapid.Bool().Draw(t, "set") {
		return trace.NewText(anyText().Draw(t, "text"))
	}
	return trace.Text{}
}

// someValue is any value that is there.
func someValue(t *rapid.T) trace.Value {
	v := trace.Value{Kind: trace.Kind(rapid.IntRange(int(trace.None), int(trace.Repr)).Draw(t, "kind"))}
	switch v.Kind {
	case trace.String, trace.Repr:
		v.Text = anyText().Draw(t, "text")
	case trace.Int:
		v.Text = rapid.OneOf(rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})`), rapid.SampledFrom([]string{"007", "+1"})).Draw(t, "int")
	case trace.Float:
		v.Text = rapid.OneOf(
			rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}(e[+-]?[0-9]{1,3})?`),
			rapid.SampledFrom([]string{"nan", "inf", "-inf", "1e-05", "-0.0", "1.", ".5", "+1.0", "5"}),
		).Draw(t, "float")
	case trace.Bool:
		v.Text = rapid.SampledFrom([]string{"True", "False"}).Draw(t, "bool")
	}
	return v
}

// optional is a value for which None is not there.
func optional(t *rapid.T) trace.Value {
	if v := someValue(t); v.Kind != trace.None {
		return v
	}
	return trace.Value{}
}

func fields(t *rapid.T) (fields []trace.Field) {
	for range rapid.IntRange(0, 2).Draw(t, "fields") {
		name := anyText().Filter(func(name string) bool {
			for _, f := range fields {
				if f.Name == name {
					return false
				}
			}
			return true
		}).Draw(t, "name")
		for range rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "times") {
			fields = append(fields, trace.Field{Name: name, Value: someValue(t)})
		}
	}
	return fields
}

func anySpan(t *rapid.T, traceID trace.ID) trace.Span {
	s := trace.Span{
		TraceID: traceID, ID: anyID().Draw(t, "id"), HasParent: rapid.Bool().Draw(t, "child"), Name: maybe(t),
		Extra: fields(t), Damage: trace.Damage(rapid.Uint8Range(0, 15).Draw(t, "damage")),
		Moved: rapid.SampledFrom([]int64{0, 0, 1, -1, 700, 1<<63 - 1, -1 << 63}).Draw(t, "moved"),
	}
	if s.HasParent {
		s.ParentID = anyID().Draw(t, "parent")
	}
	for range rapid.IntRange(0, 3).Draw(t, "notes") {
		n := trace.Note{Service: maybe(t), Address: maybe(t), Port: optional(t), Duration: optional(t), Extra: fields(t)}
		if n.HasTime = rapid.Bool().Draw(t, "timed"); n.HasTime {
			n.Time = rapid.Int64().Draw(t, "time")
		}
		if rapid.Bool().Draw(t, "value") {
			n.Value = someValue(t)
		}
		if before := len(s.Notes) - 1; before >= 0 {
			if rapid.Bool().Draw(t, "same value") {
				n.Value = s.Notes[before].Value
			}
			if rapid.Bool().Draw(t, "same endpoint") {
				n.Service, n.Address, n.Port = s.Notes[before].Service, s.Notes[before].Address, s.Notes[before].Port
			}
		}
		s.Notes = append(s.Notes, n)
	}
	if rapid.Bool().Draw(t, "era 3") {
		s.Dimensions = []trace.Dimension{}
		for range rapid.IntRange(0, 2).Draw(t, "dimensions") {
			s.Dimensions = append(s.Dimensions, trace.Dimension{
				Key: maybe(t), Value: someValue(t), Service: maybe(t), Address: maybe(t), Port: optional(t), Extra: fields(t),
			})
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "origins") {
		s.Origin = append(s.Origin, trace.Origin{
			File: anyText().Draw(t, "file"), Line: rapid.Int64Min(1).Draw(t, "line"), RequestID: anyText().Draw(t, "request"),
			GlobalRequestID: anyText().Draw(t, "global"), PID: rapid.Int64().Draw(t, "pid"),
			LogHost: anyText().Draw(t, "host"), LogTime: rapid.Int64().Draw(t, "log time"),
		})
	}
	return s
}

var damageCodes = map[trace.Damage]trace.Code{
	trace.Truncated: trace.CodeTruncated, trace.Torn: trace.CodeTorn,
	trace.BadTime: trace.CodeBadTime, trace.InvalidUTF8: trace.CodeInvalidUTF8,
}

// traceOf is a trace of spans that stand side by side.
func traceOf(id trace.ID, spans ...trace.Span) trace.Trace {
	t := trace.Trace{ID: id}
	for _, s := range spans {
		n := trace.Node{Span: s, Parent: -1}
		for bit, code := range damageCodes {
			if s.Damage&bit != 0 {
				n.Problems = append(n.Problems, trace.Problem{Code: code, Span: s.ID, HasSpan: true, Text: "A \"text\"."})
			}
		}
		t.Spans = append(t.Spans, n)
		t.Problems = append(t.Problems, n.Problems...)
		if first, last, timed := s.Extent(); timed > 0 && !t.HasStart {
			t.HasStart, t.Start, t.End = true, first, last
		}
	}
	return t
}

func TestRoundTrip(t *testing.T) {
	schema := schema(t)
	rapid.Check(t, func(t *rapid.T) {
		var file []byte
		var spans []trace.Span
		for range rapid.IntRange(1, 3).Draw(t, "documents") {
			id := anyID().Draw(t, "trace")
			var own []trace.Span
			for range rapid.IntRange(0, 3).Draw(t, "spans") {
				own = append(own, anySpan(t, id))
			}
			tr := traceOf(id, own...)
			document := tracejson.Append(nil, &tr)
			requireValid(t, schema, document)
			require.Equal(t, -1, bytes.IndexFunc(document, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }))
			require.True(t, tracejson.IsDocument(document[:min(len(document), 200)]))
			file = append(append(file, document...), rapid.SampledFrom([]string{"\n", "", "\r\n\n", " "}).Draw(t, "between")...)
			spans = append(spans, own...)
		}
		require.Equal(t, spans, spansOf(t, bytes.NewReader(file)))
		require.Equal(t, spans, spansOf(t, iotest.OneByteReader(bytes.NewReader(file))))

		// The same documents, indented by another program.
		var indented bytes.Buffer
		for decoder := json.NewDecoder(bytes.NewReader(file)); ; indented.WriteByte('\n') {
			var document json.RawMessage
			if err := decoder.Decode(&document); err == io.EOF {
				break
			}
			require.NoError(t, json.Indent(&indented, document, "", "  "))
		}
		require.Equal(t, spans, spansOf(t, &indented))
	})
}

func TestAnyBytes(t *testing.T) {
	tr := traceOf(trace.IDFromUint64(1), trace.Span{
		TraceID: trace.IDFromUint64(1), Notes: []trace.Note{{Value: trace.Value{Kind: trace.Float, Text: "nan"}}},
	})
	document := tracejson.Append(nil, &tr)
	rapid.Check(t, func(t *rapid.T) {
		file := bytes.Repeat(append(bytes.Clone(document), '\n'), 3)
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			at := rapid.IntRange(0, len(file)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				file[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				file = append(file[:at], file[rapid.IntRange(at, len(file)).Draw(t, "to"):]...)
			case 2:
				token := rapid.SampledFrom([]string{`"`, "{", "[", "\n", `\u`, `\ud800`, "1e999999999"}).Draw(t, "token")
				file = append(file[:at:at], append([]byte(token), file[at:]...)...)
			}
			if len(file) == 0 {
				break
			}
		}
		read := func(r io.Reader) (spans []trace.Span, errs []*tracejson.DocumentError) {
			require.NoError(t, tracejson.Read(r, "f.json",
				func(s trace.Span) error { spans = append(spans, s); return nil },
				func(e *tracejson.DocumentError) error { errs = append(errs, e); return nil }, nil))
			return spans, errs
		}
		spans, errs := read(bytes.NewReader(file))
		if len(bytes.TrimSpace(file)) > 0 {
			require.NotZero(t, len(spans)+len(errs), "nothing vanishes")
		}
		for _, e := range errs {
			require.LessOrEqual(t, e.Offset, int64(len(file)))
			line := bytes.Count(file[:e.Offset], []byte("\n")) + 1
			require.Equal(t, int64(line), e.Line)
			require.Equal(t, e.Offset-int64(bytes.LastIndexByte(file[:e.Offset], '\n')), e.Column)
		}
		m := readMixed(t, bytes.NewReader(file))
		for i, line := range m.lines {
			number, offset := m.places[i][0], m.places[i][1]
			require.Equal(t, string(file[offset:offset+int64(len(line))]), line)
			require.Equal(t, int64(bytes.Count(file[:offset], []byte("\n"))+1), number)
		}
		require.Equal(t, m, readMixed(t, iotest.OneByteReader(bytes.NewReader(file))))
		slowly, slowErrs := read(iotest.OneByteReader(bytes.NewReader(file)))
		require.Equal(t, spans, slowly)
		require.Equal(t, errs, slowErrs)
	})
}

func TestDocument(t *testing.T) {
	parent, err := trace.ParseID("-2")
	require.NoError(t, err)
	text := func(s string) trace.Value { return trace.Value{Kind: trace.String, Text: s} }
	s := trace.Span{
		TraceID: trace.IDFromUint64(5731049070570866), ID: trace.IDFromUint64(16), ParentID: parent, HasParent: true,
		Name: trace.NewText("WSGI"), Damage: trace.Truncated,
		Notes: []trace.Note{
			{Time: 1366250528495435, HasTime: true, Value: text("start"), Service: trace.NewText("nova-api"), Address: trace.NewText("ctl-1"),
				Port: trace.Value{Kind: trace.Int, Text: "8774"}, Duration: trace.Value{Kind: trace.Int, Text: "0"}},
			{Time: 1366250528609838, HasTime: true, Value: trace.Value{Kind: trace.Repr, Text: "[1]"}, Port: trace.Value{Kind: trace.Float, Text: "nan"}},
			{Value: trace.Value{Kind: trace.None}},
		},
		Dimensions: []trace.Dimension{{Key: trace.NewText("k"), Value: trace.Value{Kind: trace.Float, Text: "16.0"}}},
		Extra:      []trace.Field{{Name: "x", Value: text("1")}, {Name: "y", Value: text("2")}, {Name: "x", Value: text("3")}},
		Origin:     []trace.Origin{{File: "a\xff\xfeb", Line: 12, PID: 2148}},
	}
	tr := traceOf(s.TraceID, s)
	tr.Services = []string{"nova-api"}
	require.Equal(t, `{"trace_id":"00145c5bd80aad72","tomograph_id":"5731049070570866","start":1366250528495435,"duration":114403,`+
		`"verdict":"incomplete","problems":[{"code":"truncated","span":"0000000000000010","text":"A \"text\"."}],"services":["nova-api"],`+
		`"spans":[{"id":"0000000000000010","tomograph_id":"16","parent_id":"fffffffffffffffe","tomograph_parent_id":"-2","depth":0,`+
		`"name":"WSGI","service":"nova-api","host":"ctl-1","start":1366250528495435,"duration":114403,"notes":[`+
		`{"time":1366250528495435,"value":"start","service":"nova-api","address":"ctl-1","port":8774,"duration":0},`+
		`{"time":1366250528609838,"value":"[1]","type":"repr","port":{"value":"nan","type":"float"}},{"value":null}],`+
		`"dimensions":[{"key":"k","value":16.0}],"extra":{"x":{"values":["1","3"]},"y":"2"},`+
		"\"origin\":[{\"file\":\"a\uFFFDb\",\"line\":12,\"pid\":2148}],"+
		`"problems":[{"code":"truncated","span":"0000000000000010","text":"A \"text\"."}]}]}`,
		string(tracejson.Append(nil, &tr)))
}

const whole = `{"trace_id":"000000000000000a","tomograph_id":"10","verdict":"complete","problems":[],"services":[],` +
	`"spans":[{"id":"0000000000000001","tomograph_id":"1","depth":0,"notes":[],"origin":[],"problems":[]}]}`

func TestDamagedDocuments(t *testing.T) {
	head := `{"trace_id":"000000000000000a","tomograph_id":"10",`
	span := `{"id":"0000000000000001","tomograph_id":"1"`
	tests := map[string]struct {
		input string
		spans int
		error string
	}{
		"torn, then whole": {whole[:strings.Index(whole, `"depth"`)] + "\n" + whole + "\n", 1, "f.json:2:1: trace document 1: the document before this line ends too early"},
		"torn where an object could follow": {whole[:strings.Index(whole, `]`)] + "\n" + whole + "\n", 1,
			"f.json:2:1: trace document 1: the document before this line ends too early"},
		"torn in a string":     {whole[:20] + "\n" + whole + "\n", 1, "f.json:1:21: trace document 1: the line ends within a string; expected \""},
		"torn at the end":      {whole + "\n" + whole[:150], 1, "f.json:2:151: trace document 2: the input ends within the document"},
		"spans before it":      {head + `"spans":[` + span + `},` + span + `}, 3` + "\n" + whole, 3, "f.json:1:152: trace document 1: found '3'; expected { (the 2 spans before it are kept)"},
		"a span before it":     {head + `"spans":[` + span + `}, 3`, 1, "f.json:1:107: trace document 1: found '3'; expected { (the span before it is kept)"},
		"spans before the id":  {`{"problems":[],"spans":[` + span + `},` + span + `}, 3`, 0, "f.json:1:116: trace document 1: found '3'; expected { (the 2 spans before it are lost, for their trace_id and tomograph_id were still to come)"},
		"a span before the id": {`{"problems":[],"spans":[` + span + `}],"trace_id":"000000000000000a"}`, 0, "f.json:1:100: trace document 1: trace_id or tomograph_id is missing; expected both (the span before it is lost, for its trace_id and tomograph_id were still to come)"},
		"garbage":              {"hello\nworld\n" + whole, 1, "f.json:1:1: trace document 1: found 'h'; expected {; lines up to 2 were skipped"},
		"nothing but lines":    {"\n\n \r\n", 0, ""},
		"byte order mark":      {"\ufeff" + whole, 1, ""},
		"no id":                {`{"spans":[],"verdict":"complete"}`, 0, "f.json:1:33: trace document 1: trace_id or tomograph_id is missing; expected both"},
		"ids disagree":         {`{"trace_id":"000000000000000b","tomograph_id":"10"}`, 0, `f.json:1:47: trace document 1: trace_id "000000000000000b" is not the number of tomograph_id "10"; expected "000000000000000a"`},
		"bad parent":           {head + `"spans":[` + span + `,"parent_id":"x"}]}`, 0, `f.json:1:120: trace document 1: parent_id: "x" is not a hexadecimal number`},
		"a field twice":        {head + `"start":1,"start":1}`, 0, `f.json:1:62: trace document 1: the field "start" for the second time; expected it only once`},
		"a time as text":       {head + `"start":"1"}`, 0, `f.json:1:60: trace document 1: found "1"; expected a whole number of 64 bits`},
		"a time of 70 bits":    {head + `"start":1180591620717411303424}`, 0, `f.json:1:60: trace document 1: found "1180591620717411303424"; expected a whole number of 64 bits`},
		"not a number":         {head + `"spans":[` + span + `,"notes":[{"port":-}]}]}`, 0, `f.json:1:122: trace document 1: found "-"; expected a string, a number, true, false or null`},
		"unknown type":         {head + `"spans":[` + span + `,"notes":[{"value":"1","type":"list"}]}]}`, 0, `f.json:1:140: trace document 1: the type "list"; expected repr, float, int`},
		"type of a number":     {head + `"spans":[` + span + `,"notes":[{"value":1,"type":"float"}]}]}`, 0, `f.json:1:139: trace document 1: "type" stands beside a value that is no string; expected a string, or no type`},
		"no float":             {head + `"spans":[` + span + `,"notes":[{"value":"x","type":"float"}]}]}`, 0, `f.json:1:141: trace document 1: "x" is no float; expected the text of a number`},
		"empty port":           {head + `"spans":[` + span + `,"notes":[{"port":{}}]}]}`, 0, `f.json:1:123: trace document 1: an object without a value; expected "value" and "type"`},
		"bad escape":           {head + `"verdict":"\x"}`, 0, `f.json:1:63: trace document 1: the escape "\\x"; expected \" \\ \/ \b \f \n \r \t or \u and four digits`},
		"control character":    {head + "\"verdict\":\"\x1b\"}", 0, `f.json:1:63: trace document 1: found '\x1b'; expected a string in which control characters are escaped`},
		"deep": {head + `"extra":` + strings.Repeat("[", 1_000_000), 0, "f.json:1:52: trace document 1: the unknown field \"extra\" is ignored\n" +
			"f.json:1:1061: trace document 1: values are nested more than 1000 deep"},
		"deep in a value":    {head + `"spans":[` + span + `,"extra":{"a":` + strings.Repeat("{\"value\":", 1_000_000), 0, `f.json:1:127: trace document 1: found '{'; expected a string, a number, true, false or null`},
		"journal of systemd": {`{"MESSAGE":"Span(trace_id=1)"}` + "\n" + whole, 1, "f.json:1:1: trace document 1: found what is no trace document; expected an object with trace_id, tomograph_id and spans"},
		"a list torn":        {"[" + whole + ",\n" + whole, 2, "f.json:2:203: trace document 2: the input ends within a list of documents; expected ]"},
		"damage in a list":   {"[\n " + whole + ",\n " + whole[:58] + ",\n " + whole + "\n]\n", 2, "f.json:3:61: trace document 2: the line ends within a string; expected \""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var errs []string
			spans := 0
			err := tracejson.Read(strings.NewReader(test.input), "f.json",
				func(trace.Span) error { spans++; return nil },
				func(e *tracejson.DocumentError) error {
					require.LessOrEqual(t, len(e.Text), 4096)
					require.True(t, strings.Contains(test.input, string(e.Text)))
					errs = append(errs, e.Error())
					return nil
				}, nil)
			require.NoError(t, err)
			require.Equal(t, test.spans, spans)
			require.Equal(t, test.error, strings.Join(errs, "\n"))
		})
	}
}

func TestInvalidUTF8InADocument(t *testing.T) {
	for name, text := range map[string]string{
		"bytes": "a\xff\xfeb", "low surrogate": `a\udc00b`, "high surrogate": `a\ud800b`, "high at the end": `a\ud800`, "two high": `\ud800\ud800\udc00`,
	} {
		t.Run(name, func(t *testing.T) {
			document := strings.Replace(whole, `"depth"`, `"name":"`+text+`","depth"`, 1)
			spans := spansOf(t, strings.NewReader(document+"\n"+whole))
			require.Len(t, spans, 2)
			require.Contains(t, spans[0].Name.String, "\uFFFD")
			require.Equal(t, trace.InvalidUTF8, spans[0].Damage)
			require.Zero(t, spans[1].Damage)
		})
	}
	spans := spansOf(t, strings.NewReader(strings.Replace(whole, `"depth"`, `"name":"\ud83d\ude00","depth"`, 1)))
	require.Equal(t, "😀", spans[0].Name.String)
	require.Zero(t, spans[0].Damage)
}

func TestErrorsEndTheReading(t *testing.T) {
	stop := errors.New("enough")
	nothing := func(trace.Span) error { return nil }
	noBad := func(e *tracejson.DocumentError) error { return e }

	require.ErrorIs(t, tracejson.Read(strings.NewReader(whole+whole), "f", func(trace.Span) error { return stop }, noBad, nil), stop)
	require.ErrorIs(t, tracejson.Read(strings.NewReader("x"), "f", nothing, func(*tracejson.DocumentError) error { return stop }, nil), stop)
	for end := range len(whole) {
		r := io.MultiReader(strings.NewReader(whole[:end]), iotest.ErrReader(stop))
		require.ErrorIs(t, tracejson.Read(r, "f", nothing, noBad, nil), stop)
	}
}
