package assemble_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// plain are the spans without their truth.
func plain(spans []truthSpan) (list []trace.Span) {
	for _, s := range spans {
		list = append(list, s.Span)
	}
	return list
}

func assembled(t testing.TB, spans []truthSpan, opt assemble.Options) []trace.Trace {
	traces, kept, duplicates := assembleAll(plain(spans), opt)
	requireTrees(t, traces)
	require.Equal(t, int64(len(spans)), kept+duplicates)
	return traces
}

func filter(spans []truthSpan, keep func(truthSpan) bool) (kept []truthSpan) {
	for _, s := range spans {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// codes counts the problems of traces.
func codes(traces ...trace.Trace) map[trace.Code]int {
	n := make(map[trace.Code]int)
	for i := range traces {
		for _, p := range traces[i].Problems {
			n[p.Code]++
		}
	}
	return n
}

func TestRealCloud(t *testing.T) {
	traces := assembled(t, realSpans(t), assemble.Options{})
	require.Len(t, traces, 208)

	spans, single, incomplete := 0, 0, 0
	missing := make(map[trace.ID]int)
	largest := &traces[0]
	for i := range traces {
		tr := &traces[i]
		spans += len(tr.Spans)
		if len(tr.Spans) == 1 {
			single++
		}
		if len(tr.Spans) > len(largest.Spans) {
			largest = tr
		}
		if !tr.Complete() {
			incomplete++
		}
		if n := codes(*tr)[trace.MissingParent]; n > 0 {
			missing[tr.ID] = n
		}
	}
	require.Equal(t, 396, spans)
	require.Equal(t, 180, single)
	require.Len(t, largest.Spans, 25)
	require.Len(t, largest.Services, 11, "names in its notes; they come from 7 programs")
	require.Equal(t, map[trace.Code]int{trace.MissingParent: 15}, codes(traces...))
	require.Len(t, missing, 2)
	require.Equal(t, 2, incomplete)
}

func TestRealCloudSeenTwice(t *testing.T) {
	once := realSpans(t)
	traces, kept, duplicates := assembleAll(append(plain(once), plain(once)...), assemble.Options{})
	require.Equal(t, assembled(t, once, assemble.Options{}), traces)
	require.Equal(t, []int64{396, 396}, []int64{kept, duplicates})
}

func TestSamples(t *testing.T) {
	spans := filter(sampleSpans(t), func(s truthSpan) bool { return s.folder != "damaged" && s.folder != "odd-trees" })
	traces := assembled(t, spans, assemble.Options{})
	require.Len(t, traces, 203)
	total, complete := 0, 0
	for i := range traces {
		total += len(traces[i].Spans)
		if traces[i].Complete() {
			complete++
		}
	}
	require.Equal(t, 1578, total)
	require.Equal(t, 193, complete)
	require.Equal(t, map[trace.Code]int{trace.MissingParent: 28, trace.ClockSkew: 33}, codes(traces...))
}

func TestSamplesSkewAdjusted(t *testing.T) {
	spans := filter(sampleSpans(t), func(s truthSpan) bool { return s.folder == "grizzly" })
	traces := assembled(t, spans, assemble.Options{AdjustSkew: true})
	moved := 0
	for i := range traces {
		for _, p := range traces[i].Problems {
			if p.Code == trace.ClockSkew {
				require.Contains(t, p.Text, "its times were changed")
				moved++
			}
		}
		for j := range traces[i].Spans {
			node := &traces[i].Spans[j]
			if node.Parent < 0 {
				continue
			}
			first, _, _ := node.Extent()
			parentFirst, _, _ := traces[i].Spans[node.Parent].Extent()
			require.GreaterOrEqual(t, first, parentFirst)
		}
	}
	require.Positive(t, moved)
	require.Equal(t, filter(sampleSpans(t), func(s truthSpan) bool { return s.folder == "grizzly" }), spans,
		"the spans handed in stay as they were")
}

func TestOddTrees(t *testing.T) {
	byMark := make(map[string]trace.ID)
	spans := filter(sampleSpans(t), func(s truthSpan) bool { return s.folder == "odd-trees" })
	for _, s := range spans {
		byMark[s.mark] = s.TraceID
	}
	traces := make(map[trace.ID]trace.Trace)
	for _, tr := range assembled(t, spans, assemble.Options{}) {
		traces[tr.ID] = tr
	}

	self := traces[trace.IDFromUint64(11)]
	require.Equal(t, map[trace.Code]int{trace.SelfParent: 1}, codes(self))
	require.Equal(t, []int{0}, depths(self))

	cycle := traces[trace.IDFromUint64(12)]
	require.Equal(t, []uint64{3, 1, 2}, ids(cycle), "cut at the earliest span, which is 3")
	require.Equal(t, []int{0, 1, 2}, depths(cycle))
	require.Equal(t, trace.Cycle, cycle.Spans[0].Problems[0].Code)
	require.Equal(t, 1, codes(cycle)[trace.Cycle])
	require.False(t, cycle.Complete())

	twins := traces[trace.IDFromUint64(13)]
	require.Equal(t, []uint64{7, 8, 7}, ids(twins), "the child stands under the earlier twin")
	require.Equal(t, []int{0, 1, 0}, depths(twins))
	require.Equal(t, map[trace.Code]int{trace.ConflictingTwin: 2, trace.SeveralRoots: 1, trace.ClockSkew: 1}, codes(twins))

	zero := traces[trace.IDFromUint64(14)]
	require.Equal(t, []uint64{0, 9}, ids(zero), "a span with the id 0 can have children")
	require.Empty(t, zero.Problems)
	require.True(t, zero.Complete())

	require.NotEmpty(t, byMark)
	for _, tr := range traces {
		for _, p := range tr.Problems {
			require.True(t, strings.HasSuffix(p.Text, "."), p.Text)
			t.Log(p.Code, p.Text)
		}
	}
}

func depths(tr trace.Trace) (depths []int) {
	for i := range tr.Spans {
		depths = append(depths, tr.Spans[i].Depth)
	}
	return depths
}

func ids(tr trace.Trace) (ids []uint64) {
	for i := range tr.Spans {
		ids = append(ids, tr.Spans[i].ID.Lo)
	}
	return ids
}
