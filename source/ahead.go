package source

import (
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"syscall"

	"github.com/tomoscrape/tomoscrape/internal/poison"
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
	aheadSize   = 256 << 10 // of a block
	aheadBlocks = 16        // that a file may be ahead: 4 MiB
	aheadFiles  = 3         // that may be open before their turn
)

// ahead reads a layer in a goroutine of its own.
type ahead struct {
	blocks chan aheadBlock
	stop   chan struct{}
	took   func() // called when a block was taken
	last   []byte // the block that rest is of
	rest   []byte
	err    error // behind rest
	with   bool  // err comes with the last bytes, not behind them
}

// aheadBlock is what was read, and how that ended.
type aheadBlock struct {
	data []byte
	err  error
	with bool
}

// blockBuffers are those of blocks that were read.
var blockBuffers = sync.Pool{New: func() any { b := make([]byte, aheadSize); return &b }}

// newAhead reads up to so many blocks ahead; took is called for each that was
// taken.
func newAhead(r io.Reader, blocks int, took func()) *ahead {
	a := &ahead{took: took, blocks: make(chan aheadBlock, blocks), stop: make(chan struct{})}
	go func() {
		defer close(a.blocks)
		for {
			b := fill(r, *blockBuffers.Get().(*[]byte))
			select {
			case a.blocks <- b:
			case <-a.stop:
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return a
}

// fill reads a block, whole or up to an error.
func fill(r io.Reader, buf []byte) aheadBlock {
	n, empty := 0, 0
	for n < len(buf) {
		k, err := guardedRead(r, buf[n:])
		n += k
		if empty++; k > 0 {
			empty = 0
		}
		if err == nil && empty == maxEmptyReads {
			err = io.ErrNoProgress
		}
		if err != nil {
			return aheadBlock{buf[:n], err, k > 0}
		}
	}
	return aheadBlock{data: buf}
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.release()
		b := <-a.blocks
		a.took()
		a.last, a.rest, a.err, a.with = b.data, b.data, b.err, b.with
	}
	n := copy(p, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 && a.with {
		return n, a.err
	}
	return n, nil
}

// ended tells whether the goroutine has come to an end by itself, which was read.
func (a *ahead) ended() bool { return a.err != nil }

func (a *ahead) release() {
	if b := a.last[:cap(a.last)]; len(b) > 0 {
		poison.Bytes(b)
		blockBuffers.Put(&b)
	}
	a.last, a.rest = nil, nil
}

// close ends the goroutine.
func (a *ahead) close() {
	close(a.stop)
	a.release()
	for b := range a.blocks {
		a.last = b.data
		a.release()
	}
	a.err = fs.ErrClosed
}

// opened is a regular file that was opened, maybe before its turn. If it is
// packed, it is being unpacked.
type opened struct {
	f      *os.File // nil if there was an error
	info   fs.FileInfo
	err    error // why it could not be opened
	disk   *disk
	raw    *stream // the file as it is
	layer  *stream // what it unpacks to, or nil
	ahead  *ahead  // what reads the file for layer
	finish func()  // ends the unpacking, or nil
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
	head := make([]byte, sniffLen)
	n, _ := o.f.ReadAt(head, 0) // an error comes again
	o.disk.verified = verified{size: o.info.Size(), head: head[:n]}
	k := sniff(head[:n]).form
	if w.opt.MaxDepth < 1 || !k.compressed() {
		return o
	}
	br := w.buffer(o.raw)
	r, done, err := decoder(k, br, w.slots)
	if err != nil {
		w.release(br)
		return o // it comes again, and is reported
	}
	o.disk.ahead = true
	// The lower stream is the goroutine's, and so is the file; what comes out of
	// it is a cause already. The upper one counts what was taken.
	a := newAhead(&stream{w: w, r: r, below: o.raw, what: k.data(), of: p.name}, aheadBlocks, w.tell)
	o.ahead = a
	o.layer = &stream{w: w, r: a, what: k.data(), of: p.name, counted: true}
	o.finish = func() {
		a.close()
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
