package zipkinhttp

import (
	"context"
	"fmt"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// doubt is a span that was refused, alone, by a server that has not taken
// any span so far: whether this one is at fault or all are, is not known before
// it takes one.
type doubt struct {
	piece  encoded
	answer reply
}

// So many are kept, and so many bytes of them, before the server is believed to
// take none at all.
const (
	doubts     = 100
	doubtBytes = 4 << 20
)

// doubt keeps a span until more is known. The error is a [*Error].
func (l *lane) doubt(ctx context.Context, d doubt) error {
	l.doubting.Lock()
	l.doubts = append(l.doubts, d)
	n, size := len(l.doubts), 0
	for i := range l.doubts {
		size += len(l.doubts[i].piece.bytes)
	}
	l.doubting.Unlock()
	if l.z.hasTaken() { // another lane had more luck
		return l.resolve(ctx)
	}
	node := d.piece.item.Node
	switch {
	case n == doubts || size > doubtBytes:
		return l.takesNone(n, d.answer)
	case n == 1:
		l.z.health.say(fmt.Sprintf("zipkin %s: it refused span %s of trace %s (%s) and took none so far; whether "+
			"that span is at fault shows when it takes one",
			l.z.endpoint.shown(), node.ID, node.TraceID, d.answer.refusal()))
	}
	return nil
}

// resolve sends what was doubtful again, now that the server has taken a span.
func (l *lane) resolve(ctx context.Context) error {
	for {
		l.doubting.Lock()
		last := len(l.doubts) - 1
		if last < 0 {
			l.doubting.Unlock()
			return nil
		}
		d := l.doubts[last]
		l.doubts = l.doubts[:last]
		l.doubting.Unlock()
		if err := l.deliver(ctx, []encoded{d.piece}, false); err != nil {
			return err
		}
	}
}

// endDoubts is for a delivery that ends while the server has taken none. If no
// others will come, what was refused goes to the quarantine file.
func (s *delivery) endDoubts(final bool) error {
	if n := len(s.doubts); n > 0 && !final {
		return s.takesNone(n, s.doubts[0].answer)
	}
	for _, d := range s.doubts {
		if err := s.setAside(d.piece, "the server refused it", d.answer.refusal()); err != nil {
			return err
		}
	}
	return nil
}

// takesNone explains a server that refused so many spans and took none.
func (s *delivery) takesNone(n int, a reply) error {
	hint := "check that the address is Zipkin's own"
	if receiver, other := s.z.other(); other {
		hint = receiver.place()
	}
	return &Error{
		URL: s.z.endpoint.shown(), Status: a.status, Words: safetext.Escape(a.words),
		Problem: fmt.Sprintf("it refused each of the %s that it was sent, though it takes an empty list",
			safetext.Plural(int64(n), "span")),
		Hint: hint + ", and what it says in its log",
	}
}
