package source

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// This file is what following live logs needs of this package: which files are
// one rotation, and what is in those that were packed.

// LogOf is the name of the log that a file's name belongs to: X for X.1, X.2.gz
// and X-20260101, else the name itself.
func LogOf(name string) string { return rotationOf(name).family }

// CompareRotated orders the names of one log's files, oldest first.
func CompareRotated(a, b string) int { return rotationOf(a).older(rotationOf(b)) }

// Succeeds says whether a log that ends in the file before goes on in this one,
// as far as names tell.
func Succeeds(name, before string) bool { return rotationOf(name).continues(rotationOf(before)) }

// Sniff says what begins with head, the first 512 bytes or all there are: packed
// if Unpack reads it, and else why it is no log, or "" if it may be one. A log may be
// in it all the same if it holds some, so that whoever does not read it misses
// something.
func Sniff(head []byte) (packed bool, reason string, holds bool) {
	switch k := sniff(head); k.form {
	case gzipped, bzipped, xzipped, zstandard:
		return true, "", false
	case tarball, zipped:
		return false, k.form.data() + ", to which nothing is added; read it with tomoscrape replay", true
	default:
		return false, k.reason, k.form == refuse
	}
}

// Packed says what begins with head if it is packed or an archive, "" for all else,
// and the command that unpacks it, if there is one that is put before a pipe.
func Packed(head []byte) (what, command string) {
	what = sniff(head).form.data()
	for _, p := range packings {
		if p.what == what && strings.HasSuffix(p.command, "-dc") {
			return what, p.command
		}
	}
	return what, ""
}

// Unpack gives what is inside gzip, bzip2, xz or zstd data, one layer; anything
// else is given as it is. Errors of the content are for people. Memory is bounded
// by the windows of the decoders, at most 128 MiB.
func Unpack(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, bufferSize)
	head, err := br.Peek(sniffLen)
	if len(head) == 0 && failed(err) {
		return nil, err
	}
	u := &unpacked{form: sniff(head).form}
	err = guard(func() (err error) {
		u.r, u.done, err = decoder(u.form, br, nil)
		return err
	})
	if err != nil {
		return nil, errors.New(explain(u.form.data(), err))
	}
	return u, nil
}

// unpacked is the content of packed data.
type unpacked struct {
	form form
	r    io.Reader
	done func()
}

func (u *unpacked) Read(p []byte) (n int, err error) {
	err = guard(func() (err error) {
		n, err = u.r.Read(p)
		return err
	})
	if failed(err) {
		err = errors.New(explain(u.form.data(), err))
	}
	return n, err
}

func (u *unpacked) Close() error {
	u.done()
	return nil
}
