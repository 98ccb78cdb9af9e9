// Package readahead reads in goroutines of their own: what is unpacked, before it is
// asked for, and what may be silent for long, so that nobody has to wait for it.
package readahead

import (
	"io"
	"io/fs"
	"sync"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/poison"
)

// BlockSize is how many bytes a block has.
const BlockSize = 256 << 10

// Reader gives what a goroutine of its own reads.
type Reader struct {
	blocks chan block
	stop   chan struct{}
	took   func() // called when a block was taken
	last   []byte // the block that rest is of
	rest   []byte
	err    error // behind rest
	with   bool  // err comes with the last bytes, not behind them
}

// block is what was read, and how that ended.
type block struct {
	data []byte
	err  error
	with bool
}

// blockBuffers are those of blocks that were read.
var blockBuffers = sync.Pool{New: func() any { b := make([]byte, BlockSize); return &b }}

// New begins to read up to so many blocks ahead; took is called for each that was
// taken. Close ends it.
func New(r io.Reader, blocks int, took func()) *Reader {
	a := &Reader{took: took, blocks: make(chan block, blocks), stop: make(chan struct{})}
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
func fill(r io.Reader, buf []byte) block {
	n, empty := 0, 0
	for n < len(buf) {
		k, err := codec.Read(r, buf[n:])
		n += k
		if empty++; k > 0 {
			empty = 0
		}
		if err == nil && empty == codec.MaxEmptyReads {
			err = io.ErrNoProgress
		}
		if err != nil {
			return block{buf[:n], err, k > 0}
		}
	}
	return block{data: buf}
}

// Read implements io.Reader.
func (a *Reader) Read(p []byte) (int, error) {
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

// Ended tells whether the goroutine has come to an end by itself, which was read.
func (a *Reader) Ended() bool { return a.err != nil }

func (a *Reader) release() {
	if b := a.last[:cap(a.last)]; len(b) > 0 {
		poison.Bytes(b)
		blockBuffers.Put(&b)
	}
	a.last, a.rest = nil, nil
}

// Close ends the goroutine and waits for it.
func (a *Reader) Close() {
	close(a.stop)
	a.release()
	for b := range a.blocks {
		a.last = b.data
		a.release()
	}
	a.err = fs.ErrClosed
}
