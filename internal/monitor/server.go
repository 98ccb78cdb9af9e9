package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

const (
	answerTimeout   = 5 * time.Second        // for a Tail that does not answer
	shutdownTimeout = 500 * time.Millisecond // for requests that are under way
	maxConnections  = 64                     // the files that are followed need descriptors, too
	maxScrapes      = 4                      // at once
)

// Listen takes the address of --metrics, HOST:PORT (no host: all addresses of
// the machine; port 0: any that is free), before anything else starts. Its errors
// are for people.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("%q is no address to serve metrics on: expected HOST:PORT, for example 127.0.0.1:9464",
			address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot serve metrics on %q: another program listens there already; choose another port",
			address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("cannot serve metrics on %q: this machine does not have that address; 127.0.0.1 is "+
			"for this machine alone, no host for all its addresses", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot serve metrics on %q: not permitted; choose a port from 1024 up", address)
	case err != nil:
		return nil, fmt.Errorf("cannot serve metrics on %q: %s", address, safetext.Printable(cause(err).Error()))
	}
	return l, nil
}

// cause is the reason in an error of package net, without the address again.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Serve answers GET /metrics, /healthz and /readyz on l until ctx is done, then
// lets what is under way end for half a second. It closes l. The error is nil
// when ctx ended it.
func Serve(ctx context.Context, l net.Listener, t *Tail) error {
	s := &http.Server{
		Handler:           handler(t),
		ReadTimeout:       answerTimeout,
		ReadHeaderTimeout: answerTimeout,
		WriteTimeout:      4 * answerTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         limitConnections(maxConnections),
		ErrorLog:          t.errorLog(),
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if s.Shutdown(grace) != nil {
			_ = s.Close() // what it says is of connections that are given up
		}
	})
	err := s.Serve(l)
	if stop() {
		_ = s.Close()
		return fmt.Errorf("metrics are no longer served on %s: %w", l.Addr(), cause(err))
	}
	<-closed
	return nil
}

// limitConnections closes new connections while there are more than n.
func limitConnections(n int64) func(net.Conn, http.ConnState) {
	var open atomic.Int64
	return func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if open.Add(1) > n {
				_ = c.Close()
			}
		case http.StateClosed:
			open.Add(-1)
		}
	}
}

// handler answers the three paths, everything else with 404.
func handler(t *Tail) http.Handler {
	metrics, health, ready := scrape(t), answer(t.Healthy), answer(t.Ready)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		var to http.Handler
		switch r.URL.Path {
		case "/metrics":
			to = metrics
		case "/healthz":
			to = health
		case "/readyz":
			to = ready
		default:
			http.Error(w, "There are /metrics, /healthz and /readyz here.", http.StatusNotFound)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "Only GET is answered here.", http.StatusMethodNotAllowed)
			return
		}
		to.ServeHTTP(w, r)
	})
}

// scrape answers with the metrics of the Tail, the Go runtime and the process.
func scrape(t *Tail) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(t.outputs),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            t.errorLog(),
		MaxRequestsInFlight: maxScrapes,
		Timeout:             answerTimeout,
	})
}

// answer is 200 while ask gives nil, 503 with what it says, and 503 if it does
// not answer in time. It is asked by one request at a time, so that one that
// hangs is not asked again and again.
func answer(ask func() error) http.Handler {
	turn := make(chan struct{}, 1)
	return http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-r.Context().Done():
			return
		}
		if err := ask(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	}), answerTimeout, "the pipelines do not answer\n")
}
