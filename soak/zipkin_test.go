package soak

import (
	"compress/gzip"
	"encoding/json"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// collector is a Zipkin that counts. Each run of the program delivers to an address
// of its own, so that it is known which run a span is from.
type collector struct {
	*httptest.Server
	down atomic.Bool
	seed maphash.Seed

	mu     sync.Mutex
	got    map[int64]*receipt
	differ []int64 // came again, and not the same to the byte
	torn   []int64 // spans that are not what was written
}

// receipt is what came of one line.
type receipt struct {
	hash uint64
	runs []int // that delivered it, one after the other
}

func newCollector() *collector {
	c := &collector{seed: maphash.MakeSeed(), got: map[int64]*receipt{}}
	c.Server = httptest.NewServer(c)
	return c
}

// address is where a run delivers to.
func (c *collector) address(run int) string { return c.URL + "/" + strconv.Itoa(run) }

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := c.take(r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (c *collector) take(r *http.Request) (err error) {
	run, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/api/v2/spans"))
	if err != nil {
		return err
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(r.Body); err != nil {
			return err
		}
	}
	var texts []json.RawMessage
	if err := json.NewDecoder(body).Decode(&texts); err != nil && err != io.EOF { // Zipkin takes an empty body
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range texts {
		var s struct{ TraceID, ID, Name string }
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		n, err := strconv.ParseInt(s.TraceID, 16, 64)
		if err != nil {
			return err
		}
		if s.Name != checksum(n) {
			c.torn = append(c.torn, n)
			continue
		}
		hash := maphash.Bytes(c.seed, text)
		if c.got[n] == nil {
			c.got[n] = &receipt{hash: hash}
		}
		if c.got[n].hash != hash {
			c.differ = append(c.differ, n)
		}
		c.got[n].runs = append(c.got[n].runs, run)
	}
	return nil
}

// came tells whether a line was delivered.
func (c *collector) came(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[n] != nil
}

// number is how many lines were delivered.
func (c *collector) number() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}
