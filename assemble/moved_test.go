package assemble_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

var adjust = assemble.Options{AdjustSkew: true}

// requireUndone checks that documents written with adjusted times are the same
// spans as those they were made of.
func requireUndone(t require.TestingT, spans []trace.Span) {
	plain, _, _ := assembleAll(spans, assemble.Options{})
	adjusted, _, _ := assembleAll(spans, adjust)
	for _, s := range spansOf(plain) {
		require.Zero(t, s.Moved)
	}
	moved := documents(adjusted)
	require.Equal(t, string(documents(plain)), string(documents(readBack(t, moved))), "read without adjusting")

	read := spansOf(adjusted)
	before := documents(adjusted)
	again, _, duplicates := assembleAll(read, adjust)
	require.Equal(t, string(moved), string(documents(again)), "adjusted again, in the same words")
	require.Zero(t, duplicates)
	require.Equal(t, string(before), string(documents(adjusted)), "what is given is only read")

	// Beside their log they are no other spans.
	for _, both := range [][]trace.Span{append(read, spans...), append(append([]trace.Span{}, spans...), read...)} {
		one, kept, duplicates := assembleAll(both, assemble.Options{})
		require.Equal(t, len(spansOf(plain)), int(kept))
		require.Equal(t, len(spans), int(duplicates))
		require.Len(t, one, len(plain))
		for i := range one {
			require.Equal(t, len(plain[i].Problems), len(one[i].Problems))
		}
	}
}

func TestMovedIsUndone(t *testing.T) {
	spans := []trace.Span{at(1, 0, "ctl", 1_000, 2_000), at(2, 1, "cmp", 300, 400), at(3, 2, "cmp", 350, 360), at(4, 1, "ctl", 1_100, 1_200)}
	tr, _ := assemble.Trace(trace.IDFromUint64(1), spans, adjust)
	var moved []int64
	for _, n := range tr.Spans {
		moved = append(moved, n.Moved)
	}
	require.Equal(t, []int64{0, 0, 1150, 1150}, moved)
	require.Equal(t, spans[1].Notes[0].Time+1150, tr.Spans[2].Notes[0].Time)
	require.Contains(t, string(documents([]trace.Trace{tr})), `"moved":1150`)
	requireUndone(t, spans)

	rapid.Check(t, func(t *rapid.T) { requireUndone(t, anySpans(t)) })
}

func TestMovedInSamples(t *testing.T) {
	folders := make(map[string][]trace.Span)
	for _, s := range append(sampleSpans(t), realSpans(t)...) {
		folders[s.folder] = append(folders[s.folder], s.Span)
	}
	for folder, spans := range folders {
		t.Run(folder, func(t *testing.T) { requireUndone(t, spans) })
	}
}

// Numbers that no adjustment gives do no harm.
func TestMovedByNonsense(t *testing.T) {
	for _, by := range []int64{1<<63 - 1, -1 << 63, -1} {
		s := at(1, 0, "ctl", 5, 6)
		s.Moved = by
		tr, _ := assemble.Trace(s.TraceID, []trace.Span{s}, adjust)
		require.Len(t, tr.Spans, 1)
		require.Zero(t, tr.Spans[0].Moved)
	}
}
