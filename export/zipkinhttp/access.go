package zipkinhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/internal/smallfile"
)

// AuthVariable is the environment variable for [Access.Auth].
const AuthVariable = "TOMOSCRAPE_ZIPKIN_AUTH"

// Access says how to get in. The zero value trusts the authorities that
// this machine trusts and shows nothing to the server. Certificates and
// credentials in files are read again when they are used again, so that they can
// be renewed.
type Access struct {
	CA   string // PEM file of the authorities to trust, in place of this machine's
	Cert string // PEM file of the certificate to show
	Key  string // PEM file of its key; default the one of Cert
	// AuthFile holds credentials in one line: NAME:PASSWORD for basic
	// authentication (RFC 7617), or Bearer TOKEN (RFC 6750).
	AuthFile string
	// Auth is such a line itself. Secrets do not belong on a command line, where
	// the list of processes shows them: it is for [AuthVariable].
	Auth string
}

// AccessError says why a certificate or credentials cannot be used; it is
// a mistake in the use of the program. No secret is in it.
type AccessError struct {
	What    string // is wrong, such as the name of a file, escaped
	Problem string
	Err     error // of the file system or of the form, if there was one
}

func (e *AccessError) Error() string {
	text := e.What + ": " + e.Problem
	if e.Err != nil {
		text += ": " + safetext.Escape(e.Err.Error())
	}
	return text
}

// Unwrap is the cause, nil without one.
func (e *AccessError) Unwrap() error { return e.Err }

// transport connects as [http.DefaultTransport] does, with our certificates.
func (a Access) transport(connections int) (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = connections
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &proxyError{proxy.Host, answer.StatusCode}
		}
		return nil
	}
	if a.CA != "" {
		pem, err := smallfile.Read(a.CA, pEMSize)
		if err != nil {
			return nil, unreadable("the authorities for Zipkin's certificate", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &AccessError{What: safetext.Escape(a.CA),
				Problem: "there is no certificate in it; expected PEM, -----BEGIN CERTIFICATE-----"}
		}
	}
	if a.Cert != "" {
		key := a.Key
		if key == "" {
			key = a.Cert
		}
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := smallfile.Read(a.Cert, pEMSize)
			if err != nil {
				return nil, err
			}
			private, err := smallfile.Read(key, pEMSize)
			if err != nil {
				return nil, err
			}
			pair, err := tls.X509KeyPair(cert, private)
			return &pair, err
		}
		if _, err := load(nil); errors.As(err, new(*fs.PathError)) {
			return nil, unreadable("the certificate to show to Zipkin", err)
		} else if err != nil {
			return nil, &AccessError{safetext.Escape(a.Cert), "this certificate and its key cannot be used", err}
		}
		t.TLSClientConfig.GetClientCertificate = load
	}
	return t, nil
}

// check finds what does not go together.
func (a Access) check(endpoint endpoint) error {
	switch {
	case endpoint.base.Scheme == "http" && (a.CA != "" || a.Cert != ""):
		return &AccessError{What: "zipkin " + endpoint.shown(),
			Problem: "a certificate is of no use there; begin the address with https://"}
	case a.Key != "" && a.Cert == "":
		return &AccessError{What: safetext.Escape(a.Key), Problem: "there is a key, but no certificate to show with it"}
	case a.AuthFile != "" && a.Auth != "":
		return &AccessError{What: safetext.Escape(a.AuthFile), Problem: "credentials for Zipkin are in " +
			AuthVariable + ", too; give one of both"}
	case endpoint.base.User != nil && (a.AuthFile != "" || a.Auth != ""):
		return &AccessError{What: "zipkin " + endpoint.shown(),
			Problem: "there are credentials in the address, and others besides; give one of both"}
	}
	return nil
}

func unreadable(what string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return &AccessError{safetext.Escape(path.Path), "cannot read " + what, path.Err}
	}
	return &AccessError{What: what, Problem: "cannot be read", Err: err}
}

// login is what is shown to the server with each request.
type login struct {
	path string // of the file, "" if it is from elsewhere

	mu      sync.Mutex
	header  string   // Authorization, "" for none
	secrets []string // that must not be seen anywhere
}

// login reads the credentials; warn is told what is unsafe about them.
func (a Access) login(endpoint endpoint, warn func(string)) (*login, error) {
	if err := a.check(endpoint); err != nil {
		return nil, err
	}
	l := &login{path: a.AuthFile}
	switch user := endpoint.base.User; {
	case a.AuthFile != "":
		if err := l.read(); err != nil {
			return nil, err
		}
		if info, err := os.Stat(a.AuthFile); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
			warn(fmt.Sprintf("%s: everybody on this machine can read the credentials in it; chmod 600 changes that",
				safetext.Escape(a.AuthFile)))
		}
	case a.Auth != "":
		if problem := l.use(a.Auth); problem != "" {
			return nil, &AccessError{What: AuthVariable, Problem: problem}
		}
	case user != nil:
		password, _ := user.Password()
		l.basic(user.Username(), password)
	}
	return l, nil
}

// The longest files of credentials and of certificates that are read.
const (
	authSize = 64 << 10
	pEMSize  = 16 << 20
)

func (l *login) read() error {
	text, err := smallfile.Read(l.path, authSize)
	if err != nil {
		return unreadable("the credentials for Zipkin", err)
	}
	if problem := l.use(string(text)); problem != "" {
		return &AccessError{What: safetext.Escape(l.path), Problem: problem}
	}
	return nil
}

// use takes a line of credentials, or says what is wrong with it.
func (l *login) use(line string) (problem string) {
	line = strings.TrimRight(line, "\r\n")
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "credentials are one line of text: NAME:PASSWORD or Bearer TOKEN"
	}
	if scheme, token, ok := strings.Cut(line, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(token)
		if token == "" {
			return "there is no token behind Bearer"
		}
		l.header, l.secrets = "Bearer "+token, []string{token}
		return ""
	}
	name, password, ok := strings.Cut(line, ":")
	if !ok {
		return "these are no credentials; expected NAME:PASSWORD or Bearer TOKEN"
	}
	l.basic(name, password)
	return ""
}

func (l *login) basic(name, password string) {
	encoded := base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
	l.header, l.secrets = "Basic "+encoded, []string{encoded}
	if password != "" {
		l.secrets = append(l.secrets, password)
	}
}

// any says whether there is something to show.
func (l *login) any() bool { return l.current() != "" }

func (l *login) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.header
}

// renewed reads the file again and says whether there are other credentials now
// than those that were refused.
func (l *login) renewed(refused string) bool {
	if l.path == "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read() == nil && l.header != refused
}

// hide takes secrets out of a text that may repeat what we sent.
func (l *login) hide(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range l.secrets {
		text = strings.ReplaceAll(text, secret, "xxxxx")
	}
	return text
}

// withoutUser is an address without the name and password in it.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}

// tlsProblem says what to do about an error if two sides that speak to each
// other do not agree on TLS, "" for any other error: trying again does not mend
// it, unless somebody changes something.
func tlsProblem(err error) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		other     *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return "if its certificate is of an authority of your own, give that authority's certificate with " +
			"--zipkin-ca FILE"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "have its certificate renewed, or set the clock of this machine"
	case errors.As(err, &host):
		return "use a name in the address that its certificate is for"
	case errors.As(err, &other):
		return "check its certificate; --zipkin-ca FILE names the authorities to trust"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS: begin the address with http://"
	case isAlert(err, 42, 43, 44, 45, 46, 48, 49, 116):
		return "it wants a certificate of ours that it trusts: give one with --zipkin-cert FILE and --zipkin-key FILE"
	case isAlert(err, 40, 70, 71, 112):
		return "it and tomoscrape have no version or cipher in common, or it knows itself by another name than the " +
			"one in the address"
	}
	return ""
}

// isAlert says whether the other side ended TLS with one of the alerts (RFC 8446
// section 6). Package tls gives them as an error of a type of its own.
func isAlert(err error, alerts ...tls.AlertError) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error" &&
		slices.ContainsFunc(alerts, func(a tls.AlertError) bool { return a.Error() == remote.Err.Error() })
}
