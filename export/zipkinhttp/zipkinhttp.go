// Package zipkinhttp delivers spans to Zipkin, and to what accepts the same, over HTTP.
//
//	spans ─ stream.go ─> batches ─ post.go ─> POST /api/v2/spans ─ answer.go ─> delivered
//	                        ^                        │                          refused: doubt.go, halved, quarantine
//	                        └─── outage.go: again ───┴─ busy or away
//
// receiver.go finds out who takes the spans (Zipkin, Jaeger, an OpenTelemetry
// Collector), access.go says who we are, verify.go, search.go and jaeger.go read back
// what was delivered, error.go says what to do when nothing is.
package zipkinhttp

import (
	"cmp"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tomoscrape/tomoscrape/export"
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

// Options say where and how to deliver. URL is needed; the zero value of
// all else is the default.
type Options struct {
	URL      string // see [ParseURL]
	Access   Access
	Receiver Receiver // what takes the spans; default Zipkin itself
	// JaegerQuery is the address of the Jaeger where the spans end up that go to
	// another receiver than Zipkin; default the port of its query service at the
	// host of URL.
	JaegerQuery string
	Mapping     zipkin.Options // for Zipkin; the receiver may need more
	// AlwaysSplit writes a span for each service for receivers, too, that take
	// one span of an id alone.
	AlwaysSplit bool
	Quarantine  string            // file for spans that cannot be delivered; default DefaultQuarantine
	BatchBytes  int               // of a request's body before compression; default 1 MiB
	Linger      time.Duration     // the longest that a span waits for others to fill a request; default 50 ms
	Requests    int               // under way at once; default 4
	Timeout     time.Duration     // of one request; default 1 minute
	GiveUp      time.Duration     // without progress; default 5 minutes, negative for never
	FirstPause  time.Duration     // before the first repetition, doubled for each further one; default 500 ms
	MaxPause    time.Duration     // the longest such pause; default 30 seconds
	Remember    int               // spans to remember for Verify at most; default 0, negative for 200,000
	Transport   http.RoundTripper // for tests; without one Access and a transport of our own are used
	Warn        func(string)      // is told what a user should see at once, one call at a time; may be nil
}

// Client delivers spans to POST /api/v2/spans of Zipkin, or of what accepts the
// same. A span is delivered when a 2xx answer acknowledged it. Busy and broken
// servers are waited for; a span that the server refuses, alone and while it takes
// others, is found by halving its batch and goes to the quarantine file; a server
// that takes nothing from us ends the delivery with a [*Error].
//
// What was sent but not acknowledged is sent again, so a span can arrive twice;
// it does so with the same bytes, which Zipkin stores and shows as one span.
// An acknowledgement says that Zipkin took the spans over, not that its storage
// took them: see [Client.Verify].
//
// One delivery, [Client.Send] or [Client.Stream], is under way at a time; Report
// and Outage may be asked at any time. Close it in the end.
type Client struct {
	opt      Options
	endpoint endpoint
	jaeger   jaeger
	client   *http.Client
	login    *login
	health   health

	current     atomic.Pointer[form] // nil until the receiver is known
	asking      chan struct{}        // full while it is asked
	receiverAge time.Duration

	mu          sync.Mutex // of all below
	quarantine  export.Quarantine
	report      Report
	found       window
	memory      *memory // nil if nothing is to be verified
	trusted     bool    // something was accepted: it is Zipkin that answers
	taken       payload // with one span that was accepted lately; its bytes are nil before
	bare        bool    // nothing is to be compressed
	askedScheme bool    // by speaksOther
}

// Report counts what was done so far.
type Report struct {
	Delivered   int64 // spans of the log that were acknowledged
	Quarantined int64 // spans that went to the quarantine file
	Refused     int64 // those of them that the server refused; the others have no form in Zipkin
	Batches     int64 // requests that were acknowledged
	Retried     int64 // requests that were repeated after an outage
	Bytes       int64 // acknowledged, before compression
	// QuarantineFile is where the quarantined spans are, "" without any.
	QuarantineFile string
}

// New prepares delivery; nothing is sent yet. The error is a
// [*URLError] or a [*AccessError].
func New(opt Options) (*Client, error) {
	endpoint, err := parseZipkinEndpoint(opt.URL)
	if err != nil {
		return nil, err
	}
	query, err := parseJaeger(opt.JaegerQuery, endpoint)
	if err != nil {
		return nil, err
	}
	opt.Quarantine = cmp.Or(opt.Quarantine, export.DefaultQuarantine)
	opt.BatchBytes = cmp.Or(opt.BatchBytes, 1<<20)
	opt.Linger = cmp.Or(opt.Linger, 50*time.Millisecond)
	opt.Requests = cmp.Or(opt.Requests, 4)
	opt.Timeout = cmp.Or(opt.Timeout, time.Minute)
	opt.GiveUp = cmp.Or(opt.GiveUp, 5*time.Minute)
	opt.FirstPause = cmp.Or(opt.FirstPause, 500*time.Millisecond)
	opt.MaxPause = cmp.Or(opt.MaxPause, 30*time.Second)
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	z := &Client{
		opt:        opt,
		endpoint:   endpoint,
		jaeger:     query,
		quarantine: export.Quarantine{Path: opt.Quarantine},

		asking:      make(chan struct{}, 1),
		receiverAge: receiverAge,
	}
	if opt.Receiver != ReceiverAuto {
		z.current.Store(z.form(opt.Receiver))
	}
	if opt.Remember != 0 {
		z.memory = newZipkinMemory(opt.Remember)
	}
	z.quarantine.Warn = z.health.say
	z.health = health{server: endpoint.shown(), warn: opt.Warn, giveUp: opt.GiveUp, turn: make(chan struct{}, 1)}
	if z.login, err = opt.Access.login(endpoint, z.health.say); err != nil {
		return nil, err
	}
	if opt.Transport == nil {
		if opt.Transport, err = opt.Access.transport(opt.Requests); err != nil {
			return nil, err
		}
	}
	z.endpoint.base.User, z.endpoint.post.User = nil, nil // the login has it
	z.client = &http.Client{
		Transport: opt.Transport,
		// Redirecting a POST would drop its body or send the spans to a
		// place that nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return z, nil
}

// Report counts what was done so far, also after an error.
func (z *Client) Report() Report {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.report
}

// Close closes the quarantine file and idle connections. Its error means that
// quarantined spans may not have reached the disk.
func (z *Client) Close() error {
	z.client.CloseIdleConnections()
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.quarantine.Close()
}
