package follow

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

const maxLosses = 100 // that are kept by name

// Counts say what happened since the Follower was opened.
type Counts struct {
	Bytes            int64 // handed out
	Lines            int64 // handed out
	Generations      int64 // found, those of the checkpoint included
	Truncations      int64 // seen: at each, lines may have been lost that nobody could read
	LongLines        int64 // cut
	Skipped          int64 // files that are no logs
	Refused          int64 // paths that could not be followed, each time the reason changed
	ReadErrors       int64
	Lost             int64 // generations of which something is lost for certain
	LostBytes        int64
	Checkpoints      int64 // written
	CheckpointErrors int64
	LastCheckpoint   time.Time // when it was written, zero if it was not
	Losses           []Loss    // the last 100
}

// Loss is what is lost for certain of a generation.
type Loss struct {
	Path   string
	Head   string // the first bytes of the SHA-256 of its head
	Offset int64  // of what is lost
	Bytes  int64  // at least
	Reason string
}

func (c *Counts) noteLoss(l Loss) {
	if len(c.Losses) == maxLosses {
		c.Losses = slices.Delete(c.Losses, 0, 1)
	}
	c.Losses = append(c.Losses, l)
}

// Stats is the state of a Follower.
type Stats struct {
	Counts
	Families []FamilyStats // by path
}

// FamilyStats is the state of one log and its rotated files.
type FamilyStats struct {
	Path        string
	Generations int   // that are remembered
	Lag         int64 // bytes that are known and not handed out
	Unacked     int64 // bytes from the marks to what was handed out
	Offset      int64 // of the generation that is written to
	Mark        int64 // of that generation: all before it is acknowledged
}

// Stats gives the state of the Follower.
func (f *Follower) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Stats{Counts: f.counts}
	s.Losses = slices.Clone(s.Losses)
	for _, fam := range f.families {
		e := FamilyStats{Path: fam.log, Generations: len(fam.generations)}
		for _, g := range fam.generations {
			p := g.acks.position()
			e.Unacked += p.taken - p.mark
			if !g.state.over() {
				e.Lag += max(0, g.end-g.offset)
			}
			e.Offset, e.Mark = g.offset, p.mark
		}
		s.Families = append(s.Families, e)
	}
	slices.SortFunc(s.Families, func(a, b FamilyStats) int { return cmp.Compare(a.Path, b.Path) })
	return s
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
