package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/sparse"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

const bufferSize = 64 << 10

// stream is one layer on the way from a file to a member. All bytes of the
// layer pass through Read, which ends it when the context is done or when too
// much was unpacked, and which keeps panics of libraries in.
type stream struct {
	w       *walker
	r       io.Reader
	below   *stream        // the layer this one is made of, nil for a file on disk
	what    string         // for messages: "gzip data", "tar archive"; empty: a file
	of      string         // name of what holds it
	counted bool           // it may be larger than what it is made of
	holes   *sparse.Reader // that it has, or nil
	n       int64          // bytes given so far
	err     error          // sticky; io.EOF, a *damage, or the error of the context
}

// damage is an error as people read it.
type damage struct {
	reason string
	of     string // name of what is damaged
	limit  bool   // nothing is damaged, a limit was reached: the input ends here
	named  bool   // it stands in the report
}

func (d *damage) Error() string { return d.reason }

// Read implements io.Reader.
func (s *stream) Read(p []byte) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.err = s.w.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err = codec.Read(s.r, p)
	if s.counted {
		if left := s.w.opt.MaxUnpacked - s.w.unpacked; int64(n) > left {
			n = int(left)
			err = &damage{limit: true, of: s.of, reason: fmt.Sprintf(
				"more than %d bytes were unpacked, reading stops here (--max-unpacked)", s.w.opt.MaxUnpacked)}
		}
		s.w.unpacked += int64(n)
	}
	s.n += int64(n)
	s.err = s.cause(err)
	return n, s.err
}

// cause gives the reason behind an error met while reading the layer: the error
// of the lowest layer that failed, or else the damage of this one.
func (s *stream) cause(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if ctxErr := s.w.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if failed(s.err) {
		return s.err
	}
	for b := s.below; b != nil; b = b.below {
		if failed(b.err) {
			return b.err
		}
	}
	var d *damage
	if errors.As(err, &d) {
		return d
	}
	return &damage{reason: unpack.Explain(s.what, err), of: s.of}
}

func failed(err error) bool { return err != nil && err != io.EOF }

// entry counts what an archive holds, whatever it is. It is an error if that is too
// much; offset is where it was met in the archive.
func (w *walker) entry(archive string, offset int64) error {
	if w.entries++; w.entries <= w.opt.MaxMembers {
		return nil
	}
	return w.fault(archive, offset, &damage{limit: true, of: archive, reason: fmt.Sprintf(
		"archives hold more than %d members in all, reading stops here (--max-members)", w.opt.MaxMembers)})
}

// fault names a damage in the report, once. Its error ends the input (errStop
// after a limit) or the walk (the context).
func (w *walker) fault(name string, offset int64, err error) error {
	if !failed(err) {
		return nil
	}
	d, ok := err.(*damage)
	if !ok {
		return err
	}
	if !d.named {
		d.named = true
		reason := d.reason
		if d.of != name && !d.limit {
			reason += " (" + paths.LastName(d.of) + ")"
		}
		if d.limit {
			w.nameUnreadable(name, offset, reason)
		} else {
			w.unreadable(name, offset, reason)
		}
	}
	if d.limit {
		return errStop
	}
	return nil
}

// buffer gives a buffered reader of a layer, to be released after use.
func (w *walker) buffer(r io.Reader) *bufio.Reader {
	if n := len(w.buffers); n > 0 {
		b := w.buffers[n-1]
		w.buffers = w.buffers[:n-1]
		b.Reset(r)
		return b
	}
	return bufio.NewReaderSize(r, bufferSize)
}

func (w *walker) release(b *bufio.Reader) {
	b.Reset(nil)
	w.buffers = append(w.buffers, b)
}
