package tail

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/trace"
)

// liveTest is live traces with a clock of their own.
type liveTest struct {
	*live
	t     *testing.T
	at    time.Time
	given []trace.Trace
}

func newLiveTest(t *testing.T, opt LiveOptions) *liveTest {
	l := &liveTest{t: t, at: time.Unix(1_700_000_000, 0)}
	l.live = newLive(opt, assemble.Options{}, func(made *trace.Trace, _ []*follow.InFlight) error {
		spans := make([]trace.Node, len(made.Spans))
		for i := range spans {
			spans[i] = trace.Node{Span: made.Spans[i].Span.Clone(), Parent: made.Spans[i].Parent}
		}
		l.given = append(l.given, trace.Trace{ID: made.ID, Spans: spans, Problems: made.Problems})
		return nil
	})
	l.clock = func() time.Time { return l.at }
	return l
}

// span adds a span that is logged now, ago before the clock.
func (l *liveTest) span(id, span, parent uint64, ago time.Duration) {
	start := l.at.Add(-ago).UnixMicro()
	s := trace.Span{TraceID: trace.IDFromUint64(id), ID: trace.IDFromUint64(span), HasParent: parent > 0, ParentID: trace.IDFromUint64(parent),
		Notes: []trace.Note{{Time: start, HasTime: true, Value: trace.Value{Kind: trace.String, Text: "stop"}}}}
	require.NoError(l.t, l.add(&s, nil))
}

// after lets time pass and gives the traces and spans that were given out.
func (l *liveTest) after(d time.Duration) (given [][2]int) {
	l.at = l.at.Add(d)
	require.NoError(l.t, l.tick())
	for _, g := range l.given {
		given = append(given, [2]int{int(g.ID.Lo), len(g.Spans)})
	}
	l.given = nil
	return given
}

func TestLiveTraces(t *testing.T) {
	t.Run("complete and quiet", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		l.span(1, 1, 0, 0)
		require.Empty(t, l.after(1900*time.Millisecond))
		l.span(1, 2, 1, 0)
		require.Empty(t, l.after(1900*time.Millisecond), "another span came")
		require.Equal(t, [][2]int{{1, 2}}, l.after(100*time.Millisecond))
		require.Empty(t, l.after(time.Hour))
		require.Empty(t, l.traces)
		require.Zero(t, l.size)
	})
	t.Run("incomplete", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		l.span(1, 2, 1, 0)
		require.Empty(t, l.after(59*time.Second))
		require.Equal(t, [][2]int{{1, 1}}, l.after(time.Second))
	})
	t.Run("completed by a late parent", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		l.span(1, 2, 1, 0)
		require.Empty(t, l.after(30*time.Second))
		l.span(1, 1, 0, 0)
		require.Equal(t, [][2]int{{1, 2}}, l.after(2*time.Second))
	})
	t.Run("never quiet", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		for i := range 600 {
			l.span(1, uint64(i+1), uint64(i), 0)
			if given := l.after(time.Second); i < 599 {
				require.Empty(t, given, "after %d s", i+1)
			} else {
				require.Equal(t, [][2]int{{1, 600}}, given)
			}
		}
	})
	t.Run("late", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		l.span(1, 1, 0, 0)
		require.Equal(t, [][2]int{{1, 1}}, l.after(2*time.Second))
		l.at = l.at.Add(9 * time.Minute)
		l.span(1, 2, 1, 0)
		require.Equal(t, [][2]int{{1, 2}}, l.after(2*time.Second), "all of it again")
		l.at = l.at.Add(10 * time.Minute)
		require.Empty(t, l.after(0))
		l.span(1, 3, 1, 0)
		require.Equal(t, [][2]int{{1, 1}}, l.after(time.Minute), "what was forgotten is merged by its id")
	})
	t.Run("in the time of the log", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		l.span(1, 1, 0, 24*time.Hour)
		l.span(2, 2, 1, 24*time.Hour)
		l.span(3, 1, 0, 24*time.Hour-3*time.Second)
		require.Equal(t, [][2]int{{1, 1}}, l.after(0))
		l.span(3, 2, 1, 24*time.Hour-61*time.Second)
		require.Equal(t, [][2]int{{2, 1}}, l.after(0))
		l.span(4, 1, 0, -time.Hour) // nobody is ahead of the clock
		require.Empty(t, l.after(0))
		require.Equal(t, [][2]int{{3, 2}, {4, 1}}, l.after(2*time.Second))
	})
	t.Run("memory", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{Memory: 5000})
		for id := range uint64(100) {
			l.span(id+1, 2, 1, 0)
			require.LessOrEqual(t, l.size, int64(5000))
		}
		require.EqualValues(t, 100-len(l.due), l.early)
		require.Equal(t, [2]int{1, 1}, l.after(0)[0])
		left := len(l.due)
		require.Positive(t, left)
		require.Len(t, l.after(time.Minute), left)
	})
	t.Run("the end", func(t *testing.T) {
		l := newLiveTest(t, LiveOptions{})
		l.span(1, 2, 1, 0)
		l.span(2, 1, 0, 0)
		require.NoError(t, l.emitAll())
		require.Len(t, l.after(0), 2)
	})
}
