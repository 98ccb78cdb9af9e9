package source

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that one zstd or xz stream may ask for. It is what
// the zstd program accepts without being told to use more.
const maxWindow = 128 << 20

var (
	errTrailing = errors.New("what follows is something else")
	errChecksum = errors.New("checksum mismatch")
	errWindow   = errors.New("window too large")
)

// open reads a layer: unpacks it if it is packed, hands it to the visitor if it
// is text. at, if not nil, gives the same bytes at random, size of them. Its
// error is errStop, that of the context or of the visitor.
func (w *walker) open(name string, in *stream, at io.ReaderAt, size int64, depth int) error {
	if !w.choice.concerns(name) {
		return nil
	}
	br := w.buffer(in)
	defer w.release(br)
	head, err := br.Peek(sniffLen)
	if len(head) == 0 && failed(err) {
		return w.fault(name, 0, in.cause(err))
	}
	k := sniff(head)
	if k.form > refuse && depth >= w.opt.MaxDepth {
		w.unreadable(name, 0, fmt.Sprintf("packed more than %d layers deep (--max-depth)", w.opt.MaxDepth))
		return nil
	}
	switch k.form {
	case text:
		return w.leaf(name, in, br)
	case skip:
		w.skipped(name, k.reason)
		return nil
	case refuse:
		w.unreadable(name, 0, k.reason)
		return nil
	case tarball:
		return w.tar(name, in, br, depth+1)
	case zipped:
		return w.zip(name, in, br, at, size, depth+1)
	default:
		return w.unpack(name, k.form, in, br, depth+1)
	}
}

// unpack opens what is inside compressed data.
func (w *walker) unpack(name string, f form, in *stream, br *bufio.Reader, depth int) error {
	r, done, err := decoder(f, br)
	if err != nil {
		return w.fault(name, 0, in.cause(err))
	}
	defer done()
	return w.open(name, &stream{w: w, r: r, below: in, what: f.data(), of: name, counted: true}, nil, 0, depth)
}

// leaf hands a member to the visitor and names its damage afterwards.
func (w *walker) leaf(name string, in *stream, br *bufio.Reader) error {
	if !w.choice.has(name) {
		return nil
	}
	content := &content{in: in, br: br}
	this := rotationOf(name)
	continues := this.continues(w.before)
	w.before = this
	err := w.visit(&Member{Name: name, Continues: continues, Reader: content})
	w.report.Bytes += content.n
	if err != nil {
		return err
	}
	if failed(content.err) {
		return w.fault(name, content.n, content.err)
	}
	return w.fault(name, in.n, in.err)
}

// content is what a visitor reads.
type content struct {
	in  *stream
	br  *bufio.Reader
	n   int64
	err error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, io.EOF
	}
	n, err := c.br.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = c.in.cause(err)
		err = io.EOF
	}
	return n, err
}

// decoder unpacks what stands at br and reads nothing beyond it. The function
// that comes with it frees what it holds.
func decoder(f form, br *bufio.Reader) (io.Reader, func(), error) {
	switch f {
	case gzipped:
		return &gzipReader{in: br}, func() {}, nil
	case bzipped:
		return bzip2.NewReader(br), func() {}, nil
	case xzipped:
		return newXZReader(br), func() {}, nil
	case zstandard:
		d, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	case deflated:
		d := flate.NewReader(br)
		return d, func() { d.Close() }, nil
	}
	return br, func() {}, nil
}

// gzipReader reads gzip members one after the other, and zeros behind them,
// which tapes and block devices leave.
type gzipReader struct {
	in     *bufio.Reader
	z      gzip.Reader
	begun  bool // a member was begun
	inside bool // and its end is still to come
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		if !g.inside {
			if err := g.next(); err != nil {
				return 0, err
			}
		}
		n, err := g.z.Read(p)
		if err != io.EOF {
			return n, err
		}
		g.inside = false
		if n > 0 {
			return n, nil
		}
	}
}

func (g *gzipReader) next() error {
	if g.begun {
		err := skipZeros(g.in)
		if err != nil {
			return err
		}
		if head, _ := g.in.Peek(2); string(head) != "\x1f\x8b" {
			return errTrailing
		}
	}
	if err := g.z.Reset(g.in); err != nil {
		return noEOF(err)
	}
	g.z.Multistream(false)
	g.begun, g.inside = true, true
	return nil
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

// explain says in words what is wrong with a layer.
func explain(what string, err error) string {
	msg := err.Error()
	switch {
	case what == "":
		return "reading failed: " + plain(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected end of the " + what
	case errors.As(err, new(*fs.PathError)):
		return "reading failed: " + plain(err)
	case errors.Is(err, errTrailing), errors.Is(err, zstd.ErrMagicMismatch), strings.Contains(msg, "continuation file"):
		return "something else follows the end of the " + what + " and was not read"
	case errors.Is(err, errChecksum), errors.Is(err, gzip.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch),
		strings.Contains(msg, "checksum mismatch"):
		return "the checksum of the " + what + " does not match, it may be damaged"
	case errors.Is(err, errFilter):
		return "the " + what + " uses " + err.Error() + ", unpack it first: xz -d"
	case errors.Is(err, errWindow), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Sprintf("the %s needs a window of more than %d MiB; unpack it first", what, maxWindow>>20)
	}
	return "the " + what + " is damaged (" + msg + ")"
}
