package zipkinhttp

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/openzipkin/zipkin-go/model"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// Item is a span on its way to an output.
type Item struct {
	// Node holds the span. One that is not of an assembled trace needs only its
	// Span, and Parent -1.
	Node *trace.Node
	// Token is what its owner knows the item by; nobody else looks at it.
	Token any
}

// Nodes gives the spans of traces one by one, and an error among these as the
// last.
func Nodes(traces iter.Seq2[*trace.Trace, error]) iter.Seq2[*trace.Node, error] {
	return func(yield func(*trace.Node, error) bool) {
		for t, err := range traces {
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range t.Len() {
				if !yield(t.Node(i), nil) {
					return
				}
			}
		}
	}
}

// Send delivers spans and returns when the fate of each is known. It tells done,
// unless that is nil, the outcome of every span once, not always in order and
// one call at a time. After an error the spans without an outcome were not
// acknowledged: a [*Error], a failure to write the quarantine file, the
// cause for which ctx ended, or an error among the spans.
func (z *Client) Send(ctx context.Context, spans iter.Seq2[*trace.Node, error], done func(*trace.Node, Outcome)) error {
	tell := func(item Item, o Outcome) {
		if done != nil {
			done(item.Node, o)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	in, ended := make(chan Item, 64), make(chan struct{})
	var result, bad error
	go func() {
		defer close(ended)
		result = z.stream(ctx, in, tell, true)
	}()
feed:
	for node, err := range spans {
		if err != nil {
			bad = err
			stop(err)
			break
		}
		select {
		case in <- Item{Node: node}:
		case <-ended: // before its time: it failed
			break feed
		}
	}
	close(in)
	<-ended
	if bad != nil {
		return bad
	}
	return result
}

// Stream delivers what comes through in, until that is closed and the fate of
// each item is known. A request goes out when it is full or its first item has
// waited for the linger. Outcomes and errors are those of [Client.Send]; when ctx
// ends nothing is waited for, not even an answer.
//
// Items are taken only as fast as the server acknowledges them: at most Requests
// times BatchBytes (or one item, if that is larger) are taken and have no outcome
// yet, about 4 MiB by default; before the first acknowledgement also up to 100
// that were refused, about as much again.
func (z *Client) Stream(ctx context.Context, in <-chan Item, done func(Item, Outcome)) error {
	return z.stream(ctx, in, done, false)
}

// stream is Stream; final says that nothing will come behind the end of in.
func (z *Client) stream(ctx context.Context, in <-chan Item, done func(Item, Outcome), final bool) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &delivery{z: z, in: in, done: done, collecting: make(chan struct{}, 1)}
	var lanes sync.WaitGroup
	var once sync.Once
	var failed error
	for range z.opt.Requests {
		lanes.Go(func() {
			if err := (&lane{delivery: s}).run(ctx); err != nil {
				once.Do(func() { failed = err })
				stop(err)
			}
		})
	}
	lanes.Wait()
	if failed == nil {
		failed = s.endDoubts(final)
	}
	return failed
}

// delivery is one delivery. Several lanes share the work: one of them
// collects a batch at a time, then encodes and posts it while the next collects.
type delivery struct {
	z  *Client
	in <-chan Item

	collecting chan struct{} // full while a lane collects
	left       Item          // did not fit into the batch before; of the lane that collects

	doubting sync.Mutex
	doubts   []doubt

	telling sync.Mutex
	done    func(Item, Outcome)
}

// lane is one of them.
type lane struct {
	*delivery
	aside   []encoded // of the batch, that the server does not take while it takes others
	patient bool      // these are sent again until it does
}

func (l *lane) run(ctx context.Context) error {
	for {
		batch, more, err := l.collect(ctx)
		if err == nil {
			err = l.send(ctx, batch)
		}
		if err == nil {
			err = l.sendAside(ctx)
		}
		if err != nil || !more {
			return err
		}
	}
}

// collect takes items until they fill a request, the first has waited for long
// enough, or no more will come; then more is false.
func (s *delivery) collect(ctx context.Context) (batch []Item, more bool, err error) {
	select {
	case s.collecting <- struct{}{}:
		defer func() { <-s.collecting }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	size, limit := 0, s.z.opt.BatchBytes
	var late <-chan time.Time
	for size < limit {
		item := s.left
		if s.left = (Item{}); item.Node == nil {
			var ok bool
			select {
			case item, ok = <-s.in:
				if !ok {
					return batch, false, nil
				}
			case <-late:
				return batch, true, nil
			case <-ctx.Done():
				return nil, false, context.Cause(ctx)
			}
		}
		weight := weight(&item.Node.Span)
		if size > 0 && size+weight > limit {
			s.left = item
			break
		}
		if size == 0 {
			timer := time.NewTimer(s.z.opt.Linger)
			defer timer.Stop()
			late = timer.C
		}
		batch = append(batch, item)
		size += weight
	}
	return batch, true, nil
}

// weight is about how many bytes a span has in JSON.
func weight(span *trace.Span) int {
	size := 250 + len(span.Name.String)
	for i := range span.Notes {
		n := &span.Notes[i]
		size += 50 + len(n.Value.Text)
		if i > 0 && n.Service != span.Notes[i-1].Service {
			size += 250 // it becomes a v2 span of its own
		}
	}
	for i := range span.Dimensions {
		d := &span.Dimensions[i]
		size += 10 + len(d.Key.String) + len(d.Value.Text)
	}
	for i := range span.Extra {
		size += 30 + len(span.Extra[i].Name) + len(span.Extra[i].Value.Text)
	}
	return size
}

// encoded is an item encoded: the piece of a body that holds all its v2
// spans.
type encoded struct {
	item    Item
	form    *form // it was written for
	wire    zipkin.Wire
	bytes   []byte
	start   int64 // microseconds, as sent
	trace   model.TraceID
	service string   // lower case, "" for none
	sent    []stored // what is to be read back, if anything is
}

// send encodes a batch and delivers it, in one request for each encoding.
func (l *lane) send(ctx context.Context, batch []Item) error {
	if len(batch) == 0 {
		return nil
	}
	form, err := l.z.receiverForm(ctx)
	if err != nil {
		return err
	}
	var pieces [2][]encoded // by zipkin.Wire
	for _, item := range batch {
		piece, err := l.z.encode(item, form)
		if err != nil {
			reason := err.Error()
			if unfit := (*zipkin.Error)(nil); errors.As(err, &unfit) {
				reason = unfit.Reason
			}
			if err := l.setAside(piece, reason, refusal{}); err != nil {
				return err
			}
			continue
		}
		pieces[piece.wire] = append(pieces[piece.wire], piece)
	}
	for _, same := range pieces {
		if err := l.deliver(ctx, same, false); err != nil {
			return err
		}
	}
	return nil
}

// sendAside delivers what others did not have to wait for.
func (l *lane) sendAside(ctx context.Context) error {
	l.patient = true
	for len(l.aside) > 0 {
		piece := l.aside[0]
		l.aside = l.aside[1:]
		if err := l.deliver(ctx, []encoded{piece}, true); err != nil {
			return err
		}
	}
	l.patient = false
	return nil
}

// encode maps and encodes an item for a receiver; the piece of one that has no
// form there has no bytes.
func (z *Client) encode(item Item, form *form) (encoded, error) {
	piece := encoded{item: item, form: form}
	models, err := zipkin.Map(item.Node, form.mapping)
	if err != nil {
		return piece, err
	}
	if piece.wire, piece.bytes, err = zipkin.Encode(models, form.mapping); err != nil {
		return piece, fmt.Errorf("it cannot be encoded: %w", err)
	}
	piece.start, piece.trace = models[0].Timestamp.UnixMicro(), models[0].TraceID
	if local := models[0].LocalEndpoint; local != nil {
		piece.service = local.ServiceName
	}
	if z.memory != nil {
		piece.sent = storedForm(models)
	}
	return piece, nil
}

// deliver sends pieces of one encoding in one request, and in halves if that is
// too large or the server does not take it, down to the single span. suspect says
// that it did not take a request with these pieces in it, while it took others.
// Where the receiver is not the one any more that they were written for, they are
// written again.
func (l *lane) deliver(ctx context.Context, pieces []encoded, suspect bool) error {
	if len(pieces) == 0 {
		return nil
	}
	list, size := make([][]byte, len(pieces)), 0
	for i := range pieces {
		list[i] = pieces[i].bytes
		size += len(list[i])
	}
	if size > l.z.opt.BatchBytes && len(pieces) > 1 {
		return l.halves(ctx, pieces, suspect)
	}
	wire, form := pieces[0].wire, pieces[0].form
	r := &request{payload: payload{wire: wire, bytes: wire.Join(list)}, form: form, pieces: pieces,
		suspect: suspect, patient: l.patient}
	verdict, answer, err := l.z.post(ctx, r)
	switch refused := err == nil && (verdict == refused || verdict == doubtful); {
	case errors.Is(err, errReceiverChanged), refused && l.z.changedSince(ctx, form):
		items := make([]Item, len(pieces))
		for i := range pieces {
			items[i] = pieces[i].item
		}
		return l.send(ctx, items)
	case err != nil:
		return err
	case verdict == acknowledged:
		l.z.accepted(pieces, len(r.bytes))
		l.report(pieces, Delivered)
		return l.resolve(ctx)
	case len(pieces) > 1:
		return l.halves(ctx, pieces, verdict == split)
	case verdict == aside:
		l.aside = append(l.aside, pieces[0])
		return nil
	case verdict == doubtful:
		return l.doubt(ctx, doubt{pieces[0], answer})
	}
	return l.setAside(pieces[0], "the server refused it", answer.refusal())
}

func (s *delivery) report(pieces []encoded, o Outcome) {
	s.telling.Lock()
	defer s.telling.Unlock()
	for i := range pieces {
		s.done(pieces[i].item, o)
	}
}

func (l *lane) halves(ctx context.Context, pieces []encoded, suspect bool) error {
	half := len(pieces) / 2
	if err := l.deliver(ctx, pieces[:half], suspect); err != nil {
		return err
	}
	return l.deliver(ctx, pieces[half:], suspect)
}

// accepted notes down what was acknowledged in one request.
func (z *Client) accepted(pieces []encoded, size int) {
	z.health.progress()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.trusted = true
	if first := pieces[0]; z.taken.bytes == nil || len(first.bytes) < otherSize {
		z.taken = payload{wire: first.wire, bytes: first.wire.Join([][]byte{first.bytes})}
	}
	z.report.Batches++
	z.report.Bytes += int64(size)
	z.report.Delivered += int64(len(pieces))
	for i := range pieces {
		z.found.add(pieces[i].start, pieces[i].trace, pieces[i].service)
		if z.memory != nil {
			z.memory.add(pieces[i].sent)
		}
	}
}

// setAside puts a span into the quarantine file; refusal is the zero value if
// the server was not asked.
func (s *delivery) setAside(piece encoded, reason string, refusal refusal) error {
	item := piece.item
	first, err := s.z.keep(item.Node, piece.form, reason, refusal)
	if err != nil {
		return err
	}
	if first {
		if refusal.status != 0 {
			reason += ": " + refusal.String()
		}
		s.z.health.say(fmt.Sprintf("span %s of trace %s was not delivered (%s); it is kept in %s, and so will be "+
			"all others like it",
			item.Node.ID, item.Node.TraceID, reason, safetext.Escape(s.z.opt.Quarantine)))
	}
	s.z.health.progress()
	s.telling.Lock()
	defer s.telling.Unlock()
	s.done(item, Quarantined)
	return nil
}

// keep writes a span to the quarantine file and says whether it is the first.
func (z *Client) keep(node *trace.Node, form *form, reason string, refusal refusal) (first bool,
	err error) {
	models, _ := zipkin.Map(node, form.mapping) // none for what cannot be mapped
	z.mu.Lock()
	defer z.mu.Unlock()
	if err := z.quarantine.Add(node, models, reason, refusal.status, refusal.words); err != nil {
		return false, err
	}
	if refusal.status != 0 {
		z.report.Refused++
	}
	z.report.Quarantined++
	z.report.QuarantineFile = z.quarantine.Path
	return z.report.Quarantined == 1, nil
}
