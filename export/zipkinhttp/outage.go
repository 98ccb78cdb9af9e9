package zipkinhttp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Outage is a time in which the server takes nothing.
type Outage struct {
	Since time.Time
	Cause string // the last, escaped
}

// Outage tells the outage that is going on; false if there is none.
func (z *Client) Outage() (Outage, bool) {
	z.health.mu.Lock()
	defer z.health.mu.Unlock()
	return z.health.outage, z.health.isOut()
}

// A cause is told when it first appears, and again after this time if it lasts
// or comes back.
const (
	repeatCause = 10 * time.Minute
	maxCauses   = 64 // remembered at once
)

// health is what all requests together know about the server. In an outage
// one request at a time is tried, and the others wait for it.
type health struct {
	server string // as in messages
	giveUp time.Duration
	turn   chan struct{} // full while a request is the one that is tried

	telling sync.Mutex
	warn    func(string)

	mu     sync.Mutex
	stuck  time.Time // since when something fails and no span's fate was settled; zero if that is not so
	outage Outage    // Since is zero without one
	noted  time.Time // when the first request of it failed
	told   bool      // that there is one
	causes map[string]time.Time
}

// say tells the user something at once.
func (h *health) say(text string) {
	h.telling.Lock()
	defer h.telling.Unlock()
	h.warn(text)
}

func (h *health) isOut() bool { return !h.outage.Since.IsZero() }

func (h *health) out() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isOut()
}

// enter waits, in an outage, for the turn to try; the caller then holds it if
// the outage is still going on. The error is the cause for which ctx ended.
func (h *health) enter(ctx context.Context) (holds bool, err error) {
	if !h.out() {
		return false, nil
	}
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if !h.out() {
		h.leave()
		return false, nil
	}
	return true, nil
}

func (h *health) leave() { <-h.turn }

// progress notes that the fate of a span was settled.
func (h *health) progress() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stuck = time.Time{}
}

// sticks says since when no span's fate was settled, as it is when a request
// that was begun then fails.
func (h *health) sticks(begun time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stuck.IsZero() {
		h.stuck = begun
	}
	return h.stuck
}

// fails notes that a request which was begun then got the answer, or none.
func (h *health) fails(begun time.Time, a reply) {
	cause, now := a.String(), time.Now()
	h.mu.Lock()
	begins := !h.isOut()
	if begins {
		h.outage.Since, h.noted = begun, now
	}
	h.outage.Cause = cause
	since := h.outage.Since
	key := a.kind()
	last, known := h.causes[key]
	tell := !known || now.Sub(last) >= repeatCause
	if tell {
		if h.causes == nil || len(h.causes) >= maxCauses {
			h.causes = map[string]time.Time{}
		}
		h.causes[key] = now
		h.told = true
	}
	h.mu.Unlock()
	switch {
	case tell && begins && h.giveUp > 0:
		h.say(fmt.Sprintf("zipkin %s: %s; trying again for up to %s", h.server, cause, inWords(h.giveUp)))
	case tell && begins:
		h.say(fmt.Sprintf("zipkin %s: %s; trying again until it works", h.server, cause))
	case tell:
		h.say(fmt.Sprintf("zipkin %s: %s; still trying after %s", h.server, cause, inWords(now.Sub(since))))
	}
}

// works notes that the server dealt with a request which was begun then. That
// ends an outage, but not one that began behind the request.
func (h *health) works(begun time.Time) {
	h.mu.Lock()
	since := h.outage.Since
	if since.IsZero() || begun.Before(h.noted) {
		h.mu.Unlock()
		return
	}
	told := h.told
	h.outage, h.told = Outage{}, false
	h.mu.Unlock()
	if told {
		h.say(fmt.Sprintf("zipkin %s: it works again, after %s", h.server, inWords(time.Since(since))))
	}
}

// waiting is how one request waits for the server.
type waiting struct {
	z      *Client
	pauses backoff.BackOff
	holds  bool // the turn of an outage
	told   bool // that it alone fails
}

func (z *Client) newWaiting() *waiting {
	return &waiting{z: z, pauses: &backoff.ExponentialBackOff{
		InitialInterval:     z.opt.FirstPause,
		MaxInterval:         z.opt.MaxPause,
		Multiplier:          2,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}}
}

// enter waits until the request may be tried, and says when that is. The error is
// the cause for which ctx ended.
func (w *waiting) enter(ctx context.Context) (begun time.Time, err error) {
	if ctx.Err() != nil {
		return time.Time{}, context.Cause(ctx)
	}
	if !w.holds {
		w.holds, err = w.z.health.enter(ctx)
	}
	return time.Now(), err
}

func (w *waiting) leave() {
	if w.holds {
		w.z.health.leave()
		w.holds = false
	}
}

// outage waits after an answer that the server takes nothing now. The error says
// that it was given up, or is the cause for which ctx ended.
func (w *waiting) outage(ctx context.Context, begun time.Time, a reply) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.z.health.fails(begun, a)
	pause, err := w.pause(begun, a, nil)
	if err != nil {
		return err
	}
	if !w.holds {
		if w.holds, err = w.z.health.enter(ctx); err != nil {
			return err
		}
	}
	if w.holds { // else the outage was over before it came to this request
		sleep(ctx, pause)
	}
	return nil
}

// aside waits after an answer that is given to this span alone, or to all, while
// an empty list is taken. Others may be tried meanwhile.
func (w *waiting) aside(ctx context.Context, begun time.Time, a reply, node *trace.Node) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	others := w.z.hasTaken()
	if others {
		w.z.health.works(begun)
	} else {
		w.z.health.fails(begun, a)
		node = nil
	}
	w.leave()
	pause, err := w.pause(begun, a, node)
	if err != nil {
		return err
	}
	if others && !w.told {
		w.told = true
		w.z.health.say(fmt.Sprintf("zipkin %s: span %s of trace %s alone is not taken, others are: %s; it is sent "+
			"again until it is",
			w.z.endpoint.shown(), node.ID, node.TraceID, a))
	}
	sleep(ctx, pause)
	return nil
}

// pause is how long to wait, unless it is time to give up; node is not nil if
// others are taken.
func (w *waiting) pause(begun time.Time, a reply, node *trace.Node) (time.Duration, error) {
	z := w.z
	pause := w.pauses.NextBackOff()
	asked := a.retryAfter > pause
	if asked {
		pause = min(a.retryAfter, maxRetryAfter)
	}
	tried := time.Since(z.health.sticks(begun))
	if z.opt.GiveUp > 0 && tried+pause > z.opt.GiveUp {
		return 0, z.gaveUp(a, tried, asked, node)
	}
	z.mu.Lock()
	z.report.Retried++
	z.mu.Unlock()
	return pause, nil
}

// sleep waits for so long, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
