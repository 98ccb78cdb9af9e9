package source

import (
	"io"
	"os"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/readahead"
)

// file reads one planned file. Its error is errStop, that of the context or of
// the visitor.
func (w *walker) file(p planned) error {
	if w.named = ""; p.direct && p.only == nil {
		w.named = p.name
	}
	switch {
	case p.name == "-":
		return w.stdin()
	case !p.regular():
		return w.pipe(p.name)
	}
	o := w.opened[p.name]
	if o == nil {
		o = w.begin(p)
	}
	delete(w.opened, p.name)
	defer o.close()
	switch {
	case o.err != nil:
		if !w.absent(p, o.err) {
			w.unreadable(p.name, 0, paths.Reason(o.err))
		}
		return nil
	case !o.info.Mode().IsRegular():
		w.skipped(p.name, paths.KindOf(o.info.Mode()))
		return nil
	case !w.firstTime(o.info):
		return nil
	}
	if id, ok := paths.IDOf(o.info); ok && p.id != (paths.ID{}) && id != p.id {
		w.renamed = true
	}
	w.report.Files++
	before := w.noted()
	err := w.openChosen(p, o)
	w.changed(p, o, w.noted() > before)
	return err
}

func (w *walker) stdin() error {
	f, ok := w.opt.Stdin.(*os.File)
	if ok {
		if info, err := f.Stat(); err == nil && !w.firstTime(info) {
			return nil
		}
	}
	return w.patient("-", w.opt.Stdin)
}

// pipe reads a named pipe or a terminal that the user named.
func (w *walker) pipe(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		w.unreadable(name, 0, paths.Reason(err))
		return nil
	}
	if !w.firstTime(info) {
		return nil
	}
	lazy := &lazyFile{name: name}
	return w.patient(name, lazy)
}

// patient reads what may be silent for a long time.
func (w *walker) patient(name string, r io.Reader) error {
	w.report.Files++
	done := func() {}
	if l, ok := r.(*lazyFile); ok {
		done = func() { l.Close() }
	}
	p := readahead.NewInterruptible(w.ctx, r, done)
	defer p.Close()
	return w.open(name, &stream{w: w, r: p, of: name}, nil, 0, 0)
}

// disk is a regular file whose progress is counted.
type disk struct {
	f    *os.File
	w    *walker
	left int64 // planned bytes not yet counted

	ahead bool // read in a goroutine of its own, which tells no progress

	verified verified
}

// ReadAt implements io.ReaderAt for zip archives, which are not read in order.
func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	if err := d.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := d.f.ReadAt(p, off)
	d.count(int64(n))
	return n, err
}

func (d *disk) count(n int64) {
	c := min(n, d.left)
	d.left -= c
	d.w.done.Add(c)
	if !d.ahead {
		d.w.tell()
	}
}

// lazyFile opens its file with the first Read: opening a named pipe waits for
// somebody who writes to it.
type lazyFile struct {
	name string
	f    *os.File
}

func (l *lazyFile) Read(p []byte) (int, error) {
	if l.f == nil {
		f, err := os.Open(l.name)
		if err != nil {
			return 0, err
		}
		l.f = f
	}
	return l.f.Read(p)
}

func (l *lazyFile) Close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}
