package zipkinhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tomoscrape/tomoscrape/zipkin"
)

// Receiver is what takes spans in Zipkin's form.
type Receiver int

// The receivers.
const (
	ReceiverZipkin  Receiver = iota // Client itself
	ReceiverAuto                    // not known: to be found out
	ReceiverJaeger                  // Jaeger's collector
	ReceiverOTel                    // an OpenTelemetry Collector, which passes spans on
	receiverForeign                 // one of the last two, or something made of them
	receiverUnknown                 // could not be found out
)

// ReceiverWords are the receivers as a user names them.
var ReceiverWords = []string{"auto", "zipkin", "jaeger", "otel"}

// ParseReceiver is the receiver of one of the [ReceiverWords].
func ParseReceiver(word string) Receiver {
	return map[string]Receiver{"auto": ReceiverAuto, "jaeger": ReceiverJaeger, "otel": ReceiverOTel}[word]
}

// String is the receiver in a sentence.
func (r Receiver) String() string {
	switch r {
	case ReceiverZipkin, ReceiverAuto: // nothing was to be found out yet
		return "Zipkin"
	case ReceiverJaeger:
		return "Jaeger"
	case ReceiverOTel:
		return "an OpenTelemetry Collector"
	case receiverForeign:
		return "a receiver of OpenTelemetry's or Jaeger's"
	}
	return "an unknown receiver"
}

// form is what is known of the receiver, and how spans are written for it.
type form struct {
	receiver Receiver
	mapping  zipkin.Options
	asked    time.Time // when it answered last; zero if it was not asked
}

// form is how spans are written for a receiver.
func (z *Client) form(r Receiver) *form {
	mapping := z.opt.Mapping
	mapping.Foreign = r != ReceiverZipkin
	mapping.NoSplit = mapping.NoSplit || mapping.Foreign && !z.opt.AlwaysSplit
	return &form{receiver: r, mapping: mapping}
}

// Receiver is what takes the spans, as far as it is known by now.
func (z *Client) Receiver() Receiver {
	if form := z.current.Load(); form != nil {
		return form.receiver
	}
	return ReceiverAuto
}

// hasAnswered says whether it has said what it is, or taken something.
func (z *Client) hasAnswered() bool {
	form := z.current.Load()
	return form != nil && !form.asked.IsZero() || z.isTrusted()
}

// receiverAge is how long an answer to the question who receives is relied on.
const receiverAge = time.Minute

// receiverForm gives the form for the next spans. It waits until the receiver says
// what it is, as long as spans would be tried for; the errors are those of post.
//
// What was not Zipkin once is not taken for Zipkin again: behind one address
// there may be several, and what is written for the others Zipkin takes, too.
func (z *Client) receiverForm(ctx context.Context) (*form, error) {
	form := z.current.Load()
	if form != nil && (form.asked.IsZero() || time.Since(form.asked) < z.receiverAge) {
		return form, nil
	}
	select {
	case z.asking <- struct{}{}:
		defer func() { <-z.asking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if now := z.current.Load(); now != form { // somebody else has asked
		return now, nil
	}
	if form != nil {
		z.askAgain(ctx)
		return z.current.Load(), nil
	}
	begun := time.Now()
	receiver, err := z.ask(ctx)
	if silent := net.Error(nil); errors.As(err, &silent) && silent.Timeout() && !breaksOff(err) && ctx.Err() == nil {
		z.health.sticks(begun)
		z.health.fails(begun, reply{err: err}) // nobody is to wait as long again for a word
	}
	if receiver == receiverUnknown {
		// It is away or busy, or it is something else than expected: an empty list
		// is taken when that is over, or tells what is wrong. If it is refused for
		// itself, spans may still be taken.
		switch _, answer, err := z.post(ctx, &request{payload: emptyList()}); {
		case err == nil:
			receiver, _ = z.ask(ctx)
		case answer.verdict() != refused || answer.speaks != "":
			return nil, err
		}
	}
	z.learn(receiver)
	return z.current.Load(), nil
}

// learn takes down what the receiver is, and says it where it matters.
func (z *Client) learn(r Receiver) {
	form, before := z.form(r), z.current.Load()
	if r == ReceiverZipkin {
		form.asked = time.Now()
	}
	z.current.Store(form)
	if r == ReceiverZipkin {
		return
	}
	text := fmt.Sprintf("it is not Zipkin that takes the spans there, but %s", r)
	switch {
	case before != nil:
		text = fmt.Sprintf("it is not Zipkin any more that takes the spans there, but %s", r)
	case r == receiverUnknown:
		text = "whether it is Zipkin that takes the spans there cannot be told; --receiver says it"
	}
	if form.mapping.NoSplit && !z.opt.Mapping.NoSplit {
		text += "; it is sent one span for all services of a span, their notes as \"note @service\""
	}
	z.health.say(fmt.Sprintf("zipkin %s: %s; notes that hold | go with ¦ in its place, and as they are in a tag "+
		"tomograph.note.N.value (docs/receivers.md)",
		z.endpoint.shown(), text))
}

// askAgain asks what was Zipkin before; the caller has the turn to ask. Without
// an answer nothing changes.
func (z *Client) askAgain(ctx context.Context) (changed bool) {
	receiver, _ := z.ask(ctx)
	if receiver == receiverUnknown {
		return false
	}
	z.learn(receiver)
	return receiver != ReceiverZipkin
}

// changed asks again, and says whether the receiver is another one now than the
// form is for. With a nil form, or one that was given and not found out, it does
// not ask.
func (z *Client) changed(ctx context.Context, form *form) bool {
	if form == nil || form.asked.IsZero() {
		return false
	}
	select {
	case z.asking <- struct{}{}:
		defer func() { <-z.asking }()
	case <-ctx.Done():
		return false
	}
	return z.current.Load().receiver != form.receiver || z.askAgain(ctx)
}

// changedSince is changed, but asks only if nobody has since the form was taken:
// a refused batch is refused in many parts.
func (z *Client) changedSince(ctx context.Context, form *form) bool {
	if now := z.current.Load(); now != form {
		return now.receiver != form.receiver
	}
	return z.changed(ctx, form)
}

// errReceiverChanged is the end of a request that was written for another
// receiver than the one that came back from an outage.
var errReceiverChanged = errors.New("another receiver takes the spans now")

// noAnswer is the error of a server that says nothing for so long, a [net.Error].
type noAnswer time.Duration

func (d noAnswer) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(d)) }
func (noAnswer) Timeout() bool   { return true }
func (noAnswer) Temporary() bool { return true }

// ask finds out what takes the spans by its answer to a body without anything in
// it: Zipkin accepts that, what reads JSON with Go's libraries as the
// OpenTelemetry Collector and Jaeger do refuses it, and neither stores a thing.
// No other path needs to be there, no storage to work, and whatever stands
// between passes it on as it passes spans on.
func (z *Client) ask(ctx context.Context) (Receiver, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, z.opt.Timeout, noAnswer(z.opt.Timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, z.endpoint.post.String(), http.NoBody)
	if err != nil {
		return receiverUnknown, nil
	}
	request.Header.Set("Content-Type", zipkin.JSON.ContentType())
	response, err := z.do(request, z.login.current())
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return receiverUnknown, err
	}
	defer response.Body.Close()
	words, _ := io.ReadAll(io.LimitReader(response.Body, words))
	var answer reply
	answer.read(response, strings.TrimSpace(string(words)))
	switch answer.verdict() {
	case acknowledged:
		return ReceiverZipkin, nil
	case refused:
		list := emptyList()
		if answer := z.try(ctx, &list); answer.verdict() == acknowledged {
			return receiverForeign, nil
		} // else it refuses everything
	}
	return receiverUnknown, nil
}
