package zipkinhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/safetext"

	"github.com/cenkalti/backoff/v5"
	"github.com/openzipkin/zipkin-go/model"
)

// Verification says what of the acknowledged spans can be read back.
type Verification struct {
	Accepted int64 // spans that were acknowledged, in Zipkin's model
	Spans    int   // of them that were looked for, each once
	Sample   bool  // not all traces were looked for
	Traces   int   // that were looked for
	Jaeger   bool  // it was asked, by id alone
	// SearchOff says that Zipkin searches for nothing, so it was asked by id alone.
	SearchOff bool
	Missing   []Missing
	// These are stored whole; hexadecimal. Doubled are there with other times,
	// too, and are not searched for. A search for their service and time does not
	// find the others: Old are older than the index of Zipkin on Cassandra.
	Doubled, Old, Unfound []string
	// Unsure are stored traces of which a search cannot tell, for it finds too
	// many others with them.
	Unsure int
}

// Missing is a trace of which spans were acknowledged and are not there.
type Missing struct {
	TraceID string // hexadecimal
	Spans   int    // that are not there
	Of      int    // that were looked for
}

// OK says that nothing is missing.
func (v *Verification) OK() bool { return len(v.Missing) == 0 }

// missing counts the spans that are.
func (v *Verification) missing() (spans int) {
	for _, m := range v.Missing {
		spans += m.Spans
	}
	return spans
}

// Lines are the sentences for the user, without line breaks.
func (v *Verification) Lines() []string {
	if v.Traces == 0 {
		return []string{"nothing was there to be read back"}
	}
	whole := v.Traces - len(v.Missing)
	head := fmt.Sprintf("read back: %d of %s stored whole", whole, safetext.Plural(int64(v.Traces), "trace"))
	if v.Sample {
		head += fmt.Sprintf(" (a sample: %d of %s)", v.Spans, safetext.Plural(v.Accepted, "acknowledged span"))
	}
	if found := whole - len(v.Doubled) - len(v.Old) - len(v.Unfound) - v.Unsure; found == v.Traces && !v.Jaeger &&
		!v.SearchOff {
		head += ", and found by search"
	}
	lines := []string{head}
	if len(v.Missing) > 0 {
		list := make([]string, len(v.Missing))
		for i, m := range v.Missing {
			list[i] = fmt.Sprintf("%s (%d of %d)", m.TraceID, m.Spans, m.Of)
		}
		reason := "Zipkin acknowledged them and does not have them: its storage refused them (see its log), or made " +
			"room for others (MEM_MAX_SPANS of its storage in memory)"
		if v.Jaeger {
			reason = "They were acknowledged, and Jaeger does not have them: what passes them on or its storage " +
				"dropped them (see their logs), " +
				"or it made room for others (max_traces of its storage in memory)"
		}
		lines = append(lines, fmt.Sprintf("missing: %s of %s: %s. %s", safetext.Plural(int64(v.missing()), "span"),
			safetext.Plural(int64(len(list)), "trace"), someOf(list), reason))
	}
	stored := func(how string, traces []string, what string) {
		if len(traces) > 0 {
			lines = append(lines, fmt.Sprintf("stored, but %s: %s: %s. %s", how, safetext.Plural(int64(len(traces)),
				"trace"), someOf(traces), what))
		}
	}
	stored("there with other times, too", v.Doubled,
		"Zipkin had them from an earlier replay, with or without --shift-to now. "+
			"It takes both for one trace, mixes them, and its search goes by one of the times: replay into a Zipkin "+
			"that does not have them")
	stored("not found by search", v.Old,
		"They open by trace ID. On Cassandra Zipkin's search looks no further back than its index is kept, "+
			"3 days, whatever time is asked for: --shift-to now moves traces to the present, in a Zipkin that does not "+
			"have them yet")
	stored("not found by search", v.Unfound, "They open by trace ID")
	if v.SearchOff {
		lines = append(lines,
			"whether search finds them was not asked: it is switched off there (SEARCH_ENABLED=false); they open by "+
				"trace ID")
	}
	if v.Unsure > 0 {
		lines = append(lines,
			fmt.Sprintf("stored, but too many others at the same time to tell whether search finds them: %s",
				safetext.Plural(int64(v.Unsure), "trace")))
	}
	return lines
}

// someOf lists the first few.
func someOf(list []string) string {
	const most = 10
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// Verify reads back what was acknowledged since it was last called: every trace
// by its id, and by a search for its service and time. A server that is still
// storing is waited for, until patience has passed without anything new coming
// to light. Remember must be set. The error is a [*Error] if the server
// cannot be asked, or the cause for which ctx ended; then nothing is known. What
// could not be read back for the time being is looked for again in the next call.
func (z *Client) Verify(ctx context.Context, patience time.Duration) (Verification, error) {
	z.mu.Lock()
	memory := z.memory
	if memory != nil {
		z.memory = newZipkinMemory(memory.limit)
	}
	z.mu.Unlock()
	if memory == nil || len(memory.traces) == 0 {
		return Verification{}, nil
	}
	if err := z.canReadBack(ctx); err != nil {
		z.mu.Lock()
		z.memory.take(memory) // it may be back the next time
		z.mu.Unlock()
		return Verification{}, err
	}
	r := newZipkinReader(z, memory)
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: min(z.opt.FirstPause, verifyPause), MaxInterval: min(z.opt.MaxPause, verifyPause),
		Multiplier: 2, RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
	for progress := time.Now(); ; {
		before := r.open()
		err := r.round(ctx)
		if ctx.Err() != nil {
			return Verification{}, context.Cause(ctx)
		}
		if r.open() < before {
			progress = time.Now()
		}
		if stop := (*Error)(nil); errors.As(err, &stop) {
			return Verification{}, err
		}
		if r.open() == 0 && err == nil {
			return r.result(memory), nil
		}
		if time.Since(progress) >= patience {
			if err != nil {
				z.mu.Lock()
				z.memory.take(memory)
				z.mu.Unlock()
				return Verification{}, &Error{URL: z.endpoint.shown(), Err: err,
					Problem: "what was delivered could not be read back, so whether it is stored is not known",
					Hint: "it is to be asked again when it works: tail does so while it runs, replay when it is " +
						"run again (spans that come twice are shown once)"}
			}
			v := r.result(memory)
			if r.jaeger && z.guessesJaeger() && v.missing() == v.Spans {
				return Verification{}, z.notInGuess()
			}
			return v, nil
		}
		select {
		case <-time.After(pauses.NextBackOff()):
		case <-ctx.Done():
			return Verification{}, context.Cause(ctx)
		}
	}
}

// verifyPause is the longest pause between two looks.
const verifyPause = 2 * time.Second

// The state of a trace that is read back.
type finding struct {
	*remembered
	id      model.TraceID
	missing int
	doubled bool // a span is there at another time, too
	found   bool // by search
	unsure  bool
}

// readBack reads traces back.
type readBack struct {
	z      *Client
	jaeger bool       // is asked, not Zipkin
	traces []*finding // by service and time
	// searchOff says that Zipkin searches for nothing.
	searchOff bool
}

func newZipkinReader(z *Client, memory *memory) *readBack {
	r := &readBack{z: z, jaeger: z.Receiver() != ReceiverZipkin}
	for id, t := range memory.traces {
		slices.SortFunc(t.spans, spanKey.compare)
		t.spans = slices.Compact(t.spans)
		r.traces = append(r.traces, &finding{remembered: t, id: id, missing: len(t.spans)})
	}
	return r
}

func (r *readBack) sort() {
	slices.SortFunc(r.traces, func(a, b *finding) int {
		return cmp.Or(strings.Compare(a.service, b.service), cmp.Compare(a.first, b.first),
			cmp.Compare(a.id.High, b.id.High), cmp.Compare(a.id.Low, b.id.Low))
	})
}

// compare is an order of spans.
func (a spanKey) compare(b spanKey) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.start, b.start), cmp.Compare(btoi(a.shared), btoi(b.shared)))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// open is the amount of what has not come to light yet.
func (r *readBack) open() (n int) {
	for _, t := range r.traces {
		if n += t.missing; t.searched() && !r.searchOff {
			n++
		}
	}
	return n
}

// searched says whether a search is still to find it.
func (t *finding) searched() bool { return !t.found && !t.doubled }

// result sums up.
func (r *readBack) result(memory *memory) Verification {
	v := Verification{Accepted: memory.accepted, Traces: len(r.traces), Sample: memory.partial, Jaeger: r.jaeger,
		SearchOff: r.searchOff}
	r.sort()
	for _, t := range r.traces {
		v.Spans += len(t.spans)
		id := t.id.String()
		switch {
		case t.missing > 0:
			v.Missing = append(v.Missing, Missing{id, t.missing, len(t.spans)})
		case t.doubled:
			v.Doubled = append(v.Doubled, id)
		case t.found, r.searchOff:
		case t.unsure:
			v.Unsure++
		case time.Since(time.UnixMicro(t.first)) > indexAge:
			v.Old = append(v.Old, id)
		default:
			v.Unfound = append(v.Unfound, id)
		}
	}
	return v
}

// round looks once for all that has not come to light yet. The error is a
// [*Error] if asking again is of no use.
func (r *readBack) round(ctx context.Context) error {
	byID := r.byJaeger
	if !r.jaeger {
		byID = r.byID
		if err := r.z.hasAPI(ctx); err != nil {
			return err
		}
		r.searchOff, _ = r.z.page(ctx)
	}
	var missing []*finding
	for _, t := range r.traces {
		if t.missing > 0 {
			missing = append(missing, t)
		}
	}
	if err := inParallel(ctx, r.z.opt.Requests, missing, byID); err != nil || r.searchOff {
		return err
	}
	r.sort()
	var groups [][]*finding
	const most = 32 // traces that one search is to find
	for _, t := range r.traces {
		if t.missing > 0 || !t.searched() {
			continue
		}
		last := len(groups) - 1
		if last >= 0 && len(groups[last]) < most && groups[last][0].service == t.service {
			groups[last] = append(groups[last], t)
		} else {
			groups = append(groups, []*finding{t})
		}
	}
	return inParallel(ctx, r.z.opt.Requests, groups, r.bySearch)
}

// hasAPI finds a server without the API for reading, which says 404 like one
// without a trace; the error is a [*Error] then.
func (z *Client) hasAPI(ctx context.Context) error {
	var services []string
	status, err := z.get(ctx, "/api/v2/services", nil, func(d *json.Decoder) error { return d.Decode(&services) })
	if err == nil && status != http.StatusOK {
		return &Error{URL: z.endpoint.shown(), Status: status,
			Problem: "what was delivered cannot be read back: it has no /api/v2/services there",
			Hint:    "only Zipkin itself, with QUERY_ENABLED, can be asked for what it stored"}
	}
	return err
}

// inParallel works on all things, some at once, until one fails.
func inParallel[T any](ctx context.Context, workers int, things []T, work func(context.Context, T) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan T)
	var group sync.WaitGroup
	for range min(workers, len(things)) {
		group.Go(func() {
			for thing := range next {
				if err := work(ctx, thing); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, thing := range things {
		if ctx.Err() != nil {
			break
		}
		next <- thing
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// byID asks for a trace, counts which of its spans are missing, and sees whether
// one is there at another time, too.
func (r *readBack) byID(ctx context.Context, t *finding) error {
	stored, err := r.z.stored(ctx, t.id)
	if err != nil {
		return err
	}
	others := map[spanKey]bool{} // spans with times that were not sent, which are left out here
	for key := range stored {
		if _, sent := slices.BinarySearchFunc(t.spans, key, spanKey.compare); !sent {
			key.start = 0
			others[key] = true
		}
	}
	t.missing, t.doubled = 0, false // and all with 404, which is the answer to an unknown id
	for _, key := range t.spans {
		if !stored[key] {
			t.missing++
		}
		key.start = 0
		t.doubled = t.doubled || others[key]
	}
	if t.doubled {
		return nil
	}
	for key := range stored { // those, too, that came before: one of them may be the root
		if key.start > 0 {
			t.first, t.last = min(t.first, key.start), max(t.last, key.start)
		}
	}
	r.z.covers(t.first, t.last)
	return nil
}

// stored are the spans of a trace that Zipkin has; none if it does not know it.
// The start of one is 0 if it has none.
func (z *Client) stored(ctx context.Context, id model.TraceID) (map[spanKey]bool, error) {
	spans := map[spanKey]bool{}
	_, err := z.get(ctx, "/api/v2/trace/"+id.String(), nil, func(d *json.Decoder) error {
		return elements(d, func() error {
			var span struct {
				ID        string      `json:"id"`
				Timestamp json.Number `json:"timestamp"`
				Shared    bool        `json:"shared"`
			}
			if err := d.Decode(&span); err != nil {
				return err
			}
			id, err := strconv.ParseUint(span.ID, 16, 64)
			start, _ := strconv.ParseInt(span.Timestamp.String(), 10, 64)
			if err == nil {
				spans[spanKey{model.ID(id), start, span.Shared}] = true
			}
			return nil
		})
	})
	return spans, err
}

// The most traces that a search is asked for.
const maxVerifyLimit = 10_000

// bySearch searches for traces of one service, which lie side by side in time.
// Client on Cassandra takes as many rows of its index as suit the limit, a row
// for each span, so that the spans of one trace can crowd out another although
// fewer traces are found than were asked for: what is not found is searched for
// with a larger limit, up to the largest.
func (r *readBack) bySearch(ctx context.Context, group []*finding) error {
	want := map[string]*finding{}
	from, to := group[0].first, group[0].last
	for _, t := range group {
		want[t.id.String()] = t
		from, to = min(from, t.first), max(to, t.last)
	}
	from /= 1000
	to = max((to+999)/1000, from+1) // a lookback of 0 is refused
	for limit := 10 * len(group); ; limit *= 10 {
		limit = min(limit, maxVerifyLimit)
		query := url.Values{}
		if group[0].service != "" {
			query.Set("serviceName", group[0].service)
		}
		query.Set("endTs", strconv.FormatInt(to, 10))
		query.Set("lookback", strconv.FormatInt(to-from, 10))
		query.Set("limit", strconv.Itoa(limit))
		found := 0
		_, err := r.z.get(ctx, "/api/v2/traces", query, func(d *json.Decoder) error {
			return elements(d, func() error { // traces
				found++
				return elements(d, func() error { // spans
					var span struct {
						TraceID string `json:"traceId"`
					}
					if err := d.Decode(&span); err != nil {
						return err
					}
					if t := want[span.TraceID]; t != nil {
						t.found = true
						delete(want, span.TraceID)
					}
					return nil
				})
			})
		})
		switch {
		case err != nil || len(want) == 0 || found < limit && limit == maxVerifyLimit:
			return err
		case found < limit:
		case len(group) > 1: // others crowd it out
			for _, t := range slices.Collect(maps.Values(want)) {
				if err := r.bySearch(ctx, []*finding{t}); err != nil {
					return err
				}
			}
			return nil
		case limit == maxVerifyLimit:
			group[0].unsure = true
			return nil
		}
	}
}

// elements goes through a JSON list.
func elements(d *json.Decoder, each func() error) error {
	if open, err := d.Token(); err != nil {
		return err
	} else if open != json.Delim('[') {
		return errors.New("it answered with something else than a list")
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// maxVerifyBody is how much of an answer is read at most.
const maxVerifyBody = 1 << 30

// get asks Zipkin's API for a path; see getAt.
func (z *Client) get(ctx context.Context, path string, query url.Values, read func(*json.Decoder) error) (status int,
	err error) {
	at := z.endpoint.base
	at.Path += path
	at.RawQuery = query.Encode()
	return z.getAt(ctx, at, z.login.current(), read)
}

// getAt asks for what is at an address and gives the answer to read if its status
// is 200; else the status is 404 or there is an error, a [*Error] if asking
// again is of no use. login is the header Authorization, "" for none.
func (z *Client) getAt(ctx context.Context, at url.URL, login string, read func(*json.Decoder) error) (status int,
	err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, z.opt.Timeout, fmt.Errorf("no answer within %v", z.opt.Timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return 0, err
	}
	response, err := z.do(request, login)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return http.StatusOK, answerProblem(read(json.NewDecoder(io.LimitReader(response.Body, maxVerifyBody))))
	}
	words, _ := io.ReadAll(io.LimitReader(response.Body, words))
	answer := reply{login: login}
	answer.read(response, z.login.hide(strings.TrimSpace(string(words))))
	switch {
	case answer.status == http.StatusNotFound:
		return answer.status, nil
	case answer.locked() && !z.login.renewed(login):
		return answer.status, z.stopped(answer)
	}
	return answer.status, errors.New(answer.String())
}

// answerProblem says what is wrong with an answer that cannot be decoded.
func answerProblem(err error) error {
	syntax, kind := (*json.SyntaxError)(nil), (*json.UnmarshalTypeError)(nil)
	switch {
	case errors.As(err, &syntax), errors.As(err, &kind):
		return errors.New("it gave an answer of another kind than it was asked for")
	case err == io.EOF:
		return errors.New("its answer is empty")
	case err == io.ErrUnexpectedEOF:
		return errors.New("its answer broke off")
	}
	return err
}
