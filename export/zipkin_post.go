package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/klauspost/compress/gzip"

	"github.com/tomoscrape/tomoscrape/zipkin"
)

// zipkinVerdict is what an answer means for the request.
type zipkinVerdict int

const (
	zipkinAcknowledged zipkinVerdict = iota
	zipkinAgain                      // the server is busy or broken: later
	zipkinRefused                    // the content is at fault
	zipkinStop                       // address or permission are at fault: nothing will be accepted
)

// zipkinAnswer is what came back for one request.
type zipkinAnswer struct {
	status     int    // 0 if err is set
	words      string // the beginning of the body, not escaped
	html       bool
	location   string
	retryAfter time.Duration
	err        error // of the network
}

func (a *zipkinAnswer) verdict() zipkinVerdict {
	switch {
	case a.err != nil:
		if isTLSProblem(a.err) {
			return zipkinStop
		}
		return zipkinAgain
	case a.status == http.StatusAccepted:
		return zipkinAcknowledged
	case a.status/100 == 2 && !a.html:
		return zipkinAcknowledged
	case a.status == http.StatusBadRequest, a.status == http.StatusRequestEntityTooLarge, a.status == http.StatusUnprocessableEntity:
		return zipkinRefused
	case a.status == http.StatusInternalServerError && strings.HasPrefix(a.words, "413 "):
		return zipkinRefused // so says Zipkin 3.6.1 of a body over 10 MiB
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status/100 == 5:
		return zipkinAgain
	}
	return zipkinStop
}

// isTLSProblem says whether two sides that speak to each other do not agree on
// TLS; trying again does not mend that.
func isTLSProblem(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// post sends a body until there is a final word on it: nil for an
// acknowledgement, or the refusal.
func (z *Zipkin) post(ctx context.Context, wire zipkin.Wire, body []byte) (*zipkinRefusal, error) {
	packed := pack(body)
	pauses := &backoff.ExponentialBackOff{
		InitialInterval:     z.opt.FirstPause,
		MaxInterval:         z.opt.MaxPause,
		Multiplier:          2,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
	began, tries := time.Now(), 0
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		answer := z.try(ctx, wire, packed)
		switch answer.verdict() {
		case zipkinAcknowledged:
			return nil, nil
		case zipkinRefused:
			return &zipkinRefusal{answer.status, Escape(answer.words)}, nil
		case zipkinStop:
			return nil, z.stopped(answer)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		pause := pauses.NextBackOff()
		asked := answer.retryAfter > pause
		if asked {
			pause = min(answer.retryAfter, maxRetryAfter)
		}
		if z.opt.GiveUp > 0 && time.Since(began)+pause > z.opt.GiveUp {
			return nil, z.gaveUp(answer, time.Since(began), asked)
		}
		z.report.Retried++
		warning := fmt.Sprintf("zipkin %s: %s; trying again in %v", z.endpoint.shown(), answer, pause.Round(time.Millisecond))
		if tries++; tries == 1 && z.opt.GiveUp > 0 {
			warning += ", and for up to " + inWords(z.opt.GiveUp)
		}
		z.opt.Warn(warning)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// pack compresses a body; the same body always gives the same bytes.
func pack(body []byte) []byte {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // fails only for an unknown level
	w.Write(body)                                        // to memory: cannot fail
	w.Close()
	return packed.Bytes()
}

// Of an answer's body so much is read for its words, and so much at most to have
// the connection free for the next request.
const (
	zipkinWords = 4 << 10
	zipkinDrain = 256 << 10
)

// try makes one request.
func (z *Zipkin) try(ctx context.Context, wire zipkin.Wire, packed []byte) (answer zipkinAnswer) {
	ctx, cancel := context.WithTimeoutCause(ctx, z.opt.Timeout, fmt.Errorf("no answer within %v", z.opt.Timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, z.endpoint.post.String(), bytes.NewReader(packed))
	if err != nil {
		return zipkinAnswer{err: err}
	}
	request.Header.Set("Content-Type", wire.ContentType())
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("User-Agent", "tomoscrape")
	response, err := z.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return zipkinAnswer{err: err}
	}
	defer response.Body.Close()
	// The status is the answer; a body that breaks off only costs its words.
	words, _ := io.ReadAll(io.LimitReader(response.Body, zipkinWords))
	io.CopyN(io.Discard, response.Body, zipkinDrain)
	text := strings.TrimSpace(string(words))
	return zipkinAnswer{
		status:     response.StatusCode,
		words:      text,
		html:       strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") || strings.HasPrefix(text, "<"),
		location:   response.Header.Get("Location"),
		retryAfter: retryAfter(response.Header.Get("Retry-After")),
	}
}

// maxRetryAfter is the longest that a server's word holds the delivery up.
const maxRetryAfter = time.Hour

// retryAfter reads the header of that name, seconds or a date (RFC 9110 section
// 10.2.3); 0 if it says nothing, and 292 years for more than that.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil {
		return time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return max(time.Until(date), 0)
	}
	return 0
}

// inWords is a duration as elsewhere in what is written for people.
func inWords(d time.Duration) string { return FormatDuration(uint64(d.Microseconds())) }

// String is the answer in one line, escaped.
func (a zipkinAnswer) String() string {
	if a.err != nil {
		return Escape(networkProblem(a.err))
	}
	return "it answered " + zipkinRefusal{a.status, Escape(a.words)}.String()
}

// stopped explains an answer after which nothing would be accepted.
func (z *Zipkin) stopped(a zipkinAnswer) error {
	e := &ZipkinError{URL: z.endpoint.shown(), Status: a.status, Words: Escape(a.words), Err: a.err}
	switch {
	case a.err != nil:
		e.Problem = "it does not agree with us on TLS"
		e.Hint = "check http or https in the address, and the server's certificate"
	case a.status/100 == 2:
		e.Problem, e.Words = "a web page answered, not Zipkin", ""
		e.Hint = "give the address of the Zipkin server itself, such as http://HOST:9411"
	case a.status/100 == 3:
		e.Problem, e.Words = "it redirects to "+Escape(a.location), ""
		e.Hint = "if that is Zipkin, give its address"
		if a.location == "" {
			e.Problem, e.Hint = "it redirects without saying where to", "check that the address is Zipkin's"
		}
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden, a.status == http.StatusProxyAuthRequired:
		e.Problem = "it does not let us in"
		e.Hint = "ask who runs it for access; a name and password can stand in the address: http://NAME:PASSWORD@HOST:9411"
	case a.status == http.StatusNotFound:
		e.Problem = "it has no /api/v2/spans there"
		e.Hint = "check the address, such as http://HOST:9411 (Zipkin itself answers so when COLLECTOR_HTTP_ENABLED=false)"
	case a.status == http.StatusMethodNotAllowed:
		e.Problem = "it takes no spans there"
		e.Hint = "give the address of the Zipkin server itself, such as http://HOST:9411"
	default:
		e.Problem = "it gave an answer that Zipkin would not give"
		e.Hint = "check that the address is Zipkin's"
	}
	return e
}

// gaveUp is the end after an outage; asked says that the server's own word on
// when to come again was beyond it.
func (z *Zipkin) gaveUp(a zipkinAnswer, tried time.Duration, asked bool) error {
	e := &ZipkinError{URL: z.endpoint.shown(), Status: a.status, Words: Escape(a.words), Err: a.err}
	if asked {
		e.Problem = fmt.Sprintf("it asks to wait %s; tomoscrape gives up after %s without progress",
			inWords(a.retryAfter.Round(time.Second)), inWords(z.opt.GiveUp))
	} else {
		e.Problem = fmt.Sprintf("gave up after %s without progress", inWords(tried.Round(time.Second)))
	}
	e.Hint = "run it again when Zipkin works: what arrives twice is stored once"
	return e
}
