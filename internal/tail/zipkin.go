package tail

import (
	"context"
	"sync/atomic"

	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/trace"
)

// zipkinSink delivers each span at once.
type zipkinSink struct {
	zipkin *zipkinhttp.Client
	in     chan zipkinhttp.Item
	stop   context.CancelCauseFunc
	ended  chan struct{}
	err    error // why it ended, once it has
	beat   func()

	delivered, quarantined atomic.Int64
}

// New makes a Tail that delivers to Zipkin. Its errors are those of
// [follow.Open].
func NewZipkin(opt Options, z *zipkinhttp.Client) (*Tail, error) {
	s := &zipkinSink{zipkin: z, in: make(chan zipkinhttp.Item, 256), ended: make(chan struct{})}
	t, err := newTail(opt, s)
	if err != nil {
		return nil, err
	}
	s.beat = t.beat
	var ctx context.Context
	ctx, s.stop = context.WithCancelCause(context.Background())
	go func() {
		defer close(s.ended)
		s.err = z.Stream(ctx, s.in, s.done)
	}()
	return t, nil
}

// done is told what became of a span.
func (s *zipkinSink) done(item zipkinhttp.Item, o zipkinhttp.Outcome) {
	if o == zipkinhttp.Delivered {
		s.delivered.Add(1)
	} else {
		s.quarantined.Add(1)
	}
	for _, h := range item.Token.([]*follow.InFlight) {
		h.Done()
	}
}

func (s *zipkinSink) add(ctx context.Context, span *trace.Span, holds []*follow.InFlight) error {
	node := &trace.Node{Span: span.Clone(), Parent: -1}
	item := zipkinhttp.Item{Node: node, Token: holds}
	for {
		select {
		case s.in <- item:
			return nil
		default:
		}
		wait, cancel := context.WithTimeout(ctx, tickEvery)
		select {
		case s.in <- item:
			cancel()
			return nil
		case <-s.ended:
			cancel()
			return s.err
		case <-wait.Done():
			cancel()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s.beat()
		}
	}
}

func (s *zipkinSink) tick(context.Context) error {
	select {
	case <-s.ended:
		return s.err
	default:
		return nil
	}
}

func (s *zipkinSink) end(ctx context.Context) error {
	close(s.in)
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.stop(context.Cause(ctx))
		<-s.ended
	}
	return s.err
}

func (s *zipkinSink) stats(t *Stats) {
	r := s.zipkin.Report()
	t.Delivered, t.Quarantined, t.Batches, t.Retries = s.delivered.Load(), s.quarantined.Load(), r.Batches, r.Retried
	if outage, out := s.zipkin.Outage(); out {
		t.Down, t.DownSince = outage.Cause, outage.Since
	}
}
