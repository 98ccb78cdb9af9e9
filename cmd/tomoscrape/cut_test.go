package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A directory is replayed while logrotate copies and truncates a log in it: between
// the listing, at which the log is opened, and its turn. Nothing is lost, and nothing
// that was read is in the ledger twice.
func TestCopiedAndTruncatedDuringReplay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))) // so that it is opened before
	logs, err := filepath.Glob("../../testdata/logs/real-openstack/nova/*")
	require.NoError(t, err)
	log, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	lines := strings.SplitAfter(string(log), "\n")
	before, after := strings.Join(lines[:len(lines)/2], ""), strings.Join(lines[len(lines)/2:], "")

	replay := func(copied bool, code int) (spans, duplicates, lines int64) {
		dir := t.TempDir()
		gate, x := filepath.Join(dir, "gate"), filepath.Join(dir, "logs", "x.log")
		require.NoError(t, syscall.Mkfifo(gate, 0o600))
		write(t, dir, map[string]string{"logs/x.log": before})
		done := make(chan error, 1)
		go func() {
			w, err := os.OpenFile(gate, os.O_WRONLY, 0) // opened when it is its turn
			if err == nil && copied {
				err = os.WriteFile(x+".1", []byte(before), 0o600)
			}
			if err == nil {
				err = os.WriteFile(x, []byte(after), 0o600)
			}
			if err == nil {
				err = w.Close()
			}
			done <- err
		}()
		l := ledgerOf(t, code, "", "list", gate, filepath.Join(dir, "logs"))
		require.NoError(t, <-done)
		if !copied {
			require.Len(t, l.Unreadable, 1)
			require.Contains(t, l.Unreadable[0].Reason, "it was truncated while it was read")
		}
		return l.Spans, l.Duplicates, l.Lines
	}
	want := ledgerOf(t, exitWhole, string(log), "list", "-")
	require.NotZero(t, want.Spans)
	spans, duplicates, count := replay(true, exitWhole)
	require.Equal(t, []int64{want.Spans, want.Duplicates, want.Lines}, []int64{spans, duplicates, count})
	spans, _, _ = replay(false, exitPartly)
	require.Less(t, spans, want.Spans)
}
