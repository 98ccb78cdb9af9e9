package zipkinhttp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
)

// speaksOther says, of a server that never took anything and fails at once,
// whether it answers when it is asked in the other one of http and https; the
// answer then says so. It is asked once, and shown nothing.
func (z *Client) speaksOther(ctx context.Context, a *reply) bool {
	z.mu.Lock()
	asked := z.askedScheme
	z.askedScheme = true
	z.mu.Unlock()
	if asked || z.isTrusted() || a.err != nil && !breaksOff(a.err) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, wordsWait)
	defer cancel()
	other, port := "https", "80"
	if z.endpoint.base.Scheme == other {
		other, port = "http", "443"
	}
	at := z.endpoint.base
	at.Scheme, at.Path = other, "/"
	if at.Port() == "" {
		at.Host = net.JoinHostPort(at.Hostname(), port)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return false
	}
	response, err := z.do(request, "")
	speaks := err == nil && response.StatusCode < 500 &&
		(other == "https" || response.StatusCode != http.StatusBadRequest)
	if err == nil {
		response.Body.Close()
	} else if other == "https" { // it spoke TLS if that is what it disagrees on
		speaks = tlsProblem(err) != "" && !errors.As(err, new(tls.RecordHeaderError)) &&
			!errors.Is(err, http.ErrSchemeMismatch)
	}
	if speaks {
		a.speaks = other
	}
	return speaks
}

// speaksHTTP2 says whether a server that never took anything answers in HTTP/2
// without being asked to, as those for gRPC do: with a frame of settings (RFC 9113
// section 6.5), which net/http quotes.
func (z *Client) speaksHTTP2(a *reply) bool {
	if z.isTrusted() || !settingsFrame.MatchString(a.err.Error()) {
		return false
	}
	a.speaks = "HTTP/2"
	return true
}

var settingsFrame = regexp.MustCompile(`malformed HTTP response "\\x00\\x00(\\x..|\\.|.)\\x04\\x00`)

// breaksOff says whether the other side ended the connection, said what is not
// HTTP or nothing at all, as it does when it expects TLS or knows none.
func breaksOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) ||
		// of net/http, which has no types for them
		strings.Contains(err.Error(), "malformed HTTP") || strings.Contains(err.Error(), "TLS handshake timeout")
}
