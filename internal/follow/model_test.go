package follow

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is a service that logs, a rotation, and a follower that is stopped,
// killed and stalled at random. It knows which lines were written, and which may
// come twice.
type model struct {
	t       *rapid.T
	b       *bench
	form    string // of the names of rotated files
	stray   bool   // not all rotated files are found by their names
	writer  *os.File
	late    *os.File // the file before, which the service may still write to
	line    int
	partial string // of a line that was begun
	written []string
	saved   map[string]bool // acknowledged in the last checkpoint
	again   map[string]bool // may come again
	holding map[string]*InFlight
	seen    map[string]int
	log     []string
}

func (m *model) path(name string) string { return filepath.Join(m.b.dir, name) }

// rotated is the name of the i-th file of a rotation.
func (m *model) rotated(i int) string { return fmt.Sprintf(m.form, i) }

func (m *model) do(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) check(err error) {
	if err != nil {
		m.t.Fatalf("%v\n%s\n%s", err, strings.Join(m.log, "\n"), m.b.logs.String())
	}
}

func (m *model) reopenWriter() {
	f, err := os.OpenFile(m.path("x.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	m.check(err)
	m.writer = f
}

func (m *model) newLine() string {
	m.line++
	return fmt.Sprintf("2026-01-01 00:00:00.000 %06d %s", m.line, strings.Repeat("x", m.line*7%90))
}

func (m *model) put(f *os.File, text string) {
	_, err := f.WriteString(text)
	m.check(err)
}

func (m *model) write() {
	n := rapid.IntRange(1, 30).Draw(m.t, "lines")
	m.do("write %d from %d", n, m.line+1)
	m.finishLine()
	var text strings.Builder
	for range n {
		line := m.newLine()
		m.written = append(m.written, line)
		text.WriteString(line + "\n")
	}
	m.put(m.writer, text.String())
}

func (m *model) begin() {
	if m.partial != "" {
		return
	}
	m.partial = m.newLine()
	cut := rapid.IntRange(1, len(m.partial)).Draw(m.t, "cut")
	m.do("begin %d", m.line)
	m.put(m.writer, m.partial[:cut])
	m.written = append(m.written, m.partial)
	m.partial = m.partial[cut:] + "\n"
}

func (m *model) finishLine() {
	m.put(m.writer, m.partial)
	m.partial = ""
}

func (m *model) exists(name string) bool {
	_, err := os.Lstat(m.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}

func (m *model) shift() {
	for i := 8; i > 0; i-- {
		for _, suffix := range []string{"", ".gz"} {
			if from := m.rotated(i) + suffix; m.exists(from) {
				m.check(os.Rename(m.path(from), m.path(m.rotated(i+1)+suffix)))
			}
		}
		if rapid.IntRange(0, 9).Draw(m.t, "look while shifting") == 0 && m.b.f != nil {
			m.look()
		}
	}
}

func (m *model) rename() {
	m.do("rename")
	m.finishLine()
	m.shift()
	m.check(os.Rename(m.path("x.log"), m.path(m.rotated(1))))
	if m.late != nil {
		m.late.Close()
	}
	m.late = m.writer
	if rapid.Bool().Draw(m.t, "look in the gap") {
		m.look()
	}
	m.reopenWriter()
}

func (m *model) writeLate() {
	if m.late == nil {
		return
	}
	line := m.newLine()
	m.do("late %d", m.line)
	m.written = append(m.written, line)
	m.put(m.late, line+"\n")
}

func (m *model) copytruncate() {
	m.do("copytruncate")
	m.finishLine()
	m.shift()
	data, err := os.ReadFile(m.path("x.log"))
	m.check(err)
	cut := rapid.IntRange(0, len(data)).Draw(m.t, "copied")
	f, err := os.Create(m.path(m.rotated(1)))
	m.check(err)
	m.put(f, string(data[:cut]))
	if rapid.Bool().Draw(m.t, "look while copying") {
		m.look()
	}
	m.put(f, string(data[cut:]))
	m.check(f.Close())
	if rapid.Bool().Draw(m.t, "look before truncating") {
		m.look()
	}
	m.check(os.Truncate(m.path("x.log"), 0))
	if rapid.Bool().Draw(m.t, "compress at once") {
		m.compress(1)
	}
}

func (m *model) compress(i int) {
	name := m.path(m.rotated(i))
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	m.check(err)
	m.do("compress %d", i)
	if m.late != nil { // a rotation that compresses has waited for the service
		late, err := m.late.Stat()
		m.check(err)
		if this, err := os.Stat(name); err == nil && os.SameFile(this, late) {
			m.late.Close()
			m.late = nil
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(data)
	m.check(err)
	m.check(z.Close())
	cut := rapid.IntRange(0, packed.Len()).Draw(m.t, "packed")
	m.check(os.WriteFile(name+".gz", packed.Bytes()[:cut], 0o644))
	if rapid.Bool().Draw(m.t, "look while compressing") {
		m.look()
	}
	m.check(os.WriteFile(name+".gz", packed.Bytes(), 0o644))
	m.check(os.Remove(name))
}

func (m *model) look() {
	if m.b.f == nil {
		return
	}
	m.b.at = m.b.at.Add(quietPoll)
	m.b.f.look(m.b.at)
	m.do("look")
}

func (m *model) read() {
	if m.b.f == nil {
		return
	}
	m.do("read")
	m.b.drain()
}

func (m *model) wait() {
	d := time.Duration(rapid.SampledFrom([]int{20, 300, 2500, 6000, 70000}).Draw(m.t, "ms")) * time.Millisecond
	m.do("wait %v", d)
	if m.b.f != nil && m.partial == "" {
		m.b.step(d)
	}
}

func (m *model) save() {
	if m.b.f == nil {
		return
	}
	m.do("save")
	m.check(m.b.f.save())
	m.noteSaved()
}

func (m *model) noteSaved() {
	m.saved = map[string]bool{}
	for line, h := range m.holding {
		m.saved[line] = h == nil || h.done.Load()
	}
}

func (m *model) acknowledge() {
	for _, line := range m.written {
		if h := m.holding[line]; h != nil && rapid.IntRange(0, 2).Draw(m.t, "done") == 0 {
			h.Done()
		}
	}
}

func (m *model) open() {
	if m.b.f != nil {
		return
	}
	m.do("open")
	if now := time.Now(); m.b.at.Before(now) {
		m.b.at = now
	}
	f, err := open(m.b.opt, func() time.Time { return m.b.at }, openReadable)
	m.check(err)
	f.most = 0
	f.reader.take = m.take
	m.b.f = f
	m.noteSaved()
}

func (m *model) end(clean bool) {
	if m.b.f == nil {
		return
	}
	if clean {
		m.do("close")
		m.check(m.b.f.Close())
		m.noteSaved()
	} else {
		m.do("kill")
		m.b.f.abandon()
	}
	m.b.f = nil
	for line := range m.seen {
		if !m.saved[line] {
			m.again[line] = true
		}
	}
	m.holding = map[string]*InFlight{}
	for line := range m.saved {
		if m.saved[line] {
			m.holding[line] = nil
		}
	}
}

func (m *model) take(b *Block) error {
	offset, line := b.Offset, b.Line
	for text := range strings.Lines(string(b.Data)) {
		end := offset + int64(len(text))
		if name := strings.TrimSuffix(text, "\n"); !b.Generation.Acked(offset, end) {
			if m.seen[name] == 0 {
				m.do("%s from %s#%d at %d", name[24:30], filepath.Base(b.Generation.Name()), b.Generation.id, offset)
			}
			if m.seen[name]++; m.seen[name] > 1 && !m.again[name] {
				m.t.Fatalf("twice: %q in %s at %d\n%s\n%s", name, b.Generation.Name(), offset, strings.Join(m.log, "\n"), m.b.logs.String())
			}
			delete(m.again, name)
			m.holding[name] = nil
			if line%3 == 0 {
				m.holding[name] = b.Generation.InFlight(offset, end, line)
			}
		}
		offset = end
		line++
	}
	return nil
}

// Whatever a service, a rotation and the follower's own fate do, each line comes,
// and comes twice only if it was not acknowledged in a checkpoint before a crash.
func TestNothingIsLost(t *testing.T) {
	root := inMemory(t)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		dir := filepath.Join(root, fmt.Sprint(runs))
		require.NoError(rt, os.MkdirAll(filepath.Join(dir, "log"), 0o755))
		defer os.RemoveAll(dir)
		m := &model{t: rt, saved: map[string]bool{}, again: map[string]bool{}, holding: map[string]*InFlight{}, seen: map[string]int{},
			b: &bench{t: t, dir: filepath.Join(dir, "log"), at: time.Now()}}
		m.form = rapid.SampledFrom([]string{"x.log.%d", "x.%d.log"}).Draw(rt, "names of rotated files")
		path := rapid.SampledFrom([]string{"", "*.log", "x.log"}).Draw(rt, "path")
		m.stray = path != "" && m.form != "x.log.%d"
		m.b.opt = Options{Paths: []string{filepath.Join(m.b.dir, path)}, Checkpoint: filepath.Join(dir, "c"), FromStart: true, Logger: logTo(&m.b.logs)}
		m.reopenWriter()
		defer func() {
			m.writer.Close()
			if m.late != nil {
				m.late.Close()
			}
			if m.b.f != nil {
				m.b.f.abandon()
			}
		}()
		m.open()
		rotations := 0
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(*rapid.T) { m.write() },
			"more":  func(*rapid.T) { m.write() },
			"begin": func(*rapid.T) { m.begin() },
			"late":  func(*rapid.T) { m.writeLate() },
			"rotate": func(*rapid.T) {
				if rotations++; rotations > 8 {
					return
				}
				if m.stray { // what nobody has seen can be missed by nobody
					m.write()
					m.open()
					m.look()
					m.save()
				}
				if rapid.Bool().Draw(rt, "rename") {
					m.rename()
				} else {
					m.copytruncate()
				}
			},
			"compress":    func(*rapid.T) { m.compress(rapid.IntRange(1, 3).Draw(rt, "which")) },
			"look":        func(*rapid.T) { m.look() },
			"read":        func(*rapid.T) { m.read() },
			"wait":        func(*rapid.T) { m.wait() },
			"save":        func(*rapid.T) { m.save() },
			"acknowledge": func(*rapid.T) { m.acknowledge() },
			"kill":        func(*rapid.T) { m.end(false); m.open() },
			"stop":        func(*rapid.T) { m.end(rapid.Bool().Draw(rt, "clean")) },
			"start":       func(*rapid.T) { m.open() },
		})
		m.open()
		m.finishLine()
		for range 6 {
			m.b.step(3 * time.Second)
		}
		for _, line := range m.written {
			if m.seen[line] == 0 {
				rt.Fatalf("lost: %q\n%s\n%s", line, strings.Join(m.log, "\n"), m.b.logs.String())
			}
		}
		written := map[string]bool{}
		for _, line := range m.written {
			written[line] = true
		}
		for line := range m.seen {
			if !written[line] {
				rt.Fatalf("invented: %q\n%s\n%s", line, strings.Join(m.log, "\n"), m.b.logs.String())
			}
		}
	})
}
