// Package source turns the paths a user names into readable members and their
// lines.
//
// A path is a file, a directory, a glob, "-", compressed data (gzip, bzip2, xz,
// zstd) or an archive (tar, zip), nested in any order. What something is, its
// first bytes tell, never its name. Data streams through: the only thing held
// whole is a zip archive that is not a file on disk, in memory or in a private
// temporary directory.
//
//	paths -> plan (paths.go) -> begin (ahead.go) -> open (open.go) -> member -> visit
//	          order (rotation)   packed files on     ^    |
//	         choice (choice.go)  disk, before their  +----+  one layer unpacked
//	                             turn                        (internal/unpack, tar.go, zip.go)
//
// Nothing wrong with the input is an error to the caller: what was readable is
// delivered, the damage is named in the Report, and the rest goes on.
package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/rotation"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
	"github.com/tomoscrape/tomoscrape/internal/xz"
)

const (
	defaultDepth    = 8
	defaultUnpacked = 100 << 30
	defaultMembers  = 1_000_000
	defaultMemory   = 64 << 20
	progressEvery   = 100 * time.Millisecond
	maxListed       = 1000 // entries of each list of a Report that are given by name
)

// Options bound a Walk. The zero value of each field means its default.
type Options struct {
	// MaxDepth is how many layers of compression and archives are unpacked (8).
	MaxDepth int
	// MaxUnpacked bounds the bytes that unpacking may make during the whole
	// walk, those of each layer counted (100 GiB). The bytes of plain files do
	// not count, and what is unpacked ahead counts when it is read.
	MaxUnpacked int64
	// MaxMembers bounds how many members archives may have in all, directories and
	// links among them, and those of archives in archives (1,000,000).
	MaxMembers int
	// Memory is how many bytes of what has to be held whole, a zip archive
	// inside another one, are kept in memory before it goes to Temp (64 MiB).
	Memory int64
	// Temp is the directory for what Memory does not hold (os.TempDir()).
	Temp string
	// Stdin is what the path "-" reads (os.Stdin).
	Stdin io.Reader
	// Progress, if not nil, is called now and then with the bytes read of the
	// files on disk and the sum of their sizes, and once more at the end.
	Progress func(done, total int64)
}

// Member is one file, or one file inside an archive, after unpacking.
type Member struct {
	// Name is the path as the user can open it, members of archives after "!".
	// Names from archives are the bytes that stand there, hostile ones too;
	// only absurdly long ones are shortened.
	Name string
	// Continues says that the member visited right before belongs to the same
	// rotation (X.2.gz, X.1, X; X-20260101, X) and is older, so that what begins
	// at its end may go on here.
	Continues bool
	// Reader gives the content and never an error other than io.EOF: damage
	// ends it and is named in the Report. It is valid during the visit only.
	Reader io.Reader
	// Place, unless it is nil, tells where in the content the byte stands that
	// Reader gives behind so many others: of long holes in a sparse file Reader
	// gives the beginning only. It may be called while Reader is read, and later.
	Place func(given int64) int64

	content *content
}

// FoundNothing says that no span stands in what was read of a member, and asks
// whether it is a log at all. If it is none, it is named in the Report as such:
// what looks like something else is never left out before all of it was read.
func (m *Member) FoundNothing() (isLog bool) {
	m.content.kind = m.content.texture.Kind(m.Name)
	return m.content.kind.Form == unpack.Text
}

// Skipped names what was left out because it is no log.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Unreadable names what could not be read, or not to its end. Offset is how
// many bytes of it, after unpacking, were reached.
type Unreadable struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset,omitempty"`
	Reason string `json:"reason"`
}

// Report accounts for a Walk. Each list names the first 1,000 and ends with an
// entry without a name that says how many more there are.
type Report struct {
	Files      int   // opened on disk, standard input included
	Members    int   // found inside archives
	Bytes      int64 // handed to visitors
	SameFile   int   // paths that led to a file or directory already read
	Skipped    []Skipped
	Unreadable []Unreadable
}

// Walk reads all that names lead to and calls visit for each member, one after
// the other: the names in their order, directories recursively and what patterns
// match sorted by name, with the files of a rotation oldest first in the place of
// the log they come from, archives in their own order. Symbolic links are followed
// and each file (device and inode) is read once. A path that does not exist, but names a file up to a "!",
// is a member of that archive, or a directory or an archive inside it, by the
// name that its Member has, or by links in the archive that lead there; archives
// are still read to their end, once for all such paths and once more for what links
// lead to. A visitor need not read its member to the end; but what
// it leaves unread is not checked for damage.
//
// The error is that of the context or of visit, as it is. The Report is valid in
// any case. If the context ends while standard input or a named pipe is silent,
// Walk returns at once and one goroutine waits on for that read to return.
func Walk(ctx context.Context, names []string, opt Options, visit func(*Member) error) (*Report, error) {
	if opt.MaxDepth == 0 {
		opt.MaxDepth = defaultDepth
	}
	if opt.MaxUnpacked == 0 {
		opt.MaxUnpacked = defaultUnpacked
	}
	if opt.MaxMembers == 0 {
		opt.MaxMembers = defaultMembers
	}
	if opt.Memory == 0 {
		opt.Memory = defaultMemory
	}
	if opt.Temp == "" {
		opt.Temp = os.TempDir()
	}
	if opt.Stdin == nil {
		opt.Stdin = os.Stdin
	}
	w := &walker{ctx: ctx, opt: opt, visit: visit, memory: opt.Memory,
		files: make(map[paths.ID]bool), unlisted: make(map[string]bool),
		opened: make(map[string]*opened)}
	if most := min(runtime.GOMAXPROCS(0), xz.MostBlocks); most > 1 {
		w.slots = make(chan struct{}, most)
	}
	err := w.walk(names)
	w.finish()
	return &w.report, err
}

// walker is the state of one Walk.
type walker struct {
	ctx    context.Context
	opt    Options
	visit  func(*Member) error
	report Report

	moreSkipped, moreUnreadable int

	files    map[paths.ID]bool // read
	before   rotation.File     // of the member visited last
	unlisted map[string]bool   // directories named as not listable

	named   string    // what the user named of what is read, "" if it was met elsewhere
	names   []string  // of all that is to be read
	late    []planned // truncated while they were read
	gone    []planned // no longer there when it was their turn
	renamed bool      // a file that was planned has another name than then
	again   bool      // these are being read

	choice   *choice         // of the members of what is read
	texture  unpack.Texture  // of the member that is visited
	unpacked int64           // bytes made by unpacking, against MaxUnpacked
	entries  int             // of archives, against MaxMembers
	memory   int64           // what is left of Memory
	temp     string          // private directory, once it is needed
	buffers  []*bufio.Reader // free ones

	opened map[string]*opened // files that were opened before their turn, by name
	slots  chan struct{}      // for parts of them that are unpacked beside others

	done  atomic.Int64 // of the files on disk
	total int64
	told  time.Time
}

// errStop ends the walk of one input without ending the walk.
var errStop = errors.New("stop reading this input")

func (w *walker) walk(names []string) error {
	w.names = names
	planned, err := w.plan(names)
	if err != nil {
		return err
	}
	for _, f := range planned {
		w.total += f.size
	}
	defer func() {
		for _, o := range w.opened {
			o.close()
		}
	}()
	for i, f := range planned {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		w.beginNext(planned[i:])
		if err := w.file(f); err != nil && !errors.Is(err, errStop) {
			return err
		}
	}
	if err := w.readLate(); err != nil {
		return err
	}
	return w.ctx.Err()
}

// finish completes the report and leaves nothing behind.
func (w *walker) finish() {
	if n := w.moreSkipped; n > 0 {
		w.report.Skipped = append(w.report.Skipped, Skipped{Reason: fmt.Sprintf("%d more were skipped", n)})
	}
	if n := w.moreUnreadable; n > 0 {
		w.report.Unreadable = append(w.report.Unreadable, Unreadable{Reason: fmt.Sprintf("%d more could not be read",
			n)})
	}
	if w.temp != "" {
		os.RemoveAll(w.temp)
	}
	if w.opt.Progress != nil {
		w.opt.Progress(w.done.Load(), w.total)
	}
}

func (w *walker) skipped(name, reason string) {
	w.before = rotation.File{} // there is a gap
	if w.choice.again(name) {
		return
	}
	if len(w.report.Skipped) == maxListed {
		w.moreSkipped++
		return
	}
	w.report.Skipped = append(w.report.Skipped, Skipped{Name: name, Reason: reason})
}

func (w *walker) unreadable(name string, offset int64, reason string) {
	w.before = rotation.File{} // there is a gap
	if !w.choice.again(name) {
		w.nameUnreadable(name, offset, reason)
	}
}

func (w *walker) nameUnreadable(name string, offset int64, reason string) {
	if len(w.report.Unreadable) == maxListed {
		w.moreUnreadable++
		return
	}
	w.report.Unreadable = append(w.report.Unreadable, Unreadable{Name: name, Offset: offset, Reason: reason})
}

// noted is how much of the input the Report names so far.
func (w *walker) noted() int {
	return len(w.report.Skipped) + w.moreSkipped + len(w.report.Unreadable) + w.moreUnreadable
}

// member counts a member, once.
func (w *walker) member() {
	if w.choice == nil || w.choice.pass == 0 {
		w.report.Members++
	}
}

// tell tells the progress now and then.
func (w *walker) tell() {
	if w.opt.Progress == nil || time.Since(w.told) < progressEvery {
		return
	}
	w.told = time.Now()
	w.opt.Progress(w.done.Load(), w.total)
}
