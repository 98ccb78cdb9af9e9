package zipkinhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/safetext"

	"github.com/openzipkin/zipkin-go/model"
)

// jaegerPort is where Jaeger's query service listens unless told otherwise.
const jaegerPort = "16686"

// jaegerGuess is how long a Jaeger that nobody named is waited for.
var jaegerGuess = 5 * time.Second // tests have less

// jaeger is Jaeger's query service, its page and the API behind that: it shows
// what its collector took, and what OpenTelemetry Collectors passed on to it.
type jaeger struct {
	base  url.URL // no slash at its end
	given bool    // by the user: it may be shown our credentials
}

// parseJaeger checks an address a user gave; "" is the port of Jaeger's query
// service at the host that takes the spans.
func parseJaeger(address string, spans endpoint) (jaeger, error) {
	if address == "" {
		at := url.URL{Scheme: spans.base.Scheme, Host: net.JoinHostPort(spans.base.Hostname(), jaegerPort)}
		return jaeger{base: at}, nil
	}
	checked, err := parseZipkinEndpoint(address)
	if bad := (*URLError)(nil); errors.As(err, &bad) {
		bad.Jaeger = true
		if bad.Instead != "" {
			bad.Problem = "it is not that of its page"
		}
		return jaeger{}, bad
	}
	at := checked.base
	at.Path = strings.TrimSuffix(at.Path, "/search") // of the page
	if i := strings.LastIndex(at.Path, "/trace/"); i >= 0 {
		at.Path = at.Path[:i]
	}
	return jaeger{base: at, given: true}, nil
}

// shown is the address without name and password.
func (j jaeger) shown() string {
	base := j.base
	base.User = nil
	return base.String()
}

// askJaeger asks Jaeger's API for a path; see [Client.getAt].
func (z *Client) askJaeger(ctx context.Context, path string, read func(*json.Decoder) error) (status int, err error) {
	at := z.jaeger.base
	at.Path += path
	at.RawQuery = "raw=true" // times as they were sent, whatever Jaeger makes of them
	login := ""
	if z.jaeger.given && at.User == nil {
		login = z.login.current()
	}
	status, err = z.getAt(ctx, at, login, read)
	if stop := (*Error)(nil); errors.As(err, &stop) {
		stop.URL = z.jaeger.shown()
	}
	return status, err
}

// answersAsJaeger says whether Jaeger's query service is there. One that was not
// named is not looked for where the spans go to something that is not Jaeger.
func (z *Client) answersAsJaeger(ctx context.Context) error {
	if receiver := z.Receiver(); !z.jaeger.given && receiver == ReceiverOTel {
		return errors.New("no address of it was given")
	}
	if !z.jaeger.given {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, jaegerGuess, fmt.Errorf("no answer within %v", jaegerGuess))
		defer cancel()
	}
	var services struct{ Data json.RawMessage } // null while there are none
	status, err := z.askJaeger(ctx, "/api/services", func(d *json.Decoder) error { return d.Decode(&services) })
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		return errors.New("it has no /api/services there")
	case len(services.Data) == 0:
		return errors.New("it gives another answer than Jaeger")
	}
	return nil
}

// guessesJaeger says whether the Jaeger that is asked is one that nobody named: it
// may be one to which nothing of what is delivered goes.
func (z *Client) guessesJaeger() bool { return !z.jaeger.given && z.Receiver() != ReceiverJaeger }

// isInJaeger says whether something of a trace is in Jaeger, or comes there soon.
func (z *Client) isInJaeger(ctx context.Context, id model.TraceID) bool {
	ctx, cancel := context.WithTimeout(ctx, jaegerGuess)
	defer cancel()
	for ctx.Err() == nil {
		stored, err := z.storedInJaeger(ctx, id)
		if err != nil || len(stored) > 0 {
			return err == nil
		}
		sleep(ctx, min(z.opt.FirstPause, verifyPause))
	}
	return false
}

// notInGuess is the error where the Jaeger that nobody named has nothing of what
// was delivered.
func (z *Client) notInGuess() error {
	return &Error{URL: z.endpoint.shown(),
		Problem: fmt.Sprintf("what was delivered is not in the Jaeger at %s; whether it is to end up there is not known", z.jaeger.shown()),
		Hint:    jaegerHint}
}

// jaegerHint is what to do where it is not known what can be asked.
const jaegerHint = "where the spans end up in Jaeger, --jaeger-query URL names its query service, such as http://HOST:" +
	jaegerPort + "; elsewhere they cannot be read back"

// canReadBack says whether what another receiver than Zipkin took can be read
// back; the error is a [*Error].
func (z *Client) canReadBack(ctx context.Context) error {
	if z.Receiver() == ReceiverZipkin {
		return nil
	}
	err := z.answersAsJaeger(ctx)
	if err == nil {
		return nil
	}
	e := &Error{URL: z.endpoint.shown(), Hint: jaegerHint}
	switch z.Receiver() {
	case ReceiverOTel:
		e.Problem = "what was delivered cannot be read back from an OpenTelemetry Collector, which passes spans on " +
			"and keeps none"
	case receiverUnknown:
		e.Problem = "what was delivered cannot be read back, for it is not known what took it (--receiver says it)"
	default:
		e.Problem = fmt.Sprintf("what was delivered cannot be read back: Jaeger's query service is not at %s (%s)",
			z.jaeger.shown(), safetext.Escape(networkProblem(err)))
	}
	if z.jaeger.given {
		e.Problem = fmt.Sprintf("what was delivered cannot be read back: Jaeger's query service is not at %s (%s)",
			z.jaeger.shown(), safetext.Escape(networkProblem(err)))
		e.Hint = "check --jaeger-query: it is the address of Jaeger's page, such as http://HOST:" + jaegerPort
	}
	return e
}

// storedInJaeger are the spans of a trace that Jaeger has; it knows no shared ones.
func (z *Client) storedInJaeger(ctx context.Context, id model.TraceID) (map[spanKey]bool, error) {
	stored := map[spanKey]bool{}
	_, err := z.askJaeger(ctx, "/api/traces/"+id.String(), func(d *json.Decoder) error {
		var answer struct {
			Data []struct {
				Spans []struct {
					SpanID    string `json:"spanID"`
					StartTime int64  `json:"startTime"`
				} `json:"spans"`
			} `json:"data"`
		}
		if err := d.Decode(&answer); err != nil {
			return err
		}
		for _, trace := range answer.Data {
			for _, span := range trace.Spans {
				if id, err := strconv.ParseUint(span.SpanID, 16, 64); err == nil {
					stored[spanKey{model.ID(id), span.StartTime, false}] = true
				}
			}
		}
		return nil
	})
	return stored, err
}

// byJaeger asks Jaeger for a trace and counts which of its spans are missing.
func (r *readBack) byJaeger(ctx context.Context, t *finding) error {
	stored, err := r.z.storedInJaeger(ctx, t.id)
	if err != nil {
		return err
	}
	t.missing, t.found = 0, true // it is not searched for
	for _, key := range t.spans {
		key.shared = false
		if !stored[key] {
			t.missing++
		}
	}
	return nil
}

// jaegerSearch is the search on Jaeger's page, which looks for one service at a
// time, or the trace if there is but one.
func (z *Client) jaegerSearch(w window) string {
	at := z.jaeger.base
	at.User = nil
	if w.oneTrace {
		at.Path += "/trace/" + w.trace.String()
		return at.String()
	}
	at.Path += "/search"
	at.RawQuery = url.Values{"service": {w.service}, "start": {strconv.FormatInt(w.first, 10)},
		"end":   {strconv.FormatInt(w.last, 10)},
		"limit": {strconv.Itoa(min(max(w.spans, minZipkinLimit), maxZipkinLimit))}}.Encode()
	return at.String()
}
