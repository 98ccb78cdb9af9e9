package follow

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/rotation"
)

// This file finds what is missing of a log in files of any name. A rotation may
// call them as it likes (app.1.log, app.log_20260101, app.log.bak), and put them
// into another directory. They are known by device and inode, and by what is in
// them: a generation's fingerprint. The directories of a log are listed for that
// only while something is missing, and a file that no path leads to is read for
// what is missing alone, and never as a log of its own. What one was called tells
// the names of others of the same rotation (alike).

// around are the directories in which a file of a log may lie: its own with those
// in it, the one where the file was last, and those beside its own, as far as they
// are on the same device: a rotation moves nothing to another.
func around(log, path string, yield func(dir string)) {
	home := filepath.Dir(log)
	yield(home)
	yield(filepath.Dir(path))
	own, err := statPath(home)
	if err != nil {
		return
	}
	for _, dir := range []string{home, filepath.Dir(home)} {
		entries, _ := os.ReadDir(dir) // what cannot be listed has nothing to offer
		for _, e := range entries {
			if e.IsDir() {
				below := filepath.Join(dir, e.Name())
				if st, err := statPath(below); err == nil && st.Device == own.Device {
					yield(below)
				}
			}
		}
	}
}

// alike adds the files of a log that are called as one of its rotation was, but for
// the digits, and were written after it, or, if it is gone, since the run before:
// rotations that nobody saw, two in one pause.
func (l *listing) alike() {
	for _, fam := range l.f.families {
		root := slices.Index(l.f.opt.Paths, fam.root)
		if root < 0 {
			continue
		}
		since := map[string]time.Time{} // by pattern: when the oldest that is known was written to
		for _, g := range fam.generations {
			name := g.Name()
			if g.state == orphaned || name == "" || name == fam.log || rotation.Of(name).Log == fam.log {
				continue
			}
			if name = l.resolve(name); rotation.Of(name).Log != fam.log {
				at := l.f.stopped
				if g.file != nil {
					at = time.Unix(0, g.last.mtime)
				} else if st, err := statPath(name); err == nil &&
					(st.file == g.where || l.f.verdicts[st.file].of == g) {
					at = time.Unix(0, st.mtime)
				} else if at.IsZero() {
					continue
				}
				if pattern, ok := rotationOf(fam.log, name); ok && (since[pattern].IsZero() ||
					at.Before(since[pattern])) {
					since[pattern] = at
				}
			}
		}
		dirs := map[string]bool{}
		for pattern := range since {
			dirs[filepath.Dir(pattern)] = true
		}
		for dir := range dirs {
			l.watch(dir)
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				if !e.Type().IsRegular() || l.found[path] || l.f.own(path) {
					continue
				}
				pattern, ok := rotationOf(fam.log, path)
				if !ok || since[pattern].IsZero() {
					continue
				}
				st, err := statPath(path)
				if err != nil {
					continue
				}
				known := l.f.verdicts[st.file].of
				if known != nil && known.family == fam || fam.resting(st.file) != nil ||
					!before(st.mtime, since[pattern]) {
					l.found[path] = true
					l.entries = append(l.entries, entry{path: path, log: fam.log, root: root, status: st})
				}
			}
		}
	}
}

// before tells whether a file was last written to before a time. Some packers keep
// whole seconds only.
func before(mtime int64, t time.Time) bool {
	if mtime%int64(time.Second) == 0 {
		t = t.Truncate(time.Second)
	}
	return time.Unix(0, mtime).Before(t)
}

// rotationOf is what files of a log's rotation that are called like this one have in
// common: a number or date, and how it is packed, may be others. The log's own name
// must be in it.
func rotationOf(log, path string) (pattern string, ok bool) {
	stem := strings.TrimSuffix(filepath.Base(log), filepath.Ext(log))
	before, after, ok := strings.Cut(filepath.Base(rotation.Of(path).Log), stem)
	if !ok || stem == "" {
		return "", false
	}
	return filepath.Join(filepath.Dir(path), withoutDigits(before)+stem+withoutDigits(after)), true
}

// withoutDigits replaces numbers of the same length, or all short ones, by the same.
func withoutDigits(name string) string {
	return digits.ReplaceAllStringFunc(name, func(n string) string { return strings.Repeat("0", max(len(n), 3)) })
}

var digits = regexp.MustCompile("[0-9]+")

// strays adds the files that may hold what is missing in the listing.
func (l *listing) strays() {
	listed := map[file]bool{}
	for i := range l.entries {
		listed[l.entries[i].file] = true
	}
	moved := map[file]*Generation{} // whose file has another name now, or none
	dirs := map[string]bool{}       // to look into: for contents, too, or for moved files alone
	for _, fam := range l.f.families {
		root := slices.Index(l.f.opt.Paths, fam.root)
		if root < 0 {
			continue
		}
		for _, g := range fam.generations {
			lost := g.state == orphaned
			if !lost {
				if g.where == (file{}) || listed[g.where] || g.file == nil && (l.f.scanned || g.state == sealed) ||
					g.file != nil && g.last.links == 0 {
					continue
				}
				if st, err := statPath(g.Name()); err == nil && st.file == g.where {
					l.stray(g.Name(), st, root, g)
					continue
				}
				if g.file != nil && !l.f.sought(g) {
					continue
				}
				moved[g.where] = g
			}
			around(fam.log, g.Name(), func(dir string) { dirs[dir] = dirs[dir] || lost })
		}
	}
	for dir, contents := range dirs {
		if contents {
			l.watch(dir)
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if !e.Type().IsRegular() || l.found[path] || l.f.own(path) {
				continue
			}
			st, err := statPath(path)
			if err != nil || listed[st.file] {
				continue
			}
			g := moved[st.file]
			if g != nil || contents && st.size > 0 && l.f.open[st.file] == nil {
				listed[st.file] = true
				l.stray(path, st, 0, g)
			}
		}
	}
}

// stray adds a file that nobody asked for; g is the generation whose file it is, nil
// if that is not known.
func (l *listing) stray(path string, st status, root int, g *Generation) {
	e := entry{path: path, root: root, stray: true, status: st}
	if g != nil {
		e.log, e.root = g.family.log, max(0, slices.Index(l.f.opt.Paths, g.family.root))
	}
	l.entries = append(l.entries, e)
}

// sought tells whether the new name of an open file has still to be looked for: its
// directory has changed since that was done.
func (f *Follower) sought(g *Generation) bool {
	st, err := statPath(filepath.Dir(g.family.log))
	if err != nil || st.mtime == g.soughtIn {
		return false
	}
	g.soughtIn = st.mtime
	return true
}

// examineStray looks whether a file that nobody asked for holds what is missing of
// a log. Nothing is said of it if not.
func (f *Follower) examineStray(e *entry, now time.Time, unsure bool) {
	if v, ok := f.strays[e.file]; ok && v.size == e.size && v.mtime == e.mtime && v.epoch == f.orphans {
		v.seen = now
		f.strays[e.file] = v
		return
	}
	file, err := f.openPath(e.path)
	if err != nil {
		return
	}
	if kept := f.strayIn(e, file, now, unsure); !kept {
		file.Close()
	}
}

// strayIn goes on with what is missing in a file that nobody asked for, if that holds it;
// kept says that the file is to stay open.
func (f *Follower) strayIn(e *entry, file *os.File, now time.Time, unsure bool) (kept bool) {
	st, err := statFD(int(file.Fd()))
	if err != nil || !st.regular() || f.open[st.file] != nil {
		return false
	}
	b, packed, err := f.content(file)
	if errors.Is(err, errShort) && !f.waited(st, now) {
		f.rescan = true
		return false
	}
	if err == nil {
		c := &candidate{status: st, content: file, head: bytes.Clone(b), packed: packed}
		switch g, how := f.inOtherLogs(c, nil, isOrphaned, unsure); {
		case how == unclear && !f.waited(st, now):
			f.rescan = true
			return false
		case how == alike: // or one of several
			return false
		case how == equal:
			delete(f.pending, st.file)
			return f.matched(g, how, e, file, st, packed, verdict{status: st, seen: now}, now)
		}
	}
	f.strays[st.file] = verdict{status: st, epoch: f.orphans, seen: now}
	return false
}

// inOtherLogs finds the generation that content belongs to among those of all logs but
// own that count. Only what is surely its content is equal; of what may be it, unsure
// tells, once all files were seen.
func (f *Follower) inOtherLogs(c *candidate, own *Family, counts func(*Generation) bool, unsure bool) (found *Generation,
	how match) {
	f.refresh(c, own, counts)
	surely := int64(0)
	for g := range f.heads.like(c.head) {
		fam := g.family
		if fam == own || !f.scanned && !fam.known || !counts(g) { // what is found together is history, or all read
			continue
		}
		this, upTo := c.surely(g)
		if this == alike {
			this = f.only(g, c, unsure)
		}
		if this > how || this == how && this != foreign && (upTo > surely || upTo == surely && g.id < found.id) {
			found, how, surely = g, this, upTo
		}
	}
	return found, how
}

// refresh looks at the open files that content may be a copy of: what they are now
// counts, not what they were.
func (f *Follower) refresh(c *candidate, own *Family, counts func(*Generation) bool) {
	var live []*Generation
	for g := range f.heads.like(c.head) {
		if g.family != own && g.live() && !g.packed && counts(g) &&
			(g.head.begins(c.head) || g.head.holds(c.head)) {
			live = append(live, g)
		}
	}
	for _, g := range live {
		if g.file != nil {
			f.inspect(g, f.now())
		}
	}
}

// Of which generations content may be: of any; of those that are missing; of those that
// were there before, lest two new logs with the same lines were each taken for a copy of
// the other.
func anyOf(*Generation) bool        { return true }
func isOrphaned(g *Generation) bool { return g.state == orphaned }
func (g *Generation) earlier(o *Generation) bool {
	return g.id < o.id || !g.young || g.offset > 0 || g.packed || g.state != following
}

// surely compares content with a generation whose name it need not have: a head
// alone may be a banner, with which others begin, too.
func (c *candidate) surely(g *Generation) (match, int64) {
	live := g.live() && !g.packed
	switch {
	case g.head.weak:
		return foreign, 0
	case !g.head.begins(c.head):
		if live && !c.packed && g.head.holds(c.head) && bytes.IndexByte(c.head, '\n') >= 0 {
			return copying, 0
		}
		return foreign, 0
	case c.longer(g):
		return foreign, 0
	case len(c.head) == g.head.length && g.head.length < headSize && g.end <= int64(g.head.length):
		return equal, g.end // there is no more of either
	}
	how, upTo := c.compare(g, false)
	if how == alike && upTo > 0 {
		how = equal
	}
	return how, upTo
}

// longer says that plain content is longer than what it would be a copy of.
func (c *candidate) longer(g *Generation) bool {
	own := g.live() && !g.packed
	return !c.packed && (own && c.size > g.last.size || g.state == sealed && g.end > 0 && c.size > g.end)
}

// only tells whether content that has the head of a generation, of which no more is
// known, is the only one that has it.
func (f *Follower) only(g *Generation, c *candidate, unsure bool) match {
	if g.state != orphaned {
		return foreign
	}
	rivals := f.rivals[g]
	if !unsure {
		f.rivals[g] = append(rivals, c.head)
		return alike
	}
	for _, other := range rivals {
		n := min(len(other), len(c.head))
		if !bytes.Equal(other[:n], c.head[:n]) {
			return alike
		}
	}
	for o := range f.heads.like(c.head) {
		if o != g && o.head.bytes != nil && g.head.begins(o.head.bytes) {
			return alike
		}
	}
	return equal
}

// copied tells whether a new log turns out to be a copy of what is known of another,
// of which there was too little to tell when it was found.
func (f *Follower) copied(g *Generation) bool {
	if g.young = g.young && g.offset == 0 && !g.packed; !g.young {
		return false
	}
	st, err := statFD(g.fd)
	if err != nil {
		return false
	}
	_, how := f.inOtherLogs(&candidate{status: st, content: g.file, head: g.head.bytes}, g.family,
		func(o *Generation) bool { return o.earlier(g) }, false)
	return how != foreign
}

// rotated tells whether a log has another file now than a generation's.
func rotated(g *Generation) bool {
	st, err := statPath(g.family.log)
	return err == nil && st.file != g.where && rotation.Of(g.family.log).Log == g.family.log
}
