package source

import (
	"os"
	"slices"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

// together makes one of several choices from the same archive. One that is also
// to be read whole is read whole.
func together(list []planned) []planned {
	first := make(map[paths.ID]int)
	var out []planned
	for _, p := range list {
		info, err := os.Stat(p.name)
		if p.name == "-" || err != nil {
			out = append(out, p)
			continue
		}
		id, _ := paths.IDOf(info)
		k, seen := first[id]
		if !seen {
			first[id] = len(out)
		} else if of := &out[k]; of.only != nil && p.only != nil {
			of.only = append(of.only, p.only...)
			continue
		} else {
			of.only = nil
		}
		out = append(out, p)
	}
	return out
}

// choice is what of an archive is to be read; nil is all.
type choice struct {
	names []string
	found []bool
}

func newChoice(p planned) *choice {
	if p.only == nil {
		return nil
	}
	c := &choice{found: make([]bool, len(p.only))}
	for _, member := range p.only {
		c.names = append(c.names, p.name+"!"+member)
	}
	return c
}

// has tells whether a member was chosen: by its name, or with a directory or an
// archive that it lies in.
func (c *choice) has(name string) bool {
	if c == nil {
		return true
	}
	chosen := false
	for i, wanted := range c.names {
		if rest, ok := strings.CutPrefix(name, wanted); ok && (rest == "" || rest[0] == '/' || rest[0] == '!') {
			c.found[i], chosen = true, true
		}
	}
	return chosen
}

// isOf tells whether a member was named itself.
func (c *choice) isOf(name string) bool { return c != nil && slices.Contains(c.names, name) }

// concerns tells whether a member was chosen, or may be an archive that holds
// one that was.
func (c *choice) concerns(name string) bool {
	if c.has(name) {
		return true
	}
	for _, wanted := range c.names {
		if strings.HasPrefix(wanted, name+"!") {
			return true
		}
	}
	return false
}

// openChosen opens a file on disk, or what was chosen of it.
func (w *walker) openChosen(p planned, open func() error) error {
	w.choice = newChoice(p)
	defer func() { w.choice = nil }()
	before := len(w.report.Unreadable) + w.moreUnreadable
	err := open()
	if w.choice == nil || w.ctx.Err() != nil {
		return err
	}
	reason := "the archive has no such member"
	if len(w.report.Unreadable)+w.moreUnreadable > before {
		reason = "what could be read of the archive has no such member"
	}
	for i, name := range w.choice.names {
		if !w.choice.found[i] {
			w.unreadable(name, 0, reason)
		}
	}
	return err
}
