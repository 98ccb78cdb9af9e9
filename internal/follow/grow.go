package follow

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/nxadm/tail"
	"github.com/nxadm/tail/watch"
)

const (
	maxBatch = 64 << 10  // bytes of lines that wait for the reader
	maxLag   = 256 << 10 // beyond it the block reader takes over
)

// setPoll sets the interval of nxadm/tail, which has one for the whole process.
var setPoll = sync.OnceFunc(func() { watch.POLL_DURATION = growPoll })

// growth is how a generation grows, and who reads what comes.
type growth struct {
	grew     time.Time // last, or when it was opened
	grows    bool      // it grew since it was opened
	grower   *grower
	stopped  *grower // the one before
	untailed bool    // nxadm/tail cannot open it
}

// grower is nxadm/tail at the end of a file that grows. It has the file by the
// descriptor that is open, so that renaming and deleting do not concern it, and
// it is trusted with nothing: its lines must follow each other without a gap, and
// what it gives is verified like any block. When in doubt it is stopped and the
// block reader goes on at the generation's offset.
type grower struct {
	tail *tail.Tail
	file *os.File // the tail's own, nil if it is not known
	stop chan struct{}
	room chan struct{} // a batch was taken
	gone chan struct{} // the tail has ended

	mu          sync.Mutex
	data, spare []byte
	start, end  int64 // of data
	broken      bool
}

// grow starts and stops growers.
func (f *Follower) grow(now time.Time) {
	for _, g := range f.open {
		lag := g.last.size - g.offset
		growing := g.state == following && g.active && !g.packed && now.Sub(g.grew) < growsFor
		switch {
		case g.grower != nil && (!growing || lag > maxLag):
			f.stopGrower(g)
		case g.grower == nil && growing && g.grows && !g.untailed && lag <= maxBatch && f.growers < f.most &&
			ended(g.stopped):
			f.startGrower(g)
		}
	}
}

func (f *Follower) startGrower(g *Generation) {
	setPoll()
	t, err := tail.TailFile(fmt.Sprintf("/proc/self/fd/%d", g.fd), tail.Config{
		Follow: true, Poll: true, MustExist: true, CompleteLines: true,
		Location: &tail.SeekInfo{Offset: g.offset},
		Logger:   slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
	})
	if err != nil { // such as a file that may not be opened again
		f.log.Debug("nxadm/tail", "path", g.Name(), "error", err)
		g.untailed = true
		return
	}
	w := &grower{tail: t, file: fileOf(t), stop: make(chan struct{}), room: make(chan struct{}, 1),
		gone: make(chan struct{}), start: g.offset, end: g.offset}
	g.grower = w
	f.growers++
	f.tails.Go(func() {
		defer close(w.gone)
		w.pump(f.opt.MaxLine, func() { f.ready(g.family) })
		w.tail.Wait()
	})
}

// fileOf is the file that a tail reads. The library has no other way to end a read
// in the middle of a line, and would keep a line of any length in memory.
func fileOf(t *tail.Tail) *os.File {
	field := reflect.ValueOf(t).Elem().FieldByName("file")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*os.File]() {
		return nil
	}
	return *(**os.File)(field.Addr().UnsafePointer())
}

// ended tells whether a grower that was stopped has ended: one at a time may have
// a descriptor.
func ended(w *grower) bool {
	if w == nil {
		return true
	}
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// stopGrower stops a grower and does not wait until it has ended: it may be in
// the middle of a line without an end.
func (f *Follower) stopGrower(g *Generation) {
	if g.grower == nil {
		return
	}
	close(g.grower.stop)
	g.grower.tail.Kill(nil)
	if g.grower.file != nil {
		g.grower.file.Close() // also in the middle of a line it reads no further
	}
	g.stopped, g.grower = g.grower, nil
	f.growers--
	g.scanned = g.offset
	f.ready(g.family)
}

// pump collects lines until the tail ends.
func (w *grower) pump(longest int, ready func()) {
	for line := range w.tail.Lines {
		w.mu.Lock()
		size := int64(len(line.Text)) + 1
		if line.Err != nil || line.SeekInfo.Offset-size != w.end || strings.IndexByte(line.Text, 0) >= 0 ||
			len(line.Text) > longest {
			w.broken = true
		}
		if !w.broken {
			w.data = append(append(w.data, line.Text...), '\n')
			w.end += size
		}
		full := len(w.data) >= maxBatch
		w.mu.Unlock()
		ready()
		if full {
			select {
			case <-w.room:
			case <-w.stop:
			}
		}
	}
	w.mu.Lock()
	w.broken = true
	w.mu.Unlock()
	ready()
}

// batch gives the lines that wait from offset on, or nil if none do; they are
// valid until the next call. Those before it came by the block reader meanwhile.
// fits is false if the grower is of no use any more.
func (w *grower) batch(offset int64) (data []byte, fits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.start > offset || len(w.data) == 0 && w.broken {
		return nil, false
	}
	if w.end > offset {
		data = w.data[offset-w.start:]
	}
	w.data, w.spare = w.spare[:0], w.data
	w.start = w.end
	signal(w.room)
	return data, true
}
