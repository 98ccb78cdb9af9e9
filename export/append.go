package export

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// Appender is an output that lines are appended to, for a process that runs long
// and is started again.
type Appender struct {
	name string // as the user gave it
	out  io.Writer
	file *os.File // nil for standard output
	size int64    // of a regular file, up to its last whole line; -1 for anything else
}

// Append opens an output; path "-" is standard output, which Close leaves open. A
// line of a trace that is torn at the end of the file, as a crash leaves it, is
// taken off; any other is ended.
func Append(path string, stdout io.Writer) (*Appender, error) {
	if path == "-" {
		return &Appender{name: "standard output", out: stdout, size: -1}, nil
	}
	a := &Appender{name: path, size: -1}
	// To mend what is torn it has to be read; what cannot be read is no regular
	// file of ours, such as a FIFO, which would not wait for its reader either.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, a.failed(err)
	}
	a.file, a.out = file, file
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		a.size = info.Size()
		if err := a.mend(); err != nil {
			file.Close()
			return nil, a.failed(err)
		}
	}
	return a, nil
}

// documentStart is how the line of a trace begins.
const documentStart = `{"trace_id":`

// mend makes the file end behind a line.
func (a *Appender) mend() error {
	reader, err := os.Open(a.name)
	if err != nil {
		return err
	}
	defer reader.Close()
	// The last line is looked for from the end.
	var block [64 << 10]byte
	end := a.size
	for end > 0 {
		n := min(end, int64(len(block)))
		if _, err := reader.ReadAt(block[:n], end-n); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			end -= n - int64(i) - 1
			break
		}
		end -= n
	}
	if end == a.size {
		return nil
	}
	begin := block[:min(a.size-end, int64(len(documentStart)))]
	if _, err := reader.ReadAt(begin, end); err != nil {
		return err
	}
	if bytes.HasPrefix([]byte(documentStart), begin) {
		a.size = end
		return a.file.Truncate(end)
	}
	return a.Write([]byte("\n"))
}

// Write appends lines, all of them or, if it can be helped, none.
func (a *Appender) Write(lines []byte) error {
	n, err := a.out.Write(lines)
	if err == nil {
		if a.size >= 0 {
			a.size += int64(n)
		}
		return nil
	}
	if a.size >= 0 && n > 0 {
		err = errors.Join(err, a.file.Truncate(a.size))
	}
	return a.failed(err)
}

// Sync returns when what was written is on the disk, if it goes to one.
func (a *Appender) Sync() error {
	if a.size < 0 {
		return nil
	}
	return a.failed(a.file.Sync())
}

func (a *Appender) failed(err error) error { return writeError(a.name, err) }

// Close closes the file.
func (a *Appender) Close() error {
	if a.file == nil {
		return nil
	}
	return a.failed(a.file.Close())
}
