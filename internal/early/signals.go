// Package early does what cannot wait for main: the packages of the program take
// some milliseconds to be initialized, and a signal that comes meanwhile would end
// the process by itself. Go initializes a package as soon as all it imports is,
// so this one imports next to nothing.
package early

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals gets each SIGINT and SIGTERM, from before main until somebody calls
// [signal.Stop] for it. It has room for as many as make a difference.
var Signals = Catch(make(chan os.Signal, 3))

// Catch makes a channel get them (again) and returns it.
func Catch(c chan os.Signal) chan os.Signal {
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	return c
}
