package source

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
)

// maxMemberName is how long the name of an archive's member may be.
const maxMemberName = 1024

// memberName joins an archive and what is inside. Of an absurdly long name the
// beginning and the end stay.
func memberName(archive, name string) string {
	if len(name) > maxMemberName {
		name = name[:maxMemberName/2] + "…" + name[len(name)-maxMemberName/2:]
	}
	return archive + "!" + name
}

// tar opens the members of a tar archive, also of several in a row.
func (w *walker) tar(name string, in *stream, br *bufio.Reader, depth int) error {
	for {
		end := &endWatch{r: br}
		if more, err := w.tarMembers(name, in, tar.NewReader(end), depth); !more || err != nil {
			return err
		}
		if end.seen {
			return w.fault(name, in.n, &damage{of: name,
				reason: "the end mark of the tar archive is missing, it may have been cut"})
		}
		// Up to the end, so that the checksum of what it is packed in is seen.
		err := skipZeros(br)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return w.fault(name, in.n, in.cause(err))
		}
		if head, _ := br.Peek(sniffLen); sniff(head).form != tarball {
			return w.fault(name, in.n, &damage{of: name, reason: explain("tar archive", errTrailing)})
		}
	}
}

// tarMembers opens the members of one archive; more tells that it came to its
// end.
func (w *walker) tarMembers(name string, in *stream, tr *tar.Reader, depth int) (more bool, err error) {
	for {
		var h *tar.Header
		err := guard(func() (err error) {
			h, err = tr.Next()
			return err
		})
		if err == io.EOF {
			return true, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			archive := &stream{w: w, below: in, what: "tar archive", of: name}
			return false, w.fault(name, in.n, archive.cause(err))
		}
		if !isFile(h.Typeflag) {
			continue
		}
		w.report.Members++
		member := &stream{w: w, r: tr, below: in, what: "tar archive", of: name, counted: isSparse(h)}
		if err := w.open(memberName(name, h.Name), member, nil, 0, depth); err != nil {
			return false, err
		}
		if failed(member.err) {
			return false, w.fault(name, in.n, member.err)
		}
	}
}

// isFile leaves out links, whose target is a member itself or not there, and
// what has no content. An unknown type is to be taken for a file (POSIX pax).
func isFile(typeflag byte) bool {
	switch typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo,
		tar.TypeXGlobalHeader, 'V', 'D', 'X':
		return false
	}
	return true
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for _, key := range []string{"GNU.sparse.major", "GNU.sparse.map"} {
		if h.PAXRecords[key] != "" {
			return true
		}
	}
	return false
}

// endWatch notes that the end was reached while a tar archive was still being
// read: one that is whole ends with zeros.
type endWatch struct {
	r    io.Reader
	seen bool
}

func (e *endWatch) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.seen = e.seen || err == io.EOF
	return n, err
}
