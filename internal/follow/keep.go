package follow

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// This file brings the state of the follower into its checkpoint and back.

// markDirty says that the checkpoint has to be written.
func (f *Follower) markDirty() {
	f.dirtyMu.Lock()
	f.dirty = true
	f.dirtyMu.Unlock()
}

// keep writes the checkpoint at most once a second, until the context ends.
func (f *Follower) keep(ctx context.Context) {
	tick := time.NewTicker(writeWait)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		had := f.failed
		switch err := f.save(); {
		case err != nil && had == nil:
			f.log.Error("checkpoint", "error", err)
		case err == nil && had != nil:
			f.log.Info("the checkpoint can be written again", "path", f.opt.Checkpoint)
		}
	}
}

// save writes the checkpoint, if there is one and something has changed.
func (f *Follower) save() error {
	if f.check == nil {
		return nil
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	f.dirtyMu.Lock()
	dirty := f.dirty || f.failed != nil
	f.dirty = false
	f.dirtyMu.Unlock()
	if !dirty {
		return nil
	}
	s, crowded := f.snapshot()
	f.failed = f.check.write(s)
	f.mu.Lock()
	if f.failed != nil {
		f.counts.CheckpointErrors++
		if f.overfull(f.failed) {
			f.freeDescriptor(f.now()) // for the next attempt
		}
	} else {
		f.counts.Checkpoints++
		f.counts.LastCheckpoint = f.now()
	}
	f.mu.Unlock()
	if len(crowded) > 0 && f.opt.Stuck != nil {
		f.opt.Stuck(crowded)
	}
	return f.failed
}

// snapshot is the state as it is kept.
func (f *Follower) snapshot() (*saved, []*InFlight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &saved{Version: checkpointVersion, Paths: f.opt.Paths, Next: f.next, Generations: []savedGeneration{}}
	var crowded []*InFlight
	for _, log := range slices.Sorted(maps.Keys(f.families)) {
		fam := f.families[log]
		for _, g := range fam.generations {
			p := g.acks.position()
			crowded = append(crowded, p.crowded...)
			e := savedGeneration{ID: g.id, Log: fam.log, Path: g.Name(), Root: fam.root, Device: g.where.Device,
				Inode:      g.where.Inode,
				HeadLength: g.head.length, HeadSHA256: hex.EncodeToString(g.head.sum[:]), HeadWeak: g.head.weak,
				Mark: p.mark, Lines: p.line, End: max(g.end, p.taken), State: g.state.String(), Sealed: g.state == sealed}
			if g.state.over() && p.mark < p.taken {
				e.State, e.Sealed = following.String(), false // what is not acknowledged is read again
			}
			if g.half >= 0 && p.mark == p.taken { // should it go on, it is read again from its beginning
				e.Mark, e.Lines = g.half, p.line-1
				p.ranges = append(p.ranges, span{g.half, p.taken})
			}
			for i := max(0, len(g.samples)-2); i < len(g.samples); i++ {
				sum := g.samples[i].hash()
				e.Samples = append(e.Samples, savedSample{g.samples[i].end, hex.EncodeToString(sum[:])})
			}
			if g.state == orphaned {
				e.Orphaned, e.Unseen = g.lostAt.UTC().Round(time.Second), g.unseen
			}
			for _, r := range p.ranges {
				e.Ranges = append(e.Ranges, [2]int64{r.start, r.end})
			}
			s.Generations = append(s.Generations, e)
		}
	}
	return s, crowded
}

// restore takes over what a checkpoint says.
func (f *Follower) restore(s *saved) {
	f.markDirty()
	if s == nil {
		return
	}
	for i, path := range f.opt.Paths {
		f.first[i] = !slices.Contains(s.Paths, path)
	}
	now := f.now()
	for i := range s.Generations {
		e := &s.Generations[i]
		fam := f.family(e.Log)
		fam.known, fam.root = true, e.Root
		if e.Mark == 0 && (e.HeadLength == 0 || e.HeadWeak) {
			continue // nothing of it was handed out, and nothing tells it from others
		}
		g := f.newGeneration(fam, e.Path, now)
		g.id = e.ID
		g.where = file{Device: e.Device, Inode: e.Inode}
		begin := head{length: e.HeadLength, weak: e.HeadWeak}
		hex.Decode(begin.sum[:], []byte(e.HeadSHA256)) // checked when it was read
		f.setHead(g, begin)
		for _, s := range e.Samples {
			known := sample{end: s.End}
			hex.Decode(known.sum[:], []byte(s.SHA256))
			g.samples = append(g.samples, known)
		}
		g.offset, g.line, g.end = e.Mark, e.Lines, e.End
		g.acks.taken, g.acks.lines = e.Mark, e.Lines
		for _, r := range e.Ranges {
			g.acks.old = append(g.acks.old, span{r[0], r[1]})
		}
		g.state, _ = stateNamed(e.State)
		g.unseen = g.state == following || e.Unseen
		if g.state == finished && e.Sealed {
			g.state = sealed
		}
		g.sniff = e.HeadLength == 0
		if g.lostAt = e.Orphaned; g.lostAt.IsZero() || g.lostAt.After(now) {
			g.lostAt = now
		}
	}
	f.next, f.stopped = s.Next, s.written
}
