package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Appender is an output that lines are appended to, for a process that runs long
// and is started again. Whatever others do to the file meanwhile, what was written
// since the last Sync stands in the file of that name when Sync returns.
type Appender struct {
	// Warn, if not nil, is told of a file that had to be written again.
	Warn func(text string)

	name     string // as the user gave it
	mode     fs.FileMode
	out      io.Writer
	file     *os.File    // nil for standard output
	info     fs.FileInfo // of file
	size     int64       // of a regular file, up to its last whole line; -1 for anything else
	torn     bool        // something stands behind size that could not be taken off
	became   string      // what was found wrong with the file, and is not mended yet
	unsynced []byte      // what was written to a regular file since the last Sync
}

// Append opens an output; path "-" is standard output, which Close leaves open. A
// line of a trace that is torn at the end of the file, as a crash leaves it, is
// taken off; any other is ended.
func Append(path string, stdout io.Writer) (*Appender, error) {
	if path == "-" {
		return &Appender{name: "standard output", out: stdout, size: -1}, nil
	}
	return appendTo(path, 0o666)
}

func appendTo(path string, mode fs.FileMode) (*Appender, error) {
	a := &Appender{name: path, mode: mode}
	if err := a.open(); err != nil {
		return nil, a.failed(err)
	}
	return a, nil
}

// open opens the file of that name instead of the one that is open.
func (a *Appender) open() error {
	// To mend what is torn it has to be read; what cannot be read is no regular
	// file of ours, such as a FIFO, which would not wait for its reader either.
	file, err := os.OpenFile(a.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, a.mode)
	if err != nil {
		return err
	}
	size, info := int64(-1), fs.FileInfo(nil)
	if info, err = file.Stat(); err == nil && info.Mode().IsRegular() {
		if size, err = mend(a.name, file, info.Size()); err != nil {
			file.Close()
			return err
		}
	}
	if a.file != nil {
		a.file.Close() // nobody reads what it would say
	}
	a.file, a.out, a.info, a.size, a.torn = file, file, info, size, false
	return nil
}

// documentStart is how the line of a trace begins.
const documentStart = `{"trace_id":`

// mend makes a file of the given size end behind a line, and gives its size then.
func mend(name string, file *os.File, size int64) (int64, error) {
	reader, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	// The last line is looked for from the end.
	var block [64 << 10]byte
	end := size
	for end > 0 {
		n := min(end, int64(len(block)))
		if _, err := reader.ReadAt(block[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			end -= n - int64(i) - 1
			break
		}
		end -= n
	}
	if end == size {
		return size, nil
	}
	begin := block[:min(size-end, int64(len(documentStart)))]
	if _, err := reader.ReadAt(begin, end); err != nil {
		return 0, err
	}
	if bytes.HasPrefix([]byte(documentStart), begin) {
		return end, file.Truncate(end)
	}
	_, err = file.Write([]byte("\n"))
	return size + 1, err
}

// Write appends lines, all of them or, if it can be helped, none.
func (a *Appender) Write(lines []byte) error {
	if _, err := a.restore(); err != nil {
		return a.failed(err)
	}
	if err := a.write(lines); err != nil {
		return a.failed(err)
	}
	if a.size >= 0 {
		a.unsynced = append(a.unsynced, lines...)
	}
	return nil
}

func (a *Appender) write(lines []byte) error {
	n, err := a.out.Write(lines)
	switch {
	case a.size < 0:
	case err == nil:
		a.size += int64(n)
	case n > 0:
		undone := a.file.Truncate(a.size)
		a.torn = undone != nil
		err = errors.Join(err, undone)
	}
	return err
}

// changed says what became of the file of that name, "" if it is the one that is
// open, with all that was written to it.
func (a *Appender) changed() (became string, err error) {
	info, err := os.Stat(a.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "was deleted or renamed", nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("there is something now that is no file")
	case !os.SameFile(info, a.info):
		return "was replaced by another file", nil
	case info.Size() < a.size:
		return "was truncated", nil
	case a.torn:
		return "could not be written", nil
	}
	a.size = info.Size() // others may append to it, too
	return "", nil
}

// restore goes on with what the file of that name is now, and writes again what
// was not synced, if it is not the one that is open, with all that was written to
// it; again says so.
func (a *Appender) restore() (again bool, err error) {
	if a.size < 0 {
		return false, nil
	}
	if a.became == "" {
		if a.became, err = a.changed(); a.became == "" {
			return false, err
		}
	}
	if err := a.open(); err != nil {
		return false, err
	}
	if err := a.write(a.unsynced); err != nil {
		return false, err
	}
	if a.Warn != nil {
		a.Warn(fmt.Sprintf("%s %s: what comes, and the %d bytes that did not count as written yet, go to a file of "+
			"that name", a.name, a.became, len(a.unsynced)))
	}
	a.became = ""
	return true, nil
}

// Sync returns when what was written stands in the file of that name, and is on
// the disk, if it goes to one.
func (a *Appender) Sync() error { return a.ensure(func() error { return a.file.Sync() }) }

// Keep returns when what was written stands in the file of that name.
func (a *Appender) Keep() error { return a.ensure(func() error { return nil }) }

func (a *Appender) ensure(sync func() error) error {
	for again := a.size >= 0; again; { // it may happen at any time
		_, err := a.restore()
		if err == nil {
			err = sync()
		}
		if err == nil {
			again, err = a.restore()
		}
		if err != nil {
			return a.failed(err)
		}
	}
	a.unsynced = a.unsynced[:0]
	return nil
}

// Unsynced is how many bytes were written since the last Sync; they are kept in
// memory.
func (a *Appender) Unsynced() int { return len(a.unsynced) }

func (a *Appender) failed(err error) error { return writeError(a.name, err) }

// Close closes the file.
func (a *Appender) Close() error {
	if a.file == nil {
		return nil
	}
	return a.failed(a.file.Close())
}
