package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// data is a made log on disk.
type data struct {
	size  string // as asked for
	path  string
	truth Truth
}

// seed makes every run of the benchmarks read the same logs.
const seed = 1

// makeData makes the log of a size such as 300MB in a directory, or takes the one
// that is there if its seed and size fit.
func makeData(dir, size string) (*data, error) {
	bytes, err := parseSize(size)
	if err != nil {
		return nil, err
	}
	d := &data{size: size, path: filepath.Join(dir, fmt.Sprintf("seed%d-%s.log", seed, size))}
	truthPath := d.path + ".truth.json"
	if text, err := os.ReadFile(truthPath); err == nil && json.Unmarshal(text, &d.truth) == nil &&
		d.truth.Generator == generatorVersion && d.truth.Seed == seed && checkSize(d.path, d.truth.Bytes) == nil {
		return d, nil
	}
	progress("making %s", d.path)
	old, err := filepath.Glob(d.path + "*") // its truth and packed forms, too
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	if err := writeFile(d.path, func(f *os.File) (err error) {
		d.truth, err = Generate(f, seed, bytes)
		return err
	}); err != nil {
		return nil, err
	}
	return d, writeFile(truthPath, func(f *os.File) error { return json.NewEncoder(f).Encode(d.truth) })
}

// packed gives the path of the log as a packing program writes it, and makes it
// if it is not there.
func (d *data) packed(suffix, program string, args ...string) (string, error) {
	path := d.path + suffix
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	progress("making %s", path)
	return path, writeFile(path, func(f *os.File) error {
		c := exec.Command(program, append(args, d.path)...)
		c.Stdout, c.Stderr = f, os.Stderr
		return c.Run()
	})
}

// writeFile makes a file that is whole when it has its name.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// warm reads a file, so that no run has to fetch it from the disk.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// parseSize reads 300MB, 1GB or 128MiB.
func parseSize(text string) (int64, error) {
	for _, unit := range []struct {
		suffix string
		bytes  int64
	}{{"MiB", 1 << 20}, {"GiB", 1 << 30}, {"MB", 1e6}, {"GB", 1e9}} {
		if digits, found := strings.CutSuffix(text, unit.suffix); found {
			if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n > 0 {
				return n * unit.bytes, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is no size: one is written like 300MB or 1GB", text)
}
