package follow

import (
	"errors"
	"syscall"
	"time"
)

// This file keeps the number of open files within what the system allows. Where
// there are more logs than that, those that were read and are quiet longest are
// closed, and opened again when a listing says that they changed.

// reserved is how many of the descriptors that a process may have are left for all
// else: the checkpoint, outputs, connections, nxadm/tail.
const reserved = 64

// MostOpen is how many files the logs may take of the descriptors that the system
// allows this process.
func MostOpen() int {
	limit := descriptors()
	return max(1, limit-min(reserved, max(limit/2, 16)))
}

// freeDescriptor makes room for one more open file; if there is none, it is to be tried again.
func (f *Follower) freeDescriptor(now time.Time) bool {
	if len(f.open)+f.copies < f.opt.Open {
		return true
	}
	if !f.short {
		f.short = true
		f.log.Warn("more logs than files that may be open: they are followed in turns, and what is written to a log "+
			"that is deleted "+
			"before its turn is lost; allow more open files (ulimit -n, LimitNOFILE=)", "open", f.opt.Open)
	}
	for len(f.open)+f.copies >= f.opt.Open {
		var longest *Generation
		for _, g := range f.open {
			if g.canRest() && (longest == nil || g.grew.Before(longest.grew)) {
				longest = g
			}
		}
		if longest == nil {
			f.rescan = true
			return false
		}
		f.rest(longest, now)
	}
	return true
}

// canRest tells whether a generation was read as far as it can be.
func (g *Generation) canRest() bool {
	switch {
	case g.state.over() || g.offset >= g.last.size:
		return !g.packed || g.state.over()
	}
	return !g.packed && g.active && g.scanned >= g.last.size // there is no end of its last line yet
}

// rest closes the file of a generation until it changes.
func (f *Follower) rest(g *Generation, now time.Time) {
	f.verdicts[g.where] = verdict{status: g.last, of: g, epoch: g.family.epoch, seen: now}
	f.detach(g)
	if g.state == following {
		g.unseen = true
		f.resting = true
	}
}

// live tells whether a generation is followed and has its file open.
func (g *Generation) live() bool { return g.state == following && g.file != nil }

// rests tells whether a generation that is followed has its file closed.
func (g *Generation) rests() bool { return g.state == following && g.file == nil && g.where != file{} }

// halfDone tells whether a generation that rests was rotated, and has a last line
// without an end.
func (g *Generation) halfDone(e *entry) bool { return g.rests() && !e.active && g.offset < e.size }

// rested tells whether a generation was closed to rest.
func (f *Follower) rested(g *Generation) bool {
	v, ok := f.verdicts[g.where]
	return ok && v.of == g
}

// overfull takes back what the system did not allow: something else has descriptors.
func (f *Follower) overfull(err error) bool {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return false
	}
	f.opt.Open = max(1, min(f.opt.Open, len(f.open)+f.copies)-1)
	f.rescan = true
	return true
}

// reconcileResting gives those that rest the names that their files have now. One whose
// file is in no listing is gone.
func (f *Follower) reconcileResting(l *listing, now time.Time) {
	if !f.resting {
		return
	}
	f.resting = false
	there := make(map[file]*entry, len(l.entries))
	for i := range l.entries {
		if e := &l.entries[i]; there[e.file] == nil {
			there[e.file] = e
		}
	}
	for _, fam := range f.families {
		for _, g := range fam.generations {
			if !g.rests() {
				continue
			}
			f.resting = true
			switch e := there[g.where]; {
			case f.open[g.where] != nil || e == nil && !l.partial:
				f.orphan(g, now)
			case e != nil && e.log == fam.log: // else it may be a new file with the same inode: resume knows
				f.renameResting(g, e, now)
			}
		}
	}
}

func (f *Follower) renameResting(g *Generation, e *entry, now time.Time) {
	g.seenNow(now)
	if g.Name() != e.path {
		g.setPath(e.path)
		f.markDirty()
	}
	g.active = e.active
	if !g.active && e.size == g.offset && g.end <= g.offset {
		f.finish(g)
	}
}
