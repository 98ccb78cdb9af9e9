package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The rows about live logs: how fast a backlog goes to one output, how long a
// line takes to be accepted, and what files cost of which nothing comes.

const (
	liveRate  = 5000             // spans a second
	liveTime  = 10 * time.Second // of writing
	idleFiles = 500
	idleTime  = 20 * time.Second
)

// tail measures `tomoscrape tail`.
func (w *work) tail() error {
	if err := exec.Command(w.program, "tail", "--help").Run(); err != nil {
		w.results.note("live logs are not measured: there is no tail")
		return nil
	}
	if err := w.backlog(); err != nil {
		return fmt.Errorf("tail of a backlog: %w", err)
	}
	if err := w.latency(); err != nil {
		return fmt.Errorf("latency of tail: %w", err)
	}
	if err := w.idle(); err != nil {
		return fmt.Errorf("tail of idle files: %w", err)
	}
	return nil
}

// backlog follows a log that is there already, to a server that takes everything.
func (w *work) backlog() error {
	d, err := makeData(w.Dir, w.Size)
	if err != nil {
		return err
	}
	if err := warm(d.path); err != nil {
		return err
	}
	spans := int(d.truth.Spans) // a span that is there twice goes out once
	enough := make(chan struct{})
	server, err := newCounter(func(n int) {
		if n == spans {
			close(enough)
		}
	})
	if err != nil {
		return err
	}
	defer server.close()
	begin := time.Now()
	f, err := w.follow(server, d.path, "--split-services", "off")
	if err != nil {
		return err
	}
	if err := f.wait(enough, 5*time.Minute); err != nil {
		return err
	}
	took := time.Since(begin)
	if err := f.end(); err != nil {
		return err
	}
	speed := float64(d.truth.Bytes) / 1e6 / took.Seconds()
	w.results.add(Row{Work: "tail of a backlog of " + w.Size + " to Zipkin", Ours: seconds(took.Seconds()),
		Value: speed, Unit: "MB/s",
		Must: 50, Goal: 200, More: true})
	return nil
}

// latency writes spans at a steady rate and sees when each is accepted.
func (w *work) latency() error {
	dir, err := os.MkdirTemp(w.Dir, "live")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var mu sync.Mutex
	accepted := map[uint64]time.Time{}
	total := liveRate * int(liveTime/time.Second)
	enough := make(chan struct{})
	server, err := newCounter(nil)
	if err != nil {
		return err
	}
	defer server.close()
	server.ids = func(id uint64) {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := accepted[id]; !twice {
			accepted[id] = time.Now()
			if len(accepted) == total {
				close(enough)
			}
		}
	}
	log := filepath.Join(dir, "live.log")
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := w.follow(server, log)
	if err != nil {
		return err
	}
	written := make([]time.Time, total)
	ticker := time.NewTicker(time.Second / 100)
	defer ticker.Stop()
	for n := 0; n < total; {
		<-ticker.C
		for range liveRate / 100 {
			at := 1_700_000_000 + float64(n)/1e4
			_, err := fmt.Fprintf(file,
				"2023-11-14 22:13:20.000 2148 INFO tomograph.backends.log [-] Span(trace_id=%d, parent_id=None, "+
					"id=%d, name='WSGI', "+
					"notes=[Note(time=%.4f, value='start', service_name='nova-api', address='ctl-1', port=8774, "+
					"duration=0), "+
					"Note(time=%.4f, value='stop', service_name='nova-api', address='ctl-1', port=8774, duration=0)], "+
					"dimensions=[])\n", n+1, n+1, at, at+0.01)
			if err != nil {
				return err
			}
			written[n] = time.Now()
			n++
		}
	}
	if err := f.wait(enough, time.Minute); err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	took := make([]float64, total)
	for n := range took {
		took[n] = accepted[uint64(n+1)].Sub(written[n]).Seconds() * 1000
	}
	slices.Sort(took)
	p99 := took[total*99/100]
	w.results.add(Row{Work: fmt.Sprintf("from a line written to its span accepted, p99 at %d spans/s", liveRate),
		Ours:  fmt.Sprintf("p50 %.0f ms", took[total/2]),
		Value: p99, Unit: "ms", Must: 500, Goal: 100})
	return nil
}

// idle follows files of which nothing comes.
func (w *work) idle() error {
	dir, err := os.MkdirTemp(w.Dir, "idle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i := range idleFiles {
		text := strings.Repeat(fmt.Sprintf("2013-11-11 11:11:02.001 2111 INFO nova.service.%d [-] nothing much\n", i),
			100)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("service-%d.log", i)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	server, err := newCounter(nil)
	if err != nil {
		return err
	}
	defer server.close()
	f, err := w.follow(server, dir)
	if err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // all is read, and nothing counts as growing
	before, err := f.cpu()
	if err != nil {
		return err
	}
	time.Sleep(idleTime)
	after, err := f.cpu()
	if err != nil {
		return err
	}
	peak, err := f.peak()
	if err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	percent := 100 * (after - before).Seconds() / idleTime.Seconds()
	w.results.add(Row{Work: fmt.Sprintf("tail of %d idle files, CPU", idleFiles), Ours: fmt.Sprintf("%.2f %% of a core",
		percent),
		Value: percent, Unit: "%", Must: 2, Goal: 0.5})
	w.results.add(Row{Work: fmt.Sprintf("tail of %d idle files, memory", idleFiles), Ours: mebibytes(float64(peak)),
		Value: float64(peak) / (1 << 20), Unit: "MiB",
		Must: 64, Goal: 64})
	return nil
}

// counter is a Zipkin that takes all spans and counts them.
type counter struct {
	http.Server
	url  string
	ids  func(uint64) // gets the trace id of each; nil if that is not asked for
	mu   sync.Mutex
	n    int
	seen func(int) // gets the number of spans so far; may be nil
}

func newCounter(seen func(int)) (*counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{url: "http://" + l.Addr().String(), seen: seen}
	c.Handler = http.HandlerFunc(c.take)
	go c.Serve(l)
	return c, nil
}

func (c *counter) close() { c.Close() }

func (c *counter) take(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	text, err := io.ReadAll(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	const key = `"traceId":"`
	if c.ids != nil {
		for rest := text; ; {
			i := bytes.Index(rest, []byte(key))
			if i < 0 {
				break
			}
			rest = rest[i+len(key):]
			if id, err := strconv.ParseUint(string(rest[:bytes.IndexByte(rest, '"')]), 16, 64); err == nil {
				c.ids(id)
			}
		}
		return
	}
	spans := bytes.Count(text, []byte(key))
	c.mu.Lock()
	defer c.mu.Unlock()
	for range spans {
		if c.n++; c.seen != nil {
			c.seen(c.n)
		}
	}
}

// following is a tomoscrape that follows.
type following struct {
	command  *exec.Cmd
	messages bytes.Buffer
	ended    chan error
}

// follow starts to follow a path from its start.
func (w *work) follow(c *counter, path string, flags ...string) (*following, error) {
	checkpoint := w.file("checkpoint")
	os.Remove(checkpoint)
	f := &following{ended: make(chan error, 1)}
	f.command = exec.Command(w.program, append([]string{"tail", path, "--from", "start", "--zipkin", c.url,
		"--checkpoint", checkpoint,
		"--quarantine", w.file("quarantine.jsonl")}, flags...)...)
	f.command.Stderr = &f.messages
	if err := f.command.Start(); err != nil {
		return nil, err
	}
	go func() { f.ended <- f.command.Wait() }()
	return f, nil
}

// wait waits for something to happen before the program ends.
func (f *following) wait(happened <-chan struct{}, most time.Duration) error {
	select {
	case <-happened:
		return nil
	case err := <-f.ended:
		return fmt.Errorf("it ended: %w\n%s", err, f.messages.Bytes())
	case <-time.After(most):
		_ = f.command.Process.Kill()
		<-f.ended
		return fmt.Errorf("not all spans came in %s\n%s", most, f.messages.Bytes())
	}
}

func (f *following) end() error {
	if err := f.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-f.ended; err != nil {
		return fmt.Errorf("it did not end well: %w\n%s", err, f.messages.Bytes())
	}
	return nil
}

// cpu is the time that it has taken so far, user and system, as /proc says.
func (f *following) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected /proc/PID/stat: %q", text)
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ is 100 on Linux
}

// peak is the most memory that it has had, in bytes.
func (f *following) peak() (int64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", f.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("there is no VmHWM: %w", lines.Err())
}
