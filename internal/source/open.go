package source

import (
	"bufio"
	"fmt"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/rotation"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
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
	head, err := br.Peek(unpack.HeadLen)
	if len(head) == 0 && failed(err) {
		return w.fault(name, 0, in.cause(err))
	}
	k := unpack.Sniff(head)
	begin, adjusted := zipBehind(head, at, size)
	if begin > 0 {
		k = unpack.Kind{Form: unpack.Zip}
	}
	if k.Form > unpack.Refuse && depth >= w.opt.MaxDepth {
		w.unreadable(name, 0, fmt.Sprintf("packed more than %d layers deep (--max-depth)", w.opt.MaxDepth))
		return nil
	}
	switch k.Form {
	case unpack.Text:
		return w.leaf(name, in, br)
	case unpack.Skip, unpack.Foreign, unpack.Refuse:
		w.noLog(name, k)
		return nil
	case unpack.Tar:
		return w.tar(name, in, br, depth+1)
	case unpack.Zip:
		if size -= begin; begin > 0 {
			at = io.NewSectionReader(at, begin, size)
		}
		if adjusted { // the directory is that of the whole file
			return w.salvage(name, in, io.NewSectionReader(at, 0, size), depth+1)
		}
		return w.zip(name, in, br, at, size, depth+1)
	default:
		return w.unpack(name, k.Form, in, br, depth+1)
	}
}

// unpack opens what is inside compressed data.
func (w *walker) unpack(name string, f unpack.Form, in *stream, br *bufio.Reader, depth int) error {
	r, done, err := unpack.New(f, br, nil)
	if err != nil {
		return w.fault(name, 0, in.cause(err))
	}
	defer done()
	return w.open(name, &stream{w: w, r: r, below: in, what: f.Data(), of: name, counted: true}, nil, 0, depth)
}

// leaf hands a member to the visitor and names its damage afterwards.
func (w *walker) leaf(name string, in *stream, br *bufio.Reader) error {
	if !w.choice.has(name) {
		return nil
	}
	name = w.choice.called(name)
	w.texture.Reset()
	content := &content{in: in, br: br, texture: &w.texture}
	this := rotation.Of(name)
	continues := this.Continues(w.before)
	w.before = this
	m := &Member{Name: name, Continues: continues, Reader: content, content: content}
	place := func(given int64) int64 { return given }
	if in.holes != nil {
		in.holes.Brief = true
		place, m.Place = in.holes.Place, in.holes.Place
	}
	err := w.visit(m)
	if err != nil {
		return err
	}
	if content.kind.Form != unpack.Text {
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
func (w *walker) noLog(name string, k unpack.Kind) {
	packed := unpack.PackedByName(name)
	if k.Form == unpack.Skip || k.Form == unpack.Foreign && name != w.named && !w.choice.isOf(name) && !packed {
		w.skipped(name, k.Reason)
		return
	}
	w.unreadable(name, 0, k.Reason)
}

// content is what a visitor reads.
type content struct {
	in      *stream
	br      *bufio.Reader
	n       int64
	err     error
	texture *unpack.Texture
	kind    unpack.Kind // what it turned out to be
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
