package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// work is all that is measured.
type work struct {
	settings
	results *Results
	program string            // tomoscrape
	bounded bool              // it knows --memory
	peers   map[string]string // the programs that are there, by name
}

// spillMemory is the bound of the rows about memory.
const spillMemory = "128MiB"

func newWork(s settings, results *Results) (*work, error) {
	w := &work{settings: s, results: results, program: s.Tomoscrape, peers: map[string]string{}}
	results.Commit = firstLine("git", "describe", "--always", "--dirty")
	if w.program != "" {
		results.note("measured is the tomoscrape that BENCH_TOMOSCRAPE names; the commit and the Go benchmarks are " +
			"those of the tree")
	} else {
		w.program = filepath.Join(s.Dir, "tomoscrape")
		build := exec.Command("go", "build", "-o", w.program, "./cmd/tomoscrape")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building tomoscrape: %w", err)
		}
	}
	help, err := exec.Command(w.program, "replay", "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("%s replay --help: %w", w.program, err)
	}
	w.bounded = bytes.Contains(help, []byte("--memory"))
	results.Peers = map[string]string{}
	for _, name := range []string{"rg", "lnav", "gzip", "zstd", "xz", "python3"} {
		if path, err := exec.LookPath(name); err == nil {
			w.peers[name] = path
			results.Peers[name] = firstLine(path, "--version")
		}
	}
	if python, found := w.peers["python3"]; found { // what stands in PATH may be a script that looks for it
		w.peers["python3"] = firstLine(python, "-c", "import sys; print(sys.executable)")
	}
	return w, nil
}

func (w *work) file(name string) string { return filepath.Join(w.Dir, name) }

// replay is tomoscrape replaying a log that holds what d says; crc, if not nil,
// gets the CRC of its output.
func (w *work) replay(name, path string, d *data, crc *uint64, flags ...string) *contender {
	out, summary := w.file("traces.json"), w.file("summary.json")
	args := []string{w.program, "replay", path, "--json", out, "--summary", summary, "--no-progress"}
	return &contender{name: name, args: append(args, flags...), out: out, check: func() error {
		if err := checkSummary(summary, &d.truth); err != nil {
			return err
		}
		sum, err := checkTraces(out, &d.truth)
		if crc != nil {
			*crc = sum
		}
		return err
	}}
}

// grep is ripgrep copying the lines that hold a span.
func (w *work) grep(name string, d *data) *contender {
	out := w.file("rg.out")
	return &contender{name: name, args: []string{w.peers["rg"], "-F", "Span(", d.path}, out: out, stdout: true,
		check: func() error { return checkLines(out, d.truth.SpanLines+d.truth.Mentions) }}
}

// unpack is a packer writing what it packed.
func (w *work) unpack(program, packed string, d *data) *contender {
	out := w.file("unpacked")
	return &contender{name: program, args: []string{w.peers[program], "-dc", packed}, out: out, stdout: true,
		check: func() error { return checkSize(out, d.truth.Bytes) }}
}

// lnavCount has lnav count the lines of a log, for which it indexes it and no more.
func (w *work) lnavCount(d *data) *contender {
	out := w.file("lnav.out")
	return &contender{name: "lnav count", args: []string{w.peers["lnav"], "-n", "-c",
		";SELECT count(*) AS n FROM all_logs", d.path}, out: out, stdout: true,
		check: func() error { return checkLines(out, 2) }}
}

// lnav is lnav copying the lines that hold a span, in the fastest of its ways: what
// it writes to a file itself takes it half as long as what it prints.
func (w *work) lnav(d *data) *contender {
	out := w.file("lnav.out")
	return &contender{name: "lnav", args: []string{w.peers["lnav"], "-n", "-q", "-c", `:filter-in Span\(`, "-c",
		":write-view-to " + out, d.path}, out: out,
		check: func() error { return checkLines(out, d.truth.SpanLines+d.truth.Mentions) }}
}

// python is the script that evaluates each span line.
func (w *work) python(name string, d *data) *contender {
	out := w.file("python.json")
	return &contender{name: name, args: []string{w.peers["python3"], filepath.Join("bench", "eval.py"), d.path, out},
		out:   out,
		check: func() error { _, err := checkTraces(out, &d.truth); return err }}
}

// packers are the programs that pack the log, as they do when nothing is asked
// for; xz in one block, which is what it writes up to version 5.4.
var packers = []struct {
	program, suffix string
	args            []string
	must, goal      float64
}{
	{"gzip", ".gz", []string{"-c"}, 0.9, 0.7},
	{"zstd", ".zst", []string{"-q", "-c"}, 3, 2},
	{"xz", ".xz", []string{"-T1", "-c"}, 1.3, 1.1},
}

// comparisons are the rows in which another program does the work, too.
func (w *work) comparisons() error {
	d, err := makeData(w.Dir, w.Size)
	if err != nil {
		return err
	}
	w.results.Truth = d.truth
	all := []*contender{w.replay("tomoscrape", d.path, d, nil)}
	if w.peers["rg"] != "" {
		all = append(all, w.grep("rg", d))
	}
	if w.peers["lnav"] != "" {
		all = append(all, w.lnav(d), w.lnavCount(d))
	}
	if w.peers["python3"] != "" {
		all = append(all, w.python("python", d))
	}
	for _, p := range packers {
		if w.peers[p.program] == "" {
			continue
		}
		packed, err := d.packed(p.suffix, w.peers[p.program], p.args...)
		if err != nil {
			return err
		}
		all = append(all, w.replay("tomoscrape "+p.suffix, packed, d, nil), w.unpack(p.program, packed, d))
	}
	if err := warm(d.path); err != nil {
		return err
	}
	if err := w.results.Runs.interleave(w.Runs, all); err != nil {
		return err
	}
	r, what := w.results, "replay "+w.Size
	r.compare(what+" / rg -F 'Span(' to a file", Runs.wall, "tomoscrape", "rg", 2.5, 1.5)
	r.compare(what+", CPU / lnav writing the span lines to a file, CPU", Runs.cpu, "tomoscrape", "lnav", 0.7, 0.5)
	r.compare(what+", CPU / lnav only counting lines, CPU", Runs.cpu, "tomoscrape", "lnav count", 0, 0)
	r.faster("Python script / "+what, "python", "tomoscrape", 50, 100)
	for _, p := range packers {
		r.compare(what+" "+p.suffix+" / "+p.program+" -dc to a file", Runs.wall, "tomoscrape "+p.suffix, p.program,
			p.must, p.goal)
	}
	return nil
}

// growth runs the same work on larger and larger logs: within memory, as far as
// half of the machine's holds as many bytes, and beyond with the memory that
// tomoscrape takes by default.
func (w *work) growth() error {
	var all []*contender
	var sizes, beyond []*data
	crc := map[string]*uint64{} // of the outputs, by size
	for _, size := range w.Growth {
		bytes, err := parseSize(size)
		if err != nil {
			return err
		}
		fits := memory() == 0 || bytes <= memory()/2
		if !fits && !w.bounded {
			w.results.note("growth at %s is not measured: this machine's memory does not hold its traces", size)
			continue
		}
		flags := []string{"--temp", w.Dir}
		if !w.bounded {
			flags = nil
		} else if fits {
			flags = []string{"--memory", fmt.Sprintf("%dMiB", max(memory(), bytes*2)*3/4>>20)}
		}
		d, err := makeData(w.Dir, size)
		if err != nil {
			return err
		}
		if err := warm(d.path); err != nil {
			return err
		}
		if fits {
			sizes = append(sizes, d)
		} else {
			beyond = append(beyond, d)
		}
		crc[size] = new(uint64)
		all = append(all, w.replay("tomoscrape "+size, d.path, d, crc[size], flags...))
		if w.peers["rg"] != "" {
			all = append(all, w.grep("rg "+size, d))
		}
	}
	var spilled uint64
	if w.bounded && len(sizes) > 0 {
		d := sizes[len(sizes)-1]
		all = append(all, w.replay("tomoscrape spilling "+d.size, d.path, d, &spilled, "--memory", spillMemory,
			"--temp", w.Dir))
	}
	if err := w.results.Runs.interleave(w.Runs, all); err != nil {
		return err
	}
	w.results.grow(sizes, beyond)
	if !w.bounded {
		w.results.note("spilling is not measured: replay does not know --memory")
		return nil
	}
	if len(sizes) == 0 {
		return nil
	}
	last := len(sizes) - 1
	if spilled != *crc[sizes[last].size] {
		return fmt.Errorf("at %s the output under --memory %s is not that without", sizes[last].size, spillMemory)
	}
	w.results.compare(fmt.Sprintf("replay %s under --memory %s / within memory", sizes[last].size, spillMemory),
		Runs.wall,
		"tomoscrape spilling "+sizes[last].size, "tomoscrape "+sizes[last].size, 2.5, 1.5)
	return nil
}

// memory runs once, with little memory for much data.
func (w *work) memory() error {
	if !w.bounded {
		w.results.note("peak memory under --memory %s is not measured: replay does not know the flag", spillMemory)
		return nil
	}
	d, err := makeData(w.Dir, w.Memory)
	if err != nil {
		return err
	}
	name := "tomoscrape bounded " + d.size
	if err := w.results.Runs.interleave(1, []*contender{
		w.replay(name, d.path, d, nil, "--memory", spillMemory, "--temp", w.Dir),
	}); err != nil {
		return err
	}
	peak, _ := w.results.Runs.peak(name)
	w.results.add(Row{Work: fmt.Sprintf("peak memory of replay %s under --memory %s", d.size, spillMemory),
		Ours: mebibytes(peak), Value: peak / (1 << 20), Unit: "MiB", Must: 256, Goal: 160})
	return nil
}

// goBenchmarks runs those of the packages and compares them with the last ones.
func (w *work) goBenchmarks() error {
	progress("go test -bench")
	run := exec.Command("go", append([]string{"test", "-run", "^$", "-bench", ".", "-benchmem", "-cpu", "1",
		"-benchtime", "0.3s", "-count", "10"}, benchmarked...)...)
	run.Stderr = os.Stderr
	out, err := run.Output()
	if err != nil {
		return fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	w.results.GoBenchmarks = string(out)
	if speed, allocations := benchmark(string(out), "BenchmarkDecode"); speed > 0 {
		w.results.add(Row{Work: "decode span lines, one core", Ours: fmt.Sprintf("%.0f MB/s, %.0f allocations a line",
			speed, allocations),
			Value: speed, Unit: "MB/s", Must: 500, Goal: 1000, More: true})
	} else {
		w.results.note("decoding is not measured: there is no BenchmarkDecode")
	}
	previous := lastGoBenchmarks(w.Out)
	if previous == "" {
		w.results.note("there are no earlier Go benchmarks in %s to compare with", w.Out)
		return nil
	}
	latest := w.file("go.txt")
	if err := os.WriteFile(latest, out, 0o644); err != nil {
		return err
	}
	compare := exec.Command("go", "run", benchstat, "-filter", ".unit:(sec/op OR allocs/op)", "before="+previous,
		"now="+latest)
	compare.Stderr = os.Stderr
	table, err := compare.Output()
	if err != nil {
		w.results.note("the Go benchmarks are not compared: benchstat: %v", err)
		return nil
	}
	w.results.Benchstat = strings.TrimSpace(string(table))
	return nil
}
