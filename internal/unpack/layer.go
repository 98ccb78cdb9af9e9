package unpack

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

// Packed says what begins with head if it is packed or an archive, "" for all else,
// and the command that unpacks it, if there is one that is put before a pipe.
func Packed(head []byte) (what, command string) {
	what = Sniff(head).Form.Data()
	for _, p := range packings {
		if p.what == what && strings.HasSuffix(p.command, "-dc") {
			return what, p.command
		}
	}
	return what, ""
}

// Open gives what is inside gzip, bzip2, xz or zstd data, one layer; anything
// else is given as it is. Errors of the content are for people. Memory is bounded
// by the windows of the decoders, at most 128 MiB.
func Open(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(HeadLen)
	if len(head) == 0 && err != nil && err != io.EOF {
		return nil, err
	}
	u := &unpacked{form: Sniff(head).Form}
	err = codec.Guard(func() (err error) {
		u.r, u.done, err = New(u.form, br, nil)
		return err
	})
	if err != nil {
		return nil, errors.New(Explain(u.form.Data(), err))
	}
	return u, nil
}

// unpacked is the content of packed data.
type unpacked struct {
	form Form
	r    io.Reader
	done func()
}

func (u *unpacked) Read(p []byte) (n int, err error) {
	err = codec.Guard(func() (err error) {
		n, err = u.r.Read(p)
		return err
	})
	if err != nil && err != io.EOF {
		err = errors.New(Explain(u.form.Data(), err))
	}
	return n, err
}

func (u *unpacked) Close() error {
	u.done()
	return nil
}
