package paths

import (
	"io/fs"
	"os"
	"path/filepath"
)

// tree tells of a directory with all below it.
func (x *expansion) tree(dir *Entry) error {
	if id, ok := IDOf(dir.Info); ok {
		if x.walked[id] {
			dir.Kind = Repeated
			return x.tell(*dir)
		}
		x.walked[id] = true
	}
	entries, err := os.ReadDir(dir.Path)
	if err := x.listed(*dir, err); err != nil {
		return err
	}
	for _, d := range entries {
		if err := x.below(filepath.Join(dir.Path, d.Name()), d, true); err != nil {
			return err
		}
	}
	return nil
}

// listed tells of a directory that was listed, or not.
func (x *expansion) listed(dir Entry, err error) error {
	if err != nil {
		dir.Reason = Unlistable(err)
	}
	return x.tell(dir)
}

// below tells of what was met in a directory, with all below it.
func (x *expansion) below(path string, d fs.DirEntry, whole bool) error {
	e := look(path, false)
	e.Whole, e.Link = whole, d != nil && d.Type()&fs.ModeSymlink != 0
	if e.Kind == Directory {
		return x.tree(&e)
	}
	return x.tell(e)
}

// Unlistable says why a directory could not be listed.
func Unlistable(err error) string { return "the directory cannot be listed: " + Reason(err) }
