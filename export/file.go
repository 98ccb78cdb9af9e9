// Package export writes files: the documents of traces (JSON), a file that is complete
// or not there (File), one that grows for ever (Appender), complaints, and the spans
// that could not be delivered (Quarantine). What people see is drawn by package
// terminal, what goes to Zipkin is sent by package zipkinhttp.
package export

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrReaderGone is what writing gives when the process that read the output is
// gone (`| head`): nothing is wrong, but nobody wants the rest.
var ErrReaderGone = errors.New("the reader of the output is gone")

// File is an output that is written from its beginning. A regular file, also one
// that a symbolic link leads to, appears whole at Close, or not at all: what was
// there before stays until then, and so do its mode and its owner. What is no
// regular file (a device, a FIFO), and what standard output or standard error is,
// is written directly; so is a file that the user may write in a directory where he
// may make none, or of an owner whom he can't give it back to.
type File struct {
	// InPlace says why a regular file is written directly, though it then holds but
	// a part until Close and what was in it is gone; nil if it is not.
	InPlace error

	name  string // as the user gave it
	final string // what the file is called in the end: where links lead
	out   *bufio.Writer
	file  *os.File // nil for standard output
	temp  string   // what file is called until Close, "" if written directly
}

const fileBuffer = 256 << 10

// Create opens an output; path "-" is standard output, which Close leaves open.
// The caller closes or discards the file.
func Create(path string, stdout io.Writer) (*File, error) {
	if path == "-" {
		return &File{name: "standard output", out: bufio.NewWriterSize(stdout, fileBuffer)}, nil
	}
	f := &File{name: path}
	err := f.open()
	if err == nil && f.file == nil {
		// Not for reading too: a FIFO would then not wait for its reader.
		f.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	}
	if err != nil {
		return nil, f.failed(err)
	}
	f.out = bufio.NewWriterSize(f.file, fileBuffer)
	return f, nil
}

// CanCreate finds what Create would say of a path, without doing anything to what
// is there.
func CanCreate(path string) error {
	if path == "-" {
		return nil
	}
	f := &File{name: path}
	err := f.open()
	f.Discard()
	if info, failed := os.Stat(path); err == nil && failed == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	return f.failed(err)
}

// open opens a new file beside the one that it will become, or nothing, if that is
// to be written directly.
func (f *File) open() error {
	info, err := os.Stat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.final = linked(f.name); f.final == Directory(f.final) {
			return err // no name of a file
		}
		return f.openTemp(nil)
	case err != nil:
		return err
	case !info.Mode().IsRegular() || isStandard(info):
		return nil
	}
	// A file that may not be written is not replaced either.
	old, err := os.OpenFile(f.name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	old.Close()
	f.final = linked(f.name)
	if err = f.openTemp(info); errors.Is(err, fs.ErrPermission) {
		f.InPlace, err = err, nil
	}
	return err
}

// isStandard says whether a file is this process's standard output or error.
func isStandard(info fs.FileInfo) bool {
	for _, standard := range []*os.File{os.Stdout, os.Stderr} {
		if open, err := standard.Stat(); err == nil && os.SameFile(info, open) {
			return true
		}
	}
	return false
}

// linked is where the symbolic links lead that a path ends with.
func linked(path string) string {
	for range 40 {
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = Directory(path) + to
		}
		path = to
	}
	return path
}

// Directory is what stands before the name of a file, up to the slash: unlike
// [filepath.Dir] it leaves "x/../" to the system, for which there must be an x.
func Directory(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }

// openNew is replaced by tests.
var openNew = os.OpenFile

// openTemp opens a new file beside the final one, with mode and owner of the old
// one, if there is one. Nobody can guess its name, and it is as short as most.
func (f *File) openTemp(old fs.FileInfo) error {
	mode := fs.FileMode(0o666)
	if old != nil {
		mode = 0o600 // until it has its owner
	}
	name := Directory(f.final) + ".tomoscrape-" + rand.Text() + ".tmp"
	file, err := openNew(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil && old != nil {
		if err = as(file, old); err != nil {
			file.Close()
			os.Remove(name)
		}
	}
	if err == nil {
		f.file, f.temp = file, name
	}
	return err
}

// as gives a new file the owner and mode of an old one.
func as(file *os.File, old fs.FileInfo) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	have, want := info.Sys().(*syscall.Stat_t), old.Sys().(*syscall.Stat_t)
	if have.Uid != want.Uid || have.Gid != want.Gid {
		if err := file.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return err
		}
	}
	return file.Chmod(old.Mode().Perm())
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
			err = os.Rename(f.temp, f.final)
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
