package source

import (
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"github.com/tomoscrape/tomoscrape/internal/readahead"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// This file unpacks before what is unpacked is asked for:
//
//	file on disk -> decoder -> blocks ─┬─> stream -> member -> visit
//	next file    -> decoder -> blocks  │   (after that)
//	└── a goroutine of each file ──────┘
//
// The blocks are few, so that nothing unpacks far ahead. What is counted and
// reported is what is taken from them.

const (
	aheadBlocks = 16 // that a file may be ahead: 4 MiB
	aheadFiles  = 3  // that may be open before their turn
)

// opened is a regular file that was opened, maybe before its turn. If it is
// packed, it is being unpacked.
type opened struct {
	f      *os.File // nil if there was an error
	info   fs.FileInfo
	err    error // why it could not be opened
	disk   *disk
	raw    *stream           // the file as it is
	layer  *stream           // what it unpacks to, or nil
	ahead  *readahead.Reader // what reads the file for layer
	finish func()            // ends the unpacking, or nil
}

// begin opens a file and reports nothing.
func (w *walker) begin(p planned) *opened {
	o := &opened{disk: &disk{w: w, left: p.size}}
	// O_NONBLOCK: the file may have become a named pipe since it was listed.
	o.f, o.err = os.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if o.err != nil {
		return o
	}
	if o.info, o.err = o.f.Stat(); o.err != nil || !o.info.Mode().IsRegular() {
		return o
	}
	o.disk.f = o.f
	o.raw = &stream{w: w, r: o.disk, of: p.name, holes: o.disk.holes(o.info)}
	if o.raw.holes != nil {
		o.raw.r = o.raw.holes
	}
	head := make([]byte, unpack.HeadLen)
	n, _ := o.f.ReadAt(head, 0) // an error comes again
	o.disk.verified = verified{size: o.info.Size(), head: head[:n]}
	k := unpack.Sniff(head[:n]).Form
	if w.opt.MaxDepth < 1 || !k.Compressed() {
		return o
	}
	br := w.buffer(o.raw)
	r, done, err := unpack.New(k, br, w.slots)
	if err != nil {
		w.release(br)
		return o // it comes again, and is reported
	}
	o.disk.ahead = true
	// The lower stream is the goroutine's, and so is the file; what comes out of
	// it is a cause already. The upper one counts what was taken.
	a := readahead.New(&stream{w: w, r: r, below: o.raw, what: k.Data(), of: p.name}, aheadBlocks, w.tell)
	o.ahead = a
	o.layer = &stream{w: w, r: a, what: k.Data(), of: p.name, counted: true}
	o.finish = func() {
		a.Close()
		done()
		w.release(br)
	}
	return o
}

// close ends all that begin began, and counts what was not read as done.
func (o *opened) close() {
	if o.finish != nil {
		o.finish()
	}
	if o.f != nil {
		o.f.Close()
	}
	o.disk.count(o.disk.left)
}

// beginNext opens the first files of a list, so that they are unpacked while
// those before them are visited.
func (w *walker) beginNext(list []planned) {
	for _, p := range list[:min(len(list), aheadFiles+1, runtime.GOMAXPROCS(0))] {
		if w.opened[p.name] == nil && p.regular() {
			w.opened[p.name] = w.begin(p)
		}
	}
}

// regular tells what can be opened before its turn.
func (p planned) regular() bool {
	if p.name == "-" {
		return false
	}
	if !p.direct {
		return true
	}
	info, err := os.Stat(p.name)
	return err != nil || info.Mode().IsRegular()
}
