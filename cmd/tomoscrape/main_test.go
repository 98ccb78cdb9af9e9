package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/early"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/script")

func TestMain(m *testing.M) {
	leastMemory = 1 << 10 // the samples are small
	verifyPatience = 5 * time.Second
	signal.Stop(early.Signals) // the tests end by it
	testscript.Main(m, map[string]func(){"tomoscrape": main})
}

// The scripts say what every command, flag and exit code does. They find the
// sample logs in logs/, and two servers: $ZIPKIN takes all spans but those
// named poison and appends what it took to received.json; $BROKEN answers 404.
func TestScripts(t *testing.T) {
	logs, err := filepath.Abs("../../testdata/logs")
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			good := httptest.NewServer(takeSpans(filepath.Join(env.WorkDir, "received.json")))
			broken := httptest.NewServer(http.NotFoundHandler())
			env.Defer(good.Close)
			env.Defer(broken.Close)
			env.Setenv("ZIPKIN", good.URL)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each command takes a second more
			env.Setenv("BROKEN", broken.URL)
			return os.Symlink(logs, filepath.Join(env.WorkDir, "logs"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCode},
	})
}

// exitCode N COMMAND ARGS... runs a command and checks its exit code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if exit := (*exec.ExitError)(nil); err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			exit = e
			code = strings.TrimPrefix(exit.Error(), "exit status ")
		} else {
			ts.Fatalf("%v", err)
		}
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

func takeSpans(file string) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			body = unpacked
		}
		spans, err := io.ReadAll(body)
		if err == nil && bytes.Contains(spans, []byte("poison")) {
			http.Error(w, "this is poison", http.StatusBadRequest)
			return
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(spans)
			f.Close()
		}
		if err != nil || r.URL.Path != "/api/v2/spans" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

// closedPipe is a standard output whose reader has gone away.
func closedPipe(t *testing.T) *os.File {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	t.Cleanup(func() { w.Close() })
	return w
}

func TestReaderThatGoesAwayEndsItQuietly(t *testing.T) {
	for _, args := range [][]string{{"replay"}, {"list"}, {"show"}, {"check"}} {
		var errs bytes.Buffer
		code := run(append(args, "../../testdata/logs/damaged"), strings.NewReader(""), closedPipe(t), &errs, nil)
		require.Equal(t, exitWhole, code, args)
		require.Empty(t, errs.String(), args)
	}
}

func TestOtherOutputsAreWholeWhenTheReaderGoesAway(t *testing.T) {
	dir := t.TempDir()
	for _, command := range []string{"replay", "check"} {
		var errs bytes.Buffer
		summary, complaints := filepath.Join(dir, command+".summary"), filepath.Join(dir, command+".errors")
		code := run([]string{command, "../../testdata/logs/damaged", "--summary", summary, "--errors", complaints},
			strings.NewReader(""), closedPipe(t), &errs, nil)
		require.Equal(t, exitWhole, code)
		lines, err := os.ReadFile(complaints)
		require.NoError(t, err)
		require.Equal(t, 21, bytes.Count(lines, []byte("\n")))
		ledger, err := os.ReadFile(summary)
		require.NoError(t, err)
		require.Contains(t, string(ledger), `"salvaged":21`)
	}
}

// The input is more than a pipe holds, so once it is written the program is
// reading, and its signal handlers are set.
func TestSignalsEndReplay(t *testing.T) {
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		dir := t.TempDir()
		cmd := command(t, "replay", "-", "--json", filepath.Join(dir, "out.json"))
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = in.Write(bytes.Repeat([]byte("a line\n"), 100_000))
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(sig))
		err = cmd.Wait()
		exit := (*exec.ExitError)(nil)
		require.ErrorAs(t, err, &exit)
		require.Equal(t, code, exit.ExitCode())
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left, "no half file is left")
	}
}

// The runtime says which packages it has initialized: as soon as the first of ours
// is, a signal ends a command as it does later.
func TestSignalsBeforeMain(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "x.log")
	require.NoError(t, os.WriteFile(log, nil, 0o600))
	for _, c := range []struct {
		sig  syscall.Signal
		code int
		args []string
	}{
		{syscall.SIGTERM, 0, []string{"tail", log, "--json", filepath.Join(dir, "tail.json"), "--checkpoint", filepath.Join(dir, "c")}},
		{syscall.SIGINT, 0, []string{"tail", log, "--json", filepath.Join(dir, "tail.json"), "--checkpoint", filepath.Join(dir, "c")}},
		{syscall.SIGINT, 130, []string{"replay", "-", "--json", filepath.Join(dir, "replay.json")}},
		{syscall.SIGTERM, 143, []string{"replay", "-", "--json", filepath.Join(dir, "replay.json")}},
	} {
		cmd := command(t, c.args...)
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1", "GORACE=atexit_sleep_ms=0")
		_, err := cmd.StdinPipe() // replay has nothing to read yet
		require.NoError(t, err)
		said, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(said)
		sent := false
		var all strings.Builder
		for lines.Scan() {
			if name := strings.Fields(lines.Text() + "  -"); !sent && name[1] == "github.com/tomoscrape/tomoscrape/internal/early" {
				require.NoError(t, cmd.Process.Signal(c.sig))
				sent = true
				require.NotContains(t, all.String(), "tomoscrape/parser", "ours comes before what takes long")
			}
			all.WriteString(lines.Text() + "\n")
		}
		require.True(t, sent, all.String())
		_ = cmd.Wait()
		require.Equal(t, c.code, cmd.ProcessState.ExitCode(), "%v %v: %s", c.args[0], c.sig, cmd.ProcessState)
	}
}

// A signal that comes while spans are on disk leaves nothing there.
func TestSignalLeavesNoTemporaryFiles(t *testing.T) {
	spans, err := os.ReadFile("../../testdata/logs/havana/nova/nova-api.log")
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := command(t, "replay", "-", "--memory", "1KiB", "--temp", dir)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for range 20 {
		_, err = in.Write(spans)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { // a file has a name until it is removed, right after it is made
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	}, 10*time.Second, time.Millisecond, "what is there has no name")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	exit := (*exec.ExitError)(nil)
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 143, exit.ExitCode())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Standard output is a pipe that nobody empties, so that the first SIGINT finds
// the program stuck in a write.
func TestThirdSignalLeavesAtOnce(t *testing.T) {
	cmd := command(t, "replay", "../../testdata/logs/folsom", "../../testdata/logs/grizzly")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 1)) // it is writing
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := cmd.Process.Wait()
		ended <- err
	}()
	require.Eventually(t, func() bool {
		_ = cmd.Process.Signal(syscall.SIGINT) // fails when it has ended
		select {
		case err := <-ended:
			require.NoError(t, err)
			return true
		default:
			return false
		}
	}, 10*time.Second, 20*time.Millisecond)
}

func TestHaste(t *testing.T) {
	begin := time.Now()
	for _, c := range []struct {
		at   []int // ms
		want int   // which ends it at once, from 1
	}{
		{[]int{0}, 0}, {[]int{0, 0}, 0}, {[]int{0, 1, 2}, 3}, {[]int{0, 0, 1000}, 3}, {[]int{0, 0, 1001}, 0},
		{[]int{0, 900, 1800, 2700, 3600}, 0}, {[]int{0, 5000, 5001, 5002}, 4},
	} {
		var h haste
		ended := 0
		for i, at := range c.at {
			if h.atOnce(begin.Add(time.Duration(at)*time.Millisecond)) && ended == 0 {
				ended = i + 1
			}
		}
		require.Equal(t, c.want, ended, c.at)
	}
}

// command is tomoscrape as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	path, err := exec.LookPath("tomoscrape") // see testscript.Main
	require.NoError(t, err)
	return exec.Command(path, args...)
}
