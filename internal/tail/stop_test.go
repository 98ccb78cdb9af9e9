package tail

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/trace"
)

const (
	wholeSpan = "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=1, parent_id=None, id=%d, name='x', notes=[])\n"
	openSpan  = "2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=1, parent_id=None, id=%d, name='x', notes=[" +
		"Note(time=1, value=<(\n"
)

// stopping is an output that takes each span at once, and calls stop at one.
type stopping struct {
	at   trace.ID
	stop func()
	ids  []string
}

func (s *stopping) add(_ context.Context, span *trace.Span, holds []*follow.InFlight) error {
	s.ids = append(s.ids, fmt.Sprint(span.ID))
	for _, h := range holds {
		h.Done()
	}
	if span.ID == s.at {
		s.stop()
	}
	return nil
}

func (s *stopping) tick(context.Context) error { return nil }
func (s *stopping) end(context.Context) error  { return nil }
func (s *stopping) stats(*Stats)               {}

// A signal ends a Tail within a block: what was found is delivered, the rest is
// left to the next run, and nothing comes twice.
func TestTailEndsWithinABlock(t *testing.T) {
	var text bytes.Buffer
	for id := 1; id <= 1000; id++ {
		line := wholeSpan
		if id%100 == 50 {
			line = openSpan // the next line ends it
		}
		fmt.Fprintf(&text, line, id)
	}
	for _, at := range []uint64{1, 49, 50, 51, 777, 1000} {
		l := newTailed(t, t.TempDir())
		l.opt.blockTime = -1
		l.write("a.log", text.Bytes())
		run := func(at uint64, want int) []string {
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			s := &stopping{at: trace.IDFromUint64(at), stop: stop}
			tail, err := newTail(l.opt, s)
			require.NoError(t, err)
			require.NoError(t, tail.Run(ctx))
			if want > 0 {
				require.Len(t, s.ids, want)
			}
			return s.ids
		}
		ids := run(at, int(at))
		if at < 1000 {
			ids = append(ids, run(1000, 1000-int(at))...)
		}
		require.Len(t, ids, 1000)
	}
}
