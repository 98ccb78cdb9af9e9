package zipkinhttp

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// verdict is what an answer means for a request.
type verdict int

const (
	acknowledged verdict = iota
	again                // the server is busy or broken, or the network: later
	refused              // the content may be at fault
	stop                 // address or permission are at fault: nothing will be accepted

	// What [Client.judge] makes of them when it knows more.

	atOnce   // something has changed, or is to be seen again: at once
	aside    // this request alone fails: later, and others meanwhile
	split    // the same, but of several spans: try fewer at a time
	doubtful // a span alone was refused by a server that has taken none
)

// reply is what came back for one request.
type reply struct {
	status     int    // 0 if err is set
	words      string // the beginning of the body, or the title of a web page; not escaped
	html       bool
	location   string // absolute, not escaped; of a redirection
	proxy      string // that answered in its place, escaped
	retryAfter time.Duration
	login      string // that was shown, a secret
	packed     bool   // the request's body was
	spans      bool   // the request had some
	speaks     string // http or https if it is that, and not what the address says; HTTP/2 if that alone
	err        error  // of the network
}

// verdict is what an answer means alone. The table of all answers is in
// docs/adr/0004-zipkin-sender.md.
func (a *reply) verdict() verdict {
	switch {
	case a.err != nil && tlsProblem(a.err) != "":
		return stop
	case a.err != nil, a.proxy != "" && !a.locked():
		return again
	case a.status == http.StatusAccepted, a.status/100 == 2 && !a.html:
		return acknowledged
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity:
		return refused
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return again
	case http.StatusNotImplemented:
		return stop
	}
	if a.status/100 == 5 {
		return again
	}
	return stop
}

// locked says whether the answer is that we may not come in.
func (a *reply) locked() bool {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return true
	}
	return false
}

// redirects says whether the answer is that it is elsewhere.
func (a *reply) redirects() bool {
	switch a.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
		return true
	}
	return false
}

// asksToWait says whether the answer is about how much is sent, not about what.
func (a *reply) asksToWait() bool {
	return a.status == http.StatusTooManyRequests || a.retryAfter > 0
}

// kind is the same for answers that need not be told twice.
func (a *reply) kind() string {
	if a.err != nil {
		return networkProblem(a.err)
	}
	return a.proxy + strconv.Itoa(a.status)
}

// String is the answer in one line, escaped.
func (a reply) String() string {
	if a.err != nil {
		return safetext.Escape(networkProblem(a.err))
	}
	if a.proxy != "" {
		return "the proxy " + a.proxy + " answered " + a.refusal().String()
	}
	return "it answered " + a.refusal().String()
}

func (a *reply) refusal() refusal {
	return refusal{a.status, safetext.Escape(a.words)}
}

// read fills in what a response says; text is the beginning of its body.
func (a *reply) read(response *http.Response, text string) {
	a.status, a.words = response.StatusCode, text
	// Client 3.6.1 gives the status 500 to a body over 10 MiB, and 413 in words.
	if a.status == http.StatusInternalServerError && strings.HasPrefix(text, "413 ") {
		a.status = http.StatusRequestEntityTooLarge
	}
	if a.redirects() {
		a.location = response.Header.Get("Location")
		if to, err := response.Location(); err == nil && strings.HasPrefix(a.location, "/") {
			a.location = to.String()
		}
	}
	a.retryAfter = retryAfter(response.Header.Get("Retry-After"))
	kind := strings.ToLower(response.Header.Get("Content-Type"))
	a.html = strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "application/xhtml") ||
		strings.HasPrefix(strings.TrimPrefix(text, "\ufeff"), "<")
	if title := pageTitle.FindStringSubmatch(text); a.html && title != nil {
		a.words = strings.Join(strings.Fields(title[1]), " ")
	}
}

var pageTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)

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

// inWords is a duration for people, no finer than they want to know.
func inWords(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Second)
	} else {
		d = max(d.Round(time.Millisecond), time.Millisecond)
	}
	return safetext.Duration(uint64(d.Microseconds()))
}
