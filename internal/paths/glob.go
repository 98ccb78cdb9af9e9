package paths

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"
)

// This file finds what a pattern matches. The pattern is cut into parts, one for
// each name of a path, and a walk goes down with the parts that may come next; "**"
// stays one of them. In each directory each part is looked at once, whatever the
// number of ways that lead there: links cannot make the walk longer than there are
// directories.

// part is what a pattern says of one name.
type part struct {
	text  string // the name if exact, else the pattern of it
	exact bool
	deep  bool // "**": any number of directories
}

func isPattern(path string) bool { return strings.ContainsAny(path, `*?[{\`) }

// partsOf cuts a pattern; start is where it begins, "/" or ".".
func partsOf(pattern string) (start string, parts []part) {
	pattern, start = filepath.Clean(pattern), "."
	if strings.HasPrefix(pattern, "/") {
		start = "/"
	}
	for name := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		p := part{text: name, deep: name == "**", exact: !hasMeta(name)}
		if p.exact {
			p.text = unescape(name)
		}
		parts = append(parts, p)
	}
	return start, parts
}

func hasMeta(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '*', '?', '[', '{':
			return true
		}
	}
	return false
}

func unescape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// maxAlternatives bounds what the braces of one pattern stand for.
const maxAlternatives = 1000

// alternatives writes out the braces that hold more than a part of a name:
// {a/b,c}/d is a/b/d and c/d. Too many are none.
func alternatives(pattern string) []string {
	open, comma, end := braces(pattern)
	if end < 0 {
		return []string{pattern}
	}
	var all []string
	for i, at := range comma {
		from := open + 1
		if i > 0 {
			from = comma[i-1] + 1
		}
		some := alternatives(pattern[:open] + pattern[from:at] + pattern[end+1:])
		if all = append(all, some...); len(some) == 0 || len(all) > maxAlternatives {
			return nil
		}
	}
	return all
}

// braces finds the first braces outside of others that are to be written out: where
// they open, where each alternative ends, and where they close; -1 without any.
func braces(pattern string) (open int, ends []int, end int) {
	depth, class := 0, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '{':
			if depth++; depth == 1 {
				open, ends = i, nil
			}
		case c == ',' && depth == 1:
			ends = append(ends, i)
		case c == '}' && depth > 0:
			if depth--; depth == 0 && (strings.Contains(pattern[open:i], "/") || strings.Contains(pattern[open:i],
				"**")) {
				return open, append(ends, i), i
			}
		}
	}
	return 0, nil, -1
}

// pattern tells of what matches.
func (x *expansion) pattern(pattern string) error {
	g := &glob{expansion: x, seen: map[step]bool{}}
	all := alternatives(pattern)
	if !doublestar.ValidatePattern(pattern) || len(all) == 0 {
		return x.tell(Entry{Kind: Unreadable, Path: pattern, Named: true,
			Reason: "no such file, and not a valid pattern either"})
	}
	for _, one := range all {
		clear(g.seen)
		var start string
		start, g.parts = partsOf(one)
		g.directories = strings.HasSuffix(one, "/")
		dir := Entry{Kind: Directory, Path: start}
		var err error
		if dir.Info, err = os.Stat(start); err != nil {
			continue
		}
		if err := g.directory(&dir, []int{0}); err != nil {
			return err
		}
	}
	if !g.found {
		return x.tell(Entry{Kind: Missing, Path: pattern, Named: true, Reason: NoMatch})
	}
	return nil
}

// glob is the walk of one pattern.
type glob struct {
	*expansion
	parts       []part
	directories bool // the pattern ends with "/"
	seen        map[step]bool
	found       bool
}

// step is a part that was looked at in a directory.
type step struct {
	dir  ID
	part int
}

// fresh gives the parts that have not been looked at in a directory, and says
// whether the directory itself matches.
func (g *glob) fresh(dir fs.FileInfo, next []int) (parts []int, match bool) {
	id, known := IDOf(dir)
	for i := 0; i < len(next); i++ {
		n := next[i]
		if n == len(g.parts) {
			return nil, true
		}
		if g.parts[n].deep && !slices.Contains(next, n+1) {
			next = append(next, n+1) // "**" is also no directory at all
		}
		if at := (step{id, n}); !known || !g.seen[at] {
			g.seen[at] = true
			parts = append(parts, n)
		}
	}
	return parts, false
}

// directory looks for the parts that come next in a directory.
func (g *glob) directory(dir *Entry, next []int) error {
	parts, match := g.fresh(dir.Info, next)
	if match {
		g.found = true
		return g.tree(dir)
	}
	if len(parts) == 0 {
		return nil
	}
	if !slices.ContainsFunc(parts, func(n int) bool { return !g.parts[n].exact }) {
		return g.named(dir, parts)
	}
	entries, err := os.ReadDir(dir.Path)
	if err := g.listed(*dir, err); err != nil {
		return err
	}
	if err != nil && len(entries) == 0 {
		return g.lookUp(dir, parts)
	}
	for _, d := range entries {
		if err := g.entry(dir, d, parts); err != nil {
			return err
		}
	}
	return nil
}

// entry looks at what a directory holds.
func (g *glob) entry(dir *Entry, d fs.DirEntry, parts []int) error {
	var next, deep []int
	for _, n := range parts {
		switch p := &g.parts[n]; {
		case p.deep:
			deep = append(deep, n)
		case p.exact && p.text == d.Name() || !p.exact && doublestar.MatchUnvalidated(p.text, d.Name()):
			next = append(next, n+1)
		}
	}
	if len(next)+len(deep) == 0 {
		return nil
	}
	path := filepath.Join(dir.Path, d.Name())
	if slices.Contains(next, len(g.parts)) {
		return g.hit(path, d)
	}
	if !d.IsDir() && d.Type()&fs.ModeSymlink == 0 {
		return nil
	}
	return g.down(path, append(next, deep...))
}

// hit tells of what matches.
func (g *glob) hit(path string, d fs.DirEntry) error {
	if g.directories {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return nil
		}
	}
	g.found = true
	return g.below(path, d, false)
}

// down goes into what may be a directory.
func (g *glob) down(path string, next []int) error {
	switch e := look(path, false); e.Kind {
	case Directory:
		return g.directory(&e, next)
	case Unreadable:
		return g.tell(e)
	}
	return nil
}

// named looks for names that the pattern tells as they are: the directory need not
// be listed for that.
func (g *glob) named(dir *Entry, parts []int) error {
	if slices.Contains(parts, len(g.parts)-1) {
		if err := g.tell(*dir); err != nil {
			return err
		}
	}
	return g.lookUp(dir, parts)
}

func (g *glob) lookUp(dir *Entry, parts []int) error {
	for _, n := range parts {
		p := &g.parts[n]
		if !p.exact {
			continue
		}
		path := filepath.Join(dir.Path, p.text)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
			continue
		case err != nil:
			g.found = true
			err = g.tell(Entry{Kind: Unreadable, Path: path, Reason: Reason(err)})
		case n+1 == len(g.parts):
			err = g.hit(path, fs.FileInfoToDirEntry(info))
		default:
			err = g.down(path, []int{n + 1})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
