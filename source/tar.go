package source

import (
	"bufio"
	"bytes"
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
	tr := &tarReader{in: t}
	for {
		h, err := tr.next()
		if err == io.EOF {
			return true, nil
		}
		if err != nil && t.err != nil {
			archive := &stream{w: w, below: in, what: "tar archive", of: name}
			return false, w.fault(name, t.n, archive.cause(err))
		}
		if err != nil {
			if more, err := w.tarResume(name, in, t); !more || err != nil {
				return false, err
			}
			tr = &tarReader{in: t}
			continue
		}
		if err := w.entry(name, t.n); err != nil {
			return false, err
		}
		inside := memberName(name, h.name)
		switch what := h.noMember(tr); {
		case what != "":
			w.notMember(inside, what)
			continue
		case h.size == 0 && h.kind == tarHardLink:
			w.link(name, h.name, "hard", h.target)
			continue
		case h.size == 0 && h.kind == tarSymlink:
			w.link(name, h.name, "symbolic", h.target)
			continue
		case h.size == 0 && h.parts == nil && (h.isDir() || h.kind == tarVolume):
			w.choice.has(inside)
			continue
		}
		w.member()
		member := &stream{w: w, r: tr, below: in, what: "tar archive", of: name}
		if h.parts != nil {
			member.holes = newSparse(tr, h.nextPart())
			member.r, member.counted = member.holes, true
		}
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

// noMember says what stands in the place of a file and has no data of one: a named
// pipe, a device, or what incremental backups say of a directory.
func (h *tarHeader) noMember(data *tarReader) string {
	switch {
	case h.kind == tarDump && h.size > 0 && isDump(data):
		return "a list of the files in a directory"
	case h.size > 0:
		return ""
	case h.kind == tarChar, h.kind == tarBlockDev:
		return paths.KindOf(fs.ModeDevice)
	case h.kind == tarFifo:
		return paths.KindOf(fs.ModeNamedPipe)
	}
	return ""
}

// isDump tells whether data begin as GNU tar's list of a directory: for each file a
// letter and its name, ended by a NUL.
func isDump(data *tarReader) bool {
	b, _ := data.in.r.Peek(int(min(data.left, tarBlock)))
	return bytes.IndexByte(b, 0) >= 0 && bytes.IndexByte([]byte("DNRTXY\x00"), b[0]) >= 0 && bytes.IndexByte(b, '\n') < 0
}

// tarInput is what a tar archive is read from. It knows the block that was read
// last and can give it again.
type tarInput struct {
	r     *bufio.Reader
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

// skip passes over so many bytes; io.EOF if there are none, io.ErrUnexpectedEOF if
// there are fewer.
func (t *tarInput) skip(n int64) error {
	begin := t.n
	for left := n; left > 2*tarBlock; left = n - (t.n - begin) {
		skipped, err := t.r.Discard(int(min(left-tarBlock, 1<<30)))
		t.n += int64(skipped)
		if t.err = err; err != nil {
			return err
		}
	}
	var rest [2 * tarBlock]byte // what Read remembers
	_, err := io.ReadFull(t, rest[:n-(t.n-begin)])
	return err
}

// isTarHeader tells whether a block is a header that can be read.
func isTarHeader(block []byte) bool {
	if block[0] == 0 {
		return false
	}
	_, err := parseTarHeader(block)
	return err == nil
}
