package follow

import (
	"slices"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/rotation"
)

// Family is a log with its rotated files: a stream of generations.
type Family struct {
	log   string
	known bool   // it stood in the checkpoint
	root  string // the path by which it was found

	// All below is kept by Follower.mu.

	generations []*Generation // in the order in which they are handed out
	epoch       int           // changes when what its files may be matched with does
	copy        copied        // of a generation that is still in its own file
	last        lastBlock
}

// lastBlock is where the block that was handed out last ended.
type lastBlock struct {
	of    *Generation
	end   int64
	whole bool // with a newline
}

// family gives the family of a log.
func (f *Follower) family(log string) *Family {
	fam := f.families[log]
	if fam == nil {
		fam = &Family{log: log}
		f.families[log] = fam
	}
	return fam
}

// resting gives the generation of a family, which may be nil, that was in a file
// when it was open.
func (fam *Family) resting(where file) *Generation {
	if fam != nil {
		for _, g := range fam.generations {
			if g.closed(where) {
				return g
			}
		}
	}
	return nil
}

// closed tells whether a generation is in a file that is not open.
func (g *Generation) closed(where file) bool {
	return g.file == nil && g.where == where && g.state != orphaned
}

// move moves a generation to the family of the log whose name its file has now.
func (f *Follower) move(g *Generation, e *entry) {
	f.forget(g)
	f.heads.add(g)
	g.family = f.family(e.log)
	g.family.known = true
	g.family.generations = append(g.family.generations, g)
	g.family.epoch++
}

// forget drops a generation, and its family with the last one.
func (f *Follower) forget(g *Generation) {
	fam := g.family
	fam.generations = slices.DeleteFunc(fam.generations, func(o *Generation) bool { return o == g })
	f.heads.remove(g)
	for _, o := range fam.generations {
		if o.before == g {
			o.before = nil
		}
	}
	fam.epoch++
	if len(fam.generations) == 0 {
		fam.copy.close()
		delete(f.families, fam.log)
	}
	f.markDirty()
}

// putBack moves a generation, which is the last, in front of the one that is
// written to and was found together with it.
func (fam *Family) putBack(g *Generation) {
	i := slices.IndexFunc(fam.generations, func(o *Generation) bool { return o.active && o.scan == g.scan })
	if i >= 0 {
		fam.generations = slices.Insert(fam.generations[:len(fam.generations)-1], i, g)
	}
}

// continues says whether a block at the given offset of a generation goes on
// where the last one of the family ended, with nothing in between.
func (fam *Family) continues(g *Generation, offset int64) bool {
	last := fam.last
	switch {
	case last.of == nil || !last.whole:
		return false
	case last.of == g:
		return last.end == offset
	}
	return offset == 0 && g.before == last.of && last.end >= last.of.end
}

// link settles which generation a new one follows directly: the one whose file
// stands right before it in a listing made after the new one was opened.
func (f *Follower) link(g *Generation, l *listing) {
	var members []*entry
	for i := range l.entries {
		if e := &l.entries[i]; e.log == g.family.log {
			members = append(members, e)
		}
	}
	slices.SortStableFunc(members, func(a, b *entry) int {
		return rotation.Compare(rotation.Of(a.path),
			rotation.Of(b.path))
	})
	i := slices.IndexFunc(members, func(e *entry) bool { return e.file == g.where })
	if i < 0 {
		return
	}
	g.linked = true
	if i == 0 || !rotation.Of(members[i].path).Continues(rotation.Of(members[i-1].path)) {
		return
	}
	before := f.open[members[i-1].file]
	if v, ok := f.verdicts[members[i-1].file]; ok && before == nil {
		before = v.of
	}
	if before != nil && before != g && before.family == g.family {
		g.before = before
	}
}

// seenNow notes that a file of the generation is still there.
func (g *Generation) seenNow(now time.Time) { g.seen = now }
