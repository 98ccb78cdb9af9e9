package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

const (
	window    = time.Minute // in which a cause is logged once
	maxCauses = 1_000       // that are told apart
	maxKey    = 256         // bytes of a message or a cause by which it is told apart
)

// Logger is a slog.Logger that does not repeat itself. The cause of a record is
// its level and message, and its attribute "cause" if it has one (its own, or
// one given by With). The first record of a cause in a minute is written, those
// that follow are counted, and the next one that is written carries how many were
// not as "repeated". Where none follows, the count is written as a record of its
// own once the minute is over and anything else is logged, at the latest by Flush.
// Beyond 1,000 different causes in one minute, records are only counted.
//
// What is written is safe for a terminal.
type Logger struct {
	*slog.Logger
	state *limiter
}

// NewLogger logs to w in the format "text" or "json". Records below the level
// are dropped, and not counted. w gets one Write for each record, never two at
// once.
func NewLogger(w io.Writer, format string, level slog.Leveler) (*Logger, error) {
	var to slog.Handler
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text": // quotes and escapes what is not safetext.Printable
		to = slog.NewTextHandler(w, options)
	case "json":
		to = slog.NewJSONHandler(printableJSON{w}, options)
	default:
		return nil, fmt.Errorf("%q is no format of the log: expected text or json", format)
	}
	state := &limiter{to: to, entries: map[key]*entry{}}
	return &Logger{slog.New(&limited{Handler: to, limiter: state}), state}, nil
}

// Flush writes how many records were held back of each cause. The Logger can
// still be used.
func (l *Logger) Flush() error {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.forget(time.Now(), func(key, *entry) bool { return true })
}

// key tells causes apart.
type key struct {
	level          slog.Level
	message, cause string
}

type entry struct {
	since      time.Time // of the record that was written
	last       time.Time // of the last one held back
	suppressed int64     // since
}

// limiter is what all handlers of one Logger share. Its clock is the time of the
// records.
type limiter struct {
	to slog.Handler // without attributes

	mu      sync.Mutex
	entries map[key]*entry
	swept   time.Time // of entries whose minute is over
}

// pass says whether a record may be written, and how many of its cause were held
// back before it.
func (l *limiter) pass(k key, now time.Time) (suppressed int64, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := func(e *entry) bool { return now.Sub(e.since) >= window }
	if now.Sub(l.swept) >= window {
		l.swept = now
		err = l.forget(now, func(other key, e *entry) bool { return other != k && over(e) })
	}
	e := l.entries[k]
	if e == nil && len(l.entries) < maxCauses {
		e = &entry{}
		l.entries[k] = e
	} else if e == nil {
		k = key{level: k.level, message: otherCauses}
		if e = l.entries[k]; e == nil {
			e = &entry{since: now}
			l.entries[k] = e
		}
	}
	if k.message != otherCauses && over(e) {
		suppressed = e.suppressed
		*e = entry{since: now}
		return suppressed, true, err
	}
	e.suppressed++
	e.last = now
	return 0, false, err
}

// otherCauses is under what records are counted whose causes have no place of
// their own. None of these is written.
const otherCauses = "(beyond 1,000 different messages in a minute)"

// forget drops the entries that are chosen, and writes what they held back.
func (l *limiter) forget(now time.Time, chosen func(key, *entry) bool) error {
	var errs []error
	for k, e := range l.entries {
		if !chosen(k, e) {
			continue
		}
		delete(l.entries, k)
		if e.suppressed == 0 {
			continue
		}
		r := slog.NewRecord(now, k.level, "messages were held back", 0)
		r.AddAttrs(slog.String("message", k.message), slog.Int64("repeated", e.suppressed), slog.Time("last", e.last))
		if k.cause != "" {
			r.AddAttrs(slog.String("cause", k.cause))
		}
		errs = append(errs, l.to.Handle(context.Background(), r))
	}
	return errors.Join(errs...)
}

// limited is a slog.Handler that asks the limiter before each record.
type limited struct {
	slog.Handler
	limiter *limiter
	cause   string // given by With
}

// Handle is part of slog.Handler.
func (h *limited) Handle(ctx context.Context, r slog.Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	cause := h.cause
	r.Attrs(func(a slog.Attr) bool {
		cause = causeOf(a, cause)
		return true
	})
	suppressed, ok, err := h.limiter.pass(key{r.Level, safetext.ClipBytes(r.Message, maxKey),
		safetext.ClipBytes(cause, maxKey)}, r.Time)
	if !ok {
		return err
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int64("repeated", suppressed))
	}
	return errors.Join(err, h.Handler.Handle(ctx, r))
}

// WithAttrs is part of slog.Handler.
func (h *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := &limited{h.Handler.WithAttrs(attrs), h.limiter, h.cause}
	for _, a := range attrs {
		with.cause = causeOf(a, with.cause)
	}
	return with
}

// WithGroup is part of slog.Handler.
func (h *limited) WithGroup(name string) slog.Handler {
	return &limited{h.Handler.WithGroup(name), h.limiter, h.cause}
}

// causeOf is the value of a if it is named cause, else what was before.
func causeOf(a slog.Attr, before string) string {
	if a.Key != "cause" {
		return before
	}
	return a.Value.Resolve().String()
}

// printableJSON writes JSON with what is no safetext.Printable character escaped: slog
// does so with ASCII's control characters only. In JSON, such can stand in
// strings only.
type printableJSON struct{ to io.Writer }

// Write is part of io.Writer.
func (w printableJSON) Write(line []byte) (int, error) {
	escaped := make([]byte, 0, len(line))
	for rest := line; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\n' || unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1):
			escaped = append(escaped, rest[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	if _, err := w.to.Write(escaped); err != nil {
		return 0, err
	}
	return len(line), nil
}
