package unpack

import (
	"bufio"
	"compress/bzip2"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/xz"
)

// Decoders are used again, since an archive may hold thousands of small members,
// and what a decoder needs is larger than most of them.
var (
	gzips  = sync.Pool{New: func() any { return new(gzipReader) }}
	xzs    = sync.Pool{New: func() any { return new(xz.Reader) }}
	zstds  sync.Pool // *zstd.Decoder
	flates sync.Pool // of what flate.NewReader gives
)

// New gives what unpacks what stands at br and reads nothing beyond it. The function
// that comes with it frees what it holds. It works on one part more at once for
// each of slots that is free.
func New(f Form, br *bufio.Reader, slots chan struct{}) (io.Reader, func(), error) {
	var u used
	switch f {
	case Gzip:
		g := gzips.Get().(*gzipReader)
		g.reset(br)
		u = used{r: g, keep: func() { g.reset(nil); gzips.Put(g) }}
	case Bzip2:
		return bzip2.NewReader(br), func() {}, nil
	case XZ:
		x := xzs.Get().(*xz.Reader)
		x.Reset(br, slots)
		u = used{r: x, stop: x.Close, keep: func() { xzs.Put(x) }}
	case Zstd:
		d, ok := zstds.Get().(*zstd.Decoder)
		if !ok {
			var err error
			d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(codec.MaxWindow))
			if err != nil {
				return nil, nil, err
			}
		}
		if err := d.Reset(br); err != nil {
			return nil, nil, err
		}
		u = used{r: d, keep: func() { d.Reset(nil); zstds.Put(d) }}
	case Deflate:
		d, ok := flates.Get().(io.Reader)
		if !ok {
			d = flate.NewReader(br)
		} else if err := d.(flate.Resetter).Reset(br, nil); err != nil {
			return nil, nil, err
		}
		u = used{r: d, keep: func() { flates.Put(d) }}
	default:
		return br, func() {}, nil
	}
	return &u, u.free, nil
}

// used is a decoder that is kept for later, unless it panicked.
type used struct {
	r      io.Reader
	stop   func() // or nil
	keep   func()
	broken bool
}

func (u *used) Read(p []byte) (int, error) {
	u.broken = true
	n, err := u.r.Read(p)
	u.broken = false
	return n, err
}

func (u *used) free() {
	if u.stop != nil {
		u.stop()
	}
	if !u.broken {
		u.keep()
	}
}
