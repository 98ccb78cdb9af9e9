package main

import (
	"bufio"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// benchmarked are the packages whose Go benchmarks are run.
var benchmarked = []string{"./parser", "./assemble", "./tracejson", "./export"}

// benchstat compares two runs of Go benchmarks.
const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// lastGoBenchmarks is the path of the newest of the kept ones, "" without any:
// their names begin with the date.
func lastGoBenchmarks(dir string) string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.go.txt")) // fails on a bad pattern only
	if len(paths) == 0 {
		return ""
	}
	return slices.Max(paths)
}

// benchmark is the median MB/s of a benchmark in the output of go test, and its
// allocations for each of the items it says it handles.
func benchmark(output, name string) (speed, allocations float64) {
	var speeds, counts []float64
	for lines := bufio.NewScanner(strings.NewReader(output)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] != name {
			continue
		}
		values := map[string]float64{} // by their units
		for i := 3; i < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i-1], 64); err == nil {
				values[fields[i]] = value
			}
		}
		speeds = append(speeds, values["MB/s"])
		if values["lines/op"] > 0 {
			counts = append(counts, values["allocs/op"]/values["lines/op"])
		}
	}
	return median(speeds), median(counts)
}

// median is 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
