package assemble_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

func documents(traces []trace.Trace) (file []byte) {
	for i := range traces {
		file = append(tracejson.Append(file, &traces[i]), '\n')
	}
	return file
}

// readBack assembles the spans of documents again.
func readBack(t require.TestingT, file []byte) []trace.Trace {
	var spans []trace.Span
	require.NoError(t, tracejson.Read(bytes.NewReader(file), "f.json",
		func(s trace.Span) error { spans = append(spans, s); return nil },
		func(e *tracejson.DocumentError) error { return e }, nil))
	traces, _, _ := assembleAll(spans, assemble.Options{})
	return traces
}

func requireValid(t require.TestingT, schema *jsonschema.Schema, file []byte) {
	for document := range bytes.Lines(file) {
		parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(parsed), "%s", document)
	}
}

func schema(t testing.TB) *jsonschema.Schema {
	compiled, err := jsonschema.NewCompiler().Compile("../docs/trace.schema.json")
	require.NoError(t, err)
	return compiled
}

func TestDocumentsOfSamples(t *testing.T) {
	schema := schema(t)
	folders := make(map[string][]truthSpan)
	for _, s := range append(sampleSpans(t), realSpans(t)...) {
		folders[s.folder] = append(folders[s.folder], s)
	}
	require.Len(t, folders, 19)
	for folder, spans := range folders {
		t.Run(folder, func(t *testing.T) {
			traces := assembled(t, spans, assemble.Options{})
			file := documents(traces)
			requireValid(t, schema, file)
			require.Equal(t, traces, readBack(t, file))
			require.Equal(t, string(file), string(documents(readBack(t, file))))

			requireValid(t, schema, documents(assembled(t, spans, assemble.Options{AdjustSkew: true})))
		})
	}
}

func TestDocumentsOfAnySpans(t *testing.T) {
	schema := schema(t)
	rapid.Check(t, func(t *rapid.T) {
		spans := anySpans(t)
		traces, _, _ := assembleAll(spans, assemble.Options{})
		file := documents(traces)
		requireValid(t, schema, file)
		require.Equal(t, string(file), string(documents(readBack(t, file))))

		// A document and the log it came from are the same spans.
		again, kept, duplicates := assembleAll(append(spansOf(readBack(t, file)), spans...), assemble.Options{})
		require.Equal(t, string(documents(traces)), string(documents(again)))
		require.Equal(t, int64(len(spans)), duplicates)
		require.Equal(t, int64(len(spansOf(traces))), kept)
	})
}

func spansOf(traces []trace.Trace) (spans []trace.Span) {
	for i := range traces {
		for j := range traces[i].Spans {
			spans = append(spans, traces[i].Spans[j].Span)
		}
	}
	return spans
}
