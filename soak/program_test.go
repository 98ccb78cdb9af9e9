package soak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// built is where the program was built, if it was.
var built string

// program is the built program.
var program = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "soak"); err != nil {
		return "", err
	}
	path := filepath.Join(built, "tomoscrape")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/tomoscrape").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
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

// about are the last messages about a log, or about all if none is named.
func (m *messages) about(path string) string {
	var about []string
	for text := range strings.Lines(m.String()) {
		if strings.Contains(text, path) {
			about = append(about, text)
		}
	}
	return strings.Join(about[max(0, len(about)-400):], "")
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
	f.t.Cleanup(func() { cmd.Process.Kill() }) // if the test fails
}

func (f *follower) kill() {
	require.NoError(f.t, f.cmd.Process.Kill())
	<-f.exits
}

// term ends the program as systemd does and wants it to end well, and soon.
func (f *follower) term() {
	begun := time.Now()
	require.NoError(f.t, f.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(f.t, <-f.exits, "%s", f.err.about(""))
	require.Less(f.t, time.Since(begun), 15*time.Second)
}
