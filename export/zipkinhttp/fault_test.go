package zipkinhttp

import (
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tomoscrape/tomoscrape/internal/faultproxy"
	"github.com/tomoscrape/tomoscrape/trace"
)

// randomFault draws a way in which the network fails.
func randomFault(draw *rand.Rand) faultproxy.Fault {
	switch draw.IntN(6) {
	case 0:
		return faultproxy.Fault{Refuse: true}
	case 1:
		return faultproxy.Fault{BlackHole: true}
	case 2:
		return faultproxy.Fault{ResetRequest: true, After: draw.Int64N(2000)}
	case 3:
		return faultproxy.Fault{ResetAnswer: true, After: draw.Int64N(80)} // of about 100
	case 4:
		return faultproxy.Fault{Delay: time.Duration(1+draw.IntN(300)) * time.Millisecond} // no delay would be no fault
	}
	return faultproxy.Fault{Rate: 10_000 + draw.IntN(100_000), ResetAnswer: draw.IntN(2) == 0}
}

// sufferFaults streams spans to the server through a network that fails 20
// times, and returns what was delivered: all of them.
func sufferFaults(t *testing.T, url string, seed uint64) []trace.Node {
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	proxy := faultproxy.Start(t, strings.TrimPrefix(url, "http://"))
	s := startStream(t.Context(), t, Options{URL: "http://" + proxy.Addr, BatchBytes: 8 << 10, Timeout: 200 * time.Millisecond})
	nodes := manyTraces(4000)
	given := 0
	orders := make(chan []trace.Node, len(nodes)) // the faults do not wait for back-pressure
	var feeder sync.WaitGroup
	feeder.Go(func() {
		for some := range orders {
			for i := range some {
				s.in <- Item{&some[i], some[i].ID.Lo}
			}
		}
	})
	give := func(n int) {
		n = min(n, len(nodes)-given)
		orders <- nodes[given : given+n]
		given += n
	}
	give(20)
	s.delivered(20)
	for range 20 {
		fault := randomFault(draw)
		proxy.Set(t, fault)
		before := s.z.Report().Retried
		late := time.After(time.Minute)
		for struck := false; !struck; {
			give(1 + draw.IntN(10))
			select {
			case <-proxy.Struck():
				struck = true
			case <-time.After(5 * time.Millisecond): // a refusal is seen by the sender alone; others need more spans to strike
				struck = s.z.Report().Retried > before
			case <-late:
				require.FailNow(t, "the fault never struck", "%+v", fault)
			}
		}
		proxy.Set(t, faultproxy.Fault{})
		give(20 + draw.IntN(100))
		if draw.IntN(2) == 0 {
			s.delivered(given)
		}
	}
	close(orders)
	feeder.Wait()
	s.end(given)
	report := s.z.Report()
	require.EqualValues(t, given, report.Delivered)
	require.Zero(t, report.Quarantined)
	require.Positive(t, report.Retried)
	t.Logf("%d spans, %d requests, %d repeated", given, report.Batches, report.Retried)
	return nodes[:given]
}

// TestZipkinFaults: whatever the network does, everything arrives, and is
// acknowledged only when it has.
func TestZipkinFaults(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("faults", func(t *testing.T) {
		server := &faultyZipkin{t: t, tolerant: true}
		web := httptest.NewServer(server)
		defer web.Close()
		nodes := sufferFaults(t, web.URL, uint64(time.Now().UnixNano()))
		require.Len(t, server.got, len(nodes))
	})
}
