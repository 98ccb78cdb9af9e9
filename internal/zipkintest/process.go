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

// startTimeout is long: on an idle machine each server is up within 10 seconds.
const startTimeout = 2 * time.Minute

// skip ends the test, as failed where servers are required.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv(Require) == "1" {
		t.Fatalf("%s=1, but NO REAL SERVER: %s", Require, reason)
	}
	t.Skipf("NOT TESTED AGAINST A REAL SERVER: %s", reason)
}

// need ends the test where what every server needs, or one of the programs, is
// missing.
func need(t testing.TB, programs ...string) {
	t.Helper()
	if testing.Short() {
		skip(t, "it takes some seconds, and this is a run with -short")
	}
	for _, program := range append(programs, "sh") {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "%v", err)
		}
	}
}

// keep gives the path of a file or directory in the cache of the user. If it is
// not there, make is to make one of that name in the directory it is given.
func keep(t testing.TB, name string, make func(dir string) error) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		skip(t, "%v", err)
	}
	dir := filepath.Join(cache, "tomoscrape-test")
	kept := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		skip(t, "%v", err)
	}
	// Test binaries of several packages run at once; one of them makes it.
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, name+".lock")).Lock()
	if err != nil {
		skip(t, "%v", err)
	}
	defer unlock()
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	partial, err := os.MkdirTemp(dir, "fetch")
	if err != nil {
		skip(t, "%v", err)
	}
	defer os.RemoveAll(partial)
	if err := make(partial); err != nil {
		skip(t, "%s is not there, and could not be made: %v", kept, err)
	}
	// The name is given only to what was made whole.
	if err := os.Rename(filepath.Join(partial, name), kept); err != nil {
		skip(t, "%v", err)
	}
	return kept
}

// runIn runs a program in a directory, its environment with env.
func runIn(dir string, timeout time.Duration, env []string, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, output)
	}
	return nil
}

// watched runs a program until its own end or that of the pipe at descriptor 3,
// which breaks when the test's process ends in any way.
const watched = `(read _ <&3; kill -9 $$) 2>/dev/null & exec "$@" 3<&-`

// process is a running server.
type process struct {
	log  string // file of its output
	stop func() // and wait for its end; can be called again
}

// launch runs a command with its output in a file of this name until the test
// ends. It returns when the server is ready.
func launch(t testing.TB, name string, command, env []string, ready func() bool) (*process, error) {
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
	server := exec.Command("sh", append([]string{"-c", watched, "sh"}, command...)...)
	server.Env = append(os.Environ(), env...)
	server.Stdout, server.Stderr = output, output
	server.ExtraFiles = []*os.File{ours}
	if err := server.Start(); err != nil {
		theirs.Close()
		return nil, err
	}
	var result error
	ended := make(chan struct{})
	go func() {
		result = server.Wait()
		close(ended)
	}()
	p := &process{log: output.Name(), stop: func() {
		theirs.Close()
		server.Process.Kill()
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
