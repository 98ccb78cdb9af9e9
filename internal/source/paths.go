package source

import (
	"io/fs"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/rotation"
)

// planned is a file to be read.
type planned struct {
	name   string
	size   int64    // known size on disk, 0 for pipes
	id     paths.ID // of a file on disk
	direct bool     // named by the user, not met in a directory
	only   []string // members to be read, nil for all
}

// firstTime tells whether a file is met for the first time, and counts it if
// not.
func (w *walker) firstTime(info fs.FileInfo) bool {
	id, ok := paths.IDOf(info)
	if !ok {
		return true
	}
	if w.files[id] {
		w.report.SameFile++
		return false
	}
	w.files[id] = true
	return true
}

// plan lists the files behind the paths in the order in which they are read.
// Its error is that of the context.
func (w *walker) plan(list []string) ([]planned, error) {
	found := make([][]paths.Entry, len(list))
	err := paths.Expand(list, func(e *paths.Entry) error {
		found[e.Root] = append(found[e.Root], *e)
		return w.ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	var all []planned
	choices := false
	for _, entries := range found {
		rotation.Sort(entries, func(e paths.Entry) (string, bool) { return e.Path, e.Kind == paths.Directory })
		for i := range entries {
			all = w.planEntry(all, &entries[i])
			choices = choices || entries[i].Kind == paths.Member
		}
	}
	if choices {
		all = together(all)
	}
	return all, nil
}

// planEntry adds what is to be read, and reports what is not.
func (w *walker) planEntry(all []planned, e *paths.Entry) []planned {
	switch e.Kind {
	case paths.File:
		id, _ := paths.IDOf(e.Info)
		return append(all, planned{name: e.Path, size: e.Info.Size(), id: id, direct: e.Named})
	case paths.Stdin, paths.Stream:
		return append(all, planned{name: e.Path, direct: true})
	case paths.Member:
		return append(all, planned{name: e.Path, size: e.Info.Size(), direct: true, only: []string{e.Member}})
	case paths.Directory:
		if e.Reason != "" && !w.unlisted[e.Path] {
			w.unlisted[e.Path] = true
			w.unreadable(e.Path, 0, e.Reason)
		}
	case paths.Repeated:
		w.report.SameFile++
	case paths.Skipped:
		w.skipped(e.Path, e.Reason)
	case paths.Missing, paths.Unreadable:
		w.unreadable(e.Path, 0, e.Reason)
	}
	return all
}
