package source

import (
	"bufio"
	"compress/bzip2"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow bounds the memory that one zstd or xz stream may ask for. It is
	// what the zstd program accepts without being told to use more.
	maxWindow = 128 << 20
	// keptWindow is the largest that is kept for the next stream: what xz -6 asks for.
	keptWindow = 8 << 20
)

// Decoders are used again, since an archive may hold thousands of small members,
// and what a decoder needs is larger than most of them.
var (
	gzips  = sync.Pool{New: func() any { return new(gzipReader) }}
	xzs    = sync.Pool{New: func() any { return new(xzReader) }}
	zstds  sync.Pool // *zstd.Decoder
	flates sync.Pool // of what flate.NewReader gives
)

// decoder unpacks what stands at br and reads nothing beyond it. The function
// that comes with it frees what it holds. It works on one part more at once for
// each of slots that is free.
func decoder(f form, br *bufio.Reader, slots chan struct{}) (io.Reader, func(), error) {
	var u used
	switch f {
	case gzipped:
		g := gzips.Get().(*gzipReader)
		g.reset(br)
		u = used{r: g, keep: func() { g.reset(nil); gzips.Put(g) }}
	case bzipped:
		return bzip2.NewReader(br), func() {}, nil
	case xzipped:
		x := xzs.Get().(*xzReader)
		x.reset(br)
		x.slots = slots
		u = used{r: x, stop: x.close, keep: func() { xzs.Put(x) }}
	case zstandard:
		d, ok := zstds.Get().(*zstd.Decoder)
		if !ok {
			var err error
			d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, nil, err
			}
		}
		if err := d.Reset(br); err != nil {
			return nil, nil, err
		}
		u = used{r: d, keep: func() { d.Reset(nil); zstds.Put(d) }}
	case deflated:
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

// skipZeros goes to the next byte that is not zero; io.EOF if there is none.
func skipZeros(br *bufio.Reader) error {
	for {
		head, err := br.Peek(1)
		if len(head) == 0 {
			return err
		}
		head, _ = br.Peek(br.Buffered())
		for i, b := range head {
			if b != 0 {
				br.Discard(i)
				return nil
			}
		}
		br.Discard(len(head))
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
