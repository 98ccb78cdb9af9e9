package source

import (
	"os"
	"path"
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

const (
	maxLinks  = 100_000 // of an archive that are remembered
	maxPasses = 16      // through an archive, for the sake of its links
	maxHops   = 40      // from link to link, as in Linux
)

// choice is what of an archive is to be read; nil is all. Links are followed as on
// disk. Where they lead is known when the archive was read to its end: then it is
// read again for what they lead to.
type choice struct {
	archive string // its name on disk
	wanted  []*wanted
	links   map[string]link
	inside  []link // in what was chosen
	looked  int    // at so many of them
	outside bool   // there are members whose names lead out of the archive
	pass    int
}

// wanted is a member, a directory or an archive that was chosen, or that a link
// leads to.
type wanted struct {
	name  string  // clean
	as    string  // what its members are called by
	pass  int     // in which it is read
	found bool    // there is such a thing
	to    *wanted // what this link leads to, or nil
}

func (w *wanted) met() bool { return w.found || w.to != nil && w.to.met() }

// link is a link in an archive: its name and its clean name, what it is called by as a
// member, the clean name that it leads to, and what to say of it.
type link struct{ name, at, as, to, what string }

func newChoice(p planned) *choice {
	if p.only == nil {
		return nil
	}
	c := &choice{archive: p.name, links: make(map[string]link)}
	for _, member := range p.only {
		name := p.name + "!" + member
		c.wanted = append(c.wanted, &wanted{name: c.clean(name), as: name})
	}
	return c
}

// clean makes one name of all those of a member: without "./" and the like.
func (c *choice) clean(name string) string {
	rest, ok := strings.CutPrefix(name, c.archive+"!")
	if !ok {
		return name
	}
	parts := strings.Split(rest, "!")
	for i, part := range parts {
		if part = path.Clean(part); part == "." {
			part = ""
		}
		parts[i] = part
	}
	return c.archive + "!" + strings.Join(parts, "!")
}

// lies tells whether a member is, or lies in, what has another name.
func lies(name, in string) bool {
	rest, ok := strings.CutPrefix(name, in)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '!' || strings.HasSuffix(in, "!"))
}

// chosen gives what a member of this clean name was chosen with in this pass, and
// was not in one before.
func (c *choice) chosen(name string) (with []*wanted) {
	for _, w := range c.wanted {
		switch {
		case !lies(name, w.name):
		case w.pass < c.pass && w.found:
			return nil
		case w.pass == c.pass:
			with = append(with, w)
		}
	}
	return with
}

// has tells whether a member was chosen: by its name, or with a directory or an
// archive that it lies in.
func (c *choice) has(name string) bool {
	if c == nil {
		return true
	}
	clean := c.clean(name)
	c.outside = c.outside || leadsOut(clean)
	with := c.chosen(clean)
	for _, w := range with {
		w.found = true
	}
	return len(with) > 0
}

// called gives the name that a member has by what it was chosen with.
func (c *choice) called(name string) string {
	if c == nil {
		return name
	}
	clean := c.clean(name)
	with := c.chosen(clean)
	if len(with) == 0 || c.clean(with[0].as) == with[0].name {
		return name
	}
	w := with[0]
	rest := clean[len(w.name):]
	if rest != "" && strings.HasSuffix(w.name, "!") {
		rest = "/" + rest
	}
	return w.as + rest
}

// isOf tells whether a member was named itself.
func (c *choice) isOf(name string) bool {
	return c != nil && slices.ContainsFunc(c.wanted, func(w *wanted) bool { return w.name == c.clean(name) })
}

// again tells whether what is said of a member was said in a pass before.
func (c *choice) again(name string) bool {
	if c == nil || c.pass == 0 || len(c.chosen(c.clean(name))) > 0 {
		return false
	}
	return !slices.ContainsFunc(c.wanted, func(w *wanted) bool { return w.pass == c.pass && lies(name, w.as) })
}

// concerns tells whether a member was chosen, or may be an archive that holds
// one that was.
func (c *choice) concerns(name string) bool {
	if c.has(name) {
		return true
	}
	name = c.clean(name) + "!"
	return slices.ContainsFunc(c.wanted, func(w *wanted) bool {
		return w.pass == c.pass && strings.HasPrefix(w.name, name)
	})
}

// leadsOut tells whether a clean name leads out of the archive.
func leadsOut(name string) bool {
	inside := name[strings.LastIndexByte(name, '!')+1:]
	return path.IsAbs(inside) || inside == ".." || strings.HasPrefix(inside, "../")
}

// link names a link that stands in the place of a member, or follows it if that was
// chosen. Targets of hard links are names of members.
func (w *walker) link(archive, member, kind, target string) {
	name, what := memberName(archive, member), linkTo(kind, target)
	c := w.choice
	if c == nil {
		w.skipped(name, what)
		return
	}
	if kind == "symbolic" && !path.IsAbs(target) {
		target = path.Join(path.Dir(path.Clean(member)), target)
	}
	clean, to := c.clean(name), c.clean(memberName(archive, target))
	if len(c.links) == maxLinks || kind != "symbolic" && to == clean { // tar links what it packs twice to itself
		return
	}
	l := link{name, clean, c.called(name), to, what}
	c.links[clean] = l
	if with := c.chosen(clean); len(with) > 0 && !c.isOf(name) {
		for _, w := range with {
			w.found = true // what it lies in
		}
		c.inside = append(c.inside, l)
	}
}

// resolve follows the links in a name to its end, as far as they are known.
func (c *choice) resolve(name string) (to string, ok bool) {
	for range maxHops {
		next, _, ok := c.step(name)
		if !ok {
			return name, true
		}
		name = next
	}
	return name, false
}

// step follows the first link in a name.
func (c *choice) step(name string) (next, what string, ok bool) {
	for i := len(c.archive) + 1; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' && name[i] != '!' {
			continue
		}
		if l, ok := c.links[name[:i]]; ok {
			return c.clean(l.to + name[i:]), l.what, true
		}
	}
	return name, "", false
}

// follow looks where the links lead that were met, and tells whether there is
// something to be read in another pass.
func (c *choice) follow() (more bool) {
	lead := func(name, as string) *wanted {
		to, ok := c.resolve(name)
		if !ok || to == name || leadsOut(to) && !c.outside {
			return nil
		}
		for _, w := range c.wanted {
			if (w.found || w.pass > c.pass) && lies(to, w.name) {
				return w
			}
		}
		more = true
		c.wanted = append(c.wanted, &wanted{name: to, as: as, pass: c.pass + 1})
		return c.wanted[len(c.wanted)-1]
	}
	for _, w := range c.wanted {
		if !w.found && w.to == nil {
			w.to = lead(w.name, w.as)
		}
	}
	for _, l := range c.inside[c.looked:] {
		lead(l.at, l.as)
	}
	c.looked = len(c.inside)
	return more
}

// unmet says why a member cannot be read of an archive, which may be damaged.
func (c *choice) unmet(name string, damaged bool) string {
	to, ok := c.resolve(name)
	_, what, isLink := c.step(name)
	switch {
	case !ok:
		return "symbolic link that leads to itself"
	case !isLink && damaged:
		return "what could be read of the archive has no such member"
	case !isLink:
		return "the archive has no such member"
	}
	if leadsOut(to) {
		return "it is " + what + ", which leads out of the archive"
	}
	return "it is " + what + ", and the archive has no such member"
}

// openChosen opens a file on disk, or what was chosen of it.
func (w *walker) openChosen(p planned, o *opened) error {
	w.choice = newChoice(p)
	defer func() { w.choice = nil }()
	before := len(w.report.Unreadable) + w.moreUnreadable
	err := w.openFile(p, o)
	c := w.choice
	if c == nil {
		return err
	}
	for err == nil && c.pass < maxPasses && c.follow() && w.ctx.Err() == nil {
		c.pass++
		again := w.begin(planned{name: p.name})
		if again.err == nil {
			err = w.openFile(p, again)
		}
		again.close()
	}
	w.choice = nil
	if w.ctx.Err() != nil {
		return err
	}
	damaged := len(w.report.Unreadable)+w.moreUnreadable > before
	followed := make(map[string]bool)
	for _, w := range c.wanted {
		followed[w.as] = w.met()
	}
	for _, l := range c.inside {
		if !followed[l.as] {
			w.skipped(l.name, l.what)
		}
	}
	for _, wanted := range c.wanted {
		if wanted.pass == 0 && !wanted.met() {
			w.unreadable(wanted.as, 0, c.unmet(wanted.name, damaged))
		}
	}
	return err
}

// openFile opens what is in a file on disk.
func (w *walker) openFile(p planned, o *opened) error {
	if o.layer != nil {
		return w.open(p.name, o.layer, nil, 0, 1)
	}
	return w.open(p.name, o.raw, o.disk, o.info.Size(), 0)
}
