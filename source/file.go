package source

import (
	"context"
	"io"
	"os"

	"github.com/tomoscrape/tomoscrape/internal/paths"
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
	p := newPatient(w.ctx, r)
	defer p.close()
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

// patient reads ahead in a goroutine, so that a silent pipe does not outlast the
// context. The goroutine ends with close, or when the Read it is in returns.
type patient struct {
	ctx  context.Context
	ask  chan struct{}
	got  chan block
	rest []byte
	err  error
}

type block struct {
	data []byte
	err  error
}

func newPatient(ctx context.Context, r io.Reader) *patient {
	p := &patient{ctx: ctx, ask: make(chan struct{}, 1), got: make(chan block, 1)}
	go func() {
		buf := make([]byte, bufferSize)
		for range p.ask {
			var n int
			err := guard(func() (err error) {
				n, err = r.Read(buf)
				return err
			})
			p.got <- block{buf[:n], err}
		}
		if l, ok := r.(*lazyFile); ok {
			l.Close()
		}
	}()
	return p
}

func (p *patient) Read(out []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.ask <- struct{}{}
		select {
		case b := <-p.got:
			p.rest, p.err = b.data, b.err
		case <-p.ctx.Done():
			p.err = p.ctx.Err()
			return 0, p.err
		}
	}
	n := copy(out, p.rest)
	p.rest = p.rest[n:]
	if len(p.rest) == 0 && n == 0 {
		return 0, p.err
	}
	return n, nil
}

func (p *patient) close() { close(p.ask) }
