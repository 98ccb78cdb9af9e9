package monitor

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// systemd is a notification socket; what it returns gives the next message.
func systemd(t *testing.T) (next func() string) {
	dir, err := os.MkdirTemp("", "notify") // t.TempDir can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return func() string {
		b := make([]byte, 64<<10)
		n, err := c.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
}

func TestNotify(t *testing.T) {
	next := systemd(t)
	require.NoError(t, NotifyReady("following 12 files"))
	require.Equal(t, "READY=1\nSTATUS=following 12 files", next())
	require.NoError(t, NotifyReady("zipkin: down\nMAINPID=1\x1b[2J"))
	require.Equal(t, "READY=1\n"+`STATUS=zipkin: down\nMAINPID=1\x1b[2J`, next())
	require.NoError(t, NotifyReady(strings.Repeat("日", 100_000)))
	require.Less(t, len(next()), 2*maxStatus)
	require.NoError(t, NotifyReloading())
	require.Regexp(t, regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*\n$`), next())
	require.NoError(t, NotifyStopping("10 spans are not delivered"))
	require.Equal(t, "STOPPING=1\nSTATUS=10 spans are not delivered", next())
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	require.NoError(t, NotifyReady("x"))
	require.NoError(t, NotifyReloading())
	asked := func() error { t.Error("nobody wants to know"); return nil }
	require.NoError(t, Watchdog(t.Context(), asked, slog.Default()))
	// The watchdog of a parent whose environment this process has.
	t.Setenv("WATCHDOG_USEC", "1000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getppid()))
	require.NoError(t, Watchdog(t.Context(), asked, slog.Default()))
}

func TestSystemdIsGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	require.ErrorContains(t, NotifyReady("x"), "cannot notify systemd: ")
}

func TestWatchdogEnvironmentIsDamaged(t *testing.T) {
	for _, usec := range []string{"x", "-5", "0", "1.5", "9223372036854775807", "99999999999999999999"} {
		t.Setenv("WATCHDOG_USEC", usec)
		t.Setenv("WATCHDOG_PID", "")
		require.ErrorContains(t, Watchdog(t.Context(), func() error { return nil }, slog.Default()), "systemd's watchdog is not answered", usec)
	}
}

// The watchdog hears of the program at half of its time, while it is well.
func TestWatchdog(t *testing.T) {
	next := systemd(t)
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	synctest.Test(t, func(t *testing.T) {
		var sick atomic.Bool
		healthy := func() error {
			if sick.Load() {
				return errors.New("zipkin: no block for 2m0s")
			}
			return nil
		}
		log, lines := logged(t, "text", slog.LevelInfo)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- Watchdog(ctx, healthy, log.Logger) }()
		begin := time.Now()
		for range 3 {
			synctest.Wait()
			require.Equal(t, "WATCHDOG=1", next())
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		require.Equal(t, "WATCHDOG=1", next())
		sick.Store(true)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.NoError(t, NotifyReady("nothing before this"))
		require.Equal(t, "READY=1\nSTATUS=nothing before this", next())
		require.Equal(t, []string{`level=ERROR msg="systemd's watchdog is not answered, since a pipeline does not turn" reason="zipkin: no block for 2m0s"`}, lines())
		sick.Store(false)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.Equal(t, "WATCHDOG=1", next())
		require.Equal(t, 75*time.Second, time.Since(begin))
		cancel()
		require.NoError(t, <-done)
	})
}

// The example unit is one that systemd reads without a complaint.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: contrib/tomoscrape-tail.service is not verified")
	}
	unit, err := os.ReadFile("../../contrib/tomoscrape-tail.service")
	require.NoError(t, err)
	program, err := os.Executable() // one that exists
	require.NoError(t, err)
	require.Contains(t, string(unit), "ExecStart=/usr/bin/tomoscrape tail ")
	path := filepath.Join(t.TempDir(), "tomoscrape-tail.service")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(unit), "/usr/bin/tomoscrape", program, 1)), 0o600))
	said, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	require.NoError(t, err, string(said))
	require.NotContains(t, string(said), "tomoscrape-tail") // it may name other units of the machine
}
