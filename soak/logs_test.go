package soak

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// kinds are the ways in which logrotate rotates. Those with a size are rotated when
// logrotate finds them large enough, all others when it is called.
var kinds = []struct{ name, config string }{
	{"rename", "create 0644"},
	{"nocreate", "nocreate"},
	{"compress", "create 0644\ncompress"},
	{"delaycompress", "create 0644\ncompress\ndelaycompress"},
	{"copytruncate", "copytruncate"},
	{"copytruncate-compress", "copytruncate\ncompress"},
	{"copytruncate-delaycompress", "copytruncate\ncompress\ndelaycompress"},
	{"dateext", "create 0644\ndateext\ndateformat -%Y%m%d-%s"},
	{"copytruncate-dateext", "copytruncate\ncompress\ndateext\ndateformat -%Y%m%d-%s"},
	{"size", "create 0644\nsize 50k"},
	{"copytruncate-size", "copytruncate\nsize 50k"},
}

// logrotate is the real one. Where there is none a test is skipped, unless there
// has to be one.
func logrotate(t *testing.T) string {
	for _, name := range []string{"logrotate", "/usr/sbin/logrotate"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("TOMOSCRAPE_REQUIRE_SERVERS") == "1" {
		t.Fatal("logrotate is required and is not there: apt-get install logrotate")
	}
	t.Skip("SKIPPED: logrotate is not there (apt-get install logrotate)")
	return ""
}

// log is a log of one kind, with the service that writes it.
type log struct {
	kind    string
	first   int64 // number of its first line
	path    string
	command []string     // rotates it
	next    atomic.Int64 // number of the line that is written next

	stop  chan struct{}
	ended chan error
}

// apart is how far the numbers of two logs are apart.
const apart = 1_000_000_000

// newLogs gives a log of each kind, each in a directory of its own under dir.
func newLogs(t *testing.T, dir string) []*log {
	program := logrotate(t)
	conf := t.TempDir()
	var logs []*log
	for i, k := range kinds {
		l := &log{kind: k.name, first: int64(i+1)*apart + 1, path: filepath.Join(dir, k.name, "x.log")}
		l.next.Store(l.first)
		require.NoError(t, os.MkdirAll(filepath.Dir(l.path), 0o755))
		name := filepath.Join(conf, k.name)
		config := fmt.Sprintf("%s {\nmissingok\nrotate %d\n%s\n}\n", l.path, 100+rotations+10*kills, k.config) // none is deleted
		require.NoError(t, os.WriteFile(name, []byte(config), 0o600))
		l.command = []string{program, "-s", name + ".state", name}
		if !strings.Contains(k.config, "size") {
			l.command = append(l.command, "-f")
		}
		logs = append(logs, l)
	}
	return logs
}

// paths are the names of the logs: their rotated files are found by these.
func paths(logs []*log) (paths []string) {
	for _, l := range logs {
		paths = append(paths, l.path)
	}
	return paths
}

// written is how many lines were written.
func (l *log) written() int64 { return l.next.Load() - l.first }

// wrote tells whether a line of this number was written.
func (l *log) wrote(n int64) bool { return n >= l.first && n < l.next.Load() }

// start has lines written until end is called.
func (l *log) start(perSecond int) {
	l.stop, l.ended = make(chan struct{}), make(chan error, 1)
	go func() { l.ended <- l.serve(perSecond) }()
}

// serve writes as a service with Python's WatchedFileHandler does: it appends, and
// looks before each record whether the path is still its file.
func (l *log) serve(perSecond int) error {
	file, err := l.open()
	if err != nil {
		return err
	}
	defer func() { file.Close() }()
	const burst = 20
	ticker := time.NewTicker(time.Second * burst / time.Duration(perSecond))
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return nil
		case <-ticker.C:
		}
		for range burst {
			at, atErr := os.Stat(l.path)
			is, err := file.Stat()
			if err != nil {
				return err
			}
			if atErr != nil || !os.SameFile(at, is) {
				file.Close()
				if file, err = l.open(); err != nil {
					return err
				}
			}
			if err := l.writeTo(file); err != nil {
				return err
			}
		}
	}
}

func (l *log) open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
}

func (l *log) writeTo(file *os.File) error {
	n := l.next.Load()
	l.next.Store(n + 1) // before it can be read
	_, err := file.WriteString(line(n) + "\n")
	return err
}

// writeOne writes a line when nothing else does.
func (l *log) writeOne() error {
	file, err := l.open()
	if err != nil {
		return err
	}
	return errors.Join(l.writeTo(file), file.Close())
}

// end stops writing.
func (l *log) end() error {
	close(l.stop)
	return <-l.ended
}

// line is the line of a number: a span, each a trace of its own, of a length of its
// own, whose name is the checksum of its number.
func line(n int64) string {
	at := 1_700_000_000 + float64(n%apart)/1000
	return fmt.Sprintf("2023-11-14 22:13:20.000 2148 INFO tomograph.backends.log [req-%012d-%s None None] "+
		"Span(trace_id=%d, parent_id=None, id=%d, name='%s', notes=[Note(time=%.3f, value='start', service_name='nova-api', address='ctl-1', port=8774, duration=0), "+
		"Note(time=%.3f, value='stop', service_name='nova-api', address='ctl-1', port=8774, duration=0)], dimensions=[])",
		n, strings.Repeat("x", int(n%97)), n, n, checksum(n), at, at+0.001)
}

func checksum(n int64) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(strconv.AppendInt(nil, n, 10)))
}

// numberOf gives the number of a line; whole says that it is that line to the byte.
func numberOf(text string) (n int64, whole bool) {
	_, rest, _ := strings.Cut(text, "Span(trace_id=")
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && text == line(n)
}

// rotate rotates the log once.
func (l *log) rotate() error {
	before := l.rotations()
	var out []byte
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		out, err = exec.Command(l.command[0], l.command[1:]...).CombinedOutput()
		// logrotate's create meets a service that was faster, and its dateext the
		// rotation of the same second: it says so and goes on.
		if err != nil && !bytes.Contains(out, []byte("exists")) {
			return fmt.Errorf("%v: %w: %s", l.command, err, out)
		}
		if l.rotations() > before {
			return nil
		}
	}
	return fmt.Errorf("%v does not rotate %s: %s", l.command, l.path, out)
}

// rotateAll rotates the log as often as told, and ends it.
func (l *log) rotateAll() error {
	for range rotations {
		time.Sleep(pause())
		if err := l.rotate(); err != nil {
			return err
		}
	}
	return l.end()
}

// rotations is how often the log was rotated.
func (l *log) rotations() int {
	paths, _ := filepath.Glob(l.path + "?*")
	return len(slices.DeleteFunc(paths, func(path string) bool {
		// What a service had created before logrotate's create did.
		return strings.HasSuffix(path, ".backup")
	}))
}

// each does something with all logs at the same time.
func each(logs []*log, do func(*log) error) error {
	var g errgroup.Group
	for _, l := range logs {
		g.Go(func() error { return do(l) })
	}
	return g.Wait()
}

// content is what is in one file of a log, unpacked.
type content struct {
	log  *log
	data []byte
	ends map[int64]int64 // of its whole lines: number to where the line ends
}

// disk is what is in the files of a log.
type disk struct {
	contents []*content
	lines    map[int64]bool
	torn     map[string]bool // what no newline follows: logrotate copied a line that was being written
}

// onDisk reads all files of the logs.
func onDisk(t *testing.T, logs []*log) map[*log]*disk {
	disks := map[*log]*disk{}
	for _, l := range logs {
		disks[l] = l.read(t)
	}
	return disks
}

// read reads all files of a log, in which each line is once.
func (l *log) read(t *testing.T) *disk {
	d := &disk{lines: map[int64]bool{}, torn: map[string]bool{}}
	paths, err := filepath.Glob(l.path + "*")
	require.NoError(t, err)
	for _, path := range paths {
		c := &content{log: l, data: unpack(t, path), ends: map[int64]int64{}}
		d.contents = append(d.contents, c)
		end := int64(0)
		for text := range strings.Lines(string(c.data)) {
			end += int64(len(text))
			text, ended := strings.CutSuffix(text, "\n")
			if !ended {
				d.torn[text] = true
				continue
			}
			n, whole := numberOf(text)
			require.True(t, whole && l.wrote(n) && !d.lines[n], "%s, offset %d: %q", path, end, text)
			d.lines[n] = true
			c.ends[n] = end
		}
	}
	return d
}

func unpack(t *testing.T, path string) []byte {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	if strings.HasSuffix(path, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		require.NoError(t, err, path)
		data, err = io.ReadAll(r)
		require.NoError(t, err, path)
	}
	return data
}

// missing are the lines on disk that did not come.
func (d *disk) missing(came func(n int64) bool) (missing []int64) {
	for n := range d.lines {
		if !came(n) {
			missing = append(missing, n)
		}
	}
	return missing
}

// wait waits until all that is on disk has come.
func wait(t *testing.T, disks map[*log]*disk, came func(n int64) bool) {
	var missing []int64
	for _, d := range disks {
		missing = append(missing, d.missing(came)...)
	}
	for deadline := time.Now().Add(40 * time.Second); len(missing) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("in 40 s %s did not come", ends(missing))
			return
		}
		missing = slices.DeleteFunc(missing, came)
	}
}

// report is a line of what `make soak` prints. What is in no file was lost by
// copytruncate, but for what was read before.
func (l *log) report(trouble string, d *disk, delivered, repeated, kills int, lost []int64) {
	saved := int64(delivered) - int64(len(d.lines)-len(lost))
	fmt.Printf("SOAK %s, %s: written %d, on disk %d, delivered %d, lost %d, repeated %d, in no file %d (%d of them delivered), kills %d, rotations %d\n",
		l.kind, trouble, l.written(), len(d.lines), delivered, len(lost), repeated, l.written()-int64(len(d.lines)), saved, kills, l.rotations())
}

// ends are the first and the last of some numbers.
func ends(numbers []int64) string {
	if len(numbers) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d lines from %d to %d", len(numbers), slices.Min(numbers), slices.Max(numbers))
}
