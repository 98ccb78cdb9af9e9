package export

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ZipkinOutage is a time in which the server takes nothing.
type ZipkinOutage struct {
	Since time.Time
	Cause string // the last, escaped
}

// Outage tells the outage that is going on; false if there is none.
func (z *Zipkin) Outage() (ZipkinOutage, bool) {
	z.health.mu.Lock()
	defer z.health.mu.Unlock()
	return z.health.outage, z.health.isOut()
}

// A cause is told when it first appears, and again after this time if it lasts
// or comes back.
const (
	zipkinRepeatCause = 10 * time.Minute
	zipkinMaxCauses   = 64 // remembered at once
)

// zipkinHealth is what all requests together know about the server. In an outage
// one request at a time is tried, and the others wait for it.
type zipkinHealth struct {
	server string // as in messages
	giveUp time.Duration
	turn   chan struct{} // full while a request is the one that is tried

	telling sync.Mutex
	warn    func(string)

	mu     sync.Mutex
	outage ZipkinOutage // Since is zero without one
	noted  time.Time    // when the first request of it failed
	told   bool         // that there is one
	causes map[string]time.Time
}

// say tells the user something at once.
func (h *zipkinHealth) say(text string) {
	h.telling.Lock()
	defer h.telling.Unlock()
	h.warn(text)
}

func (h *zipkinHealth) isOut() bool { return !h.outage.Since.IsZero() }

func (h *zipkinHealth) out() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.isOut()
}

// enter waits, in an outage, for the turn to try; the caller then holds it if
// the outage is still going on. The error is the cause for which ctx ended.
func (h *zipkinHealth) enter(ctx context.Context) (holds bool, err error) {
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

func (h *zipkinHealth) leave() { <-h.turn }

// fails notes that a request which was begun then got the answer, or none, and
// returns since when there is no progress.
func (h *zipkinHealth) fails(begun time.Time, a zipkinAnswer) (since time.Time) {
	cause, now := a.String(), time.Now()
	h.mu.Lock()
	begins := !h.isOut()
	if begins {
		h.outage.Since, h.noted = begun, now
	}
	h.outage.Cause, since = cause, h.outage.Since
	key := a.kind()
	last, known := h.causes[key]
	tell := !known || now.Sub(last) >= zipkinRepeatCause
	if tell {
		if h.causes == nil || len(h.causes) >= zipkinMaxCauses {
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
		h.say(fmt.Sprintf("zipkin %s: %s; still trying after %s", h.server, cause, inWords(now.Sub(since).Round(time.Second))))
	}
	return since
}

// works notes that the server dealt with a request which was begun then. That
// ends an outage, but not one that began behind the request.
func (h *zipkinHealth) works(begun time.Time) {
	h.mu.Lock()
	since := h.outage.Since
	if since.IsZero() || begun.Before(h.noted) {
		h.mu.Unlock()
		return
	}
	told := h.told
	h.outage, h.told = ZipkinOutage{}, false
	h.mu.Unlock()
	if told {
		h.say(fmt.Sprintf("zipkin %s: it works again, after %s", h.server, inWords(time.Since(since).Round(time.Millisecond))))
	}
}
