// Package soak has services write logs of each kind that logrotate knows, follows
// them while they are rotated, stalls, kills the program, takes its Zipkin away, and
// counts.
package soak

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The length of a soak; `make soak` sets it.
var (
	rotations = env("SOAK_ROTATIONS", 4) // of each log
	kills     = env("SOAK_KILLS", 3)
	rate      = env("SOAK_RATE", 500) // lines a second of each log
)

func env(name string, value int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		value = n
	}
	return value
}

// pause is the time between two rotations: about 0.3 s.
func pause() time.Duration { return time.Duration(100+rand.IntN(400)) * time.Millisecond }

// runs are the runs of the program, one after the other, with one checkpoint.
type runs struct {
	follower
	zipkin     *collector
	paths      []string
	checkpoint string
	found      []*checkpoint // by run: what it began with
}

// checkpoint is what a run of the program finds of the one before: the file as
// follow writes it.
type checkpoint struct {
	Generations []struct {
		Log        string
		HeadLength int    `json:"head_length"`
		HeadSHA256 string `json:"head_sha256"`
		Mark       int64
		Ranges     [][2]int64
	}
}

// start starts the next run.
func (r *runs) start() {
	c := &checkpoint{}
	if text, err := os.ReadFile(r.checkpoint); err == nil {
		require.NoError(r.t, json.Unmarshal(text, c))
	}
	r.args = append([]string{"tail", "--zipkin", r.zipkin.address(len(r.found)), "--from", "start",
		"--checkpoint", r.checkpoint, "--quarantine", r.checkpoint + ".quarantine.jsonl"}, r.paths...)
	r.found = append(r.found, c)
	r.follower.start()
}

// covers tells of the lines of a file whether the checkpoint has them as delivered.
func (c *checkpoint) covers(t *testing.T, file *content) func(end int64) bool {
	var covered [][2]int64
	for _, g := range c.Generations {
		sum, err := hex.DecodeString(g.HeadSHA256)
		require.NoError(t, err)
		if filepath.Dir(g.Log) == filepath.Dir(file.log.path) && g.HeadLength > 0 && g.HeadLength <= len(file.data) && sha256.Sum256(file.data[:g.HeadLength]) == [32]byte(sum) {
			covered = append(append(covered, [2]int64{0, g.Mark}), g.Ranges...)
		}
	}
	return func(end int64) bool {
		for _, r := range covered {
			if r[0] < end && end <= r[1] {
				return true
			}
		}
		return false
	}
}

// Whatever happens to the logs, to the program and to Zipkin: what is on disk is
// delivered, nothing else is, and nothing comes twice but what was delivered after
// the checkpoint that was written last before a kill; that is the same to the byte.
func TestSoak(t *testing.T) {
	t.Parallel()
	for _, trouble := range []string{"kills", "outage"} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.EvalSymlinks(t.TempDir())
			require.NoError(t, err)
			logs := newLogs(t, dir)
			r := &runs{follower: follower{t: t}, zipkin: newCollector(), paths: paths(logs), checkpoint: filepath.Join(t.TempDir(), "checkpoint")}
			defer r.zipkin.Close()
			for _, l := range logs {
				l.start(rate)
			}
			r.start()
			if trouble == "kills" {
				r.killed(logs)
			} else {
				r.outage(logs)
			}
			wait(t, onDisk(t, logs), r.zipkin.came)
			r.term()
			r.start() // and finds all that is there
			require.NoError(t, each(logs, (*log).writeOne))
			disks := onDisk(t, logs)
			wait(t, disks, r.zipkin.came)
			r.term()
			for _, l := range logs {
				r.compare(trouble, l, disks[l])
			}
			invented := 0
			for n := range r.zipkin.got {
				if i := n/apart - 1; i < 0 || int(i) >= len(logs) || !logs[i].wrote(n) {
					invented++
				}
			}
			require.Zero(t, invented)
			require.Empty(t, r.zipkin.differ, "what comes twice is the same")
			require.NotContains(t, r.err.String(), "lines were lost")
			fragments := map[int64]bool{}
			for _, d := range disks {
				for text := range d.torn {
					n, _ := numberOf(text)
					fragments[n] = true
				}
			}
			for _, n := range r.zipkin.torn {
				require.Contains(t, fragments, n, "torn, and in no file so")
			}
			if len(fragments) == 0 {
				require.NotContains(t, r.err.String(), "did not parse whole")
			}
		})
	}
}

// killed kills the program, every second time during an outage, with no, one and
// two rotations of each log while it is down; they are rotated all the time, too.
func (r *runs) killed(logs []*log) {
	var gate sync.RWMutex // closed while the program is down
	over := make(chan struct{})
	rotating := make(chan error)
	go func() {
		rotating <- each(logs, func(l *log) error {
			for {
				select {
				case <-over:
					return l.end()
				case <-time.After(pause()):
				}
				gate.RLock()
				err := l.rotate()
				gate.RUnlock()
				if err != nil {
					return err
				}
			}
		})
	}()
	for i := range kills {
		time.Sleep(time.Duration(500+rand.IntN(1000)) * time.Millisecond)
		r.zipkin.down.Store(i%2 == 1)
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		gate.Lock()
		r.kill()
		r.zipkin.down.Store(false)
		for range i % 3 {
			require.NoError(r.t, each(logs, (*log).rotate))
		}
		r.start()
		gate.Unlock()
	}
	close(over)
	require.NoError(r.t, <-rotating)
}

// outage takes Zipkin away for a second, and gives it back for one.
func (r *runs) outage(logs []*log) {
	over := make(chan struct{})
	toggled := make(chan struct{})
	go func() {
		defer close(toggled)
		for down := true; ; down = !down {
			select {
			case <-over:
				r.zipkin.down.Store(false)
				return
			case <-time.After(time.Second):
				r.zipkin.down.Store(down)
			}
		}
	}()
	require.NoError(r.t, each(logs, (*log).rotateAll))
	close(over)
	<-toggled
}

// compare compares what was delivered of a log with what is on disk.
func (r *runs) compare(trouble string, l *log, d *disk) {
	delivered, repeated := 0, 0
	for n, receipt := range r.zipkin.got {
		if l.wrote(n) {
			delivered++
			repeated += len(receipt.runs) - 1
		}
	}
	lost := d.missing(r.zipkin.came)
	l.report(trouble, d, delivered, repeated, len(r.found)-2, lost)
	if len(lost) > 0 {
		r.t.Errorf("%s: lost %s\n%s", l.kind, ends(lost), r.err.about(l.path))
	}
	for _, file := range d.contents {
		covered := make([]func(int64) bool, len(r.found))
		for run, c := range r.found {
			covered[run] = c.covers(r.t, file)
		}
		for n, end := range file.ends {
			receipt := r.zipkin.got[n]
			if receipt == nil {
				continue // lost
			}
			for run := range receipt.runs[0] + 1 {
				if covered[run](end) {
					r.t.Errorf("%s: the checkpoint has line %d before run %d, and run %d is the first that delivered it", l.kind, n, run, receipt.runs[0])
				}
			}
			for i, run := range receipt.runs[1:] {
				if slices.Contains(receipt.runs[:i+1], run) {
					r.t.Errorf("%s: line %d came twice of run %d", l.kind, n, run)
				} else if covered[run](end) {
					r.t.Errorf("%s: run %d repeats line %d, which the checkpoint has", l.kind, run, n)
				}
			}
		}
	}
	for n, receipt := range r.zipkin.got {
		if l.wrote(n) && len(receipt.runs) > 1 && !d.lines[n] {
			r.t.Errorf("%s: line %d, which is in no file, came of runs %v", l.kind, n, receipt.runs)
		}
	}
}

// SIGTERM ends the program also while Zipkin is away, and the next run delivers.
func TestTermDuringAnOutage(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.log"), []byte(line(1)+"\n"+line(2)+"\n"), 0o644))
	r := &runs{follower: follower{t: t}, zipkin: newCollector(), paths: []string{dir}, checkpoint: filepath.Join(t.TempDir(), "checkpoint")}
	defer r.zipkin.Close()
	r.zipkin.down.Store(true)
	r.start()
	for !strings.Contains(r.err.String(), "503") {
		time.Sleep(20 * time.Millisecond)
	}
	r.term()
	r.zipkin.down.Store(false)
	r.start()
	for r.zipkin.number() < 2 {
		time.Sleep(20 * time.Millisecond)
	}
	r.term()
	require.Equal(t, []int{1}, r.zipkin.got[1].runs)
	require.Equal(t, []int{1}, r.zipkin.got[2].runs)
}

// A second process that wants the same checkpoint ends, and says why.
func TestTwoProcessesDoNotShareACheckpoint(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "x.log")
	require.NoError(t, os.WriteFile(log, []byte(line(1)+"\n"), 0o644))
	args := []string{"tail", log, "--json", filepath.Join(dir, "traces.jsonl"), "--from", "start", "--settle", "10ms",
		"--checkpoint", filepath.Join(dir, "checkpoint")}
	f := &follower{t: t, args: args}
	f.start()
	for {
		if text, _ := os.ReadFile(filepath.Join(dir, "traces.jsonl")); bytes.Count(text, []byte("\n")) == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	path, err := program()
	require.NoError(t, err)
	out, err := exec.Command(path, append(args[:2:2], "--json", filepath.Join(dir, "other.jsonl"), "--checkpoint", filepath.Join(dir, "checkpoint"))...).CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%s", out)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "checkpoint")
	f.term()
}
