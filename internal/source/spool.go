package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/paths"
)

// spool is what is left of a layer, held whole: in memory, or in a file of the
// walk's private directory.
type spool struct {
	io.ReaderAt
	size   int64
	w      *walker
	memory int64 // taken from what the walk may hold
	file   *os.File
}

// hold reads a layer to its end or to its damage, which stands in in.err then.
// Its error says why there is no spool: the temporary file could not be written.
func (w *walker) hold(in *stream, br *bufio.Reader) (*spool, error) {
	buf, err := codec.ReadUpTo(br, w.memory)
	if err != nil {
		w.memory -= int64(len(buf))
		return &spool{bytes.NewReader(buf), int64(len(buf)), w, int64(len(buf)), nil}, nil
	}
	s := &spool{w: w}
	if err = s.create(); err == nil {
		s.ReaderAt = s.file
		s.size, err = io.Copy(s.file, io.MultiReader(bytes.NewReader(buf), br))
	}
	if err != nil && !failed(in.err) {
		s.close()
		return nil, &damage{of: in.of, reason: fmt.Sprintf("it could not be held in %s (--temp): %s", w.opt.Temp,
			paths.Reason(err))}
	}
	return s, nil
}

func (s *spool) create() (err error) {
	if s.w.temp == "" {
		if s.w.temp, err = os.MkdirTemp(s.w.opt.Temp, "tomoscrape-"); err != nil {
			return err
		}
	}
	s.file, err = os.CreateTemp(s.w.temp, "zip-")
	return err
}

func (s *spool) close() {
	s.w.memory += s.memory
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
