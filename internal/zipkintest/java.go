package zipkintest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Require is the environment variable that turns skips into failures.
const Require = "TOMOSCRAPE_REQUIRE_SERVERS"

// The first fetch is 135 MB for Zipkin and 66 MB for Cassandra. On an idle
// machine each of them is up within 10 seconds.
const (
	fetchTimeout = 10 * time.Minute
	startTimeout = 2 * time.Minute
)

// skip ends the test, as failed where servers are required.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv(Require) == "1" {
		t.Fatalf("%s=1, but NO REAL SERVER: %s", Require, reason)
	}
	t.Skipf("NOT TESTED AGAINST A REAL SERVER: %s", reason)
}

// fetch gives the path of a file or directory in the cache of the user. If it is
// not there, mvn is to make it, called with args in a directory of its own that
// has a pom.xml of this text (unless it is "").
func fetch(t testing.TB, name, pom string, args ...string) string {
	t.Helper()
	if testing.Short() {
		skip(t, "it takes some seconds, and this is a run with -short")
	}
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
	kept := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		skip(t, "%v", err)
	}
	// Test binaries of several packages run at once; one of them fetches.
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, "lock")).Lock()
	if err != nil {
		skip(t, "%v", err)
	}
	defer unlock()
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		skip(t, "%s is not there, and %v", kept, err)
	}
	t.Logf("fetching %s from Maven Central", name)
	partial, err := os.MkdirTemp(dir, "fetch")
	if err != nil {
		skip(t, "%v", err)
	}
	defer os.RemoveAll(partial)
	if pom != "" {
		if err := os.WriteFile(filepath.Join(partial, "pom.xml"), []byte(pom), 0o644); err != nil {
			skip(t, "%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	mvn := exec.CommandContext(ctx, "mvn", append([]string{"-q", "-B"}, args...)...)
	mvn.Dir = partial
	mvn.WaitDelay = 5 * time.Second
	if output, err := mvn.CombinedOutput(); err != nil {
		skip(t, "mvn could not fetch it: %v\n%s", err, output)
	}
	// The name is given only to what was fetched whole.
	if err := os.Rename(filepath.Join(partial, name), kept); err != nil {
		skip(t, "%v", err)
	}
	return kept
}

// watched runs java until its own end or that of the pipe at descriptor 3, which
// breaks when the test's process ends in any way.
const watched = `(read _ <&3; kill -9 $$) 2>/dev/null & exec java "$@" 3<&-`

// process is a running java.
type process struct {
	log  string // file of its output
	stop func() // and wait for its end; can be called again
}

// launch runs java with its output in a file of this name until the test ends.
// It returns when the server is ready.
func launch(t testing.TB, name string, args, env []string, ready func() bool) (*process, error) {
	t.Helper()
	output, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	java := exec.Command("sh", append([]string{"-c", watched, "sh"}, args...)...)
	java.Env = append(os.Environ(), env...)
	java.Stdout, java.Stderr = output, output
	java.ExtraFiles = []*os.File{ours}
	if err := java.Start(); err != nil {
		theirs.Close()
		return nil, err
	}
	var result error
	ended := make(chan struct{})
	go func() {
		result = java.Wait()
		close(ended)
	}()
	p := &process{log: output.Name(), stop: func() {
		theirs.Close()
		java.Process.Kill()
		<-ended
	}}
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for !ready() {
		select {
		case <-ended:
			p.stop()
			return nil, fmt.Errorf("it ended (%v):\n%s", result, p.Log())
		case <-deadline.C:
			p.stop()
			return nil, fmt.Errorf("it was not up after %v:\n%s", startTimeout, p.Log())
		case <-poll.C:
		}
	}
	t.Cleanup(p.stop)
	return p, nil
}

// Log is the end of what the server printed.
func (p *process) Log() string {
	const most = 8 << 10
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// attempts is how often a server is started at most: another process may take
// its port before it does.
const attempts = 3

// freePorts are ports of the loopback address that nobody listens at.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
