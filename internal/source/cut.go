package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// This file is about files that change while a walk is under way:
//
//	X was truncated (copytruncate)  -> what is missing of it is read from the copy
//	                                   that was made of it, if that lies among the
//	                                   paths; then X once more, for what came after
//	X was renamed before its turn   -> it is read under its new name
//	X was appended to               -> it is read to its end

const seamLen = 512 // bytes before a place by which the copy of a file is known

// verified keeps what was read of a regular file to what it was when it was opened.
type verified struct {
	size  int64  // when it was opened
	head  []byte // its first bytes then
	at    int64  // bytes given
	seam  []byte // the last of them
	copy  io.ReadCloser
	cut   bool // it ended before its size
	check [unpack.HeadLen]byte
}

// Read gives what stands in the file as long as that is no shorter than it was and
// begins as it did; if not, and not all was read by then, what its copy has.
func (d *disk) Read(p []byte) (n int, err error) {
	v := &d.verified
	if v.copy == nil {
		if n, err = d.f.Read(p); n > 0 && !d.stands() {
			n, err = 0, io.EOF
		}
		if n == 0 && err == io.EOF && v.at < v.size && !v.cut && !d.ahead {
			v.copy = d.w.copyOf(d)
		}
	}
	if v.copy != nil {
		if n, err = v.copy.Read(p); failed(err) {
			err = io.EOF // what is missing is named by how much it is
		}
	}
	v.cut = n == 0 && err == io.EOF && v.at < v.size
	v.at += int64(n)
	v.seam = lastBytes(v.seam, p[:n])
	d.count(int64(n))
	return n, err
}

// stands tells whether the file is still what was opened.
func (d *disk) stands() bool {
	info, err := d.f.Stat()
	if err != nil || info.Size() < d.verified.size {
		return false
	}
	n, _ := d.f.ReadAt(d.verified.check[:len(d.verified.head)], 0)
	return bytes.Equal(d.verified.check[:n], d.verified.head)
}

// lastBytes keeps the last seamLen bytes of what was given.
func lastBytes(last, p []byte) []byte {
	if len(p) < seamLen {
		last = append(last, p...)
		return append(last[:0], last[max(0, len(last)-seamLen):]...)
	}
	return append(last[:0], p[len(p)-seamLen:]...)
}

// copyOf looks among the paths for the copy of a file that was cut, and gives what
// stands in it behind what was given of the file; nil if there is none.
func (w *walker) copyOf(d *disk) io.ReadCloser {
	own, err := d.f.Stat()
	if err != nil {
		return nil
	}
	list := w.planAgain()
	for _, whole := range []bool{true, false} { // rather one that has all of it
		for _, p := range list {
			if w.ctx.Err() != nil {
				return nil
			}
			if rest := w.restIn(p.name, d, own, whole); rest != nil {
				return rest
			}
		}
	}
	return nil
}

// restIn gives what is missing of a file if the one of this name is its copy.
func (w *walker) restIn(name string, d *disk, own fs.FileInfo, whole bool) io.ReadCloser {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || os.SameFile(own, info) || whole != (info.Size() >= d.verified.size) {
		f.Close()
		return nil
	}
	rest := d.verified.restOf(f)
	if rest == nil {
		f.Close()
	} else if id, ok := paths.IDOf(info); ok {
		w.files[id] = true // all of it is read by this
	}
	return rest
}

// restOf gives what a file has, packed or not, behind what was given, if it is the
// same up to there as far as head and seam tell; else nil.
func (v *verified) restOf(f *os.File) io.ReadCloser {
	u, err := unpack.Open(f)
	if err != nil {
		return nil
	}
	head := make([]byte, len(v.head))
	var seam []byte
	_, err = io.ReadFull(u, head)
	for rest := v.at - int64(len(head)); err == nil && rest > 0; {
		buf := make([]byte, min(rest, bufferSize))
		var n int
		n, err = io.ReadFull(u, buf)
		rest -= int64(n)
		seam = lastBytes(seam, buf[:n])
	}
	if err != nil || !bytes.Equal(head, v.head) || !bytes.HasSuffix(v.seam, seam) {
		u.Close()
		return nil
	}
	again := io.Reader(u)
	if v.at < int64(len(head)) {
		again = io.MultiReader(bytes.NewReader(head[v.at:]), u)
	}
	return &closing{again, func() { u.Close(); f.Close() }}
}

type closing struct {
	io.Reader
	close func()
}

func (c *closing) Close() error {
	c.close()
	return nil
}

// planAgain lists the regular files behind the paths as they are now.
func (w *walker) planAgain() (list []planned) {
	q := &walker{ctx: w.ctx, unlisted: make(map[string]bool)} // what is wrong was named before
	all, err := q.plan(w.names)
	if err != nil {
		return nil
	}
	for _, p := range all {
		if p.only == nil && p.regular() {
			list = append(list, p)
		}
	}
	return list
}

// changed notes what became of a file that was read as far as there was anything.
// named says that what is wrong with it was named already.
func (w *walker) changed(p planned, o *opened, named bool) {
	if o.ahead != nil && !o.ahead.Ended() {
		return // it is still being read
	}
	v := &o.disk.verified
	if v.copy != nil {
		v.copy.Close()
	}
	if v.cut && !named {
		w.unreadable(p.name, v.at, fmt.Sprintf("it was truncated while it was read: %d of its %d bytes are missing, "+
			"and no copy with them lies in what was to be read", v.size-v.at, v.size))
	}
	if (v.cut || v.copy != nil) && !w.again {
		w.late = append(w.late, p)
	}
}

// absent notes a file that is no longer there when it is its turn.
func (w *walker) absent(p planned, err error) bool {
	if p.direct || w.again || !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	w.gone = append(w.gone, p)
	return true
}

// readLate reads what changed its name before its turn, or its content when it was
// read.
func (w *walker) readLate() error {
	if len(w.late)+len(w.gone) == 0 && !w.renamed {
		return nil
	}
	w.again = true
	truncated := make(map[string]bool)
	for _, p := range w.late {
		truncated[p.name] = true
	}
	for _, p := range w.planAgain() {
		if truncated[p.name] {
			delete(w.files, p.id)
		} else if w.files[p.id] {
			continue
		}
		w.total += p.size
		if err := w.file(p); err != nil && !errors.Is(err, errStop) {
			return err
		}
	}
	for _, p := range w.gone {
		if !w.files[p.id] {
			w.unreadable(p.name, 0, "it was gone before it was read")
		}
	}
	return nil
}
