package zipkinhttp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Another receiver that was named is called by its name, and Zipkin's switches are
// none of its.
func TestStopsOfOtherReceivers(t *testing.T) {
	for status, want := range map[int]string{
		404: "it has no /api/v2/spans there (404 Not Found, in its words: busy); give the address where Jaeger takes Zipkin's spans",
		405: "it takes no spans there (405 Method Not Allowed, in its words: busy); give the address where Jaeger takes Zipkin's spans",
		418: "it gave an answer that Jaeger would not give (418 I'm a teapot, in its words: busy); give the address where Jaeger takes",
		400: "it refuses even an empty list of spans (400 Bad Request, in its words: busy); give the address where Jaeger takes",
		503: " without progress (503 Service Unavailable, in its words: busy); run it again when it works",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{t: t, answer: func(*http.Request, []model.SpanModel) (*http.Response, error) { return answer(status, ""), nil }}
				d := deliverTo(t.Context(), t, "http://zipkin", testNodes(2), Options{Transport: s, Receiver: ReceiverJaeger})
				require.ErrorContains(t, d.err, want)
				require.NotContains(t, d.err.Error(), "Zipkin works")
				require.NotContains(t, d.err.Error(), "stored once")
			})
		})
	}
}

// A proxy that does not connect us is named, with what it says.
func TestProxyThatRefuses(t *testing.T) {
	for status, want := range map[int]string{
		407: "the proxy on the way does not let us through (407 Proxy Authentication Required); a name and password for it stand in its address in HTTP_PROXY",
		403: "the proxy on the way does not let us through (403 Forbidden)",
		503: "without progress; the proxy 127.0.0.1:",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, http.MethodConnect, r.Method)
				w.WriteHeader(status)
			}))
			defer proxy.Close()
			at, err := url.Parse(proxy.URL)
			require.NoError(t, err)
			transport, err := Access{}.transport(1)
			require.NoError(t, err)
			transport.(*http.Transport).Proxy = http.ProxyURL(at)
			d := deliverTo(t.Context(), t, "https://zipkin.example", testNodes(2), Options{Transport: transport, GiveUp: 2 * time.Millisecond})
			require.ErrorContains(t, d.err, want)
			if status == 503 {
				require.ErrorContains(t, d.err, " does not connect us with it (503 Service Unavailable)")
				require.Equal(t, []string{"zipkin https://zipkin.example: the proxy " + at.Host + " answered 503 Service Unavailable; trying again for up to 2 ms"}, d.warnings)
			}
			require.Empty(t, d.outcomes)
		})
	}
}

// A proxy that is away is told from a server that is.
func TestProxyThatIsAway(t *testing.T) {
	at := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	transport, err := Access{}.transport(1)
	require.NoError(t, err)
	transport.(*http.Transport).Proxy = http.ProxyURL(at)
	d := deliverTo(t.Context(), t, "http://zipkin.example", testNodes(2), Options{Transport: transport, GiveUp: time.Millisecond})
	require.ErrorContains(t, d.err, "the proxy on the way is not reached: dial tcp 127.0.0.1:1")
}

// What guards a server may let an empty question through, and no text in a span.
func TestSpansThatAreForbidden(t *testing.T) {
	for _, receiver := range []Receiver{ReceiverAuto, ReceiverZipkin} {
		s := &scripted{t: t, answer: func(_ *http.Request, spans []model.SpanModel) (*http.Response, error) {
			if slices.ContainsFunc(spans, func(s model.SpanModel) bool { return s.ID == 7 }) {
				return answer(403, ""), nil
			}
			return nil, nil
		}}
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Body == nil || r.Body == http.NoBody { // who are you?
				return answer(202, ""), nil
			}
			return s.RoundTrip(r)
		})
		d := deliverTo(t.Context(), t, "http://zipkin", testNodes(10), Options{Transport: transport, Receiver: receiver, Requests: 1, BatchBytes: 700})
		require.ErrorContains(t, d.err, "it does not let these spans in, though it answers other requests (403 Forbidden, in its words: busy); "+
			"ask who runs it: what guards it may take a text in them for an attack")
		require.NotContains(t, d.outcomes, uint64(7))
		require.Empty(t, d.records)
	}
}

// What differs from connection to connection is not told, so that one cause is
// known again.
func TestNetworkProblem(t *testing.T) {
	reset := os.NewSyscallError("write", syscall.ECONNRESET)
	at := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }
	for _, err := range []error{
		&net.OpError{Op: "write", Net: "tcp", Source: at(50001), Addr: at(9411), Err: reset},
		&net.OpError{Op: "readfrom", Net: "tcp", Source: at(50002), Addr: at(9411), Err: &net.OpError{Op: "write", Net: "tcp", Source: at(50002), Addr: at(9411), Err: reset}},
	} {
		require.Equal(t, "write: connection reset by peer", networkProblem(&url.Error{Op: "Post", URL: "http://me:secret@h", Err: err}))
	}
	require.Equal(t, "dial tcp 127.0.0.1:9411: connect: connection refused",
		networkProblem(&net.OpError{Op: "dial", Net: "tcp", Addr: at(9411), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}))
	require.Equal(t, "dial tcp: lookup zipkin on 10.0.0.2:53: read udp 10.0.0.2:53: i/o timeout", networkProblem(&net.OpError{Op: "dial", Net: "tcp",
		Err: &net.DNSError{Err: "read udp 10.0.0.1:40123->10.0.0.2:53: i/o timeout", Name: "zipkin", Server: "10.0.0.2:53", IsTimeout: true}}))
	require.Equal(t, "it ended the connection without an answer", networkProblem(&url.Error{Op: "Post", URL: "http://h", Err: io.EOF}))
}

// A port for gRPC answers in HTTP/2 whatever it is asked.
func TestPortForGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00")
			io.ReadFull(conn, make([]byte, 100))
			conn.Close()
		}
	}()
	d := deliverTo(t.Context(), t, "http://"+listener.Addr().String(), testNodes(2), Options{})
	require.ErrorContains(t, d.err, "it speaks HTTP/2 alone there, as gRPC does; spans in Zipkin's form go to another port, such as http://HOST:9411")
}

// A server without TLS may wait for the rest of what it takes for a request.
func TestNoTLSInSilence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				begin := make([]byte, 4)
				io.ReadFull(conn, begin)
				if string(begin) == "GET " {
					io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
				}
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	transport, err := Access{}.transport(1)
	require.NoError(t, err)
	transport.(*http.Transport).TLSHandshakeTimeout = 10 * time.Millisecond
	d := deliverTo(t.Context(), t, "https://"+listener.Addr().String(), testNodes(2), Options{Transport: transport})
	require.ErrorContains(t, d.err, "it speaks http there: net/http: TLS handshake timeout; begin the address with http://")
}
