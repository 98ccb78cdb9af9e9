package zipkinhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openzipkin/zipkin-go/model"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// URLError says why an address cannot be Zipkin's; it is a mistake in the
// use of the program.
type URLError struct {
	URL     string // without name and password, escaped
	Problem string
	Instead string // the address to write, "" if that is not known; escaped
	Jaeger  bool   // it was to be that of Jaeger's query service
}

func (e *URLError) Error() string {
	if e.Jaeger {
		return fmt.Sprintf("address of Jaeger's query service %q: %s; expected something like http://HOST:%s", e.URL,
			e.Problem, jaegerPort)
	}
	expected := "expected something like http://HOST:9411"
	if e.Instead != "" {
		expected = "write " + e.Instead
	}
	return fmt.Sprintf("zipkin address %q: %s; %s", e.URL, e.Problem, expected)
}

// endpoint is where a server takes spans and shows them.
type endpoint struct {
	base url.URL // no slash at its end; the API and the page are below
	post url.URL
}

// ParseURL checks an address a user gave for Zipkin and returns the one
// that spans are posted to. Good are http and https addresses of the server, of
// its page (http://HOST:9411/zipkin/) and of its API, also below another path;
// one that ends in /api/v2/spans is taken as it is. The error is a
// [*URLError].
func ParseURL(address string) (string, error) {
	endpoint, err := parseZipkinEndpoint(address)
	return endpoint.post.String(), err
}

func parseZipkinEndpoint(address string) (endpoint, error) {
	bad := func(problem string) (endpoint, error) {
		shown := address[strings.LastIndexByte(address, '@')+1:]
		return endpoint{}, &URLError{URL: safetext.Escape(shown), Problem: problem}
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return bad("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("it does not begin with http:// or https://")
	case u.Hostname() == "":
		return bad("it names no host")
	case !isPort(u.Port()):
		return bad("its port is none: ports are 1 to 65535")
	}
	path := strings.TrimRight(u.Path, "/")
	problem, instead := elsewhere(u, path)
	switch {
	case problem != "":
		return endpoint{}, &URLError{URL: safetext.Escape(withoutUser(address)), Problem: problem,
			Instead: safetext.Escape(instead)}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return bad("nothing may follow a ? or # in it")
	}
	base, whole := strings.CutSuffix(path, "/api/v2/spans")
	if !whole {
		// The page has the query API under /zipkin, but takes no spans there.
		base = strings.TrimSuffix(strings.TrimSuffix(path, "/api/v2"), "/zipkin")
	}
	clean := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}
	e := endpoint{base: clean, post: clean}
	e.base.Path, e.post.Path = base, base+"/api/v2/spans"
	return e, nil
}

// otherPlaces are the ends of paths where no spans in Zipkin's second form are
// posted; * is one step of a path. Who takes them beside others does so at a port
// of its own.
var otherPlaces = []struct{ path, problem, port string }{
	{"/api/v1/spans", "it is of Zipkin's first API, and spans go to the second", ""},
	{"/api/v1", "it is of Zipkin's first API, and spans go to the second", ""},
	{"/api/v2/trace/*", "Zipkin is asked for a trace there, and takes no spans", ""},
	{"/api/v2/traces", "Zipkin is asked for traces there, and takes no spans", ""},
	{"/api/v2/services", "Zipkin is asked for services there, and takes no spans", ""},
	{"/zipkin/traces/*", "it is the page of a trace", ""},
	{"/zipkin/dependency", "it is a page of Zipkin's", ""},
	{"/api/traces", "Jaeger takes spans in its own form there, not in Zipkin's", "9411"},
	{"/v1/traces", "spans in OpenTelemetry's form are taken there, not in Zipkin's", "9411"},
}

// elsewhere says what a path is for if that is not to take spans, and the address
// to write in place of u.
func elsewhere(u *url.URL, path string) (problem, instead string) {
	for _, place := range otherPlaces {
		end := path
		if head, any := strings.CutSuffix(place.path, "*"); any {
			place.path, end = head, path[:strings.LastIndexByte(path, '/')+1]
		}
		base, found := strings.CutSuffix(end, place.path)
		if !found {
			continue
		}
		right := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(base, "/zipkin")}
		if place.port != "" {
			right.Host = net.JoinHostPort(u.Hostname(), place.port)
		}
		return place.problem, right.String()
	}
	return "", ""
}

// isPort says whether the port of an address can be one; "" is the scheme's own.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// shown is the server's address without name and password.
func (e endpoint) shown() string {
	base := e.base
	base.User = nil
	return base.String()
}

// window is what delivered spans cover; microseconds.
type window struct {
	first, last int64
	spans       int
	trace       model.TraceID // of the first of them
	oneTrace    bool          // it is that of all
	service     string        // of the one that begins first, lower case, "" for none
}

// add adds a span that began at start.
func (w *window) add(start int64, trace model.TraceID, service string) {
	if w.spans == 0 {
		w.first, w.last, w.trace, w.oneTrace, w.service = start, start, trace, true, service
	}
	if start < w.first {
		w.service = service
	}
	w.spans++
	w.first, w.last, w.oneTrace = min(w.first, start), max(w.last, start), w.oneTrace && trace == w.trace
}

// covers makes the search for what was delivered cover a time, too.
func (z *Client) covers(first, last int64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.found.spans > 0 {
		z.found.first, z.found.last = min(z.found.first, first), max(z.found.last, last)
	}
}

// Rootless notes down traces that lack their root: of these Zipkin may have more
// than is delivered now.
type Rootless struct{ ids []model.TraceID }

// So many are noted down, and so long Zipkin may take to answer for them.
const (
	maxRootless = 1000
	coverWait   = 30 * time.Second
)

// Of passes traces on and notes down those without a root.
func (r *Rootless) Of(traces iter.Seq2[*trace.Trace, error]) iter.Seq2[*trace.Trace, error] {
	return func(yield func(*trace.Trace, error) bool) {
		for t, err := range traces {
			if err == nil && len(r.ids) < maxRootless && t.ID.Fits128() && !slices.ContainsFunc(t.Spans, isRoot) {
				r.ids = append(r.ids, model.TraceID{High: t.ID.Hi, Low: t.ID.Lo})
			}
			if !yield(t, err) {
				return
			}
		}
	}
}

// isRoot says whether Zipkin takes a span for a root.
func isRoot(n trace.Node) bool { return !n.HasParent || n.ParentID.IsZero() || n.ParentID == n.ID }

// Cover makes the search cover all that Zipkin has of traces, as it goes by the
// time of their roots. What cannot be asked for, or not within coverWait, changes
// nothing.
func (z *Client) Cover(ctx context.Context, r *Rootless) {
	if z.Receiver() != ReceiverZipkin {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, coverWait)
	defer cancel()
	inParallel(ctx, z.opt.Requests, r.ids, func(ctx context.Context, id model.TraceID) error {
		stored, err := z.stored(ctx, id)
		for key := range stored {
			if key.start > 0 {
				z.covers(key.start, key.start)
			}
		}
		return err
	})
}

// page says what Zipkin's page says of itself: whether its search is switched off,
// and whether it is not there at all.
func (z *Client) page(ctx context.Context) (searchOff, missing bool) {
	ctx, cancel := context.WithTimeout(ctx, wordsWait)
	defer cancel()
	var config struct{ SearchEnabled *bool }
	status, err := z.get(ctx, "/zipkin/config.json", nil, func(d *json.Decoder) error { return d.Decode(&config) })
	return err == nil && config.SearchEnabled != nil && !*config.SearchEnabled, err == nil &&
		status == http.StatusNotFound
}

// hasNoAPI says whether Zipkin's API for reading is not at the address.
func (z *Client) hasNoAPI(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, wordsWait)
	defer cancel()
	none := (*Error)(nil)
	return errors.As(z.hasAPI(ctx), &none) && none.Status == http.StatusNotFound
}

// Search tells where delivered traces are found.
type Search struct {
	Page string // address of Zipkin's or Jaeger's page with the search filled in, "" if it is not there
	API  string // the same search in Zipkin's API, "" for other receivers
	// Old is a sentence for the user if traces are older than Zipkin looks for
	// by itself, or it looks for none, else "".
	Old string
}

// Zipkin's page and API look back a day unless told otherwise; its index on
// Cassandra keeps three days.
const indexAge = 3 * 24 * time.Hour

// The number of traces asked for is that of the spans, for the index of Zipkin on
// Cassandra has a row for each and gives but 3 rows for each trace asked for; it
// is Zipkin's own default at least, and no more than a page can show.
const (
	minZipkinLimit = 10
	maxZipkinLimit = 1000
)

// Search gives the search that finds what was delivered; false if nothing was.
// Client compares the time of a trace's root with the window from endTs-lookback
// to endTs, in whole milliseconds and both ends included. The window here covers
// the starts of all spans, so also that of the root, unless that was delivered
// before: see [Client.Cover]. Of another receiver it is
// Jaeger's page, if that answers; where nobody named it, if it has what was
// delivered.
func (z *Client) Search(ctx context.Context) (Search, bool) {
	z.mu.Lock()
	w := z.found
	z.mu.Unlock()
	if w.spans == 0 {
		return Search{}, false
	}
	if z.Receiver() != ReceiverZipkin {
		if z.answersAsJaeger(ctx) != nil || z.guessesJaeger() && !z.isInJaeger(ctx, w.trace) {
			return Search{}, true
		}
		return Search{Page: z.jaegerSearch(w)}, true
	}
	searchOff, missing := z.page(ctx)
	if missing && z.hasNoAPI(ctx) {
		return Search{}, true
	}
	if searchOff {
		search := Search{Page: z.endpoint.shown() + "/zipkin/traces/" + w.trace.String()}
		if !w.oneTrace {
			search.Old = "Search is switched off there (SEARCH_ENABLED=false): a trace opens by its ID alone, this " +
				"is one of them; tomoscrape list shows all IDs."
		}
		return search, true
	}
	from := w.first / 1000
	to := max((w.last+999)/1000, from+1) // a lookback of 0 is refused
	limit := min(max(w.spans, minZipkinLimit), maxZipkinLimit)

	base := z.endpoint.shown()
	search := Search{
		Page: fmt.Sprintf("%s/zipkin/?lookback=range&startTs=%d&endTs=%d&limit=%d", base, from, to, limit),
		API:  fmt.Sprintf("%s/api/v2/traces?endTs=%d&lookback=%d&limit=%d", base, to, to-from, limit),
	}
	if missing {
		search.Page = ""
	}
	if time.Since(time.UnixMicro(w.first)) > indexAge {
		search.Old = "Some of these traces are older than three days: Zipkin's own search does not look that far " +
			"back without this address, " +
			"and with Cassandra as its storage finds them by trace ID alone; --shift-to now moves them to the " +
			"present, in a Zipkin that does not have them yet."
	}
	return search, true
}

// ShiftToNow is the one shift, in whole microseconds, that moves the latest end
// of all traces to now and keeps their distances; 0 without any time. The error
// is one among the traces.
func ShiftToNow(traces iter.Seq2[*trace.Trace, error], now time.Time) (time.Duration, error) {
	end, found := int64(0), false
	for t, err := range traces {
		if err != nil {
			return 0, err
		}
		if t.HasStart && (!found || t.End > end) {
			end, found = t.End, true
		}
	}
	if !found {
		return 0, nil
	}
	return time.Duration(now.UnixMicro()-end) * time.Microsecond, nil
}
