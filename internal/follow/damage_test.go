package follow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// edit changes the first generation of the checkpoint.
func (b *bench) edit(change func(*savedGeneration)) {
	data, err := os.ReadFile(b.opt.Checkpoint)
	require.NoError(b.t, err)
	var s saved
	require.NoError(b.t, json.Unmarshal(data, &s))
	change(&s.Generations[0])
	data, err = json.Marshal(s)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(b.opt.Checkpoint, data, 0o600))
}

// A checkpoint that says of a file what cannot be true of it: that is said, and what
// is in the file is read.
func TestCheckpointThatDoesNotFitItsFile(t *testing.T) {
	before, old := lines(0, 10)
	large, oldLarge := lines(0, 300)
	late, more := lines(1000, 1003)
	const beyond, inside = "shorter than what the checkpoint says", "points into a line"
	for name, c := range map[string]struct {
		large  bool
		change func(*savedGeneration)
		from   int // the first line that is read again, -1 for none
		says   string
	}{
		"right":                {false, func(g *savedGeneration) {}, -1, ""},
		"beyond":               {false, func(g *savedGeneration) { g.Mark, g.End = 1<<40, 1<<40 }, 0, beyond},
		"beyond, large":        {true, func(g *savedGeneration) { g.Mark, g.End = 1<<40, 1<<40 }, 0, beyond},
		"one byte beyond":      {false, func(g *savedGeneration) { g.Mark++; g.End++ }, 0, beyond},
		"the largest":          {false, func(g *savedGeneration) { g.Mark, g.End = 1<<63-1, 1<<63-1 }, 0, beyond},
		"finished":             {false, func(g *savedGeneration) { g.Mark, g.End, g.State = 1<<40, 1<<40, "finished" }, 0, beyond},
		"sealed":               {false, func(g *savedGeneration) { g.Mark, g.End, g.State, g.Sealed = 1<<40, 1<<40, "finished", true }, 0, beyond},
		"range beyond":         {false, func(g *savedGeneration) { g.Ranges, g.End = [][2]int64{{g.Mark + 5, 1 << 40}}, 1<<40 }, 0, beyond},
		"end beyond":           {false, func(g *savedGeneration) { g.End = 1 << 40 }, -1, ""},
		"inside a line":        {false, func(g *savedGeneration) { g.Mark -= 10 }, 9, inside},
		"inside a line, large": {true, func(g *savedGeneration) { g.Mark -= 10 }, 299, inside},
		"inside the first":     {false, func(g *savedGeneration) { g.Mark = 3 }, 0, inside},
		"another inode":        {false, func(g *savedGeneration) { g.Inode += 1 << 40 }, -1, ""},
		"another, beyond":      {false, func(g *savedGeneration) { g.Inode += 1 << 40; g.Mark, g.End = 1<<40, 1<<40 }, 0, ""},
		"from the future":      {false, func(g *savedGeneration) { g.State, g.Orphaned = "orphaned", time.Now().AddDate(9, 0, 0) }, -1, ""},
	} {
		for _, written := range []string{"before", "after"} {
			t.Run(name+", written to "+written, func(t *testing.T) {
				b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
				text, want := before, append([]string{}, old...)
				if c.large {
					text, want = large, append([]string{}, oldLarge...)
				}
				b.write("x.log", text)
				b.open()
				b.step(time.Second)
				require.NoError(t, b.f.Close())
				b.want(want...)
				b.edit(c.change)
				if written == "before" {
					b.write("x.log", late)
				}
				if strings.Contains(name, "one byte") && written == "before" {
					return // it is right again, or inside a line
				}
				b.open()
				b.step(time.Second)
				if written == "after" {
					b.write("x.log", late)
				}
				for range 3 {
					b.step(time.Minute)
				}
				if c.from >= 0 {
					want = append(want, want[c.from:]...)
				}
				b.want(append(want, more...)...)
				if c.says != "" {
					require.Equal(t, 1, strings.Count(b.logs.String(), c.says), b.logs.String())
				} else {
					require.NotContains(t, b.logs.String(), beyond)
				}
				// From then on all is as ever.
				b.write("x.log", "the last\n")
				b.step(time.Second)
				require.NoError(t, b.f.Close())
				b.open()
				b.step(time.Second)
				require.Equal(t, "the last", b.out.all()[len(b.out.all())-1])
				require.Len(t, b.out.all(), len(want)+len(more)+1)
			})
		}
	}
}

func TestCheckpointWithImpossibleRanges(t *testing.T) {
	for _, ranges := range [][][2]int64{{{-5, 3}}, {{500, 400}}, {{100, 200}, {150, 300}}, {{100, 100}}} {
		b := newBench(t, Options{FromStart: true, Checkpoint: filepath.Join(t.TempDir(), "c")})
		b.write("x.log", "one\ntwo\n")
		b.open()
		b.step(time.Second)
		require.NoError(t, b.f.Close())
		b.edit(func(g *savedGeneration) { g.Ranges = ranges })
		_, err := Open(b.opt)
		require.ErrorContains(t, err, "wrong ranges")
	}
}
