// Package faultproxy is a network that misbehaves on demand: a TCP proxy on
// loopback that a test puts in front of a server.
package faultproxy

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Fault is how the network misbehaves. The zero value passes everything on.
// Several can be combined; Refuse and BlackHole leave nothing for the others.
type Fault struct {
	Refuse       bool          // nobody listens, and what is connected is reset
	BlackHole    bool          // connections are taken, their bytes go nowhere
	ResetRequest bool          // reset once After bytes went to the server
	ResetAnswer  bool          // reset once After bytes came back to the client
	After        int64         // counted for each connection since the fault was set
	Delay        time.Duration // of each piece of an answer
	Rate         int           // bytes a second in each direction, 0 for any
}

// Proxy passes connections on to a server, as well as its fault lets it.
type Proxy struct {
	// Addr is where it listens, such as 127.0.0.1:40123.
	Addr string

	target string
	struck chan struct{} // gets a token when a fault did something
	done   chan struct{}
	wait   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	fault    *Fault       // replaced, never changed
	pairs    map[*pair]struct{}
	closed   bool
}

// pair is a connection of a client and the one to the server for it.
type pair struct {
	client, server net.Conn
}

// Start starts a proxy in front of the server at target, HOST:PORT. It lives
// until the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{
		target: target, fault: &Fault{}, pairs: map[*pair]struct{}{},
		struck: make(chan struct{}, 1), done: make(chan struct{}),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Addr = listener.Addr().String()
	p.listen(listener)
	t.Cleanup(p.close)
	return p
}

// Set makes the network behave so from now on, on open connections, too.
func (p *Proxy) Set(t testing.TB, f Fault) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = &f
	select {
	case <-p.struck: // by the fault before
	default:
	}
	switch {
	case f.Refuse && p.listener != nil:
		p.listener.Close()
		p.listener = nil
		for pair := range p.pairs {
			pair.reset()
		}
	case !f.Refuse && p.listener == nil:
		listener, err := net.Listen("tcp", p.Addr)
		if err != nil {
			t.Fatalf("the proxy's port was taken meanwhile: %v", err)
		}
		p.listen(listener)
	}
}

// Struck gets a token when the fault that was last set did something to a
// connection. A refusal cannot be seen from here and gives none.
func (p *Proxy) Struck() <-chan struct{} { return p.struck }

func (p *Proxy) strike() {
	select {
	case p.struck <- struct{}{}:
	default:
	}
}

func (p *Proxy) listen(l net.Listener) {
	p.listener = l
	p.wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			p.wait.Go(func() { p.connect(client) })
		}
	})
}

func (p *Proxy) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	defer server.Close()
	both := &pair{client, server}
	p.mu.Lock()
	if p.closed || p.fault.Refuse {
		p.mu.Unlock()
		both.reset()
		return
	}
	p.pairs[both] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, both)
		p.mu.Unlock()
	}()
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(both, client, server, true) })
	pumps.Go(func() { p.pump(both, server, client, false) })
	pumps.Wait()
}

// pump passes the bytes of one direction on.
func (p *Proxy) pump(both *pair, from, to net.Conn, request bool) {
	defer func() {
		if tcp, ok := to.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
	}()
	var fault *Fault
	var passed int64 // since fault was set
	piece := make([]byte, 16<<10)
	for {
		n, err := from.Read(piece)
		p.mu.Lock()
		if p.fault != fault {
			fault, passed = p.fault, 0
		}
		p.mu.Unlock()
		rest := piece[:n]
		if fault.BlackHole && n > 0 {
			p.strike()
			rest = nil
		}
		stop := fault.ResetRequest && request || fault.ResetAnswer && !request
		if stop && passed+int64(len(rest)) >= fault.After && n > 0 {
			to.Write(rest[:fault.After-passed])
			p.strike()
			both.reset()
			return
		}
		if len(rest) > 0 {
			pause := time.Duration(0)
			if !request {
				pause = fault.Delay
			}
			if fault.Rate > 0 {
				pause += time.Duration(len(rest)) * time.Second / time.Duration(fault.Rate)
			}
			if pause > 0 {
				p.strike()
				select {
				case <-time.After(pause):
				case <-p.done:
				}
			}
			passed += int64(len(rest))
			if _, err := to.Write(rest); err != nil {
				both.reset()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (b *pair) reset() {
	reset(b.client)
	reset(b.server)
}

// reset breaks a connection so that the other side gets an error at once.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	close(p.done)
	if p.listener != nil {
		p.listener.Close()
	}
	for pair := range p.pairs {
		pair.reset()
	}
	p.mu.Unlock()
	p.wait.Wait()
}
