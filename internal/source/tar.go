package source

import (
	"bufio"
	"io"
	"io/fs"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/sparse"
	"github.com/tomoscrape/tomoscrape/internal/tarfile"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

const (
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
		t := tarfile.NewInput(br, in.n-int64(br.Buffered()))
		if more, err := w.tarMembers(name, in, t, depth); !more || err != nil {
			return err
		}
		if t.Err == io.EOF {
			return w.fault(name, in.n, &damage{of: name,
				reason: "the end mark of the tar archive is missing, it may have been cut"})
		}
		// Up to the end, so that the checksum of what it is packed in is seen.
		err := codec.SkipZeros(br)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return w.fault(name, in.n, in.cause(err))
		}
		if head, _ := br.Peek(unpack.HeadLen); unpack.Sniff(head).Form != unpack.Tar {
			return w.fault(name, in.n-int64(br.Buffered()), &damage{of: name, reason: unpack.Explain("tar archive",
				codec.ErrTrailing)})
		}
	}
}

// tarMembers opens the members of one archive; more tells that it came to its
// end. Behind a damaged header it goes on with the next one that is whole.
func (w *walker) tarMembers(name string, in *stream, t *tarfile.Input, depth int) (more bool, err error) {
	tr := tarfile.NewReader(t)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return true, nil
		}
		if err != nil && t.Err != nil {
			archive := &stream{w: w, below: in, what: "tar archive", of: name}
			return false, w.fault(name, t.Offset, archive.cause(err))
		}
		if err != nil {
			if more, err := w.tarResume(name, in, t); !more || err != nil {
				return false, err
			}
			tr = tarfile.NewReader(t)
			continue
		}
		if err := w.entry(name, t.Offset); err != nil {
			return false, err
		}
		inside := memberName(name, h.Name)
		switch what := noMember(h, tr); {
		case what != "":
			w.notMember(inside, what)
			continue
		case h.Size == 0 && h.Kind == tarfile.HardLink:
			w.link(name, h.Name, "hard", h.Target)
			continue
		case h.Size == 0 && h.Kind == tarfile.SymLink:
			w.link(name, h.Name, "symbolic", h.Target)
			continue
		case h.Size == 0 && h.Parts == nil && (h.IsDir() || h.Kind == tarfile.Volume):
			w.choice.has(inside)
			continue
		}
		w.member()
		member := &stream{w: w, r: tr, below: in, what: "tar archive", of: name}
		if h.Parts != nil {
			member.holes = sparse.New(tr, h.NextPart())
			member.r, member.counted = member.holes, true
		}
		if err := w.open(inside, member, nil, 0, depth); err != nil {
			return false, err
		}
		if failed(member.err) {
			return false, w.fault(name, t.Offset, member.err)
		}
	}
}

// tarResume names a damaged header and goes to the next one that is whole; more
// tells that there is one.
func (w *walker) tarResume(name string, in *stream, t *tarfile.Input) (more bool, err error) {
	bad := t.Damaged()
	reason := "a header of the tar archive is damaged; reading went on with the next one that is whole"
	if err = t.NextHeader(); err != nil {
		reason = "a header of the tar archive is damaged, and none that is whole follows"
	}
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	w.unreadable(name, bad, reason)
	if err == nil {
		return true, nil
	}
	return false, w.fault(name, t.Offset, in.err)
}

// noMember says what stands in the place of a file and has no data of one: a named
// pipe, a device, or what incremental backups say of a directory.
func noMember(h *tarfile.Header, data *tarfile.Reader) string {
	switch {
	case h.Kind == tarfile.Dump && h.Size > 0 && data.IsDump():
		return "a list of the files in a directory"
	case h.Size > 0:
		return ""
	case h.Kind == tarfile.CharDevice, h.Kind == tarfile.BlockDevice:
		return paths.KindOf(fs.ModeDevice)
	case h.Kind == tarfile.Fifo:
		return paths.KindOf(fs.ModeNamedPipe)
	}
	return ""
}
