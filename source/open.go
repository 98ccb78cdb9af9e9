package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

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
	begin, adjusted := zipBehind(head, at, size)
	if begin > 0 {
		k = kind{form: zipped}
	}
	if k.form > refuse && depth >= w.opt.MaxDepth {
		w.unreadable(name, 0, fmt.Sprintf("packed more than %d layers deep (--max-depth)", w.opt.MaxDepth))
		return nil
	}
	switch k.form {
	case text:
		return w.leaf(name, in, br)
	case skip, foreign, refuse:
		w.noLog(name, k)
		return nil
	case tarball:
		return w.tar(name, in, br, depth+1)
	case zipped:
		if size -= begin; begin > 0 {
			at = io.NewSectionReader(at, begin, size)
		}
		if adjusted { // the directory is that of the whole file
			return w.salvage(name, in, io.NewSectionReader(at, 0, size), depth+1)
		}
		return w.zip(name, in, br, at, size, depth+1)
	default:
		return w.unpack(name, k.form, in, br, depth+1)
	}
}

// unpack opens what is inside compressed data.
func (w *walker) unpack(name string, f form, in *stream, br *bufio.Reader, depth int) error {
	r, done, err := decoder(f, br, nil)
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
	name = w.choice.called(name)
	w.texture.reset()
	content := &content{in: in, br: br, texture: &w.texture}
	this := rotationOf(name)
	continues := this.continues(w.before)
	w.before = this
	m := &Member{Name: name, Continues: continues, Reader: content, content: content}
	place := func(given int64) int64 { return given }
	if in.holes != nil {
		in.holes.brief = true
		place, m.Place = in.holes.place, in.holes.place
	}
	err := w.visit(m)
	if err != nil {
		return err
	}
	if content.kind.form != text {
		w.noLog(name, content.kind)
	} else {
		w.report.Bytes += content.n
	}
	if failed(content.err) {
		return w.fault(name, place(content.n), content.err)
	}
	return w.fault(name, place(in.n), in.err)
}

// noLog names what is not read as a log. What may hold one could not be read,
// and so could not what the user named, or what is packed by its name.
func (w *walker) noLog(name string, k kind) {
	_, packed := packedLog(name)
	if k.form == skip || k.form == foreign && name != w.named && !w.choice.isOf(name) && !packed {
		w.skipped(name, k.reason)
		return
	}
	w.unreadable(name, 0, k.reason)
}

// content is what a visitor reads.
type content struct {
	in      *stream
	br      *bufio.Reader
	n       int64
	err     error
	texture *Texture
	kind    kind // what it turned out to be
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, io.EOF
	}
	n, err := c.br.Read(p)
	c.n += int64(n)
	c.texture.Look(p[:n])
	if err != nil {
		c.err = c.in.cause(err)
		err = io.EOF
	}
	return n, err
}

// explain says in words what is wrong with a layer.
func explain(what string, err error) string {
	msg := err.Error()
	switch {
	case what == "":
		return "reading failed: " + paths.Reason(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected end of the " + what
	case errors.As(err, new(*fs.PathError)):
		return "reading failed: " + paths.Reason(err)
	case errors.Is(err, errTrailing), errors.Is(err, zstd.ErrMagicMismatch), strings.Contains(msg, "continuation file"):
		return "something else follows the end of the " + what + " and was not read"
	case errors.Is(err, errChecksum), errors.Is(err, zstd.ErrCRCMismatch),
		strings.Contains(msg, "checksum mismatch"):
		return "the checksum of the " + what + " does not match, it may be damaged"
	case errors.Is(err, zstd.ErrUnknownDictionary):
		return "the " + what + " needs the dictionary that it was packed with; unpack it first: zstd -d -D DICTIONARY"
	case errors.Is(err, errFilter):
		return "the " + what + " uses " + err.Error() + ", unpack it first: xz -d"
	case errors.Is(err, errWindow), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Sprintf("the %s needs a window of more than %d MiB; unpack it first", what, maxWindow>>20)
	}
	return "the " + what + " is damaged (" + msg + ")"
}
