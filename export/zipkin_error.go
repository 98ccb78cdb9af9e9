package export

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tomoscrape/tomoscrape/trace"
)

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
		err = wrapped.Err
	}
	// Our own port in it differs from connection to connection.
	if op := (*net.OpError)(nil); errors.As(err, &op) && (op.Op == "read" || op.Op == "write") {
		return op.Err.Error()
	}
	return err.Error()
}

// stopped explains an answer after which nothing would be accepted.
func (z *Zipkin) stopped(a zipkinAnswer) error {
	e := &ZipkinError{URL: z.endpoint.shown(), Status: a.status, Words: Escape(a.words), Err: a.err}
	switch {
	case a.speaks != "":
		e.Problem, e.Hint = "it speaks "+a.speaks+" there", "begin the address with "+a.speaks+"://"
	case a.err != nil:
		e.Problem, e.Hint = "it does not agree with us on TLS", tlsProblem(a.err)
	case a.verdict() == zipkinRefused:
		e.Problem, e.Hint = "it refuses even an empty list of spans", "check that the address is Zipkin's own"
	case a.status/100 == 2:
		e.Problem, e.Words = "a web page answered, not Zipkin", ""
		e.Hint = "give the address of the Zipkin server itself, such as http://HOST:9411"
	case a.status/100 == 3:
		e.Problem, e.Words = "it redirects to "+Escape(withoutUser(a.location)), ""
		e.Hint = "if that is Zipkin, give its address"
		if a.location == "" {
			e.Problem, e.Hint = "it redirects without saying where to", "check that the address is Zipkin's"
		}
	case a.locked():
		e.Problem = "it does not let us in"
		e.Hint = "ask who runs it for access; NAME:PASSWORD or Bearer TOKEN can stand in a file (--zipkin-auth-file FILE) or in " + ZipkinAuthVariable
		if z.login.any() {
			e.Hint = "it was given a name and password, or a token: check these, or ask who runs it"
		}
	case a.status == http.StatusNotFound:
		e.Problem = "it has no /api/v2/spans there"
		e.Hint = "check the address, such as http://HOST:9411 (Zipkin itself answers so when COLLECTOR_HTTP_ENABLED=false)"
	case a.status == http.StatusMethodNotAllowed, a.status == http.StatusNotImplemented:
		e.Problem = "it takes no spans there"
		e.Hint = "give the address of the Zipkin server itself, such as http://HOST:9411"
	default:
		e.Problem = "it gave an answer that Zipkin would not give"
		e.Hint = "check that the address is Zipkin's"
	}
	return e
}

// gaveUp is the end after an outage; asked says that the server's own word on
// when to come again was beyond it; node is not nil if that span alone is not
// taken.
func (z *Zipkin) gaveUp(a zipkinAnswer, tried time.Duration, asked bool, node *trace.Node) error {
	e := &ZipkinError{URL: z.endpoint.shown(), Status: a.status, Words: Escape(a.words), Err: a.err}
	e.Hint = "run it again when Zipkin works: what arrives twice is stored once"
	switch {
	case node != nil:
		e.Problem = fmt.Sprintf("gave up on span %s of trace %s after %s; it takes others", node.ID, node.TraceID, inWords(tried))
		e.Hint = "its log may say why; if the span is too large for it, --max-value N cuts long values"
	case asked:
		e.Problem = fmt.Sprintf("it asks to wait %s; tomoscrape gives up after %s without progress",
			inWords(a.retryAfter), inWords(z.opt.GiveUp))
	default:
		e.Problem = fmt.Sprintf("gave up after %s without progress", inWords(tried))
	}
	return e
}
