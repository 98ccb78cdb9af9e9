package zipkinhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// payload is what a request holds.
type payload struct {
	wire   zipkin.Wire
	bytes  []byte
	packed []byte // nil until it is needed
}

// emptyList is a body that Zipkin accepts and makes nothing of.
func emptyList() payload { return payload{wire: zipkin.JSON, bytes: zipkin.JSON.Join(nil)} }

// request is a body on its way, until there is a final word on it.
type request struct {
	payload
	form     *form // it was written for, nil for any receiver
	pieces   []encoded
	suspect  bool // the server takes others, and did not take a request with these in it
	patient  bool // no other waits behind it
	tries    int  // that failed by the server or the network
	refusals int  // one after the other
	between  bool // the server has taken another span since the first of them
}

// post sends a request until there is a word on it: acknowledged, refused,
// doubtful, to be split, or, if it is not patient, to be left aside for the others.
// If another receiver comes back from an outage, the error is errReceiverChanged.
func (z *Client) post(ctx context.Context, r *request) (verdict, reply, error) {
	w := z.newWaiting()
	defer w.leave()
	for {
		begun, err := w.enter(ctx)
		if err != nil {
			return 0, reply{}, err
		}
		answer := z.try(ctx, &r.payload)
		answer.spans = len(r.pieces) > 0
		switch verdict := z.judge(ctx, r, &answer); {
		case verdict == atOnce:
		case verdict == stop:
			return 0, answer, z.stopped(answer)
		case verdict == again:
			if err = w.outage(ctx, begun, answer); err == nil && z.changed(ctx, r.form) {
				err = errReceiverChanged
			}
		case verdict == aside && r.patient:
			err = w.aside(ctx, begun, answer, r.pieces[0].item.Node)
		case (verdict == aside || verdict == split) && !z.hasTaken():
			return verdict, answer, nil // an empty list was taken, which ends no outage
		default:
			z.health.works(begun)
			return verdict, answer, nil
		}
		if err != nil {
			return 0, reply{}, err
		}
	}
}

// breaks is how often a request may fail before the server is asked
// whether it takes others.
const breaks = 5

// judge says what to do about the answer to a request.
func (z *Client) judge(ctx context.Context, r *request, a *reply) verdict {
	verdict := a.verdict()
	if verdict != refused {
		r.refusals = 0
	}
	switch {
	case verdict == stop && a.status == http.StatusUnauthorized && z.login.renewed(a.login):
		return atOnce
	case verdict == stop && !a.locked() && z.isTrusted():
		verdict = again // it was Zipkin, and will be again
	case verdict == refused:
		return z.judgeRefusal(ctx, r, a)
	}
	if verdict == again && ctx.Err() == nil {
		return z.judgeFailure(ctx, r, a)
	}
	return verdict
}

// judgeFailure tells a server that fails from a request that makes it fail. That
// is no verdict on a span: it is sent until it is taken.
func (z *Client) judgeFailure(ctx context.Context, r *request, a *reply) verdict {
	if a.err != nil && (z.speaksHTTP2(a) || z.speaksOther(ctx, a)) {
		return stop
	}
	r.tries++
	if a.asksToWait() || !r.suspect && r.tries%breaks != 0 {
		return again
	}
	other := z.askOther(ctx)
	switch r.suspect = other.verdict() == acknowledged; {
	case !r.suspect:
		return again
	case len(r.pieces) > 1:
		return split
	}
	return aside
}

// judgeRefusal tells a server that refuses a span from one that refuses
// everything, or everything that is compressed. Only what is refused alone, twice
// and once more after another span was taken, is at fault itself.
func (z *Client) judgeRefusal(ctx context.Context, r *request, a *reply) verdict {
	r.refusals++
	alone := len(r.pieces) == 1
	switch {
	case alone && r.refusals == 1:
		r.between = false
		return atOnce
	case alone && r.between:
		return refused
	case !alone && z.hasTaken():
		return refused // its halves will tell
	}
	known := z.hasTaken()
	other := z.askOther(ctx)
	switch verdict := other.verdict(); {
	case a.packed && !z.packs():
		r.refusals = 0
		return atOnce
	case verdict == acknowledged && alone && !known:
		return doubtful // an empty list says little
	case verdict == acknowledged && alone:
		r.between = true
		return atOnce
	case verdict == acknowledged:
		return refused
	case verdict != refused || z.isTrusted():
		r.refusals = 0
		return again
	}
	z.speaksOther(ctx, a)
	return stop
}

// askOther asks the server for what it should take: the span that it took last,
// or an empty list before it took one. If that is refused, it is sent without
// compression, too, and when that is what was wrong, all else is from then on.
func (z *Client) askOther(ctx context.Context) reply {
	ctx, cancel := context.WithTimeoutCause(ctx, otherWait, errZipkinOther)
	defer cancel()
	z.mu.Lock()
	body := z.taken
	z.mu.Unlock()
	if body.bytes == nil {
		body = emptyList()
	}
	answer := z.try(ctx, &body)
	if answer.packed && answer.verdict() == refused {
		bare := z.send(ctx, body.wire, body.bytes, false)
		if bare.verdict() == acknowledged {
			z.health.say(fmt.Sprintf("zipkin %s: it does not take what is compressed with gzip (%s); from now on "+
				"nothing is compressed",
				z.endpoint.shown(), answer.refusal()))
			z.mu.Lock()
			z.bare = true
			z.mu.Unlock()
			answer = bare
		}
	}
	if answer.verdict() == acknowledged {
		z.mu.Lock()
		z.trusted = true
		z.mu.Unlock()
	}
	return answer
}

// askOther waits so long for an answer, and asks for a span of so many bytes at
// most if there is one.
const (
	otherWait = 10 * time.Second
	otherSize = 16 << 10
)

var errZipkinOther = fmt.Errorf("no answer within %v", otherWait)

// isTrusted says whether it is Zipkin that answers: it has taken something.
func (z *Client) isTrusted() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.trusted
}

// hasTaken says whether the server has taken a span.
func (z *Client) hasTaken() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.taken.bytes != nil
}

// packs says whether bodies are compressed.
func (z *Client) packs() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return !z.bare
}

// packers are *gzip.Writer.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for an unknown level
	return w
}}

// pack compresses a body; the same body always gives the same bytes.
func pack(body []byte) []byte {
	packed := bytes.NewBuffer(make([]byte, 0, len(body)/4))
	w := packers.Get().(*gzip.Writer)
	w.Reset(packed)
	w.Write(body) // to memory: cannot fail
	w.Close()
	packers.Put(w)
	return packed.Bytes()
}

// Of an answer's body so much is read for its words, and so much at most to have
// the connection free for the next request.
const (
	words     = 4 << 10
	drain     = 256 << 10
	wordsWait = 5 * time.Second
)

// do sends a request with what every request of ours has; login may be "".
func (z *Client) do(request *http.Request, login string) (*http.Response, error) {
	request.Header.Set("User-Agent", "tomoscrape")
	if login != "" {
		request.Header.Set("Authorization", login)
	}
	return z.client.Do(request)
}

// try sends a body once, compressed if the server takes that.
func (z *Client) try(ctx context.Context, b *payload) reply {
	if !z.packs() {
		return z.send(ctx, b.wire, b.bytes, false)
	}
	if b.packed == nil {
		b.packed = pack(b.bytes)
	}
	return z.send(ctx, b.wire, b.packed, true)
}

// send makes one request.
func (z *Client) send(ctx context.Context, wire zipkin.Wire, body []byte, packed bool) reply {
	ctx, cancel := context.WithTimeoutCause(ctx, z.opt.Timeout, fmt.Errorf("no answer within %v", z.opt.Timeout))
	defer cancel()
	answer := reply{login: z.login.current(), packed: packed}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, z.endpoint.post.String(), bytes.NewReader(body))
	if err != nil {
		answer.err = err
		return answer
	}
	request.Header.Set("Content-Type", wire.ContentType())
	if packed {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := z.do(request, answer.login)
	if refused := (*proxyError)(nil); errors.As(err, &refused) {
		answer.proxy, answer.status = safetext.Escape(refused.host), refused.status
		return answer
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		answer.err = err
		return answer
	}
	defer response.Body.Close()
	// The status is the answer; a body that breaks off or does not end only
	// costs its words.
	defer time.AfterFunc(wordsWait, cancel).Stop()
	words, _ := io.ReadAll(io.LimitReader(response.Body, words))
	io.CopyN(io.Discard, response.Body, drain)
	answer.read(response, z.login.hide(strings.TrimSpace(string(words))))
	return answer
}
