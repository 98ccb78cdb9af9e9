package follow

import (
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

// state is where a generation is in its life; the package comment draws it.
type state int

const (
	following state = iota // its file is open, and more may come
	orphaned               // its content is not where it was, and looked for in other files
	finished               // nothing more is expected of it
	sealed                 // finished for good: nobody can write to it any more
)

// over says that nothing more is expected.
func (s state) over() bool { return s >= finished }

// stateNames are those of a checkpoint, which has a word of its own for sealed.
var stateNames = []string{"following", "orphaned", "finished"}

func (s state) String() string { return stateNames[min(s, finished)] }

func stateNamed(name string) (state, bool) {
	i := slices.Index(stateNames, name)
	return state(i), i >= 0
}

// Generation is the content of one file between two truncations.
type Generation struct {
	id     uint64
	family *Family
	path   atomic.Pointer[string] // where it is now, "" if it has no name any more
	acks   acks

	// All below is kept by Follower.mu.

	state state
	container
	fingerprint
	progress
	fill        // inplace.go
	lastLine    // read.go
	packedState // stream.go
	growth      // grow.go
	failure     // read.go
	finding     // scan.go
	appearance  // nolog.go
}

// container is the file that holds the content of a generation.
type container struct {
	file   *os.File // nil if it is not open
	fd     int
	where  file   // device and inode, as long as path or file is known
	last   status // when it was looked at last
	packed bool   // the file is compressed
	active bool   // it has the name that is written to
}

// progress is how far a generation was read, in bytes of its content.
type progress struct {
	offset  int64 // end of what was handed out
	line    int64 // lines before offset; -1: not counted yet
	scanned int64 // no newline from offset up to here
	end     int64 // what is known to have been written, at least
}

// Name is the path by which the user can open the generation now, or could last.
func (g *Generation) Name() string { return *g.path.Load() }

// InFlight keeps the bytes from start up to end, of whole lines, from being
// acknowledged until its Done is called; line is the number of the first. It is to
// be called before the take returns that gave the last of these lines, or while
// another InFlight keeps them.
func (g *Generation) InFlight(start, end, line int64) *InFlight {
	return g.acks.begin(start, end, line)
}

// Acked tells whether an earlier process acknowledged all of the bytes from start
// up to end: what lies in them was delivered.
func (g *Generation) Acked(start, end int64) bool { return g.acks.acked(start, end) }

func (g *Generation) setPath(path string) { g.path.Store(&path) }

// newGeneration adds one at the end of its family.
func (f *Follower) newGeneration(fam *Family, path string, now time.Time) *Generation {
	g := &Generation{id: f.next, family: fam}
	g.half, g.blank, g.grew, g.seen, g.linked, g.sniff = -1, -1, now, now, true, true
	f.next++
	g.acks.changed = f.markDirty
	g.setPath(path)
	fam.generations = append(fam.generations, g)
	fam.epoch++
	f.counts.Generations++
	f.markDirty()
	return g
}

// attach gives a generation its file.
func (f *Follower) attach(g *Generation, file *os.File, st status, packed bool, now time.Time) {
	if g.file != nil {
		f.detach(g)
	}
	g.file, g.fd, g.where, g.last, g.packed = file, int(file.Fd()), st.file, st, packed
	if packed || st.size > g.offset {
		g.rejoin()
	}
	g.state, g.grew, g.seen = following, now, now
	g.final, g.grows, g.untailed, g.unseen, g.retry, g.scanned = false, false, false, false, time.Time{}, g.offset
	g.blank, g.searched, g.gaps = -1, 0, 0
	f.open[st.file] = g
	if !packed {
		g.end = max(g.end, st.size)
		f.addSample(g)
	}
	f.ready(g.family)
}

// adopt goes on with a generation in another file that holds its content: a copy
// or what compressing made of it.
func (f *Follower) adopt(g *Generation, file *os.File, st status, packed bool, now time.Time) {
	if packed || st.size > g.offset {
		if !packed {
			g.samples.cut(st.size) // a copy may lack the last lines
		}
		f.attach(g, file, st, packed, now)
		return
	}
	file.Close()
	f.finish(g)
	f.verdicts[st.file] = verdict{status: st, of: g, epoch: g.family.epoch, seen: now}
}

// rejoin goes back to the beginning of a last line that was handed out without an
// end: it goes on, and is handed out as a whole.
func (g *Generation) rejoin() {
	if g.half < 0 {
		return
	}
	g.acks.back(g.half, g.offset)
	g.offset, g.scanned, g.half = g.half, g.half, -1
	g.line--
}

// finish says that nothing more is expected of a generation.
func (f *Follower) finish(g *Generation) {
	g.state, g.final = finished, false
	g.family.epoch++
	f.markDirty()
}

// detach closes a generation's file.
func (f *Follower) detach(g *Generation) {
	f.release(g)
	if g.file != nil {
		f.closeLater(g)
		g.file = nil
	}
}

// release lets go of a generation's file without closing it.
func (f *Follower) release(g *Generation) {
	f.stopGrower(g)
	if g.unpacked != nil {
		g.unpacked.close()
		g.unpacked = nil
	}
	if f.open[g.where] == g {
		delete(f.open, g.where)
	}
}

// closeLater closes a file when nxadm/tail cannot look at its descriptor any
// more: it does so once after it was stopped.
func (f *Follower) closeLater(g *Generation) {
	if g.stopped != nil {
		f.closing = append(f.closing, closing{g.file, f.now().Add(3 * growPoll)})
		return
	}
	g.file.Close()
}

type closing struct {
	file *os.File
	at   time.Time
}

// inspect looks whether a generation's file has changed.
func (f *Follower) inspect(g *Generation, now time.Time) {
	st, err := statFD(g.fd)
	if err != nil {
		f.unstatable(g, err, now)
		return
	}
	if !g.packed && st.size == g.last.size && g.filled(st.mtime != g.last.mtime) {
		f.refill(g, now)
	}
	if st == g.last {
		return
	}
	content := st.size != g.last.size || st.mtime != g.last.mtime
	if content && !g.packed && !f.same(g, st, now) {
		f.truncated(g, st, now)
		return
	}
	if f.classify(g); g.file == nil {
		return
	}
	if st.size != g.last.size {
		g.grew, g.grows, g.final = now, true, false
		if g.packed {
			f.rewind(g)
			g.checked, g.retry = false, time.Time{}
		} else {
			if st.size < g.last.size { // of NULs
				g.end, g.blank, g.searched, g.scanned = st.size, -1, 0, g.offset
			}
			g.end = max(g.end, st.size)
			g.rejoin()
		}
		if g.state.over() && (g.packed || st.size > g.offset) {
			g.state = following
		}
		f.ready(g.family)
	}
	g.last = st
}

// unstatable gives up a file that the system knows no more.
func (f *Follower) unstatable(g *Generation, err error, now time.Time) {
	f.log.Error("the file cannot be looked at any more: "+g.Name(), "path", g.Name(), "offset", g.offset, "reason",
		paths.Reason(err))
	f.detach(g)
	f.orphan(g, now)
}

// addSample gives a generation a new sample, if it is due.
func (f *Follower) addSample(g *Generation) {
	if g.samples.due(g.last.size) {
		if _, err := g.file.ReadAt(f.sampleBuf[:], g.last.size-headSize); err == nil {
			g.samples.add(g.last.size, f.sampleBuf[:])
			f.markDirty()
		}
	}
}

// same tells whether a file still holds the generation, and learns more of its
// fingerprint. A file that cannot be read at the moment is taken to be the
// same: what is read of it later is verified again.
func (f *Follower) same(g *Generation, st status, now time.Time) bool {
	least := g.last.size
	if g.blank >= 0 {
		least = g.blank // NULs that were not needed may be cut off
	}
	if st.size < max(g.offset, least, int64(g.head.length), g.samples.last().end) {
		return false
	}
	due := g.samples.due(st.size)
	if due { // it is read before what is known is compared: then both are of one content
		_, err := g.file.ReadAt(f.nextBuf[:], st.size-headSize)
		due = err == nil
	}
	b, err := readHead(g.file, f.headBuf[:])
	if err != nil {
		return true
	}
	if g.offset == 0 && g.head.blank() {
		f.setHead(g, head{})
	}
	if !g.fits(g.file, b, st.size, f.sampleBuf[:]) {
		return false
	}
	if due {
		g.samples.add(st.size, f.nextBuf[:])
		f.markDirty()
	}
	if longer := len(withoutBlank(b)) > g.head.length; longer || g.head.bytes == nil {
		f.setHead(g, newHead(b))
		if longer {
			f.markDirty()
		}
	}
	return true
}

// truncated ends a generation whose content is gone from its file; the file goes
// on as a new one.
func (f *Follower) truncated(g *Generation, st status, now time.Time) {
	f.counts.Truncations++
	f.log.Info("truncated: "+g.Name()+"; what was written between the copy and the truncation is in no file (rotate "+
		"by renaming to avoid that)", "generation", g.id,
		"path", g.Name(), "offset", g.offset, "size_before", g.last.size)
	f.scanNow = true
	if !g.active {
		// A rotated file is written to anew: perhaps with a copy of what is known.
		f.detach(g)
		f.orphan(g, now)
		return
	}
	file := g.file
	f.release(g)
	g.file = nil
	n := f.newGeneration(g.family, g.Name(), now)
	n.active = true
	if s, ok := g.samples.within(min(st.size, g.offset)); ok && f.headIs(file, g) && s.fits(file, f.sampleBuf[:]) {
		// Cut in the middle: what is left was handed out already, as far as it is
		// known to be the same.
		n.offset = lineStart(file, s.end, f.opt.MaxLine)
		n.line = -1
		n.acks.taken, n.acks.lines = n.offset, -1
	}
	f.orphan(g, now)
	f.attach(n, file, st, false, now)
	f.same(n, st, now)
	f.classify(n)
}

func (f *Follower) headIs(file *os.File, g *Generation) bool {
	b, err := readHead(file, f.headBuf[:])
	return err == nil && g.head.begins(b)
}

// orphan says that a generation's content is not where it was.
func (f *Follower) orphan(g *Generation, now time.Time) {
	g.state, g.lostAt, g.final = orphaned, now, false
	f.orphans++
	g.family.epoch++
	f.markDirty()
	g.where = file{}
	g.active = false
	if c := g.family.copy; c.File != nil && f.headIs(c.File, g) {
		g.family.copy = copied{}
		st, err := statFD(int(c.Fd()))
		if err == nil && f.open[st.file] == nil && g.samples.fit(c.File, st.size, f.sampleBuf[:]) {
			f.adopt(g, c.File, st, false, now)
			return
		}
		c.Close()
	}
}

// classify looks at the first bytes of a generation, once there are any: what is no
// log is not followed.
func (f *Follower) classify(g *Generation) {
	if !g.sniff || g.file == nil || g.head.length == 0 {
		return
	}
	if f.copied(g) { // it is looked at anew
		f.drop(g)
		f.scanNow = true
		return
	}
	g.sniff = g.head.length < sniffLen
	packed, reason, holds := sniff(g.head.bytes)
	switch {
	case packed && !g.packed:
		// Only now it turns out that the file is compressed: it is looked at anew.
		f.drop(g)
		f.scanNow = true
	case reason != "" && g.offset == 0:
		f.foreign(g.Name(), g.last, reason, holds)
		f.drop(g)
	}
}

// drop forgets a generation that turned out to be none, and what was taken for it.
func (f *Follower) drop(g *Generation) {
	f.detach(g)
	f.forget(g)
	maps.DeleteFunc(f.verdicts, func(_ file, v verdict) bool { return v.of == g })
}

// verify says whether what was read of a generation, up to end, is its own, and
// registers its head. Only then may it be handed out.
func (f *Follower) verify(g *Generation, end int64, now time.Time) bool {
	if g.file == nil || g.state == orphaned {
		return false
	}
	st, err := statFD(g.fd)
	if err != nil {
		f.unstatable(g, err, now)
		return false
	}
	if !f.same(g, st, now) || st.size < end {
		f.truncated(g, st, now)
		return false
	}
	if f.classify(g); g.file == nil {
		return false
	}
	if st.size != g.last.size {
		g.grew, g.grows = now, true
	}
	g.last = st
	g.end = max(g.end, st.size)
	return true
}

// lineStart is where the line begins that reaches up to or over offset.
func lineStart(file *os.File, offset int64, longest int) int64 {
	buf := make([]byte, 64<<10)
	for at := offset; at > 0 && offset-at <= int64(longest); {
		n := min(at, int64(len(buf)))
		if _, err := file.ReadAt(buf[:n], at-n); err != nil {
			return offset
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				return at - n + i + 1
			}
		}
		if at -= n; at == 0 {
			return 0
		}
	}
	return offset
}
