package assemble_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// outlined assembles spans by an outline, and checks that what it gives is loaded.
func outlined(t require.TestingT, id trace.ID, spans []trace.Span, opt assemble.Options) (trace.Trace, int) {
	o := assemble.NewOutline(len(spans), func(i int) trace.Span { return spans[i].Clone() })
	for i := range spans {
		s := spans[i].Clone()
		o.Add(&s)
		clear(s.Notes)
		clear(s.Dimensions)
		clear(s.Extra)
		clear(s.Origin)
	}
	tr, duplicates := o.Trace(id, opt)
	require.Nil(t, tr.Spans)
	return tr, duplicates
}

// An outline gives what Trace gives.
func TestOutlineGivesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, spans := trace.IDFromUint64(7), anySpans(t)
		if rapid.Bool().Draw(t, "twice") {
			spans = append(spans, spans...)
		}
		for i := range spans {
			spans[i].TraceID = id
		}
		opt := assemble.Options{AdjustSkew: rapid.Bool().Draw(t, "adjust")}
		want, wantDuplicates := assemble.Trace(id, spans, opt)
		if rapid.Bool().Draw(t, "moved") { // as they are read from a document
			if spans = spansOf([]trace.Trace{want}); rapid.Bool().Draw(t, "back") {
				opt.AdjustSkew = false
			}
			want, wantDuplicates = assemble.Trace(id, spans, opt)
		}
		got, duplicates := outlined(t, id, spans, opt)
		require.Equal(t, wantDuplicates, duplicates)
		require.Equal(t, want.Complete(), got.Complete())
		require.Equal(t, want.Len(), got.Len())
		var nodes []trace.Node
		for i := range got.Len() {
			nodes = append(nodes, *got.Node(i))
		}
		got.Large, got.Spans = nil, nodes
		for i := range want.Spans {
			require.Equal(t, want.Spans[i], got.Spans[i])
		}
		require.Equal(t, want, got)
	})
}
