// Command bench measures tomoscrape against the targets of its design, beside the
// programs that people would use instead, and prints a table. `make bench` runs it.
//
//	generate.go ── made logs with their truth ──> work.go ── runs, interleaved ──> table.go
//	                                               run.go    each checked           medians, ratios, targets
//	                                 gobench.go ── go test -bench, benchstat ──────────┘
//
// It makes its own data, the same for each seed and size, and keeps it in
// $BENCH_DIR. In every run the output is checked against what the generator says
// the log holds; what is wrong ends the benchmark. Set in the environment:
//
//	BENCH_DIR         where data, programs and outputs lie (default: tomoscrape-bench in the temporary directory)
//	BENCH_SIZE        of the log for the comparisons with other programs (300MB)
//	BENCH_RUNS        how often each is run (5)
//	BENCH_GROWTH      the sizes at which growth is measured (10MB,100MB,1GB; 10GB on demand)
//	BENCH_MEMORY      the size of the log for the memory bound (2GB; the design says 10GB)
//	BENCH_OUT         where the results go (docs/bench)
//	BENCH_TOMOSCRAPE  a tomoscrape to measure instead of the one of this tree
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what the environment says.
type settings struct {
	Dir        string   `json:"-"`
	Size       string   `json:"size"`
	Runs       int      `json:"runs"`
	Growth     []string `json:"growth"`
	Memory     string   `json:"memory"`
	Out        string   `json:"-"`
	Tomoscrape string   `json:"-"`
}

func environment() (settings, error) {
	get := func(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
	s := settings{
		Dir:        get("BENCH_DIR", filepath.Join(os.TempDir(), "tomoscrape-bench")),
		Size:       get("BENCH_SIZE", "300MB"),
		Growth:     strings.Split(get("BENCH_GROWTH", "10MB,100MB,1GB"), ","),
		Memory:     get("BENCH_MEMORY", "2GB"),
		Out:        get("BENCH_OUT", filepath.Join("docs", "bench")),
		Tomoscrape: os.Getenv("BENCH_TOMOSCRAPE"),
	}
	for _, size := range append([]string{s.Size, s.Memory}, s.Growth...) {
		if _, err := parseSize(size); err != nil {
			return s, err
		}
	}
	var err error
	if s.Runs, err = strconv.Atoi(get("BENCH_RUNS", "5")); err != nil || s.Runs < 1 {
		return s, fmt.Errorf("BENCH_RUNS is %q: it is a number from 1", os.Getenv("BENCH_RUNS"))
	}
	return s, nil
}

func bench() error {
	begin := time.Now()
	s, err := environment()
	if err != nil {
		return err
	}
	for _, dir := range []string{s.Dir, s.Out} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	results := &Results{Date: begin.UTC().Format(time.RFC3339), Settings: s, Runs: Runs{}}
	w, err := newWork(s, results)
	if err != nil {
		return err
	}
	results.Machine = thisMachine()
	for _, step := range []func() error{w.goBenchmarks, w.comparisons, w.growth, w.memory, w.tail} {
		if err := step(); err != nil {
			return err
		}
	}
	results.Machine.LoadAfter = load()
	results.Seconds = int(time.Since(begin).Seconds())
	return results.write(s.Out, begin.UTC().Format(time.DateOnly))
}

// progress tells what is being done.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
