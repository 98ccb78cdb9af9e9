package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// contender is a program that does some work on a made log.
type contender struct {
	name   string // of the work, too; each once in a run of the benchmarks
	args   []string
	out    string       // the file it writes, removed before and after
	stdout bool         // it writes that file as its standard output
	check  func() error // says whether out is what it should be
}

// Run is what one run of a contender took, and the children it waited for.
type Run struct {
	Wall float64 `json:"wall"` // seconds
	CPU  float64 `json:"cpu"`  // seconds, user and system
	Peak int64   `json:"peak"` // bytes, of the largest process
}

// run runs it once and checks what it wrote.
func (c *contender) run() (Run, error) {
	os.Remove(c.out) // as each writes a new file, none pays for emptying an old one
	defer os.Remove(c.out)
	var messages bytes.Buffer
	program := exec.Command(c.args[0], c.args[1:]...)
	program.Stderr = &messages
	if c.stdout {
		out, err := os.Create(c.out)
		if err != nil {
			return Run{}, err
		}
		defer out.Close()
		program.Stdout = out
	}
	begin := time.Now()
	err := program.Run()
	wall := time.Since(begin)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return Run{}, fmt.Errorf("%s: %s: %w\n%s", c.name, strings.Join(c.args, " "), err, messages.Bytes())
	}
	state := program.ProcessState
	r := Run{Wall: wall.Seconds(), CPU: (state.UserTime() + state.SystemTime()).Seconds()}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		r.Peak = peak(usage)
	}
	return r, nil
}

// Runs are those of each contender, by its name.
type Runs map[string][]Run

// interleave runs all contenders in turn, so many times each. Each round begins with
// another of them, and every second one goes backwards: what the machine does
// meanwhile hits all alike, and none always comes after the same one, which may
// have left it memory that is at hand or not.
func (all Runs) interleave(times int, contenders []*contender) error {
	for i := range times {
		var line []string
		for j := range contenders {
			at := i + j
			if i%2 == 1 {
				at = i + len(contenders) - 1 - j
			}
			c := contenders[at%len(contenders)]
			r, err := c.run()
			if err != nil {
				return err
			}
			all[c.name] = append(all[c.name], r)
			line = append(line, fmt.Sprintf("%s %.2f s", c.name, r.Wall))
		}
		progress("round %d of %d: %s", i+1, times, strings.Join(line, ", "))
	}
	return nil
}

// The medians of a contender's runs; false if it did not run.
func (all Runs) wall(name string) (float64, bool) {
	return all.median(name, func(r Run) float64 { return r.Wall })
}

func (all Runs) cpu(name string) (float64, bool) {
	return all.median(name, func(r Run) float64 { return r.CPU })
}

func (all Runs) peak(name string) (float64, bool) {
	return all.median(name, func(r Run) float64 { return float64(r.Peak) })
}

func (all Runs) median(name string, of func(Run) float64) (float64, bool) {
	var values []float64
	for _, r := range all[name] {
		values = append(values, of(r))
	}
	return median(values), len(values) > 0
}
