package zipkinhttp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM of its own certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.file, _ = a.issue("authority", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return a
}

// issue writes a certificate and its key as PEM files.
func (a *authority) issue(name string, change func(*x509.Certificate)) (certFile, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(c)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	if a.cert == nil {
		a.cert, err = x509.ParseCertificate(der)
		require.NoError(a.t, err)
		a.key = key
	}
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	require.NoError(a.t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(a.t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

// serve starts a Zipkin behind TLS with the certificate.
func (a *authority) serve(certFile, keyFile string, change func(*tls.Config)) *httptest.Server {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(a.t, err)
	web := httptest.NewUnstartedServer(&faultyZipkin{t: a.t})
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	change(web.TLS)
	web.StartTLS()
	a.t.Cleanup(web.Close)
	return web
}

func TestZipkinCertificates(t *testing.T) {
	as := func(*x509.Certificate) {}
	plain := func(*tls.Config) {}
	ours := newAuthority(t)
	cert, key := ours.issue("server", as)
	web := ours.serve(cert, key, plain)
	deliver := func(url string, access Access) attempt {
		return deliverTo(t.Context(), t, url, testNodes(1), Options{Access: access})
	}

	d := deliver(web.URL, Access{})
	require.ErrorContains(t, d.err, "it does not agree with us on TLS: ")
	require.ErrorContains(t, d.err, "; if its certificate is of an authority of your own, give that authority's certificate with --zipkin-ca FILE")
	require.Empty(t, d.outcomes)
	require.NoError(t, deliver(web.URL, Access{CA: ours.file}).err)
	require.ErrorContains(t, deliver(web.URL, Access{CA: newAuthority(t).file}).err, "--zipkin-ca FILE")

	cert, key = ours.issue("old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	d = deliver(ours.serve(cert, key, plain).URL, Access{CA: ours.file})
	require.ErrorContains(t, d.err, "; have its certificate renewed, or set the clock of this machine")

	cert, key = ours.issue("elsewhere", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"zipkin.example"} })
	d = deliver(ours.serve(cert, key, plain).URL, Access{CA: ours.file})
	require.ErrorContains(t, d.err, "; use a name in the address that its certificate is for")

	d = deliver(strings.Replace(web.URL, "https", "http", 1), Access{})
	require.ErrorContains(t, d.err, "it speaks https there (400 Bad Request, in its words: Client sent an HTTP request to an HTTPS server.); begin the address with https://")

	// The server asks for a certificate of ours.
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	cert, key = ours.issue("strict", as)
	strict := ours.serve(cert, key, func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool })
	d = deliverTo(t.Context(), t, strict.URL, testNodes(1), Options{Access: Access{CA: ours.file}})
	require.ErrorContains(t, d.err, "; it wants a certificate of ours that it trusts: give one with --zipkin-cert FILE and --zipkin-key FILE")
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	cert, key = ours.issue("client", client)
	require.NoError(t, deliver(strict.URL, Access{CA: ours.file, Cert: cert, Key: key}).err)
	strange, strangeKey := newAuthority(t).issue("client", client)
	d = deliver(strict.URL, Access{CA: ours.file, Cert: strange, Key: strangeKey})
	require.ErrorContains(t, d.err, "it wants a certificate of ours that it trusts")

	both := filepath.Join(t.TempDir(), "both.pem")
	one, err := os.ReadFile(cert)
	require.NoError(t, err)
	two, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(both, append(one, two...), 0o600))
	require.NoError(t, deliver(strict.URL, Access{CA: ours.file, Cert: both}).err)

	for problem, access := range map[string]Access{
		key + ": there is no certificate in it; expected PEM, -----BEGIN CERTIFICATE-----": {CA: key},
		"nowhere.pem: cannot read the authorities for Zipkin's certificate: no such file":  {CA: "nowhere.pem"},
		"nowhere.pem: cannot read the certificate to show to Zipkin: no such file":         {Cert: "nowhere.pem"},
		cert + ": this certificate and its key cannot be used: tls: ":                      {Cert: cert},
		strange + ": this certificate and its key cannot be used: tls: private key does":   {Cert: strange, Key: key},
		"k.pem: there is a key, but no certificate to show with it":                        {Key: "k.pem"},
	} {
		_, err := New(Options{URL: web.URL, Access: access})
		require.ErrorAs(t, err, new(*AccessError))
		require.ErrorContains(t, err, problem)
	}
	_, err = New(Options{URL: "http://h", Access: Access{CA: ours.file}})
	require.EqualError(t, err, "zipkin http://h: a certificate is of no use there; begin the address with https://")
}

// TestZipkinCertificateExpires: what would be a mistake at the start is an outage
// of a server that has taken spans.
func TestZipkinCertificateExpires(t *testing.T) {
	asked := 0
	s := startStream(t.Context(), t, Options{URL: "https://zipkin", Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		if asked++; asked == 2 || asked == 3 {
			return nil, &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}
		}
		return answer(202, ""), nil
	})})
	s.feed(1, 1)
	s.delivered(1)
	s.feed(2, 2)
	s.end(2)
	require.Equal(t, 4, asked)
}

const secret = "open:sesame!"

// guarded is a Zipkin that lets in who shows the header, and repeats what it was
// shown to others.
func guarded(t *testing.T, want func() string) *httptest.Server {
	inner := &faultyZipkin{t: t}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != want() {
			w.WriteHeader(http.StatusUnauthorized)
			_, password, _ := r.BasicAuth()
			io.WriteString(w, "not with "+r.Header.Get("Authorization")+" or "+password)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return web
}

func TestZipkinCredentials(t *testing.T) {
	const basic, bearer = "Basic bWU6b3BlbjpzZXNhbWUh", "Bearer open:sesame!"
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "auth")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	tests := map[string]struct {
		want   string
		user   string // in the address
		access Access
	}{
		"basic in a file":      {basic, "", Access{AuthFile: file("me:" + secret + "\n")}},
		"basic in a variable":  {basic, "", Access{Auth: "me:" + secret}},
		"basic in the address": {basic, "me:open%3Asesame!@", Access{}},
		"bearer in a file":     {bearer, "", Access{AuthFile: file("bearer " + secret + "\r\n")}},
		"bearer in a variable": {bearer, "", Access{Auth: "Bearer " + secret}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			web := guarded(t, func() string { return test.want })
			d := deliverTo(t.Context(), t, strings.Replace(web.URL, "://", "://"+test.user, 1), testNodes(3), Options{Access: test.access})
			require.NoError(t, d.err)
			require.Equal(t, 3, d.count(Delivered))
			require.Empty(t, d.warnings)

			web = guarded(t, func() string { return "something else" })
			d = deliverTo(t.Context(), t, strings.Replace(web.URL, "://", "://"+test.user, 1), testNodes(3), Options{Access: test.access})
			require.ErrorContains(t, d.err, "it does not let us in (401 Unauthorized, in its words: not with B")
			require.ErrorContains(t, d.err, "; it was given a name and password, or a token: check these, or ask who runs it")
			for _, hidden := range []string{secret, "sesame", strings.TrimPrefix(basic, "Basic ")} {
				require.NotContains(t, d.err.Error(), hidden)
			}
		})
	}
	d := deliverTo(t.Context(), t, guarded(t, func() string { return basic }).URL, testNodes(1), Options{})
	require.ErrorContains(t, d.err, "NAME:PASSWORD or Bearer TOKEN can stand in a file (--zipkin-auth-file FILE) or in TOMOSCRAPE_ZIPKIN_AUTH")

	for problem, access := range map[string]Access{
		"nowhere: cannot read the credentials for Zipkin: no such file":                               {AuthFile: "nowhere"},
		"auth: these are no credentials; expected NAME:PASSWORD or Bearer TOKEN":                      {AuthFile: file("sesame")},
		"TOMOSCRAPE_ZIPKIN_AUTH: these are no credentials; expected NAME":                             {Auth: "sesame"},
		"auth: there is no token behind Bearer":                                                       {AuthFile: file("Bearer \n")},
		"auth: credentials are one line of text: NAME:PASSWORD":                                       {AuthFile: file("me:sesame\nyou:sesame\n")},
		"auth: credentials for Zipkin are in TOMOSCRAPE_ZIPKIN_AUTH, too; give one of both":           {AuthFile: file("a:sesame"), Auth: "b:sesame"},
		"zipkin http://h: there are credentials in the address, and others besides; give one of both": {Auth: "b:sesame"},
	} {
		address := "http://h"
		if strings.HasPrefix(problem, "zipkin") {
			address = "http://me:sesame@h"
		}
		_, err := New(Options{URL: address, Access: access})
		require.ErrorAs(t, err, new(*AccessError))
		require.ErrorContains(t, err, problem)
		require.NotContains(t, err.Error(), "sesame")
	}

	open := file("me:" + secret)
	require.NoError(t, os.Chmod(open, 0o644))
	var said []string
	_, err := New(Options{URL: "http://h", Access: Access{AuthFile: open}, Warn: func(s string) { said = append(said, s) }})
	require.NoError(t, err)
	require.Equal(t, []string{open + ": everybody on this machine can read the credentials in it; chmod 600 changes that"}, said)
}

// Credentials that are renewed in their file are used, without a restart.
func TestZipkinCredentialsRenewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write("Bearer one")
	want := make(chan string, 1)
	want <- "Bearer one"
	web := guarded(t, func() string {
		now := <-want
		want <- now
		return now
	})
	s := startStream(t.Context(), t, Options{URL: web.URL, Access: Access{AuthFile: path}})
	s.feed(1, 10)
	s.delivered(10)
	write("Bearer two")
	<-want
	want <- "Bearer two"
	s.feed(11, 20)
	s.delivered(20)
	<-want
	want <- "Bearer three"
	s.feed(21, 21)
	err := <-s.result
	require.ErrorContains(t, err, "it does not let us in (401 Unauthorized")
	require.Len(t, s.outcomes, 20)
	require.NotErrorIs(t, err, io.EOF)
	require.True(t, errors.As(err, new(*Error)))
}
