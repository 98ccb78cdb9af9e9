package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/tail"
)

// What the journal left out is no error of reading.
func TestMetricOfUnreadableLines(t *testing.T) {
	out, err := export.Append(filepath.Join(t.TempDir(), "out.jsonl"), io.Discard)
	require.NoError(t, err)
	defer out.Close()
	journal := `{"_SYSTEMD_UNIT":"nova-api.service","MESSAGE":null,"PRIORITY":"6","__REALTIME_TIMESTAMP":"1700000000000000"}` + "\n"
	opt := tail.Options{Logger: slog.New(slog.DiscardHandler),
		Follow: follow.Options{Paths: []string{"-"}, Stdin: strings.NewReader(journal + "a line\n" + journal)}}
	tail, err := tail.NewJSON(opt, out, tail.LiveOptions{}, assemble.Options{})
	require.NoError(t, err)
	require.NoError(t, tail.Run(context.Background()))
	j := &tailJob{tails: []namedTail{{"json", tail}}}
	got := j.outputs()[0]
	require.EqualValues(t, 3, got.Lines)
	require.EqualValues(t, 2, got.Unreadable)
	require.Zero(t, got.ReadErrors)
}

// timeout and systemd may send a signal twice: what Zipkin is just taking counts as
// delivered all the same.
func TestSignalSentTwiceEndsTailInOrder(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := t.TempDir()
		spans, err := os.ReadFile("../../testdata/logs/havana/nova/nova-api.log")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "x.log"), spans, 0o600))
		came, release := make(chan bool, 100), make(chan bool)
		zipkin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			came <- true
			<-release
			w.WriteHeader(http.StatusAccepted)
		}))
		systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
		require.NoError(t, err)
		args := []string{"tail", filepath.Join(dir, "x.log"), "--zipkin", zipkin.URL, "--from", "start",
			"--checkpoint", filepath.Join(dir, "c"), "--quarantine", filepath.Join(dir, "q")}

		cmd := command(t, args...)
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
		var said bytes.Buffer
		cmd.Stderr = &said
		require.NoError(t, cmd.Start())
		<-came
		require.NoError(t, cmd.Process.Signal(sig))
		for state, buf := "", make([]byte, 1024); !strings.Contains(state, "STOPPING=1"); {
			n, err := systemd.Read(buf)
			require.NoError(t, err)
			state = string(buf[:n])
		}
		require.NoError(t, cmd.Process.Signal(sig))
		close(release)
		require.NoError(t, cmd.Wait(), said.String())
		require.NoError(t, systemd.Close())
		for len(came) > 0 {
			<-came
		}

		// The next run has nothing to deliver: it is ended when it follows.
		cmd = command(t, args...)
		said.Reset()
		pipe, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(pipe)
		for lines.Scan() && !strings.Contains(lines.Text(), "msg=following") {
		}
		require.NoError(t, cmd.Process.Signal(sig))
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
		}
		require.NoError(t, cmd.Wait())
		require.Contains(t, said.String(), "delivered=0")
		require.Contains(t, said.String(), "lines=0")
		require.Empty(t, came)
		zipkin.Close()
	}
}

func TestWhatSystemdShows(t *testing.T) {
	require.Equal(t, "following 0 logs", followed(0))
	require.Equal(t, "following 1 log", followed(1))
	require.Equal(t, "following 2 logs", followed(2))
}
