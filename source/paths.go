package source

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"
)

// planned is a file to be read.
type planned struct {
	name   string
	size   int64    // known size on disk, 0 for pipes
	direct bool     // named by the user, not met in a directory
	only   []string // members to be read, nil for all
}

// inode tells files apart whatever their names.
type inode struct{ dev, ino uint64 }

// inodeOf gives the identity of a file; both Linux and Darwin have it.
func inodeOf(info fs.FileInfo) (inode, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}, false
	}
	return inode{uint64(st.Dev), uint64(st.Ino)}, true
}

// firstTime tells whether a file is met for the first time, and counts it if
// not.
func (w *walker) firstTime(seen map[inode]bool, info fs.FileInfo) bool {
	id, ok := inodeOf(info)
	if !ok {
		return true
	}
	if seen[id] {
		w.report.SameFile++
		return false
	}
	seen[id] = true
	return true
}

// plan lists the files behind the paths in the order in which they are read.
// Its error is that of the context.
func (w *walker) plan(paths []string) ([]planned, error) {
	var list []planned
	choices := false
	for _, name := range paths {
		if name == "-" {
			list = append(list, planned{name: name, direct: true})
			continue
		}
		_, err := os.Lstat(name)
		if err != nil {
			if archive, ok := splitMember(name); ok {
				list, choices = append(list, archive), true
				continue
			}
		}
		switch {
		case err == nil || !isGlob(name):
			list, err = w.planPath(list, name, true)
		default:
			list, err = w.planGlob(list, name)
		}
		if err != nil {
			return nil, err
		}
	}
	if choices {
		list = together(list)
	}
	return list, nil
}

func isGlob(name string) bool { return strings.ContainsAny(name, `*?[{\`) }

// planPath adds a file or all that lies under a directory.
func (w *walker) planPath(list []planned, name string, direct bool) ([]planned, error) {
	if err := w.ctx.Err(); err != nil {
		return list, err
	}
	info, err := os.Stat(name)
	if err != nil {
		w.missing(name, direct, err)
		return list, nil
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return append(list, planned{name: name, size: info.Size(), direct: direct}), nil
	case mode.IsDir():
		return w.planDir(list, name, info)
	case direct && mode&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return append(list, planned{name: name, direct: true}), nil
	case direct:
		w.unreadable(name, 0, "it is "+kindOf(mode)+", not a file")
	default:
		w.skipped(name, kindOf(mode))
	}
	return list, nil
}

func (w *walker) planDir(list []planned, dir string, info fs.FileInfo) ([]planned, error) {
	if !w.firstTime(w.dirs, info) {
		return list, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.unlistable(dir, err)
	}
	sortFamilies(entries, func(e fs.DirEntry) (string, bool) { return e.Name(), e.IsDir() })
	for _, e := range entries {
		if list, err = w.planPath(list, filepath.Join(dir, e.Name()), false); err != nil {
			return list, err
		}
	}
	return list, nil
}

func (w *walker) unlistable(dir string, err error) {
	if !w.unlisted[dir] {
		w.unlisted[dir] = true
		w.unreadable(dir, 0, "the directory cannot be listed: "+plain(err))
	}
}

// missing reports a path that os.Stat refused.
func (w *walker) missing(name string, direct bool, err error) {
	if link, lerr := os.Lstat(name); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
		reason := ""
		switch {
		case errors.Is(err, fs.ErrNotExist):
			reason = "symbolic link to a file that does not exist"
		case errors.Is(err, syscall.ELOOP):
			reason = "symbolic link that leads to itself"
		}
		if reason != "" && !direct {
			w.skipped(name, reason)
			return
		}
		if reason != "" {
			w.unreadable(name, 0, reason)
			return
		}
	}
	w.unreadable(name, 0, plain(err))
}

// planGlob adds what a pattern matches. What lies under a matched directory
// comes with that directory, not a second time by itself.
func (w *walker) planGlob(list []planned, pattern string) ([]planned, error) {
	base, rest := doublestar.SplitPattern(filepath.Clean(pattern))
	var hits []globHit
	tree := &globTree{w: w, base: base}
	err := doublestar.GlobWalk(tree, rest, func(hit string, e fs.DirEntry) error {
		hits = append(hits, globHit{hit, e.IsDir()})
		return w.ctx.Err()
	})
	switch {
	case w.ctx.Err() != nil:
		return list, w.ctx.Err()
	case errors.Is(err, doublestar.ErrBadPattern):
		w.unreadable(pattern, 0, "no such file, and not a valid pattern either")
		return list, nil
	case len(hits) == 0 && tree.listed <= maxGlobDirs:
		w.unreadable(pattern, 0, "no file matches this pattern")
		return list, nil
	}
	if tree.listed > maxGlobDirs {
		w.unreadable(pattern, 0, "the pattern leads through too many directories; name one further down")
	}
	sortFamilies(hits, func(h globHit) (string, bool) { return h.name, h.isDir })
	matched := make(map[string]bool, len(hits))
	for _, hit := range hits {
		if matched[hit.name] || underAny(matched, hit.name) {
			continue
		}
		matched[hit.name] = true
		if list, err = w.planPath(list, filepath.Join(base, hit.name), false); err != nil {
			return list, err
		}
	}
	return list, nil
}

// globHit is a match of a pattern, as a path below its base.
type globHit struct {
	name  string
	isDir bool
}

func underAny(dirs map[string]bool, name string) bool {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if dirs[dir] {
			return true
		}
		if dir == "." || dir == "/" {
			return false
		}
	}
}

// maxGlobDirs bounds how many directories one pattern may list. Links that
// cross each other could otherwise make "**" visit them for ever.
const maxGlobDirs = 1_000_000

// globTree is the file system a pattern is matched in: links are followed, but
// not back into a directory that the path has already passed.
type globTree struct {
	w      *walker
	base   string
	listed int
}

func (t *globTree) path(name string) string { return filepath.Join(t.base, name) }

func (t *globTree) Open(name string) (fs.File, error) { return os.Open(t.path(name)) }

func (t *globTree) Stat(name string) (fs.FileInfo, error) { return os.Stat(t.path(name)) }

func (t *globTree) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := t.w.ctx.Err(); err != nil {
		return nil, err
	}
	if t.listed++; t.listed > maxGlobDirs || t.cyclic(name) {
		return nil, nil
	}
	entries, err := os.ReadDir(t.path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		t.w.unlistable(t.path(name), err)
	}
	return entries, err
}

// cyclic tells whether a directory is one of its own parents.
func (t *globTree) cyclic(name string) bool {
	info, err := t.Stat(name)
	if err != nil {
		return false
	}
	for name != "." {
		name = path.Dir(name)
		if parent, err := t.Stat(name); err == nil && os.SameFile(info, parent) {
			return true
		}
	}
	return false
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// plain is an error of the operating system without the call and the path.
func plain(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
