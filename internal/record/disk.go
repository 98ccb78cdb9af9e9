package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// TempError says why the spans that memory does not hold could not be kept on
// disk either.
type TempError struct {
	Dir   string
	Doing string // "write", "read", "make"
	Err   error
}

func (e *TempError) Error() string {
	return fmt.Sprintf("cannot %s a temporary file in %s: %v; choose a directory with more room with --temp DIR, or "+
		"keep more in memory with --memory",
		e.Doing, e.Dir, e.Err)
}

func (e *TempError) Unwrap() error { return e.Err }

// disk is the directory for temporary files. They are readable for the user
// alone and have no name: each is removed as soon as it is open, so that the
// system frees it when it is closed, or when the program ends in any way.
type disk struct {
	dir     string
	open    func(dir string) (*os.File, error)
	written atomic.Int64 // bytes
}

// OpenUnnamed opens a new file without a name.
func OpenUnnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "tomoscrape-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d *disk) create() (*os.File, error) {
	f, err := d.open(d.dir)
	return f, d.failed("make", err)
}

func (d *disk) write(f *os.File, p []byte, at int64) error {
	n, err := f.WriteAt(p, at)
	d.written.Add(int64(n))
	return d.failed("write", err)
}

func (d *disk) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return &TempError{Dir: d.dir, Doing: doing, Err: err}
}
