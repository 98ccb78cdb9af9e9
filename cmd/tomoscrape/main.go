// Command tomoscrape turns the span lines that tomograph left in OpenStack's
// logs into traces. This package holds flags and wiring only; see package
// pipeline for the way through.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())) }
