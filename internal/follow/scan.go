package follow

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/rotation"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// This file finds out what the files are that discovery lists: by device and
// inode, and by their heads.

// finding is how a generation was found and is found again.
type finding struct {
	scan     int         // in which it was found
	before   *Generation // whose log goes on in it
	linked   bool        // before is settled
	young    bool        // it is new, and nothing of it was handed out
	unseen   bool        // it may have been written to while nothing followed it
	seen     time.Time   // when a file with its head was last seen
	lostAt   time.Time   // when it was orphaned
	soughtIn int64       // mtime of its log's directory when its file's name was looked for
}

// verdict is what is known of a file that is not open.
type verdict struct {
	status
	of    *Generation // nil: nothing of it is followed
	epoch int         // of the family, when it was found
	seen  time.Time
}

// valid tells whether the verdict still holds for a file of a family, which may be
// nil.
func (v *verdict) valid(fam *Family) bool {
	if v.of != nil && v.of.family != fam {
		return v.of.state != orphaned
	}
	return fam == nil || v.epoch == fam.epoch
}

// copied is an open copy of a generation that is still in its own file.
type copied struct {
	*os.File
	file file
}

func (c *copied) close() {
	if c.File != nil {
		c.File.Close()
	}
	*c = copied{}
}

// scan lists all files and settles what they are.
func (f *Follower) scan(now time.Time) {
	f.scanNow = false
	f.scannedAt = now
	for range 3 {
		f.scans++
		l := f.list()
		news := f.reconcile(l, now)
		f.dirs = l.dirs
		if !news {
			break
		}
		// A second listing tells what follows what.
	}
	f.scanned = true
}

// pass is one of those in which it is found out what files are.
type pass struct {
	active bool // those that have the name of a log, else those of its rotated files
	unsure bool // what only may be a known generation's counts, too
	others bool // all files, and the generations of other logs count, too
}

// reconcile goes through a listing; news says that generations were found.
func (f *Follower) reconcile(l *listing, now time.Time) (news bool) {
	entries := l.entries
	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.log != b.log {
			return strings.Compare(a.log, b.log)
		}
		return rotation.Compare(rotation.Of(a.path), rotation.Of(b.path))
	})
	f.copies = 0
	for _, fam := range f.families {
		if fam.copy.File != nil {
			f.copies++
		}
	}
	clear(f.waiting)
	f.rename(entries, l.partial, now)
	f.reconcileResting(l, now)
	for i := range entries {
		if e := &entries[i]; f.open[e.file] == nil && e.log != "" {
			f.resume(e, now)
		}
	}
	if !f.scanned {
		for _, fam := range f.families {
			for _, g := range fam.generations {
				if g.state == following && g.file == nil && !f.waiting[g.where] && !f.rested(g) {
					f.orphan(g, now)
					news = true // it is looked for in other files
				}
			}
		}
	}
	// What is written to comes first: only then can it be told what is a copy of it.
	// And what is surely a generation's comes before what only may be, and before
	// what may be one of another log, or only hold what is missing of it.
	clear(f.rivals)
	for _, p := range []pass{{active: true, unsure: true}, {}, {unsure: true}, {others: true},
		{others: true, unsure: true}} {
		for i := range entries {
			switch e := &entries[i]; {
			case f.open[e.file] != nil:
			case e.stray && p.others:
				f.examineStray(e, now, p.unsure)
			case !e.stray && (p.others || e.active == p.active):
				news = f.examine(e, now, p) || news
			}
		}
	}
	for i := range entries {
		if fam := f.families[entries[i].log]; fam != nil {
			fam.root = f.opt.Paths[entries[i].root]
		}
	}
	for _, fam := range f.families {
		for _, g := range fam.generations {
			if !g.linked {
				f.link(g, l)
			}
		}
	}
	return news
}

// rename gives open generations the names that their files have now. Where a
// listing is partial, a name that is not in it need not be gone.
func (f *Follower) rename(entries []entry, partial bool, now time.Time) {
	named := make(map[*Generation]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		g := f.open[e.file]
		if g == nil || named[g] {
			continue
		}
		named[g] = true
		g.seenNow(now)
		if g.Name() != e.path {
			f.log.Debug("renamed", "generation", g.id, "path", g.Name(), "to", e.path)
			g.setPath(e.path)
			f.markDirty()
		}
		g.active = e.active && e.log == g.family.log
	}
	for _, g := range f.open {
		if !named[g] && !partial {
			g.active = false
		}
	}
}

// resume goes on with a generation that is known by device and inode and not
// open: after a restart, or when it was closed for being quiet.
func (f *Follower) resume(e *entry, now time.Time) {
	g, elsewhere := f.restingIn(e)
	if g == nil {
		return
	}
	g.seenNow(now)
	file, st, ok := f.openFile(e)
	if !ok {
		return
	}
	if kept := f.resumeIn(g, e, file, st, elsewhere, now); !kept {
		file.Close()
	}
}

// restingIn is the generation that a file may hold that is not open, nil if there is
// none. elsewhere says that its log has another name.
func (f *Follower) restingIn(e *entry) (g *Generation, elsewhere bool) {
	v, ok := f.verdicts[e.file]
	if ok && v.size == e.size && v.mtime == e.mtime && !(v.of != nil && v.of.halfDone(e)) {
		return nil, false
	}
	if g = f.families[e.log].resting(e.file); g != nil || f.scanned && !f.resting {
		return g, false
	}
	for _, fam := range f.families { // it may have got the name of another log
		if g = fam.resting(e.file); g != nil {
			return g, true
		}
	}
	return nil, false
}

// resumeIn goes on with a generation in a file, if that still has its content; kept
// says that the file is to stay open.
func (f *Follower) resumeIn(g *Generation, e *entry, file *os.File, st status, elsewhere bool,
	now time.Time) (kept bool) {
	b, packed, err := f.content(file)
	if err != nil || st.file != e.file {
		return false
	}
	if elsewhere && (g.head.length == 0 || g.head.weak) { // nothing tells it from a new file
		return false
	}
	if !packed && g.head.prefixes(b) && st.size < max(g.offset, g.acks.acknowledged()) {
		f.cut(g, e, file, st, now)
		return true
	}
	if !g.head.prefixes(b) || g.head.length == 0 && packed ||
		!packed && (st.size < max(g.offset, g.samples.last().end) || !g.fits(file, b, st.size, f.sampleBuf[:])) {
		g.where = struct{ Device, Inode uint64 }{}
		if g.state == following {
			f.orphan(g, now)
		}
		return false
	}
	if elsewhere && !rotated(g) {
		f.move(g, e)
	}
	if !packed {
		f.toLineStart(g, file)
	}
	g.setPath(e.path)
	g.active = e.active && e.log == g.family.log
	if packed && g.state == sealed {
		f.verdicts[e.file] = verdict{status: st, of: g, epoch: g.family.epoch, seen: now}
		g.seenNow(now)
		return false
	}
	resting := g.state.over() && st.size <= max(g.end, g.offset)
	f.attach(g, file, st, packed, now)
	if resting {
		g.state = finished
	}
	if !packed {
		f.same(g, st, now)
	}
	return true
}

// cut deals with a file that is shorter than what was read of it, and has its head:
// it was truncated while nothing followed it, or the checkpoint is damaged. What it
// holds is read.
func (f *Follower) cut(g *Generation, e *entry, file *os.File, st status, now time.Time) {
	f.counts.Truncations++
	f.log.Warn("shorter than what the checkpoint says was read of it: "+e.path+"; it was truncated while nothing "+
		"followed it, "+
		"or the checkpoint is damaged; it is read from its beginning", "path", e.path, "offset", g.offset, "size",
		st.size)
	if g.state == following {
		f.orphan(g, now)
	}
	g.where = status{}.file
	n := f.newGeneration(f.family(e.log), e.path, now)
	n.active = e.active
	f.attach(n, file, st, false, now)
	f.same(n, st, now)
	f.classify(n)
}

// toLineStart moves a generation that a checkpoint has in the middle of a line back
// to its beginning.
func (f *Follower) toLineStart(g *Generation, file *os.File) {
	before := []byte{'\n'}
	if g.offset == 0 {
		return
	}
	if _, err := file.ReadAt(before, g.offset-1); err != nil || before[0] == '\n' || before[0] == 0 {
		return // NULs between lines are passed over
	}
	start := lineStart(file, g.offset, f.opt.MaxLine)
	if start == g.offset {
		return
	}
	f.log.Warn("the checkpoint points into a line, which is read from its beginning: "+g.Name(), "path", g.Name(),
		"offset", g.offset, "line_at", start)
	g.offset, g.line = start, -1
	g.acks.taken, g.acks.lines = start, -1
}

// openFile opens what a listing found. What it is may have changed since: only
// what the descriptor says counts.
func (f *Follower) openFile(e *entry) (*os.File, status, bool) {
	if !f.freeDescriptor(f.now()) {
		f.waiting[e.file] = true
		return nil, status{}, false
	}
	file, err := f.openPath(e.path)
	if err != nil {
		if f.overfull(err) {
			f.waiting[e.file] = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			f.refuse(e.path, err)
			f.rescan = true
		}
		return nil, status{}, false
	}
	st, err := statFD(int(file.Fd()))
	if err == nil && !st.regular() {
		err = errors.New("it is " + st.kind() + ", not a file")
	}
	if err != nil {
		f.refuse(e.path, err)
		file.Close()
		return nil, status{}, false
	}
	return file, st, true
}

// openReadable opens a file for reading, and waits for nobody.
func openReadable(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// barred tells whether a file may not be read at the moment, if there is one.
func (f *Follower) barred(path string) bool {
	file, err := f.openPath(path)
	if err == nil {
		file.Close()
	}
	return errors.Is(err, fs.ErrPermission)
}

// minPacked is the size of the smallest packed file, about.
const minPacked = 18

// errShort is content whose beginning is still being written.
var errShort = errors.New("still being written")

// content reads the first bytes of a file, unpacked if it is packed.
func (f *Follower) content(file *os.File) (b []byte, packed bool, err error) {
	if b, err = readHead(file, f.headBuf[:]); err != nil || len(b) == 0 {
		return b, false, err
	}
	if packed, _, _ = sniff(b[:min(len(b), sniffLen)]); !packed {
		return b, false, nil
	}
	r, err := unpack.Open(io.NewSectionReader(file, 0, 1<<62))
	if err != nil {
		return nil, true, errShort
	}
	defer r.Close()
	b = make([]byte, headSize)
	n, err := io.ReadFull(r, b)
	if err != nil && n < headSize && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, true, errShort
	}
	return b[:n], true, nil
}

// foreign says that a file is no log, though it may hold one.
func (f *Follower) foreign(path string, st status, reason string, holds bool) {
	if holds {
		f.refuse(path, errors.New(reason))
	} else {
		f.skip(path, reason)
	}
	f.verdicts[st.file] = verdict{status: st, seen: f.now()}
}

// examine finds out what a file is that is not open, and acts on it; news says that a
// generation was made of it. A file that nobody goes on with is closed here.
func (f *Follower) examine(e *entry, now time.Time, p pass) (news bool) {
	if f.classified(e, now) {
		return false
	}
	file, st, ok := f.openFile(e)
	if !ok {
		return false
	}
	kept, news := f.act(e, file, f.identify(e, file, st, now, p), now)
	if !kept {
		file.Close()
	}
	return news
}

// classified tells whether it is known already what a file is, or is not to be asked now.
func (f *Follower) classified(e *entry, now time.Time) bool {
	v, known := f.verdicts[e.file]
	fam := f.families[e.log]
	seen := func() {
		if v.of != nil {
			v.of.seenNow(now)
		}
	}
	switch {
	case known && v.size == e.size && v.mtime == e.mtime && (v.valid(fam) || v.of != nil && v.of.closed(e.file)):
		v.seen = now
		f.verdicts[e.file] = v
		seen()
		if v.of != nil {
			f.standsIn(v.of, e)
		}
		return true
	case f.waiting[e.file]:
		seen()
		return true
	case fam != nil && fam.copy.File != nil && fam.copy.file == e.file && e.size == v.size:
		seen() // the copy in progress that is open already
		return true
	}
	return false
}

// identity is what a file turned out to be.
type identity struct {
	what   what
	status status
	epoch  int    // of its log's family, when it was asked
	head   []byte // its first headSize bytes, unpacked, or all there are
	packed bool

	err    error       // later: why it cannot be read, if the user is to know
	reason string      // noLog: why it is none
	holds  bool        // noLog: it may hold one
	of     *Generation // belongs: whose content it has
	how    match       // belongs: as far as is known
}

// what is what can be known of a file.
type what int

const (
	unsure  what = iota // a later pass may tell
	later               // a later listing may tell: it is still being written, or cannot be read
	noLog               // it is no log
	belongs             // its content is a known generation's
	former              // what was written before a link was another: known by now
	fresh               // nobody has seen it before
)

// identify finds out what an open file is.
func (f *Follower) identify(e *entry, file *os.File, st status, now time.Time, p pass) identity {
	id := identity{status: st}
	if fam := f.families[e.log]; fam != nil {
		id.epoch = fam.epoch
	}
	if f.open[st.file] != nil { // renamed since the listing
		return id
	}
	b, packed, err := f.content(file)
	id.head, id.packed = bytes.Clone(b), packed
	if err == nil && !e.active && len(b) < minPacked && bytes.IndexByte(b, '\n') < 0 && !f.waited(st, now) {
		err = errShort // it may become anything
	}
	if errors.Is(err, errShort) {
		id.what = later
		if f.waited(st, now) {
			id.err = errors.New("the packed data is damaged at its beginning (offset 0)")
		}
		return id
	}
	if err != nil {
		id.what, id.err = later, errors.New("reading failed: "+paths.Reason(err))
		return id
	}
	if _, id.reason, id.holds = sniff(b[:min(len(b), sniffLen)]); id.reason == "" && packed && isPacked(b) {
		id.reason, id.holds = "packed twice; unpack it once", true
	}
	switch {
	case id.reason != "":
		id.what = noLog
		return id
	case len(b) == 0 && !e.active: // a copy that is just begun, or nothing at all
		id.what = later
		return id
	case len(b) > 0:
		if decided := f.related(&id, e, file, now, p); decided {
			return id
		}
	}
	if id.what = fresh; e.former && f.scanned {
		id.what = former
	}
	return id
}

// related finds the generation whose content a file has, first in its own family, then
// in all others; decided says that there is one, or that it is still to be told.
func (f *Follower) related(id *identity, e *entry, file *os.File, now time.Time, p pass) (decided bool) {
	st := id.status
	c := &candidate{status: st, content: file, head: id.head, packed: id.packed, active: e.active}
	if fam := f.families[e.log]; fam != nil {
		// What the family's open files are now counts, not what they were: the
		// content was read before.
		for _, g := range slices.Clone(fam.generations) {
			if g.live() {
				f.inspect(g, now)
			}
		}
		if f.open[st.file] != nil { // it was the copy of one that was truncated
			return true
		}
		id.of, id.how = fam.matchIn(c)
		switch {
		case id.how == alike && !p.unsure && !p.others:
			return true
		case id.how == unclear && !f.waited(st, now):
			id.what = later
			return true
		case id.how != foreign:
			id.what = belongs
			return true
		}
	}
	c.active = false
	id.of, id.how = f.inOtherLogs(c, f.families[e.log], anyOf, p.unsure && p.others)
	switch {
	case f.open[st.file] != nil: // it was the copy of one that was truncated
	case id.how == foreign, id.how == alike && p.unsure && p.others, id.how == unclear && f.waited(st, now):
		return false
	case id.how == unclear:
		id.what = later
	case id.how != alike && p.others:
		id.what = belongs
	}
	return true
}

// act does what follows from what a file is; kept says that somebody goes on with it.
func (f *Follower) act(e *entry, file *os.File, id identity, now time.Time) (kept, news bool) {
	v := verdict{status: id.status, epoch: id.epoch, seen: now}
	switch id.what {
	case unsure:
	case later:
		if id.err != nil {
			f.refuse(e.path, id.err)
		}
		f.rescan = true
	case noLog:
		f.foreign(e.path, id.status, id.reason, id.holds)
		f.verdicts[id.status.file] = v
	case belongs:
		f.accepted(e, id.status)
		id.of.seenNow(now)
		kept = f.matched(id.of, id.how, e, file, id.status, id.packed, v, now)
	case former:
		f.accepted(e, id.status)
		f.verdicts[id.status.file] = v
	case fresh:
		f.accepted(e, id.status)
		f.addNew(e, file, id.status, id.head, id.packed, now)
		kept, news = true, true
	}
	return kept, news
}

// standsIn notes in what file the content of a generation is whose own is gone.
func (f *Follower) standsIn(g *Generation, e *entry) {
	open := g.file != nil
	if open && g.last.links > 0 || !open && g.state != sealed {
		return
	}
	if g.Name() != e.path || !open && g.where != e.file {
		f.markDirty()
	}
	g.setPath(e.path)
	if !open {
		g.where = e.file
	}
}

// accepted says that it is known what a file is.
func (f *Follower) accepted(e *entry, st status) {
	delete(f.pending, st.file)
	f.accept(e.path)
}

func isPacked(b []byte) bool {
	packed, _, _ := sniff(b[:min(len(b), sniffLen)])
	return packed
}

// waited notes content whose beginning cannot be read yet, and tells whether it
// has been so for too long.
func (f *Follower) waited(st status, now time.Time) bool {
	since, ok := f.pending[st.file]
	if !ok {
		f.pending[st.file], since = now, now
	}
	return now.Sub(since) > f.patience
}

// matched deals with a file whose content is that of a known generation; kept says
// that the file is to stay open.
func (f *Follower) matched(g *Generation, how match, e *entry, file *os.File, st status, packed bool, v verdict,
	now time.Time) (kept bool) {
	v.of = g
	switch {
	case g.state == orphaned && how != copying:
		g.setPath(e.path)
		g.active = e.active && e.log == g.family.log
		f.log.Debug("found again", "generation", g.id, "path", e.path, "offset", g.offset)
		f.adopt(g, file, st, packed, now)
	case g.state.over() && g.file == nil && !packed && st.size > max(g.end, g.offset) && how != copying &&
		!g.packed:
		// Written to after it was finished, or a copy that is longer.
		g.setPath(e.path)
		f.attach(g, file, st, false, now)
	case g.state == finished && g.file == nil && packed && how != copying:
		// It was written to, and packed, when nobody looked.
		g.setPath(e.path)
		f.attach(g, file, st, true, now)
	case g.file != nil && !packed && len(f.open)+f.copies < f.opt.Open:
		// A copy in progress: it stays open, in case it is renamed, compressed or
		// deleted before the truncation is seen.
		g.family.copy.close()
		g.family.copy = copied{file, st.file}
		f.copies++
		v.epoch = g.family.epoch
		f.verdicts[st.file] = v
	default:
		if g.file == nil && g.state != following {
			g.setPath(e.path)
		}
		v.epoch = g.family.epoch
		f.verdicts[st.file] = v
		return false
	}
	return true
}

// addNew makes a generation of a file nobody has seen before.
func (f *Follower) addNew(e *entry, file *os.File, st status, b []byte, packed bool, now time.Time) {
	fam := f.family(e.log)
	g := f.newGeneration(fam, e.path, now)
	g.active, g.linked, g.sniff, g.scan = e.active, false, !packed && len(b) < sniffLen, f.scans
	g.young = f.scanned || !f.first[e.root]
	if !e.active {
		fam.putBack(g)
	}
	if len(b) > 0 {
		f.setHead(g, newHead(b))
	}
	f.attach(g, file, st, packed, now)
	if f.scanned || fam.known || !f.first[e.root] || f.opt.FromStart {
		return
	}
	// On the very first start what is there is history.
	g.line = -1
	if packed {
		f.detach(g)
		f.finish(g)
		g.state = sealed
		f.verdicts[st.file] = verdict{status: st, of: g, epoch: fam.epoch, seen: now}
		g.where = st.file
		return
	}
	g.offset = lineStart(file, writtenEnd(file, st.size), f.opt.MaxLine)
	g.scanned = st.size // there is no end of a line behind its beginning
	g.acks.taken, g.acks.lines = g.offset, -1
	if !e.active {
		f.finishAt(g)
	}
}

// finishAt finishes a generation but keeps its file open, to see it grow.
func (f *Follower) finishAt(g *Generation) {
	f.finish(g)
	f.verdicts[g.where] = verdict{status: g.last, of: g, epoch: g.family.epoch}
}
