// Package paths says what a PATH means: which files it leads to, in which order,
// and what cannot be read. Replay lists the files once, tail again and again; both
// ask here.
//
//	Expand ──> Look: standard input, member, pipe, or what is not there
//	   ├─────> tree (walk.go): a directory with all below
//	   └─────> pattern (glob.go): what matches, and what lies under it
//
// Links are followed. What a walk has been in before, it does not enter again: it
// knows directories by device and inode, so that links that lead back or cross
// each other cost nothing.
package paths

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Kind is what something is that a PATH leads to.
type Kind int

const (
	File       Kind = iota // a regular file
	Stdin                  // "-"
	Stream                 // a named pipe, or a device that gives characters, which the user named
	Member                 // ARCHIVE!MEMBER
	Directory              // comes before what lies in it; with a Reason it could not be listed
	Repeated               // a directory that was walked before
	Skipped                // Reason says why it is none of those that are read
	Missing                // nothing is there, Reason says what; it may come
	Unreadable             // Reason says why
)

// Entry is something a PATH leads to.
type Entry struct {
	Kind   Kind
	Path   string      // as the user can open it
	Root   int         // the index of the PATH
	Named  bool        // it is the PATH itself
	Whole  bool        // it lies in a directory that is walked as a whole
	Link   bool        // it was met as a symbolic link
	Info   fs.FileInfo // links followed; nil if there is nothing
	Member string      // of the archive at Path
	Reason string      // for people
}

// NoMatch is the Reason of a pattern that nothing matches.
const NoMatch = "no file matches this pattern"

// Expand tells what PATHs lead to, in their order, what lies in a directory by
// name. It ends early with the error of visit.
func Expand(paths []string, visit func(*Entry) error) error {
	x := &expansion{visit: visit, walked: map[ID]bool{}}
	for i, path := range paths {
		x.root = i
		if err := x.path(path); err != nil {
			return err
		}
	}
	return nil
}

// expansion is the state of one Expand.
type expansion struct {
	visit  func(*Entry) error
	root   int
	walked map[ID]bool // directories with all that is in them
}

func (x *expansion) tell(e Entry) error {
	e.Root = x.root
	return x.visit(&e)
}

func (x *expansion) path(path string) error {
	e := Look(path)
	switch {
	case e.Kind == Directory:
		return x.tree(&e)
	case e.Kind != Member && isPattern(path) && !exists(path):
		return x.pattern(path)
	}
	return x.tell(e)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Look says what a PATH itself is. A pattern is Missing, unless a file has that
// name.
func Look(path string) Entry {
	if path == "-" {
		return Entry{Kind: Stdin, Path: path, Named: true}
	}
	if !exists(path) {
		if archive, member, info, ok := splitMember(path); ok {
			return Entry{Kind: Member, Path: archive, Member: member, Info: info, Named: true}
		}
	}
	return look(path, true)
}

// look says what is at a path. What the user named is told from what is met: a
// pipe that is met is left alone.
func look(path string, named bool) Entry {
	e := Entry{Path: path, Named: named}
	info, err := os.Stat(path)
	if err != nil {
		e.Kind, e.Reason = fault(path, named, err)
		return e
	}
	e.Info = info
	switch mode := info.Mode(); {
	case mode.IsRegular():
	case mode.IsDir():
		e.Kind = Directory
	case named && mode&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		e.Kind = Stream
	case named:
		e.Kind, e.Reason = Unreadable, "it is "+KindOf(mode)+", not a file"
	default:
		e.Kind, e.Reason = Skipped, KindOf(mode)
	}
	return e
}

// fault says what it means that os.Stat refused a path.
func fault(path string, named bool, err error) (Kind, string) {
	missing, loop := errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP)
	kind := Unreadable
	if missing {
		kind = Missing
	}
	link, lerr := os.Lstat(path)
	if lerr != nil || link.Mode()&fs.ModeSymlink == 0 || !missing && !loop {
		return kind, Reason(err)
	}
	if !named {
		kind = Skipped
	}
	if loop {
		return kind, "symbolic link that leads to itself"
	}
	return kind, "symbolic link to a file that does not exist"
}

// splitMember cuts ARCHIVE!MEMBER behind the first part that is a file.
func splitMember(path string) (archive, member string, info fs.FileInfo, ok bool) {
	for i := range len(path) - 1 {
		if path[i] != '!' {
			continue
		}
		if info, err := os.Stat(path[:i]); err == nil && info.Mode().IsRegular() {
			member := strings.TrimRight(path[i+1:], "/")
			return path[:i], member, info, member != ""
		}
	}
	return "", "", nil, false
}

// Leads says whether a PATH leads to a file that is there.
func Leads(path string, file fs.FileInfo) bool {
	found := errors.New("found")
	return Expand([]string{path}, func(e *Entry) error {
		if e.Info != nil && os.SameFile(e.Info, file) {
			return found
		}
		return nil
	}) != nil
}

// KindOf names what is neither a regular file nor a directory.
func KindOf(mode fs.FileMode) string {
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

// Reason is an error of the operating system without the call and the path.
func Reason(err error) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err.Error()
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
