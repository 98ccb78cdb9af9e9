package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

const (
	tarBlock      = 512
	maxMemberName = 1024 // how long the name of an archive's member may be
	maxTarget     = 100  // and the target of a link
	maxPath       = 4096 // what systems take for a target
)

// memberName joins an archive and what is inside.
func memberName(archive, name string) string { return archive + "!" + shorten(name, maxMemberName) }

// shorten keeps the beginning and the end of an absurdly long name.
func shorten(name string, most int) string {
	if len(name) <= most {
		return name
	}
	return name[:most/2] + "…" + name[len(name)-most/2:]
}

// linkTo says what a link is, symbolic or hard, and where it leads.
func linkTo(kind, target string) string {
	if target == "" {
		return "a " + kind + " link"
	}
	return "a " + kind + " link to " + shorten(target, maxTarget)
}

// tar opens the members of a tar archive, also of several in a row.
func (w *walker) tar(name string, in *stream, br *bufio.Reader, depth int) error {
	for {
		begin := in.n - int64(br.Buffered())
		t := &tarInput{r: br, begin: begin, n: begin, from: begin}
		if more, err := w.tarMembers(name, in, t, depth); !more || err != nil {
			return err
		}
		if t.err == io.EOF {
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
			return w.fault(name, in.n-int64(br.Buffered()), &damage{of: name, reason: explain("tar archive", errTrailing)})
		}
	}
}

// tarMembers opens the members of one archive; more tells that it came to its
// end. Behind a damaged header it goes on with the next one that is whole.
func (w *walker) tarMembers(name string, in *stream, t *tarInput, depth int) (more bool, err error) {
	tr := tar.NewReader(t)
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
			if t.err != nil {
				archive := &stream{w: w, below: in, what: "tar archive", of: name}
				return false, w.fault(name, t.n, archive.cause(err))
			}
			if more, err := w.tarResume(name, in, t); !more || err != nil {
				return false, err
			}
			tr = tar.NewReader(t)
			continue
		}
		inside := memberName(name, h.Name)
		if what := notFile(h); what != "" {
			w.notMember(inside, what)
		}
		if !isFile(h.Typeflag) {
			continue
		}
		w.report.Members++
		member := &stream{w: w, r: tr, below: in, what: "tar archive", of: name, counted: isSparse(h)}
		if err := w.open(inside, member, nil, 0, depth); err != nil {
			return false, err
		}
		if failed(member.err) {
			return false, w.fault(name, t.n, member.err)
		}
	}
}

// tarResume names a damaged header and goes to the next one that is whole; more
// tells that there is one.
func (w *walker) tarResume(name string, in *stream, t *tarInput) (more bool, err error) {
	bad := t.begin + (t.n-t.begin-1)/tarBlock*tarBlock
	reason := "a header of the tar archive is damaged; reading went on with the next one that is whole"
	if err = t.nextHeader(); err != nil {
		reason = "a header of the tar archive is damaged, and none that is whole follows"
	}
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	w.unreadable(name, bad, reason)
	if err == nil {
		return true, nil
	}
	return false, w.fault(name, t.n, in.err)
}

// isFile leaves out what has no content. An unknown type is to be taken for a
// file (POSIX pax).
func isFile(typeflag byte) bool {
	switch typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo,
		tar.TypeXGlobalHeader, 'V', 'D', 'X':
		return false
	}
	return true
}

// notFile says what stands in the place of a file: a link, whose target is a
// member itself or not there, a named pipe or a device.
func notFile(h *tar.Header) string {
	switch h.Typeflag {
	case tar.TypeLink:
		return linkTo("hard", h.Linkname)
	case tar.TypeSymlink:
		return linkTo("symbolic", h.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		return paths.KindOf(fs.ModeDevice)
	case tar.TypeFifo:
		return paths.KindOf(fs.ModeNamedPipe)
	}
	return ""
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

// tarInput is what a tar archive is read from. It knows the block that was read
// last and can give it again.
type tarInput struct {
	r     io.Reader
	begin int64          // of the archive in its layer
	n     int64          // bytes read, counted in the layer
	err   error          // met while reading; io.EOF if no zeros ended the archive before
	last  [tarBlock]byte // the bytes before n
	again int            // bytes of last to be read once more
	from  int64          // the header with which reading began or went on
}

// Read implements io.Reader.
func (t *tarInput) Read(p []byte) (n int, err error) {
	if t.again > 0 {
		n = copy(p, t.last[tarBlock-t.again:])
		t.again -= n
		t.n += int64(n)
		return n, nil
	}
	n, err = t.r.Read(p)
	t.n += int64(n)
	t.err = err
	if n < tarBlock {
		copy(t.last[:], t.last[n:])
	}
	copy(t.last[max(0, tarBlock-n):], p[max(0, n-tarBlock):n])
	return n, err
}

// nextHeader goes to the next header that is whole. That may be the block that
// was read last, behind a lone one of zeros; but never one that was tried before.
func (t *tarInput) nextHeader() error {
	var block [tarBlock]byte
	step := -(t.n - t.begin) & (tarBlock - 1)
	for {
		if _, err := io.ReadFull(t, block[:step]); err != nil {
			return err
		}
		step = tarBlock
		if at := t.n - tarBlock; at > t.from && isTarHeader(t.last[:]) {
			t.again, t.n, t.from = tarBlock, at, at
			return nil
		}
	}
}

// isTarHeader tells whether a block is a header that can be read.
func isTarHeader(block []byte) bool {
	if !hasTarSum(block) {
		return false
	}
	err := guard(func() error {
		_, err := tar.NewReader(bytes.NewReader(block)).Next()
		return err
	})
	return err == nil || err == io.EOF || err == io.ErrUnexpectedEOF // behind the block
}
