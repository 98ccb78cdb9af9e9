package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// What is told to systemd, after sd_notify(3). All of it does nothing where the
// program was not started by systemd with Type=notify or notify-reload: there is
// no NOTIFY_SOCKET in its environment then.

const maxStatus = 1024 // bytes: a message must fit into a datagram

// NotifyReady says that the start, or a reload, is done. The status is one line
// for `systemctl status`; it is escaped.
func NotifyReady(status string) error {
	return notify(daemon.SdNotifyReady + "\n" + statusLine(status))
}

// NotifyReloading says that SIGHUP was heard. NotifyReady must follow, whether or
// not the reload worked.
func NotifyReloading() error {
	return notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// NotifyStopping says that the program is about to end.
func NotifyStopping(status string) error {
	return notify(daemon.SdNotifyStopping + "\n" + statusLine(status))
}

// Watchdog tells systemd at half of its WatchdogSec= that the program lives, as
// long as healthy gives nil, until ctx is done. If healthy gives an error, or does
// not come back, systemd hears nothing, and restarts the program. Without a
// watchdog for this process it returns at once.
func Watchdog(ctx context.Context, healthy func() error, log *slog.Logger) error {
	timeout, err := daemon.SdWatchdogEnabled(false)
	switch {
	case err != nil:
		return fmt.Errorf("systemd's watchdog is not answered: WATCHDOG_USEC or WATCHDOG_PID is damaged: %w", err)
	case timeout == 0:
		return nil
	case timeout < 0: // more microseconds than there are nanoseconds
		return fmt.Errorf("systemd's watchdog is not answered: WATCHDOG_USEC is too large")
	}
	tick := time.NewTicker(timeout / 2)
	defer tick.Stop()
	for {
		if err := healthy(); err != nil {
			log.Error("systemd's watchdog is not answered, since a pipeline does not turn", "reason", err)
		} else if err := notify(daemon.SdNotifyWatchdog); err != nil {
			log.Error("systemd's watchdog cannot be answered", "reason", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// statusLine cannot hold a line end, and so sets nothing else.
func statusLine(status string) string {
	return "STATUS=" + safetext.ClipBytes(safetext.Printable(status), maxStatus)
}

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("cannot notify systemd: %w", err)
	}
	return nil
}
