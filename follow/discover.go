package follow

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tomoscrape/tomoscrape/source"
)

// This file finds files by the paths a user named. It only lists: what is in a
// file is looked at when it is open.

const (
	maxDirs  = 100_000 // listed for one path
	maxFiles = 100_000 // of one listing
)

// entry is a file that was found.
type entry struct {
	path   string // as the user can open it
	log    string // name of its family: that of its log, links resolved
	root   int    // index of the path it was found by
	active bool   // its name is not that of a rotated file
	former bool   // no path leads to its family any more
	status
}

// listing is what all paths lead to at one time.
type listing struct {
	f       *Follower
	entries []entry
	dirs    map[string]int64  // directories and their mtime when they were listed
	real    map[string]string // directories without links
	seen    map[file]bool     // directories, of one path
	found   map[string]bool   // names, links resolved
	beside  map[string]map[string]int
	partial bool // something could not be listed
}

// list finds all files that the paths lead to now, and those of their rotations.
func (f *Follower) list() *listing {
	l := &listing{f: f, dirs: map[string]int64{}, real: map[string]string{}, found: map[string]bool{}, beside: map[string]map[string]int{}}
	for i, path := range f.opt.Paths {
		if path == "-" {
			continue
		}
		l.seen = map[file]bool{}
		st, err := statPath(path)
		switch {
		case err == nil && st.directory():
			l.tree(path, st, i)
		case err != nil && strings.ContainsAny(path, `*?[{\`):
			l.glob(path, i)
		default:
			l.named(path, st, err, i)
		}
	}
	reached := len(l.entries)
	former := l.former()
	l.rotations()
	for i := range l.entries[reached:] {
		if e := &l.entries[reached+i]; former[e.log] {
			e.active, e.former = false, true
		}
	}
	return l
}

// former adds the logs to which a path has led, through a link that is another
// now, and which were not read to their end, and gives their names.
func (l *listing) former() map[string]bool {
	reached, former := map[string]bool{}, map[string]bool{}
	for i := range l.entries {
		reached[l.entries[i].log] = true
	}
	for log, fam := range l.f.families {
		root := slices.Index(l.f.opt.Paths, fam.root)
		_, wanted := l.beside[filepath.Dir(log)][log]
		if wanted || reached[log] || root < 0 || !slices.ContainsFunc(fam.generations, func(g *Generation) bool { return g.state != finished }) {
			continue
		}
		former[log] = true
		if st, err := statPath(log); err == nil && st.regular() {
			l.add(log, st, root, true)
		}
		l.want(log, root)
	}
	return former
}

// named adds a file that the user named, which need not be there now.
func (l *listing) named(path string, st status, err error, root int) {
	l.watch(filepath.Dir(path))
	if err == nil {
		l.add(path, st, root, true)
		return
	}
	l.f.refuse(path, err)
	if log := l.resolve(path); source.LogOf(log) == log {
		l.want(log, root)
	}
}

// tree adds what lies under a directory.
func (l *listing) tree(dir string, st status, root int) {
	if l.seen[st.file] || len(l.seen) >= maxDirs {
		return
	}
	l.seen[st.file] = true
	l.dirs[dir] = st.mtime
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.refuse(dir, err)
	} else {
		l.f.accept(dir)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		st, err := statPath(path)
		switch {
		case err != nil:
			if !errors.Is(err, fs.ErrNotExist) {
				l.refuse(path, err)
			}
		case st.directory():
			l.tree(path, st, root)
		case st.regular():
			l.add(path, st, root, e.Type()&fs.ModeSymlink != 0)
		}
	}
}

// glob adds what a pattern matches.
func (l *listing) glob(pattern string, root int) {
	base, rest := doublestar.SplitPattern(filepath.Clean(pattern))
	l.watch(base)
	visited := 0
	err := doublestar.GlobWalk(os.DirFS(base), rest, func(hit string, _ fs.DirEntry) error {
		if visited++; visited > maxFiles {
			return fs.SkipAll
		}
		path := filepath.Join(base, hit)
		l.watch(filepath.Dir(path))
		switch st, err := statPath(path); {
		case err != nil:
			if !errors.Is(err, fs.ErrNotExist) {
				l.refuse(path, err)
			}
		case st.directory():
			l.tree(path, st, root)
		default:
			l.add(path, st, root, true)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		l.refuse(pattern, err)
	} else {
		l.f.accept(pattern)
	}
}

// watch notes when a directory was last changed.
func (l *listing) watch(dir string) {
	if _, ok := l.dirs[dir]; ok {
		return
	}
	if st, err := statPath(dir); err == nil {
		l.dirs[dir] = st.mtime
	}
}

// add adds a file; alone if the rotated files beside it may not come by themselves.
func (l *listing) add(path string, st status, root int, alone bool) {
	if l.f.excluded[path] {
		return
	}
	if !st.regular() {
		l.f.refuse(path, errors.New("it is "+st.kind()+", not a file"))
		return
	}
	real := l.resolve(path)
	if l.found[real] {
		return
	}
	if len(l.entries) >= maxFiles {
		l.partial = true
		return
	}
	l.found[real] = true
	log := source.LogOf(real)
	e := entry{path: path, log: log, root: root, status: st}
	if e.active = log == real; path != real {
		e.active = source.LogOf(path) == path
	}
	if !e.active && alone && l.f.opt.Paths[root] == path {
		e.log, e.active = real, true // the user named this one
	}
	l.entries = append(l.entries, e)
	if alone && e.active && log == real {
		l.want(real, root)
	}
}

// want asks for the rotated files of a log.
func (l *listing) want(log string, root int) {
	dir := filepath.Dir(log)
	if l.beside[dir] == nil {
		l.beside[dir] = map[string]int{}
	}
	if _, ok := l.beside[dir][log]; !ok {
		l.beside[dir][log] = root
	}
}

// rotations adds the rotated files that were asked for.
func (l *listing) rotations() {
	wanted := l.beside
	for dir, logs := range wanted {
		l.watch(dir)
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.refuse(dir, err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			log := source.LogOf(path)
			root, ok := logs[log]
			if !ok || log == path || l.found[path] {
				continue
			}
			if st, err := statPath(path); err == nil && st.regular() {
				l.add(path, st, root, false)
			}
		}
	}
}

// resolve gives the name of a file without links; its directory's, at least, if
// the file is not there.
func (l *listing) resolve(path string) string {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if abs, err := filepath.Abs(real); err == nil {
				return abs
			}
		}
	}
	dir := filepath.Dir(path)
	real, ok := l.real[dir]
	if !ok {
		real = dir
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			real = resolved
		}
		if abs, err := filepath.Abs(real); err == nil {
			real = abs
		}
		l.real[dir] = real
	}
	return filepath.Join(real, filepath.Base(path))
}

// refuse says that a part of the listing is missing.
func (l *listing) refuse(path string, err error) {
	l.partial = true
	l.f.rescan = true
	l.f.refuse(path, err)
}

// refuse says once why a path cannot be followed. A file that does not exist is
// waited for.
func (f *Follower) refuse(path string, err error) {
	reason := plain(err)
	if f.refused[path] == reason {
		return
	}
	if len(f.refused) >= maxFiles {
		clear(f.refused)
	}
	f.refused[path] = reason
	if errors.Is(err, fs.ErrNotExist) {
		f.log.Info("waiting for a file that is not there yet", "path", path)
		return
	}
	f.counts.Refused++
	f.log.Warn("cannot be followed, it is tried again: "+path, "path", path, "reason", reason)
}

// accept says that a path that was refused is followed.
func (f *Follower) accept(path string) {
	if _, ok := f.refused[path]; ok {
		delete(f.refused, path)
		f.log.Info("can be followed now", "path", path)
	}
}

// plain is an error of the operating system without the call and the path.
func plain(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
