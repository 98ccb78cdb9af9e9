package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrReaderGone is what writing gives when the process that read the output is
// gone (`| head`): nothing is wrong, but nobody wants the rest.
var ErrReaderGone = errors.New("the reader of the output is gone")

// File is an output that is written from its beginning. A regular file appears
// whole at Close, or not at all: what was there before stays until then. What
// cannot be replaced in that way (a device, a FIFO, a symbolic link, a file in a
// folder that takes no new ones) is written directly.
//
// Writes are buffered; every error, up to that of closing, is returned.
type File struct {
	name string // as the user gave it
	out  *bufio.Writer
	file *os.File // nil for standard output
	temp string   // what file is called until Close, "" if written directly
}

const fileBuffer = 256 << 10

// Create opens an output; path "-" is standard output, which Close leaves open.
// The caller closes or discards the file.
func Create(path string, stdout io.Writer) (*File, error) {
	if path == "-" {
		return &File{name: "standard output", out: bufio.NewWriterSize(stdout, fileBuffer)}, nil
	}
	f := &File{name: path}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.openTemp(0o666, false)
	case err == nil && info.Mode().IsRegular():
		// A file that may not be written is not replaced either.
		old, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, f.failed(err)
		}
		old.Close()
		f.openTemp(info.Mode().Perm(), true)
	}
	if f.file == nil {
		// Not for reading too: a FIFO would then not wait for its reader.
		if f.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666); err != nil {
			return nil, f.failed(err)
		}
	}
	f.out = bufio.NewWriterSize(f.file, fileBuffer)
	return f, nil
}

// openTemp opens a new file beside the one that it will become; where that
// cannot be, nothing is open after it.
func (f *File) openTemp(mode fs.FileMode, exact bool) {
	temp := fmt.Sprintf("%s.%d.tmp", filepath.Join(filepath.Dir(f.name), "."+filepath.Base(f.name)), os.Getpid())
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return
	}
	if exact && file.Chmod(mode) != nil {
		file.Close()
		os.Remove(temp)
		return
	}
	f.file, f.temp = file, temp
}

// Write buffers p.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.out.Write(p)
	return n, f.failed(err)
}

// Flush writes what is buffered.
func (f *File) Flush() error { return f.failed(f.out.Flush()) }

// Close writes what is buffered and puts the file in its place. After an error
// a regular file is as it was before.
func (f *File) Close() error {
	err := f.out.Flush()
	if f.file != nil {
		err = errors.Join(err, f.file.Close())
	}
	if f.temp != "" {
		if err == nil {
			err = os.Rename(f.temp, f.name)
		}
		if err != nil {
			os.Remove(f.temp)
		}
	}
	return f.failed(err)
}

// Discard gives up what was written, if nobody can have seen it yet.
func (f *File) Discard() {
	if f.file != nil {
		f.file.Close()
	}
	if f.temp != "" {
		os.Remove(f.temp)
	}
}

func (f *File) failed(err error) error { return writeError(f.name, err) }

// writeError names the output in an error, and tells a reader that went away from
// what is wrong.
func writeError(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.EPIPE) {
		return ErrReaderGone
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("cannot write %s: %w", name, err)
}
