package source

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/paths"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// maxDirectory bounds how much of a zip archive's directory is held in memory;
// an archive with a larger one is read member by member without it.
const maxDirectory = 16 << 20

// zipNothing is no less than what nothing is packed to: 32 bytes of xz.
const zipNothing = 32

const zipData = "data in the zip archive"

var (
	errDirectory = errors.New("the directory is missing, damaged or too large")
	errElsewhere = errors.New("the directory is that of another zip archive")
)

// zip opens the members of a zip archive as its directory has them, or if that
// is missing, damaged or that of another archive, one after the other as they
// stand. An archive that is not a file on disk is held whole.
func (w *walker) zip(name string, in *stream, br *bufio.Reader, at io.ReaderAt, size int64, depth int) error {
	if at == nil {
		held, err := w.hold(in, br)
		if err != nil {
			return w.fault(name, 0, err)
		}
		defer held.close()
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		at, size = held, held.size
	}
	dir, rest, err := readDirectory(at, size)
	if err != nil {
		return w.salvage(name, in, io.NewSectionReader(at, 0, size), depth)
	}
	for _, f := range dir.File {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(name, 0); err != nil {
			return err
		}
		if err := w.zipFile(name, f, depth); err != nil {
			return err
		}
	}
	if failed(in.err) {
		return w.fault(name, in.n, in.err)
	}
	if rest < size {
		return w.fault(name, rest, &damage{of: name, reason: unpack.Explain("zip archive", codec.ErrTrailing)})
	}
	return nil
}

// readDirectory reads the directory of an archive that begins with the first
// byte. rest is where something else follows it, or the size of all.
func readDirectory(at io.ReaderAt, size int64) (dir *zip.Reader, rest int64, err error) {
	end, err := findEnd(at, size)
	if err != nil {
		return nil, 0, err
	}
	err = codec.Guard(func() (err error) {
		m := &metered{at, maxDirectory}
		dir, err = zip.NewReader(m, end.after)
		m.left = math.MaxInt64 // the members are read through it, too
		if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
			return err
		}
		return checkFirst(at, dir.File, end.directory)
	})
	return dir, end.rest, err
}

// checkFirst tells whether the first header in the archive is that of one of
// these members. If not, the directory is one of an archive inside this one, or
// behind it.
func checkFirst(at io.ReaderAt, files []*zip.File, directory int64) error {
	var h [4 + zipLocalLen]byte
	n, err := at.ReadAt(h[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	var begin int64
	if string(h[:4]) == zipDescriptor { // once split
		begin = 4
	}
	if len(files) == 0 && directory == begin {
		return nil
	}
	b := h[begin:]
	first := begin + zipLocalLen + int64(le.Uint16(b[26:])) + int64(le.Uint16(b[28:]))
	for _, f := range files {
		if data, err := f.DataOffset(); n == len(h) && err == nil && data == first {
			return nil
		}
	}
	return errElsewhere
}

// metered fails when more bytes than left are read.
type metered struct {
	at   io.ReaderAt
	left int64
}

func (m *metered) ReadAt(p []byte, off int64) (int, error) {
	if m.left < int64(len(p)) {
		return 0, errDirectory
	}
	m.left -= int64(len(p))
	return m.at.ReadAt(p, off)
}

// zipFile opens a member that the directory names. Its mode is that of what it
// was made from, and says nothing of what it is: what has data is read.
func (w *walker) zipFile(archive string, f *zip.File, depth int) error {
	mode := f.Mode()
	name := memberName(archive, f.Name)
	empty := f.UncompressedSize64 == 0 && f.CompressedSize64 <= zipNothing
	switch {
	case empty && (strings.HasSuffix(f.Name, "/") || mode.IsDir()):
		w.choice.has(name)
		return nil
	case mode&fs.ModeSymlink != 0:
		if target, ok := zipTarget(f); ok {
			w.link(archive, f.Name, "symbolic", target)
			return nil
		}
	case empty && !mode.IsRegular():
		w.notMember(name, paths.KindOf(mode))
		return nil
	}
	w.member()
	if !w.choice.concerns(name) {
		return nil
	}
	var raw io.Reader
	err := codec.Guard(func() (err error) {
		raw, err = f.OpenRaw()
		return err
	})
	if err != nil {
		return w.fault(name, 0, &damage{of: name, reason: unpack.Explain(zipData, codec.NoEOF(err))})
	}
	e := zipEntry{name: name, method: f.Method, encrypted: f.Flags&1 != 0,
		crc: f.CRC32, size: int64(f.UncompressedSize64)}
	br := w.buffer(raw)
	defer w.release(br)
	_, err = w.zipEntry(e, nil, br, depth)
	return err
}

// notMember names what stands in the place of a member, if that was chosen.
func (w *walker) notMember(name, what string) {
	switch {
	case !w.choice.has(name):
	case w.choice.isOf(name):
		w.unreadable(name, 0, "it is "+what+", not a file")
	default:
		w.skipped(name, what)
	}
}

// zipTarget gives the target of a symbolic link, which is its content, or nothing
// if that cannot be read; ok tells that it may be the path of a file.
func zipTarget(f *zip.File) (target string, ok bool) {
	if f.UncompressedSize64 > maxPath {
		return "", false
	}
	if f.Flags&1 != 0 {
		return "", true
	}
	var content []byte
	codec.Guard(func() error {
		r, err := f.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		content, err = io.ReadAll(io.LimitReader(r, maxPath+1))
		return err
	})
	return string(content), len(content) <= maxPath && !bytes.ContainsAny(content, "\x00\n")
}

// zipEntry is a member of a zip archive. With a descriptor, its checksum and
// size come after its data. A checksum of 0 is one that was not written.
type zipEntry struct {
	name       string
	method     uint16
	encrypted  bool
	crc        uint32
	size       int64
	descriptor func(size int64) (crc uint32, err error)
}

// zipMethods are the ways of packing that are read here (APPNOTE.TXT 4.4.5).
var zipMethods = map[uint16]unpack.Form{0: unpack.Store, 8: unpack.Deflate, 12: unpack.Bzip2, 93: unpack.Zstd,
	95: unpack.XZ}

// zipEntry opens what stands at br, a layer of below if that is not nil. state is
// nil if it was not read to its end, then io.EOF, or its damage.
func (w *walker) zipEntry(e zipEntry, below *stream, br *bufio.Reader, depth int) (state, err error) {
	if e.descriptor == nil && !w.choice.concerns(e.name) {
		return nil, nil
	}
	f, known := zipMethods[e.method]
	switch {
	case e.encrypted:
		w.unreadable(e.name, 0, "it is encrypted, unpack it first")
		return nil, nil
	case !known:
		w.unreadable(e.name, 0, fmt.Sprintf("it is packed by a method unknown here (%d), unpack it first", e.method))
		return nil, nil
	}
	r, done, err := unpack.New(f, br, nil)
	if err != nil {
		return nil, w.fault(e.name, 0, &damage{of: e.name, reason: unpack.Explain(zipData, err)})
	}
	defer done()
	member := &stream{w: w, r: &checkedReader{r: r, zipEntry: e}, below: below, what: zipData, of: e.name,
		counted: true}
	if err := w.open(e.name, member, nil, 0, depth); err != nil {
		return nil, err
	}
	if e.descriptor != nil { // where the next one begins is only known at the end
		io.Copy(io.Discard, member)
	}
	return member.err, w.fault(e.name, member.n, member.err)
}

// checkedReader compares a member with its checksum and size.
type checkedReader struct {
	r   io.Reader
	n   int64
	sum uint32
	zipEntry
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, p[:n])
	if err != io.EOF {
		return n, err
	}
	if c.descriptor != nil {
		crc, err := c.descriptor(c.n)
		if err != nil {
			return n, err
		}
		c.crc, c.size = crc, c.n
	}
	switch {
	case c.n < c.size:
		return n, io.ErrUnexpectedEOF
	case c.n > c.size || c.crc != 0 && c.sum != c.crc:
		return n, codec.ErrChecksum
	}
	return n, io.EOF
}
