package follow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/rotation"
)

// This file finds files by the paths a user named. It only lists: what is in a
// file is looked at when it is open.

const maxFiles = 100_000 // of one listing

// entry is a file that was found.
type entry struct {
	path   string // as the user can open it
	log    string // name of its family: that of its log, links resolved; "" if no name tells
	root   int    // index of the path it was found by
	active bool   // its name is not that of a rotated file
	former bool   // no path leads to its family any more
	stray  bool   // no path leads to it: it is looked at for what is missing of a log
	status
}

// listing is what all paths lead to at one time.
type listing struct {
	f       *Follower
	entries []entry
	dirs    map[string]int64  // directories and their mtime when they were listed
	real    map[string]string // directories without links
	found   map[string]bool   // names, links resolved
	beside  map[string]map[string]int
	partial bool // something could not be listed
}

// list finds all files that the paths lead to now, and those of their rotations.
func (f *Follower) list() *listing {
	l := &listing{f: f, dirs: map[string]int64{}, real: map[string]string{}, found: map[string]bool{},
		beside: map[string]map[string]int{}}
	_ = paths.Expand(f.opt.Paths, func(e *paths.Entry) error { // the function gives none
		l.entry(e)
		return nil
	})
	reached := len(l.entries)
	former := l.former()
	l.rotations()
	for i := range l.entries[reached:] {
		if e := &l.entries[reached+i]; former[e.log] {
			e.active, e.former = false, true
		}
	}
	l.alike()
	l.strays()
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
		if wanted || reached[log] || root < 0 || !slices.ContainsFunc(fam.generations,
			func(g *Generation) bool { return !g.state.over() }) {
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

// entry takes what a path leads to.
func (l *listing) entry(e *paths.Entry) {
	switch e.Kind {
	case paths.File:
		if e.Named {
			l.watch(filepath.Dir(e.Path))
		} else if root := l.f.opt.Paths[e.Root]; l.f.refused[root] == paths.NoMatch {
			l.f.accept(root)
		}
		l.add(e.Path, statusOfInfo(e.Info), e.Root, !e.Whole || e.Link)
	case paths.Directory:
		l.dirs[e.Path] = statusOfInfo(e.Info).mtime
		if e.Reason != "" {
			l.refuse(e.Path, errors.New(e.Reason))
		} else {
			l.f.accept(e.Path)
		}
	case paths.Missing:
		l.missing(e)
	case paths.Skipped:
		l.f.skip(e.Path, e.Reason)
	case paths.Stream:
		l.f.refuse(e.Path, errors.New("it is "+paths.KindOf(e.Info.Mode())+", not a file"))
	case paths.Member:
		l.f.refuse(l.f.opt.Paths[e.Root], errors.New(ofArchive(e.Path)))
	case paths.Unreadable:
		l.refuse(e.Path, errors.New(e.Reason))
		l.expect(e)
	}
}

// missing waits for a path that the user named. What is gone since its directory
// was listed was none of that.
func (l *listing) missing(e *paths.Entry) {
	if !e.Named {
		return
	}
	l.f.wait(e.Path, e.Reason)
	l.expect(e)
}

// expect asks for the rotated files of a log that the user named and that is not
// there, or may not be looked at.
func (l *listing) expect(e *paths.Entry) {
	if !e.Named || e.Reason == paths.NoMatch {
		return
	}
	l.watch(filepath.Dir(e.Path))
	if log := l.resolve(e.Path); rotation.Of(log).Log == log {
		l.want(log, e.Root)
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
	real := l.resolve(path)
	if l.f.own(real) {
		return
	}
	if l.found[real] {
		return
	}
	if len(l.entries) >= maxFiles {
		l.partial = true
		l.f.refuse(path, fmt.Errorf("more than %d files are too many to follow; name fewer", maxFiles))
		return
	}
	l.found[real] = true
	log := rotation.Of(real).Log
	e := entry{path: path, log: log, root: root, status: st}
	if e.active = log == real; path != real {
		e.active = rotation.Of(path).Log == path
	}
	if !e.active && alone && l.f.opt.Paths[root] == path {
		e.log, e.active = real, true // the user named this one
	}
	l.entries = append(l.entries, e)
	if alone && e.active && log == real {
		l.want(real, root)
	}
}

// own tells whether this process writes a file, or did before it was rotated.
func (f *Follower) own(path string) bool {
	return f.excluded[path] || f.excluded[rotation.Of(path).Log]
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
			l.refuse(dir, errors.New(paths.Unlistable(err)))
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			log := rotation.Of(path).Log
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

// refuse says once why a path cannot be followed.
func (f *Follower) refuse(path string, err error) {
	if reason := paths.Reason(err); f.told(path, reason) {
		f.counts.Refused++
		f.log.Warn("cannot be followed, it is tried again: "+path, "path", path, "reason", reason)
	}
}

// wait says once that a path is waited for.
func (f *Follower) wait(path, reason string) {
	if f.told(path, reason) {
		f.log.Info("waiting for a file that is not there yet", "path", path, "reason", reason)
	}
}

// skip says once what is left out.
func (f *Follower) skip(path, reason string) {
	if f.told(path, reason) {
		f.counts.Skipped++
		f.log.Info("skipped: "+path, "path", path, "reason", reason)
	}
}

// told notes what is to be said of a path, and whether it is new.
func (f *Follower) told(path, reason string) bool {
	if f.refused[path] == reason {
		return false
	}
	if len(f.refused) >= maxFiles {
		clear(f.refused)
	}
	f.refused[path] = reason
	return true
}

// ofArchive is why a member of an archive is not followed.
func ofArchive(archive string) string {
	return "it is a part of the archive " + archive + ", to which nothing is added; read it with tomoscrape replay"
}

// accept says that a path that was refused is followed.
func (f *Follower) accept(path string) {
	if _, ok := f.refused[path]; ok {
		delete(f.refused, path)
		f.log.Info("can be followed now", "path", path)
	}
}
