package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/openzipkin/zipkin-go/model"

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
			for i := range t.Spans {
				if !yield(&t.Spans[i], nil) {
					return
				}
			}
		}
	}
}

// Send delivers spans and returns when the fate of each is known. It tells done,
// unless that is nil, the outcome of every span once, not always in order and
// one call at a time. After an error the spans without an outcome were not
// acknowledged: a [*ZipkinError], a failure to write the quarantine file, the
// cause for which ctx ended, or an error among the spans.
func (z *Zipkin) Send(ctx context.Context, spans iter.Seq2[*trace.Node, error], done func(*trace.Node, Outcome)) error {
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
		result = z.Stream(ctx, in, tell)
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
// waited for the linger. Outcomes and errors are those of [Zipkin.Send]; when ctx
// ends nothing is waited for, not even an answer.
//
// Items are taken only as fast as the server acknowledges them: at most Requests
// times BatchBytes (or one item, if that is larger) are taken and have no outcome
// yet, about 4 MiB by default.
func (z *Zipkin) Stream(ctx context.Context, in <-chan Item, done func(Item, Outcome)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &zipkinStream{z: z, in: in, done: done, collecting: make(chan struct{}, 1)}
	var lanes sync.WaitGroup
	var once sync.Once
	var failed error
	for range z.opt.Requests {
		lanes.Go(func() {
			if err := s.lane(ctx); err != nil {
				once.Do(func() { failed = err })
				stop(err)
			}
		})
	}
	lanes.Wait()
	return failed
}

// zipkinStream is one delivery. Several lanes share the work: one of them
// collects a batch at a time, then encodes and posts it while the next collects.
type zipkinStream struct {
	z  *Zipkin
	in <-chan Item

	collecting chan struct{} // full while a lane collects
	left       Item          // did not fit into the batch before; of the lane that collects

	telling sync.Mutex
	done    func(Item, Outcome)
}

func (s *zipkinStream) lane(ctx context.Context) error {
	for {
		batch, more, err := s.collect(ctx)
		if err == nil {
			err = s.send(ctx, batch)
		}
		if err != nil || !more {
			return err
		}
	}
}

// collect takes items until they fill a request, the first has waited for long
// enough, or no more will come; then more is false.
func (s *zipkinStream) collect(ctx context.Context) (batch []Item, more bool, err error) {
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
		weight := zipkinWeight(&item.Node.Span)
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

// zipkinWeight is about how many bytes a span has in JSON.
func zipkinWeight(span *trace.Span) int {
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

// zipkinPiece is an item encoded: the piece of a body that holds all its v2
// spans.
type zipkinPiece struct {
	item    Item
	bytes   []byte
	start   int64 // microseconds, as sent
	trace   model.TraceID
	service string         // lower case, "" for none
	sent    []zipkinStored // what is to be read back, if anything is
}

// send encodes a batch and delivers it, in one request for each encoding.
func (s *zipkinStream) send(ctx context.Context, batch []Item) error {
	if len(batch) == 0 {
		return nil
	}
	form, err := s.z.settle(ctx)
	if err != nil {
		return err
	}
	var pieces [2][]zipkinPiece // by zipkin.Wire
	for _, item := range batch {
		wire, piece, err := s.z.encode(item, form)
		if err != nil {
			reason := err.Error()
			if unfit := (*zipkin.Error)(nil); errors.As(err, &unfit) {
				reason = unfit.Reason
			}
			if err := s.setAside(item, form, reason, zipkinRefusal{}); err != nil {
				return err
			}
			continue
		}
		pieces[wire] = append(pieces[wire], piece)
	}
	for wire := range pieces {
		err := s.deliver(ctx, form, zipkin.Wire(wire), pieces[wire], false)
		if err != nil {
			return err
		}
	}
	return nil
}

func (z *Zipkin) encode(item Item, form *zipkinForm) (zipkin.Wire, zipkinPiece, error) {
	models, err := zipkin.Map(item.Node, form.mapping)
	if err != nil {
		return 0, zipkinPiece{}, err
	}
	wire, bytes, err := zipkin.Encode(models, form.mapping)
	if err != nil {
		return 0, zipkinPiece{}, fmt.Errorf("it cannot be encoded: %w", err)
	}
	piece := zipkinPiece{item: item, bytes: bytes, start: models[0].Timestamp.UnixMicro(), trace: models[0].TraceID}
	if local := models[0].LocalEndpoint; local != nil {
		piece.service = local.ServiceName
	}
	if z.memory != nil {
		piece.sent = storedForm(models)
	}
	return wire, piece, nil
}

// deliver sends the pieces in one request, and in halves if that is too large or
// the server refuses it, down to the single span. suspect says that a request
// which held these pieces broke the server. Where the receiver is not the one any
// more that they were written for, they are written again.
func (s *zipkinStream) deliver(ctx context.Context, form *zipkinForm, wire zipkin.Wire, pieces []zipkinPiece, suspect bool) error {
	if len(pieces) == 0 {
		return nil
	}
	z, list, size := s.z, make([][]byte, len(pieces)), 0
	for i := range pieces {
		list[i] = pieces[i].bytes
		size += len(list[i])
	}
	if size > z.opt.BatchBytes && len(pieces) > 1 {
		return s.halves(ctx, form, wire, pieces, suspect)
	}
	body := wire.Join(list)
	refusal, err := z.post(ctx, wire, body, len(pieces), suspect, form)
	switch {
	case errors.Is(err, errReceiverChanged), refusal != nil && z.changedSince(ctx, form):
		items := make([]Item, len(pieces))
		for i := range pieces {
			items[i] = pieces[i].item
		}
		return s.send(ctx, items)
	case err != nil:
		return err
	case refusal == nil:
		z.accepted(pieces, len(body))
		s.telling.Lock()
		defer s.telling.Unlock()
		for i := range pieces {
			s.done(pieces[i].item, Delivered)
		}
		return nil
	}
	if err := z.checkServer(ctx, *refusal); err != nil {
		return err
	}
	if len(pieces) > 1 {
		return s.halves(ctx, form, wire, pieces, suspect || refusal.status == http.StatusInternalServerError)
	}
	return s.setAside(pieces[0].item, form, "the server refused it", *refusal)
}

func (s *zipkinStream) halves(ctx context.Context, form *zipkinForm, wire zipkin.Wire, pieces []zipkinPiece, suspect bool) error {
	half := len(pieces) / 2
	if err := s.deliver(ctx, form, wire, pieces[:half], suspect); err != nil {
		return err
	}
	return s.deliver(ctx, form, wire, pieces[half:], suspect)
}

// accepted notes down what was acknowledged in one request.
func (z *Zipkin) accepted(pieces []zipkinPiece, size int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.trusted = true
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

// checkServer tells, after a first refusal, a server that refuses a span from
// one that refuses everything: Zipkin accepts an empty list.
func (z *Zipkin) checkServer(ctx context.Context, first zipkinRefusal) error {
	if z.isTrusted() {
		return nil
	}
	refusal, err := z.post(ctx, zipkin.JSON, zipkin.JSON.Join(nil), 0, false, nil)
	if err != nil {
		return err
	}
	if refusal != nil {
		return &ZipkinError{
			URL: z.endpoint.shown(), Status: refusal.status, Words: first.words,
			Problem: "it refuses even an empty list of spans",
			Hint:    "check that the address is Zipkin's own, with the right one of http and https",
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.trusted = true
	return nil
}

func (z *Zipkin) isTrusted() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.trusted
}

// setAside puts a span into the quarantine file; refusal is the zero value if
// the server was not asked.
func (s *zipkinStream) setAside(item Item, form *zipkinForm, reason string, refusal zipkinRefusal) error {
	first, err := s.z.keep(item.Node, form, reason, refusal)
	if err != nil {
		return err
	}
	if first {
		if refusal.status != 0 {
			reason += ": " + refusal.String()
		}
		s.z.health.say(fmt.Sprintf("span %s of trace %s was not delivered (%s); it is kept in %s, and so will be all others like it",
			item.Node.ID, item.Node.TraceID, reason, Escape(s.z.opt.Quarantine)))
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	s.done(item, Quarantined)
	return nil
}

// keep writes a span to the quarantine file and says whether it is the first.
func (z *Zipkin) keep(node *trace.Node, form *zipkinForm, reason string, refusal zipkinRefusal) (first bool, err error) {
	models, _ := zipkin.Map(node, form.mapping) // none for what cannot be mapped
	z.mu.Lock()
	defer z.mu.Unlock()
	if err := z.quarantine.add(node, models, reason, refusal); err != nil {
		return false, err
	}
	if refusal.status != 0 {
		z.report.Refused++
	}
	z.report.Quarantined++
	z.report.QuarantineFile = z.quarantine.path
	return z.report.Quarantined == 1, nil
}
