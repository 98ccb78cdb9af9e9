package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

const (
	growPoll  = 20 * time.Millisecond  // of files that grow
	quietPoll = 250 * time.Millisecond // of all others
	scanEvery = 3 * time.Second        // all paths, whether their directories changed or not
	writeWait = time.Second            // between two checkpoints
	growsFor  = 30 * time.Second       // a file counts as growing after it grew
	grace     = 5 * time.Second        // a rotated file that was read is quiet for so long before it is let go of
	idle      = time.Minute            // and for so long before a last line without an end is taken as it is
	lingers   = time.Minute            // a deleted file may still be written to
	searching = 2 * time.Minute        // for content that is not where it was, before it is said to be lost
	// for packed content that is not whole, and for lost content to turn up after all
	patience = 10 * time.Minute
	tails    = 4    // files that nxadm/tail follows at a time
	maxIdle  = 1024 // rotated files that are kept open though nothing happens

	defaultMaxLine = 8 << 20
)

// Options say what is followed.
type Options struct {
	// Paths are files, directories (with all below), patterns, and "-" for Stdin.
	// Rotated files of a file come with it. What does not exist is waited for.
	Paths []string
	// Exclude are files that are not followed though paths lead to them, such as
	// what this process writes.
	Exclude []string
	// Checkpoint is the file that keeps what was acknowledged; "" for none.
	Checkpoint string
	// Reset overrides a checkpoint that is there.
	Reset bool
	// FromStart: on the very first start for a path all that is there is read,
	// rotated files too. Else what is there is history. What comes later is
	// always read from its beginning.
	FromStart bool
	// MaxLine is the length in bytes beyond which a line is cut and counted (8 MiB).
	// NULs in front of such a line do not count.
	MaxLine int
	// Idle is how long a rotated file must be quiet, at least, before a last line
	// without an end is taken as it is (1 minute). As long as somebody has the file
	// open for writing, as far as that can be known, it is waited for in any case.
	Idle time.Duration
	// Open is how many files may be open at a time (MostOpen, which followers of one
	// process share).
	Open int
	// Tails is how many of the files that grow nxadm/tail may follow at a time (4;
	// below 0 none). It keeps a line whole in memory until its end, however long:
	// what is written to such a file in one go is read three times into memory.
	Tails int
	// Stdin is what "-" reads (os.Stdin).
	Stdin io.Reader
	// Logger takes events (slog.Default()).
	Logger *slog.Logger
	// Stuck, if not nil, is called, at most once a second, where more ranges of a
	// generation were acknowledged out of order than the checkpoint keeps (1,024):
	// with the holds that are to be done so that they are few enough. It must not
	// block.
	Stuck func([]*InFlight)
}

// Follower follows files. Its methods may be called from any goroutine, Run once.
type Follower struct {
	opt      Options
	log      *slog.Logger
	excluded map[string]bool
	first    []bool // by path: it was never followed before
	opened   time.Time
	stopped  time.Time // when the checkpoint was written with which this run began, if there was one
	patience time.Duration
	grace    time.Duration
	lingers  time.Duration
	most     int // growers
	mostIdle int // rotated files that are kept open
	now      func() time.Time
	openPath func(string) (*os.File, error)
	writers  func(fd int) bool // somebody may have the file open for writing

	mu       sync.Mutex
	families map[string]*Family
	open     map[file]*Generation
	verdicts map[file]verdict
	// files that nobody asked for, and that hold nothing of what is missing; epoch: orphans
	strays    map[file]verdict
	orphans   int                      // how often a generation was orphaned
	heads     heads                    // of all generations
	rivals    map[*Generation][][]byte // heads of files that may hold what is missing of it, in a scan
	pending   map[file]time.Time       // packed files whose beginning is still to come
	refused   map[string]string        // paths that cannot be followed, and why
	dirs      map[string]int64         // directories that were listed, and their mtime then
	next      uint64
	counts    Counts
	scanned   bool // the first scan is over
	scans     int
	scanNow   bool
	rescan    bool // something could not be opened
	scannedAt time.Time
	dirsAt    time.Time
	quietAt   time.Time
	closing   []closing
	stdinErr  error // why standard input was not read, once it ended
	growers   int
	copies    int           // of families that are open
	resting   bool          // there may be generations whose files are closed until they change
	short     bool          // it was said that there are too many files
	waiting   map[file]bool // files for which there was no room in the last scan
	tails     sync.WaitGroup
	headBuf   [headSize]byte
	sampleBuf [headSize]byte
	nextBuf   [headSize]byte

	check    *checkpoint
	writing  sync.Mutex // a checkpoint
	failed   error      // of the last attempt, under writing
	dirtyMu  sync.Mutex
	dirty    bool
	readyMu  sync.Mutex
	readySet map[*Family]bool
	wake     chan struct{} // for the reader: something is ready
	poke     chan struct{} // for the watcher: look now
	reader   reader
}

// Open takes the lock of the checkpoint, reads it, and finds out what is there.
// Its errors are for people. A Follower must be closed.
func Open(opt Options) (*Follower, error) { return open(opt, time.Now, openReadable) }

func open(opt Options, now func() time.Time, openPath func(string) (*os.File, error)) (*Follower, error) {
	if opt.MaxLine <= 0 {
		opt.MaxLine = defaultMaxLine
	}
	if opt.Idle <= 0 {
		opt.Idle = idle
	}
	if opt.Open <= 0 {
		opt.Open = MostOpen()
	}
	if opt.Tails == 0 {
		opt.Tails = tails
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Stdin == nil {
		opt.Stdin = os.Stdin
	}
	f := &Follower{opt: opt, log: opt.Logger, excluded: map[string]bool{}, patience: patience, grace: grace,
		lingers: lingers,
		most:    min(opt.Tails, opt.Open/4), mostIdle: maxIdle, now: now, openPath: openPath, writers: hasWriters,
		next:     1,
		families: map[string]*Family{}, heads: newHeads(), open: map[file]*Generation{}, verdicts: map[file]verdict{},
		pending: map[file]time.Time{},
		strays:  map[file]verdict{}, rivals: map[*Generation][][]byte{},
		refused: map[string]string{}, waiting: map[file]bool{}, readySet: map[*Family]bool{}, wake: make(chan struct{},
			1), poke: make(chan struct{}, 1)}
	f.first = make([]bool, len(opt.Paths))
	for i := range f.first {
		f.first[i] = true
	}
	if err := f.usable(); err != nil {
		return nil, err
	}
	f.opened = f.now()
	own := slices.Clone(opt.Exclude)
	anew := true
	if opt.Checkpoint != "" && f.files() {
		check, s, err := openCheckpoint(opt.Checkpoint, opt.Reset)
		if err != nil {
			return nil, err
		}
		f.check, anew = check, s == nil
		f.restore(s)
		own = append(own, opt.Checkpoint, opt.Checkpoint+".tmp", opt.Checkpoint+".lock")
	}
	names := &listing{real: map[string]string{}}
	for _, path := range own {
		f.excluded[names.resolve(path)] = true
	}
	f.mu.Lock()
	f.scan(f.now())
	f.dirsAt = f.scannedAt
	f.mu.Unlock()
	// Without this, a crash before the first checkpoint would make the next start
	// a first one again. Where the disk is full it is better to deliver all the same:
	// what is not followed now would be history at a later first start, too.
	if err := f.save(); err != nil {
		if f.log.Error("checkpoint", "error", err); anew && !opt.FromStart {
			f.log.Error("there is no checkpoint yet: until one is written, a crash makes the next start begin with "+
				"what is logged from then on", "path", opt.Checkpoint)
		}
	}
	return f, nil
}

// usable finds paths that can never be followed.
func (f *Follower) usable() error {
	if len(f.opt.Paths) == 0 {
		return errors.New("no paths to follow")
	}
	for _, path := range f.opt.Paths {
		if path == "-" {
			continue
		}
		if !supported {
			return fmt.Errorf("%s: following files works on Linux only; standard input (-) can be followed anywhere",
				path)
		}
		switch e := paths.Look(path); {
		case e.Kind == paths.Member:
			return fmt.Errorf("%s cannot be followed: %s", path, ofArchive(e.Path))
		case e.Info != nil && e.Kind != paths.File && e.Kind != paths.Directory:
			return fmt.Errorf("%s is %s and cannot be followed; name a file, a directory or a pattern, or - for "+
				"standard input", path, paths.KindOf(e.Info.Mode()))
		}
	}
	return nil
}

// files says whether there is something to follow besides standard input.
func (f *Follower) files() bool {
	return slices.ContainsFunc(f.opt.Paths, func(path string) bool { return path != "-" })
}

// Run hands blocks of lines to take until the context ends, take fails, or there
// is only standard input and that ended. Its error is that of take. take is
// called from one goroutine; while it blocks, files are still watched and opened,
// so that nothing is lost that is renamed or deleted meanwhile.
func (f *Follower) Run(ctx context.Context, take func(*Block) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if f.files() {
		wg.Go(func() { f.watch(ctx) })
	}
	if f.check != nil {
		wg.Go(func() { f.keep(ctx) })
	}
	return f.read(ctx, take)
}

// Rescan looks for files now, and not only when it is time to.
func (f *Follower) Rescan() {
	f.mu.Lock()
	f.scanNow = true
	f.mu.Unlock()
	signal(f.poke)
}

// watch looks at the files until the context ends.
func (f *Follower) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.poke:
		}
		wait := quietPoll
		if f.look(f.now()) {
			wait = growPoll
		}
		timer.Reset(wait)
	}
}

// look looks once at what is due; soon says that something grows.
func (f *Follower) look(now time.Time) (soon bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	quiet := now.Sub(f.quietAt) >= quietPoll
	if quiet {
		f.quietAt = now
	}
	for _, g := range f.open {
		growing := g.state == following && g.grows && now.Sub(g.grew) < growsFor
		soon = soon || growing
		if growing || quiet {
			f.inspect(g, now)
		}
		if !g.retry.IsZero() && !now.Before(g.retry) {
			g.retry = time.Time{}
			f.ready(g.family)
		}
	}
	if f.scanDue(now, soon, quiet) {
		f.scan(now)
	}
	if quiet {
		f.tidy(now)
	}
	f.grow(now)
	return soon || f.scanNow
}

// scanDue tells whether it is time to list all paths.
func (f *Follower) scanDue(now time.Time, growing, quiet bool) bool {
	since := now.Sub(f.scannedAt)
	if f.scanNow || since >= scanEvery || f.rescan && since >= time.Second {
		f.rescan = false
		return true
	}
	if since < 5*growPoll || !growing && !quiet {
		return false
	}
	for dir, mtime := range f.dirs {
		if st, err := statPath(dir); err == nil && st.mtime != mtime {
			// What came into it just after the listing may have left the same time:
			// it is listed once more.
			f.rescan = true
			return true
		}
	}
	return false
}

// tidy finishes what is over, and forgets what is gone.
func (f *Follower) tidy(now time.Time) {
	f.closing = slices.DeleteFunc(f.closing, func(c closing) bool {
		if now.Before(c.at) {
			return false
		}
		c.file.Close()
		return true
	})
	for _, verdicts := range []map[file]verdict{f.verdicts, f.strays} {
		for where, v := range verdicts {
			if now.Sub(v.seen) > lingers {
				delete(verdicts, where)
			}
		}
	}
	for where, since := range f.pending {
		if now.Sub(since) > 2*f.patience {
			delete(f.pending, where)
		}
	}
	idle := 0
	for _, fam := range f.families {
		for _, g := range slices.Clone(fam.generations) {
			switch g.state {
			case following:
				f.tidyFollowing(g, now)
			case orphaned:
				f.tidyOrphan(g, now)
			case finished, sealed:
				if f.tidyFinished(g, now) {
					idle++
				}
			}
		}
	}
	if idle > f.mostIdle {
		f.evict(idle-f.mostIdle, now)
	}
}

// tidyFollowing finishes a generation that has lost the name that is written to,
// was read, and is quiet.
func (f *Follower) tidyFollowing(g *Generation, now time.Time) {
	quiet := now.Sub(g.grew)
	if g.file == nil || g.active || g.packed || quiet < f.grace || g.last.links == 0 && quiet < f.lingers ||
		max(g.scanned, g.offset) < g.last.size {
		return
	}
	switch {
	case g.offset == g.last.size:
		f.finishAt(g)
	case quiet >= f.opt.Idle && !f.writtenTo(g, now):
		g.final = true
		f.ready(g.family)
	}
}

// writtenTo tells whether somebody has a file open for writing. It is asked now and
// then.
func (f *Follower) writtenTo(g *Generation, now time.Time) bool {
	if now.Sub(g.asked) >= f.grace {
		g.asked, g.written = now, f.writers(g.fd)
	}
	return g.written
}

// tidyOrphan gives up a generation whose content was looked for in vain. A rotation
// moves content within seconds, and a file that is being packed is known by its
// beginning: the time is for those who move files by hand.
func (f *Follower) tidyOrphan(g *Generation, now time.Time) {
	missing := g.end - g.offset
	switch since := now.Sub(g.lostAt); {
	case since < f.lingers || since < searching && missing > 0 || now.Sub(f.opened) < 2*scanEvery:
		return
	case len(f.waiting) > 0 || f.barred(g.Name()) || f.barred(g.family.log):
		return // it may be there
	case g.family.root != "" && !slices.Contains(f.opt.Paths, g.family.root):
		f.log.Info("no longer followed, no path leads to it: "+g.Name(), "path", g.Name(), "offset", g.offset, "unread",
			missing)
	case missing > 0:
		f.lose(g, missing,
			"its file was truncated or deleted before all of it was read, and no rotated file has its content")
		g.seen = now.Add(f.patience) // it is remembered, and read on if it turns up
	case g.unseen:
		f.log.Warn("not found again: "+g.Name()+"; what was written to it while nothing followed it, if anything "+
			"was, is not read",
			"path", g.Name(), "head", g.head.String(), "offset", g.offset)
	}
	g.end = g.offset
	f.finish(g)
}

// lose reports bytes that are lost for certain.
func (f *Follower) lose(g *Generation, bytes int64, reason string) {
	f.counts.Lost++
	f.counts.LostBytes += bytes
	f.counts.noteLoss(Loss{Path: g.Name(), Head: g.head.String(), Offset: g.offset, Bytes: bytes, Reason: reason})
	f.log.Error("lines were lost: "+g.Name(), "path", g.Name(), "head", g.head.String(), "offset", g.offset, "bytes",
		bytes, "reason", reason)
}

// tidyFinished closes and forgets a finished generation whose file is gone; idle
// says that it is open for nothing.
func (f *Follower) tidyFinished(g *Generation, now time.Time) (idle bool) {
	if g.file != nil {
		if g.last.links > 0 || f.writtenTo(g, now) {
			g.seenNow(now)
			return true
		}
		f.detach(g)
		g.where, g.state = file{}, sealed
		f.markDirty()
	}
	if now.Sub(g.seen) > f.lingers && !g.acks.pending() && len(f.waiting) == 0 {
		f.forget(g)
	}
	return false
}

// evict closes the files that have been quiet longest.
func (f *Follower) evict(n int, now time.Time) {
	var idle []*Generation
	for _, g := range f.open {
		if g.state.over() {
			idle = append(idle, g)
		}
	}
	slices.SortFunc(idle, func(a, b *Generation) int { return a.grew.Compare(b.grew) })
	for _, g := range idle[:n] {
		f.verdicts[g.where] = verdict{status: g.last, of: g, epoch: g.family.epoch, seen: now}
		f.detach(g)
	}
}

// ready tells the reader that a family has something to read.
func (f *Follower) ready(fam *Family) {
	f.readyMu.Lock()
	f.readySet[fam] = true
	f.readyMu.Unlock()
	signal(f.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes the last checkpoint and lets go of all files. Holds whose Done was
// called by then count. To be called after Run has returned.
func (f *Follower) Close() error {
	err := f.save()
	f.abandon()
	return err
}

// abandon lets go of everything, as a crash would.
func (f *Follower) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.open {
		f.detach(g)
	}
	for _, fam := range f.families {
		fam.copy.close()
	}
	f.tails.Wait()
	if len(f.closing) > 0 {
		time.Sleep(3 * growPoll)
	}
	for _, c := range f.closing {
		c.file.Close()
	}
	f.closing = nil
	if f.check != nil {
		f.check.close()
	}
}
