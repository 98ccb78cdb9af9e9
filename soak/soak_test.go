// Package soak runs the program as a user does, kills it, rotates its logs with
// logrotate, takes its Zipkin away, and counts.
package soak

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The length of a soak; `make soak` sets it.
var (
	duration = env("SOAK_SECONDS", 4)
	kills    = env("SOAK_KILLS", 2)
	rate     = env("SOAK_RATE", 2000) // lines a second
)

func env(name string, value int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		value = n
	}
	return value
}

// program is the built program.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tomoscrape")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/tomoscrape").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// needsLogrotate skips a test where there is no logrotate, unless it has to be.
func needsLogrotate(t *testing.T) string {
	for _, path := range []string{"logrotate", "/usr/sbin/logrotate"} {
		if path, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	if os.Getenv("TOMOSCRAPE_REQUIRE_SERVERS") == "1" {
		t.Fatal("logrotate is required and is not there: apt-get install logrotate")
	}
	t.Skip("SKIPPED: logrotate is not there (apt-get install logrotate)")
	return ""
}

// writer writes numbered span lines as a service with Python's WatchedFileHandler
// does: it appends, and looks before each record whether the path is still its
// file.
type writer struct {
	path    string
	written atomic.Int64
	stop    chan struct{}
	ended   chan error
	at      sync.Map // number to time.Time
}

func startWriter(path string, perSecond int, watched bool) *writer {
	w := &writer{path: path, stop: make(chan struct{}), ended: make(chan error, 1)}
	go func() { w.ended <- w.write(perSecond, watched) }()
	return w
}

func (w *writer) write(perSecond int, watched bool) error {
	open := func() (*os.File, error) {
		return os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	}
	file, err := open()
	if err != nil {
		return err
	}
	defer func() { file.Close() }()
	const burst = 20
	ticker := time.NewTicker(time.Second * burst / time.Duration(perSecond))
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return nil
		case <-ticker.C:
		}
		for range burst {
			if watched {
				at, err := os.Stat(w.path)
				is, fileErr := file.Stat()
				if fileErr != nil {
					return fileErr
				}
				if err != nil || !os.SameFile(at, is) {
					file.Close()
					if file, err = open(); err != nil {
						return err
					}
				}
			}
			n := w.written.Load() + 1
			w.at.Store(n, time.Now())
			if _, err := file.WriteString(line(n)); err != nil {
				return err
			}
			w.written.Store(n)
		}
	}
}

// line is the span line of a number: each a trace of its own.
func line(n int64) string {
	at := 1_700_000_000 + float64(n)/1000
	return fmt.Sprintf("2023-11-14 22:13:20.000 2148 INFO tomograph.backends.log [req-%08d-0000-0000-0000-000000000000 None None] "+
		"Span(trace_id=%d, parent_id=None, id=%d, name='soak', notes=[Note(time=%.3f, value='start', service_name='nova-api', address='ctl-1', port=8774, duration=0), "+
		"Note(time=%.3f, value='stop', service_name='nova-api', address='ctl-1', port=8774, duration=0)], dimensions=[])\n", n, n, n, at, at+0.001)
}

// end stops writing.
func (w *writer) end(t *testing.T) {
	close(w.stop)
	require.NoError(t, <-w.ended)
}

// onDisk are the numbers of the lines that are in files of a log.
func onDisk(t *testing.T, dir string) map[int64]int {
	numbers := map[int64]int{}
	paths, err := filepath.Glob(filepath.Join(dir, "x.log*"))
	require.NoError(t, err)
	for _, path := range paths {
		file, err := os.Open(path)
		require.NoError(t, err)
		var r io.Reader = file
		if strings.HasSuffix(path, ".gz") {
			r, err = gzip.NewReader(file)
			require.NoError(t, err)
		}
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if n, ok := numberOf(lines.Text()); ok {
				numbers[n]++
			}
		}
		require.NoError(t, lines.Err())
		file.Close()
	}
	return numbers
}

func numberOf(line string) (int64, bool) {
	_, rest, found := strings.Cut(line, "Span(trace_id=")
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, found && err == nil && strings.HasSuffix(line, "dimensions=[])")
}

// collector is a Zipkin that counts.
type collector struct {
	*httptest.Server
	down atomic.Bool

	mu       sync.Mutex
	got      map[int64]int
	texts    map[int64]string
	differ   int
	accepted func(int64)
}

func newCollector() *collector {
	c := &collector{got: map[int64]int{}, texts: map[int64]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	return c
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	if c.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	var spans []json.RawMessage
	if err := json.NewDecoder(body).Decode(&spans); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range spans {
		var s struct {
			TraceID string `json:"traceId"`
		}
		if err := json.Unmarshal(text, &s); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		n, err := strconv.ParseInt(s.TraceID, 16, 64)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.got[n]++
		if before, there := c.texts[n]; there && before != string(text) {
			c.differ++
		}
		c.texts[n] = string(text)
		if c.accepted != nil {
			c.accepted(n)
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// numbers are the numbers of the spans that came, and how often.
func (c *collector) numbers() map[int64]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := make(map[int64]int, len(c.got))
	for n, count := range c.got {
		copied[n] = count
	}
	return copied
}

// messages is what the program says.
type messages struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// follower is the program that follows.
type follower struct {
	t     *testing.T
	args  []string
	cmd   *exec.Cmd
	err   messages
	exits chan error
}

func (f *follower) start() {
	path, err := program()
	require.NoError(f.t, err)
	f.cmd = exec.Command(path, f.args...)
	f.cmd.Stderr = &f.err
	require.NoError(f.t, f.cmd.Start())
	f.exits = make(chan error, 1)
	cmd, exits := f.cmd, f.exits
	go func() { exits <- cmd.Wait() }()
}

func (f *follower) kill() {
	require.NoError(f.t, f.cmd.Process.Kill())
	<-f.exits
}

// term ends the program as systemd does and wants it to end well, and soon.
func (f *follower) term() {
	begun := time.Now()
	require.NoError(f.t, f.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(f.t, <-f.exits, "%s", &f.err)
	require.Less(f.t, time.Since(begun), 15*time.Second)
}

var rotations = map[string]struct {
	config  string
	watched bool
}{
	"rename":        {"create 0644\nrotate 100\n", true},
	"copytruncate":  {"copytruncate\nrotate 100\n", false},
	"compress":      {"create 0644\nrotate 100\ncompress\n", true},
	"delaycompress": {"copytruncate\nrotate 100\ncompress\ndelaycompress\n", false},
}

// Whatever happens to the logs, to the program and to Zipkin: what is on disk is
// delivered, nothing else is, and what comes twice is the same.
func TestSoak(t *testing.T) {
	logrotate := needsLogrotate(t)
	for name, how := range rotations {
		for _, trouble := range []string{"none", "kills", "outage"} {
			t.Run(name+" "+trouble, func(t *testing.T) {
				dir := t.TempDir()
				logs := filepath.Join(dir, "logs")
				require.NoError(t, os.Mkdir(logs, 0o755))
				log := filepath.Join(logs, "x.log")
				config := filepath.Join(dir, "logrotate.conf")
				require.NoError(t, os.WriteFile(config, []byte(log+" {\nmissingok\n"+how.config+"}\n"), 0o600))
				zipkin := newCollector()
				defer zipkin.Close()
				f := &follower{t: t, args: []string{"tail", logs, "--zipkin", zipkin.URL, "--from", "start",
					"--checkpoint", filepath.Join(dir, "checkpoint"), "--quarantine", filepath.Join(dir, "quarantine.jsonl")}}
				w := startWriter(log, rate, how.watched)
				f.start()
				seed := uint64(time.Now().UnixNano())
				random := rand.New(rand.NewPCG(seed, 0))
				rotated, killed := 0, 0
				end := time.Now().Add(time.Duration(duration) * time.Second)
				nextKill, nextOutage := time.Now().Add(time.Second), time.Now().Add(time.Second)
				for time.Now().Before(end) {
					time.Sleep(time.Duration(100+random.IntN(400)) * time.Millisecond)
					out, err := exec.Command(logrotate, "-f", "-s", filepath.Join(dir, "state"), config).CombinedOutput()
					// logrotate's create meets a writer that was faster: it says so and goes on.
					if err != nil && !bytes.Contains(out, []byte("File exists")) {
						require.NoError(t, err, "%s", out)
					}
					rotated++
					if trouble == "kills" && killed < kills && time.Now().After(nextKill) {
						f.kill()
						time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
						f.start()
						killed++
						nextKill = time.Now().Add(time.Duration(duration) * time.Second / time.Duration(kills+1))
					}
					if trouble == "outage" && time.Now().After(nextOutage) {
						zipkin.down.Store(!zipkin.down.Load())
						nextOutage = time.Now().Add(time.Second)
					}
				}
				zipkin.down.Store(false)
				w.end(t)
				disk := onDisk(t, logs)
				missing := func() (lost []int64) {
					got := zipkin.numbers()
					for n := range disk {
						if got[n] == 0 {
							lost = append(lost, n)
						}
					}
					return lost
				}
				for deadline := time.Now().Add(40 * time.Second); len(missing()) > 0 && time.Now().Before(deadline); {
					time.Sleep(100 * time.Millisecond)
				}
				lost := missing()
				f.term()
				repeated, invented := 0, 0
				for n, count := range zipkin.numbers() {
					repeated += count - 1
					if n < 1 || n > w.written.Load() {
						invented++
					}
				}
				fmt.Printf("SOAK %s, %s: written %d, on disk %d, delivered %d, lost %d, repeated %d, kills %d, rotations %d (seed %d)\n",
					name, trouble, w.written.Load(), len(disk), len(zipkin.numbers()), len(lost), repeated, killed, rotated, seed)
				require.Empty(t, lost, "%s", &f.err)
				require.Zero(t, invented)
				require.Zero(t, zipkin.differ, "what comes twice is the same")
				if killed == 0 && trouble == "none" {
					require.Zero(t, repeated)
				}
				require.LessOrEqual(t, repeated, killed*rate*3, "only what was delivered since the last checkpoint")
			})
		}
	}
}

// SIGTERM ends the program also while Zipkin is away, and the next run delivers.
func TestTermDuringAnOutage(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "x.log")
	require.NoError(t, os.WriteFile(log, []byte(line(1)+line(2)), 0o644))
	zipkin := newCollector()
	defer zipkin.Close()
	zipkin.down.Store(true)
	f := &follower{t: t, args: []string{"tail", log, "--zipkin", zipkin.URL, "--from", "start",
		"--checkpoint", filepath.Join(dir, "checkpoint"), "--quarantine", filepath.Join(dir, "quarantine.jsonl")}}
	f.start()
	for !strings.Contains(f.err.String(), "503") {
		time.Sleep(20 * time.Millisecond)
	}
	f.term()
	zipkin.down.Store(false)
	f.start()
	for len(zipkin.numbers()) < 2 {
		time.Sleep(20 * time.Millisecond)
	}
	f.term()
	require.Equal(t, map[int64]int{1: 1, 2: 1}, zipkin.numbers())
}

// What was logged by a file that is full of bytes without a newline, or by a
// second process that has the checkpoint, is said.
func TestTwoProcessesDoNotShareACheckpoint(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "x.log")
	require.NoError(t, os.WriteFile(log, []byte(line(1)), 0o644))
	args := []string{"tail", log, "--json", filepath.Join(dir, "traces.jsonl"), "--from", "start", "--settle", "10ms",
		"--checkpoint", filepath.Join(dir, "checkpoint")}
	f := &follower{t: t, args: args}
	f.start()
	for {
		if text, _ := os.ReadFile(filepath.Join(dir, "traces.jsonl")); bytes.Count(text, []byte("\n")) == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	path, err := program()
	require.NoError(t, err)
	out, err := exec.Command(path, append(args[:2:2], "--json", filepath.Join(dir, "other.jsonl"), "--checkpoint", filepath.Join(dir, "checkpoint"))...).CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%s", out)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "checkpoint")
	f.term()
}
