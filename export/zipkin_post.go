package export

import (
	"bytes"
	"context"
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
	location   string // not escaped
	retryAfter time.Duration
	login      string // that was shown, a secret
	err        error  // of the network
}

func (a *zipkinAnswer) verdict() zipkinVerdict {
	switch {
	case a.err != nil:
		if tlsProblem(a.err) != "" {
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

// locked says whether the answer is that we may not come in.
func (a *zipkinAnswer) locked() bool {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return true
	}
	return false
}

// kind is the same for answers that need not be told twice.
func (a *zipkinAnswer) kind() string {
	if a.err != nil {
		return networkProblem(a.err)
	}
	return strconv.Itoa(a.status)
}

// post sends a body of so many spans until there is a final word on it: nil for
// an acknowledgement, or the refusal. suspect says that the body is a part of one
// that broke the server. form is what it was written for, nil for any receiver: if
// another one comes back from an outage, the error is errReceiverChanged.
func (z *Zipkin) post(ctx context.Context, wire zipkin.Wire, body []byte, spans int, suspect bool, form *zipkinForm) (*zipkinRefusal, error) {
	packed := z.pack(body)
	pauses := &backoff.ExponentialBackOff{
		InitialInterval:     z.opt.FirstPause,
		MaxInterval:         z.opt.MaxPause,
		Multiplier:          2,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
	holds := false // the turn of an outage
	defer func() {
		if holds {
			z.health.leave()
		}
	}()
	for tries := 1; ; tries++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !holds {
			var err error
			if holds, err = z.health.enter(ctx); err != nil {
				return nil, err
			}
		}
		begun := time.Now()
		if tries > 1 && z.changed(ctx, form) {
			return nil, errReceiverChanged
		}
		answer := z.try(ctx, wire, packed)
		verdict := answer.verdict()
		if verdict == zipkinStop && answer.status == http.StatusUnauthorized && z.login.renewed(answer.login) {
			continue
		}
		if verdict == zipkinStop && !answer.locked() && z.isTrusted() {
			verdict = zipkinAgain // it was Zipkin, and will be again
		}
		switch {
		case verdict == zipkinAgain && answer.status == http.StatusInternalServerError &&
			(suspect && spans > 1 || tries >= zipkinBreaks) && z.takesOthers(ctx):
			verdict = zipkinRefused // it breaks on this one only
		case verdict == zipkinRefused && spans == 1 && z.isTrusted() && !z.takesOthers(ctx):
			verdict = zipkinAgain // it refuses everything now: the span is not at fault
		}
		switch verdict {
		case zipkinAcknowledged:
			z.health.works(begun)
			return nil, nil
		case zipkinRefused:
			z.health.works(begun)
			return &zipkinRefusal{answer.status, Escape(answer.words)}, nil
		case zipkinStop:
			return nil, z.stopped(answer)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		since := z.health.fails(begun, answer)
		pause := pauses.NextBackOff()
		asked := answer.retryAfter > pause
		if asked {
			pause = min(answer.retryAfter, maxRetryAfter)
		}
		if tried := time.Since(since); z.opt.GiveUp > 0 && tried+pause > z.opt.GiveUp {
			return nil, z.gaveUp(answer, tried, asked)
		}
		z.mu.Lock()
		z.report.Retried++
		z.mu.Unlock()
		if !holds {
			var err error
			if holds, err = z.health.enter(ctx); err != nil {
				return nil, err
			}
		}
		if !holds { // the outage was over before it came to this request
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// zipkinBreaks is how often a body may be answered with 500 before the server is
// asked whether it takes others.
const zipkinBreaks = 5

// takesOthers says whether the server accepts an empty list right now.
func (z *Zipkin) takesOthers(ctx context.Context) bool {
	answer := z.try(ctx, zipkin.JSON, z.pack(zipkin.JSON.Join(nil)))
	return answer.verdict() == zipkinAcknowledged
}

func newPacker() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for an unknown level
	return w
}

// pack compresses a body; the same body always gives the same bytes.
func (z *Zipkin) pack(body []byte) []byte {
	packed := bytes.NewBuffer(make([]byte, 0, len(body)/4))
	w := z.packers.Get().(*gzip.Writer)
	w.Reset(packed)
	w.Write(body) // to memory: cannot fail
	w.Close()
	z.packers.Put(w)
	return packed.Bytes()
}

// Of an answer's body so much is read for its words, and so much at most to have
// the connection free for the next request.
const (
	zipkinWords     = 4 << 10
	zipkinDrain     = 256 << 10
	zipkinWordsWait = 5 * time.Second
)

// do sends a request with what every request of ours has; login may be "".
func (z *Zipkin) do(request *http.Request, login string) (*http.Response, error) {
	request.Header.Set("User-Agent", "tomoscrape")
	if login != "" {
		request.Header.Set("Authorization", login)
	}
	return z.client.Do(request)
}

// try makes one request.
func (z *Zipkin) try(ctx context.Context, wire zipkin.Wire, packed []byte) (answer zipkinAnswer) {
	ctx, cancel := context.WithTimeoutCause(ctx, z.opt.Timeout, fmt.Errorf("no answer within %v", z.opt.Timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, z.endpoint.post.String(), bytes.NewReader(packed))
	if err != nil {
		return zipkinAnswer{err: err}
	}
	login := z.login.current()
	request.Header.Set("Content-Type", wire.ContentType())
	request.Header.Set("Content-Encoding", "gzip")
	response, err := z.do(request, login)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return zipkinAnswer{err: err}
	}
	defer response.Body.Close()
	// The status is the answer; a body that breaks off or does not end only
	// costs its words.
	defer time.AfterFunc(zipkinWordsWait, cancel).Stop()
	words, _ := io.ReadAll(io.LimitReader(response.Body, zipkinWords))
	io.CopyN(io.Discard, response.Body, zipkinDrain)
	text := z.login.hide(strings.TrimSpace(string(words)))
	return zipkinAnswer{
		status:     response.StatusCode,
		login:      login,
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
