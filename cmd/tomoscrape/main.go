// Command tomoscrape turns the span lines that tomograph left in OpenStack's
// logs into traces. This package holds flags and wiring only; see packages
// replay and tail for the two ways through.
package main

import (
	"io"
	"log"
	"os"
)

func main() {
	log.SetOutput(io.Discard) // net/http complains there of servers; what matters of them is an error, too
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
