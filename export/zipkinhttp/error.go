package zipkinhttp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// refusal is an answer that is about the content of a request.
type refusal struct {
	status int
	words  string // escaped
}

func (r refusal) String() string {
	text := fmt.Sprint(r.status)
	if name := http.StatusText(r.status); name != "" {
		text += " " + name
	}
	if r.words != "" {
		text += ", in its words: " + shortened(r.words)
	}
	return text
}

// shownWords is how much of what others say stands in a sentence, in bytes.
const shownWords = 500

// shortened is the beginning of an escaped text.
func shortened(text string) string {
	if short := safetext.ClipBytes(text, shownWords); len(short) < len(text) {
		return short + safetext.Ellipsis
	}
	return text
}

// Error says why delivery stopped before everything was delivered.
type Error struct {
	URL     string // without a password
	Status  int    // of the answer, 0 if there was none
	Words   string // of the server, escaped
	Problem string
	Hint    string // what to do next
	Err     error  // of the network, if there was one
}

func (e *Error) Error() string {
	text := "zipkin " + e.URL + ": " + e.Problem
	if e.Status != 0 {
		text += " (" + refusal{e.Status, e.Words}.String() + ")"
	}
	if e.Err != nil {
		text += ": " + safetext.Escape(networkProblem(e.Err))
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap is the error of the network, nil without one.
func (e *Error) Unwrap() error { return e.Err }

// networkProblem is an error of the HTTP client without the address, which our
// messages name themselves (and without the password in it).
func networkProblem(err error) string {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	for op := (*net.OpError)(nil); errors.As(err, &op); {
		switch op.Op {
		case "proxyconnect":
			return "the proxy on the way is not reached: " + op.Err.Error()
		case "read", "write", "readfrom": // our own port in it differs from connection to connection
			err = op.Err
			continue
		}
		break
	}
	if err == io.EOF {
		return "it ended the connection without an answer"
	}
	return ownPort.ReplaceAllString(err.Error(), "") // of a question for a name
}

var ownPort = regexp.MustCompile(`\S+:[0-9]+->`)

// proxyError is a proxy that does not connect us with the server.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %s", e.host, refusal{status: e.status})
}

// other is the receiver as far as it is known, and whether it is another one than
// Zipkin.
func (z *Client) other() (r Receiver, other bool) {
	switch r = z.Receiver(); r {
	case ReceiverZipkin, ReceiverAuto:
		return r, false
	case receiverUnknown:
		return ReceiverAuto, false
	}
	return r, true
}

// place is the answer to an address that is not the one of the receiver.
func (r Receiver) place() string {
	switch r {
	case ReceiverZipkin, ReceiverAuto:
		return "give the address of the Zipkin server itself, such as http://HOST:9411"
	case ReceiverJaeger:
		return "give the address where Jaeger takes Zipkin's spans, such as http://HOST:9411 " +
			"(--collector.zipkin.host-port of Jaeger 1, the zipkin receiver of 2)"
	}
	return "give the address of its zipkin receiver, such as http://HOST:9411"
}

// stopped explains an answer after which nothing would be accepted.
func (z *Client) stopped(a reply) error {
	e := &Error{URL: z.endpoint.shown(), Status: a.status, Words: safetext.Escape(a.words), Err: a.err}
	receiver, other := z.other()
	check := "check that the address is Zipkin's"
	if other {
		check = receiver.place()
	}
	switch {
	case a.speaks == "HTTP/2":
		e.Problem, e.Hint, e.Err = "it speaks HTTP/2 alone there, as gRPC does", "spans in Zipkin's form go to "+
			"another port, such as http://HOST:9411", nil
	case a.speaks != "":
		e.Problem, e.Hint = "it speaks "+a.speaks+" there", "begin the address with "+a.speaks+"://"
	case a.err != nil:
		e.Problem, e.Hint = "it does not agree with us on TLS", tlsProblem(a.err)
	case a.proxy != "", a.status == http.StatusProxyAuthRequired:
		e.Problem = "the proxy on the way does not let us through"
		e.Hint = "a name and password for it stand in its address in HTTP_PROXY or HTTPS_PROXY, NO_PROXY names " +
			"hosts that are reached without it"
	case a.verdict() == refused:
		e.Problem, e.Hint = "it refuses even an empty list of spans", "check that the address is Zipkin's own"
		if other {
			e.Hint = check
		}
	case a.status/100 == 2:
		e.Problem, e.Words = "a web page answered, not "+receiver.String(), ""
		e.Hint = receiver.place()
	case a.location != "":
		e.Problem, e.Words = "it redirects to "+shortened(safetext.Escape(withoutUser(a.location))), ""
		e.Hint = fmt.Sprintf("if that is %s, give its address", receiver)
	case a.redirects():
		e.Problem, e.Hint, e.Words = "it redirects without saying where to", check, ""
	case a.locked():
		e.Problem = "it does not let us in"
		e.Hint = "ask who runs it for access; NAME:PASSWORD or Bearer TOKEN can stand in a file (--zipkin-auth-file " +
			"FILE) or in " + AuthVariable
		if z.login.any() {
			e.Hint = "it was given a name and password, or a token: check these, or ask who runs it"
		}
		if a.spans && a.status == http.StatusForbidden && z.hasAnswered() {
			e.Problem = "it does not let these spans in, though it answers other requests"
			e.Hint = "ask who runs it: what guards it may take a text in them for an attack"
		}
	case a.status == http.StatusNotFound:
		e.Problem = "it has no /api/v2/spans there"
		e.Hint = "check the address, such as http://HOST:9411 (Zipkin itself answers so when " +
			"COLLECTOR_HTTP_ENABLED=false)"
		if other {
			e.Hint = check
		}
	case a.status == http.StatusMethodNotAllowed, a.status == http.StatusNotImplemented:
		e.Problem = "it takes no spans there"
		e.Hint = receiver.place()
	default:
		e.Problem = fmt.Sprintf("it gave an answer that %s would not give", receiver)
		e.Hint = check
	}
	return e
}

// gaveUp is the end after an outage; asked says that the server's own word on
// when to come again was beyond it; node is not nil if that span alone is not
// taken.
func (z *Client) gaveUp(a reply, tried time.Duration, asked bool, node *trace.Node) error {
	e := &Error{URL: z.endpoint.shown(), Status: a.status, Words: safetext.Escape(a.words), Err: a.err}
	e.Hint = "run it again when it works"
	if z.Receiver() == ReceiverZipkin {
		e.Hint += ": what arrives twice is stored once"
	}
	switch {
	case node != nil:
		e.Problem = fmt.Sprintf("gave up on span %s of trace %s after %s; it takes others", node.ID, node.TraceID,
			inWords(tried))
		e.Hint = "its log may say why; if the span is too large for it, --max-value N cuts long values"
	case asked:
		e.Problem = fmt.Sprintf("it asks to wait %s; tomoscrape gives up after %s without progress",
			inWords(a.retryAfter), inWords(z.opt.GiveUp))
	default:
		e.Problem = fmt.Sprintf("gave up after %s without progress", inWords(tried))
	}
	if a.proxy != "" {
		e.Problem += "; the proxy " + a.proxy + " does not connect us with it"
	}
	return e
}
