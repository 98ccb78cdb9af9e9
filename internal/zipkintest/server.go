// Package zipkintest starts a real Zipkin for tests, on loopback and with its
// spans in memory.
//
// It needs java (17 or later), sh, and for the first time mvn with a network:
// the server is fetched from Maven Central once and kept in the user's cache
// directory. Where one of these is missing the test is skipped; if the
// environment has TOMOSCRAPE_REQUIRE_SERVERS=1, it fails instead.
package zipkintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Version is the version of Zipkin that is started.
const Version = "3.6.1"

// Require is the environment variable that turns skips into failures.
const Require = "TOMOSCRAPE_REQUIRE_SERVERS"

// The first fetch is 135 MB; a start takes 5 to 10 seconds on an idle machine.
const (
	fetchTimeout = 10 * time.Minute
	startTimeout = 2 * time.Minute
)

// Server is a running Zipkin.
type Server struct {
	URL string // such as http://127.0.0.1:40123
	log string // file of its output
}

// Start starts a Zipkin that lives until the test and its subtests end, and
// returns when it is ready. The variables env, each NAME=VALUE, are added to its
// environment.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	if testing.Short() {
		skip(t, "it takes some seconds, and this is a run with -short")
	}
	jar := fetch(t)
	var s *Server
	var err error
	for range 3 { // another process may take the port before the server does
		if s, err = start(t, jar, env); err == nil {
			return s
		}
	}
	t.Fatalf("Zipkin does not start: %v", err)
	return nil
}

// skip ends the test, as failed where servers are required.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv(Require) == "1" {
		t.Fatalf("%s=1, but NO REAL ZIPKIN: %s", Require, reason)
	}
	t.Skipf("NOT TESTED AGAINST A REAL ZIPKIN: %s", reason)
}

// fetch gives the path of the server's jar.
func fetch(t testing.TB) string {
	t.Helper()
	for _, program := range []string{"java", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "%v", err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		skip(t, "%v", err)
	}
	dir := filepath.Join(cache, "tomoscrape-test")
	jar := filepath.Join(dir, "zipkin-server-"+Version+"-exec.jar")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		skip(t, "%v", err)
	}
	// Test binaries of several packages run at once; one of them fetches.
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, "lock")).Lock()
	if err != nil {
		skip(t, "%v", err)
	}
	defer unlock()
	if _, err := os.Stat(jar); err == nil {
		return jar
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		skip(t, "%s is not there, and %v", jar, err)
	}
	t.Logf("fetching Zipkin %s from Maven Central", Version)
	partial, err := os.MkdirTemp(dir, "fetch")
	if err != nil {
		skip(t, "%v", err)
	}
	defer os.RemoveAll(partial)
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:copy",
		"-Dartifact=io.zipkin:zipkin-server:"+Version+":jar:exec", "-DoutputDirectory="+partial)
	mvn.Dir = partial
	mvn.WaitDelay = 5 * time.Second
	if output, err := mvn.CombinedOutput(); err != nil {
		skip(t, "mvn could not fetch it: %v\n%s", err, output)
	}
	// The name is given only to what was fetched whole.
	if err := os.Rename(filepath.Join(partial, filepath.Base(jar)), jar); err != nil {
		skip(t, "%v", err)
	}
	return jar
}

// watched runs java until its own end or that of the pipe at descriptor 3, which
// breaks when the test's process ends in any way.
const watched = `(read _ <&3; kill -9 $$) 2>/dev/null & exec java "$@" 3<&-`

func start(t testing.TB, jar string, env []string) (*Server, error) {
	t.Helper()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(t.TempDir(), "zipkin.log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	java := exec.Command("sh", "-c", watched, "sh", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-jar", jar, "--server.port="+strconv.Itoa(port), "--server.address=127.0.0.1")
	java.Env = append(os.Environ(), env...)
	java.Stdout, java.Stderr = output, output
	java.ExtraFiles = []*os.File{ours}
	if err := java.Start(); err != nil {
		theirs.Close()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- java.Wait() }()
	stop := func() {
		theirs.Close()
		java.Process.Kill()
		<-ended
	}
	s := &Server{URL: "http://127.0.0.1:" + strconv.Itoa(port), log: output.Name()}
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for !s.healthy() {
		select {
		case err := <-ended:
			theirs.Close()
			return nil, fmt.Errorf("it ended (%v):\n%s", err, s.Log())
		case <-deadline.C:
			stop()
			return nil, fmt.Errorf("it was not up after %v:\n%s", startTimeout, s.Log())
		case <-poll.C:
		}
	}
	t.Cleanup(stop)
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) healthy() bool {
	response, err := http.Get(s.URL + "/health")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// Log is the end of what the server printed.
func (s *Server) Log() string {
	const most = 8 << 10
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// ErrNotFound is the error of [Server.Get] for the status 404.
var ErrNotFound = errors.New("not found")

// Get asks the server's API for a path with its query, such as
// "/api/v2/services", and decodes the JSON of the answer into v.
func (s *Server) Get(path string, v any) error {
	response, err := http.Get(s.URL + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w: %s", path, ErrNotFound, body)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return json.Unmarshal(body, v)
}
