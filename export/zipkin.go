package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// Outcome is what became of a span that was to be delivered.
type Outcome int

// The outcomes. A span without one was not delivered, and nothing was lost: it
// can be sent again.
const (
	Delivered   Outcome = iota + 1 // acknowledged by the server
	Quarantined                    // refused for itself, kept in the quarantine file
)

// ZipkinOptions say where and how to deliver. URL is needed; the zero value of
// all else is the default.
type ZipkinOptions struct {
	URL        string // see [ParseZipkinURL]
	Mapping    zipkin.Options
	Quarantine string            // file for spans that cannot be delivered; default DefaultQuarantine
	BatchBytes int               // of a request's body before compression; default 1 MiB
	Timeout    time.Duration     // of one request; default 1 minute
	GiveUp     time.Duration     // without progress; default 5 minutes, negative for never
	FirstPause time.Duration     // before the first repetition, doubled for each further one; default 500 ms
	MaxPause   time.Duration     // the longest such pause; default 30 seconds
	Transport  http.RoundTripper // default as [http.DefaultTransport]
	Warn       func(string)      // is told what a user should see at once; may be nil
}

// Zipkin delivers spans to POST /api/v2/spans of Zipkin, or of what accepts the
// same. A span is delivered when a 2xx answer acknowledged it. Busy and broken
// servers are waited for; a span that the server refuses is found by halving its
// batch and goes to the quarantine file; a server that takes nothing from us
// ends the delivery with a [*ZipkinError].
//
// What was sent but not acknowledged is sent again, so a span can arrive twice;
// it does so with the same bytes, which Zipkin stores and shows as one span.
// An acknowledgement says that Zipkin took the spans over, not that its storage
// took them.
//
// A Zipkin is for one goroutine at a time. Close it in the end.
type Zipkin struct {
	opt        ZipkinOptions
	endpoint   zipkinEndpoint
	client     *http.Client
	quarantine quarantine
	report     ZipkinReport
	found      zipkinWindow
	trusted    bool // something was accepted: it is Zipkin that answers
}

// ZipkinReport counts what was done so far.
type ZipkinReport struct {
	Delivered   int64 // spans of the log that were acknowledged
	Quarantined int64 // spans that went to the quarantine file
	Refused     int64 // those of them that the server refused; the others have no form in Zipkin
	Batches     int64 // requests that were acknowledged
	Retried     int64 // requests that were repeated after an outage
	Bytes       int64 // acknowledged, before compression
	// QuarantineFile is where the quarantined spans are, "" without any.
	QuarantineFile string
}

// NewZipkin prepares delivery; nothing is sent yet. The error is a
// [*ZipkinURLError].
func NewZipkin(opt ZipkinOptions) (*Zipkin, error) {
	endpoint, err := parseZipkinEndpoint(opt.URL)
	if err != nil {
		return nil, err
	}
	setDefault(&opt.Quarantine, DefaultQuarantine)
	setDefault(&opt.BatchBytes, 1<<20)
	setDefault(&opt.Timeout, time.Minute)
	setDefault(&opt.GiveUp, 5*time.Minute)
	setDefault(&opt.FirstPause, 500*time.Millisecond)
	setDefault(&opt.MaxPause, 30*time.Second)
	if opt.Transport == nil {
		opt.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	return &Zipkin{
		opt:      opt,
		endpoint: endpoint,
		client: &http.Client{
			Transport: opt.Transport,
			// Redirecting a POST would drop its body or send the spans to a
			// place that nobody named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		quarantine: quarantine{path: opt.Quarantine},
	}, nil
}

func setDefault[T comparable](option *T, value T) {
	if *option == *new(T) {
		*option = value
	}
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

// Report counts what was done so far, also after an error.
func (z *Zipkin) Report() ZipkinReport { return z.report }

// Close closes the quarantine file and idle connections. Its error means that
// quarantined spans may not have reached the disk.
func (z *Zipkin) Close() error {
	z.client.CloseIdleConnections()
	return z.quarantine.close()
}

// zipkinItem is a span on its way: the piece of a body that holds all its v2
// spans.
type zipkinItem struct {
	node  *trace.Node
	piece []byte
	start int64 // microseconds, as sent
}

// zipkinBatch becomes one request, unless it has to be halved.
type zipkinBatch struct {
	wire  zipkin.Wire
	items []zipkinItem
	bytes int
}

// Send delivers spans and returns when the fate of each is known. It tells done,
// unless that is nil, the outcome of every span once, not always in order. After
// an error the spans without an outcome were not acknowledged: a
// [*ZipkinError], a failure to write the quarantine file, the cause for which
// ctx ended, or an error among the spans.
func (z *Zipkin) Send(ctx context.Context, spans iter.Seq2[*trace.Node, error], done func(*trace.Node, Outcome)) error {
	if done == nil {
		done = func(*trace.Node, Outcome) {}
	}
	batches := [...]zipkinBatch{{wire: zipkin.JSON}, {wire: zipkin.Proto3}}
	for node, err := range spans {
		if err != nil {
			return err
		}
		item, wire, err := z.encode(node)
		if refused := (*zipkin.Error)(nil); errors.As(err, &refused) {
			if err := z.setAside(node, refused.Reason, zipkinRefusal{}); err != nil {
				return err
			}
			done(node, Quarantined)
			continue
		}
		if err != nil {
			return err
		}
		batch := &batches[wire]
		if len(batch.items) > 0 && batch.bytes+len(item.piece) > z.opt.BatchBytes {
			if err := z.deliver(ctx, batch.wire, batch.items, done); err != nil {
				return err
			}
			batch.items, batch.bytes = batch.items[:0], 0
		}
		batch.items = append(batch.items, item)
		batch.bytes += len(item.piece)
	}
	for _, batch := range batches {
		if len(batch.items) == 0 {
			continue
		}
		if err := z.deliver(ctx, batch.wire, batch.items, done); err != nil {
			return err
		}
	}
	return nil
}

func (z *Zipkin) encode(node *trace.Node) (zipkinItem, zipkin.Wire, error) {
	models, err := zipkin.Map(node, z.opt.Mapping)
	if err != nil {
		return zipkinItem{}, 0, err
	}
	wire, piece, err := zipkin.Encode(models)
	if err != nil {
		return zipkinItem{}, 0, fmt.Errorf("encoding span %s of trace %s for Zipkin: %w", node.ID, node.TraceID, err)
	}
	return zipkinItem{node: node, piece: piece, start: models[0].Timestamp.UnixMicro()}, wire, nil
}

// deliver sends the items in one request, and in halves if the server refuses
// that, down to the single span.
func (z *Zipkin) deliver(ctx context.Context, wire zipkin.Wire, items []zipkinItem, done func(*trace.Node, Outcome)) error {
	pieces := make([][]byte, len(items))
	for i := range items {
		pieces[i] = items[i].piece
	}
	body := wire.Join(pieces)
	refusal, err := z.post(ctx, wire, body)
	switch {
	case err != nil:
		return err
	case refusal == nil:
		z.trusted = true
		z.report.Batches++
		z.report.Bytes += int64(len(body))
		for i := range items {
			z.report.Delivered++
			z.found.add(items[i].node.TraceID, items[i].start)
			done(items[i].node, Delivered)
		}
		return nil
	}
	if err := z.checkServer(ctx, *refusal); err != nil {
		return err
	}
	if len(items) == 1 {
		if err := z.setAside(items[0].node, "the server refused it", *refusal); err != nil {
			return err
		}
		z.report.Refused++
		done(items[0].node, Quarantined)
		return nil
	}
	half := len(items) / 2
	if err := z.deliver(ctx, wire, items[:half], done); err != nil {
		return err
	}
	return z.deliver(ctx, wire, items[half:], done)
}

// checkServer tells, after a first refusal, a server that refuses a span from
// one that refuses everything: Zipkin accepts an empty list.
func (z *Zipkin) checkServer(ctx context.Context, first zipkinRefusal) error {
	if z.trusted {
		return nil
	}
	refusal, err := z.post(ctx, zipkin.JSON, zipkin.JSON.Join(nil))
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
	z.trusted = true
	return nil
}

// setAside puts a span into the quarantine file.
func (z *Zipkin) setAside(node *trace.Node, reason string, refusal zipkinRefusal) error {
	models, _ := zipkin.Map(node, z.opt.Mapping) // none for what cannot be mapped
	if err := z.quarantine.add(node, models, reason, refusal); err != nil {
		return err
	}
	if z.report.Quarantined++; z.report.Quarantined == 1 {
		z.report.QuarantineFile = z.quarantine.path
		if refusal.status != 0 {
			reason += ": " + refusal.String()
		}
		z.opt.Warn(fmt.Sprintf("span %s of trace %s was not delivered (%s); it is kept in %s, and so will be all others like it",
			node.ID, node.TraceID, reason, Escape(z.quarantine.path)))
	}
	return nil
}

// zipkinRefusal is an answer that is about the content of a request.
type zipkinRefusal struct {
	status int
	words  string // escaped
}

func (r zipkinRefusal) String() string {
	text := fmt.Sprint(r.status)
	if name := http.StatusText(r.status); name != "" {
		text += " " + name
	}
	if r.words != "" {
		text += ", in its words: " + r.words
	}
	return text
}

// ZipkinError says why delivery stopped before everything was delivered.
type ZipkinError struct {
	URL     string // without a password
	Status  int    // of the answer, 0 if there was none
	Words   string // of the server, escaped
	Problem string
	Hint    string // what to do next
	Err     error  // of the network, if there was one
}

func (e *ZipkinError) Error() string {
	text := "zipkin " + e.URL + ": " + e.Problem
	if e.Status != 0 {
		text += " (" + zipkinRefusal{e.Status, e.Words}.String() + ")"
	}
	if e.Err != nil {
		text += ": " + Escape(networkProblem(e.Err))
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap is the error of the network, nil without one.
func (e *ZipkinError) Unwrap() error { return e.Err }

// networkProblem is an error of the HTTP client without the address, which our
// messages name themselves (and without the password in it).
func networkProblem(err error) string {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}
