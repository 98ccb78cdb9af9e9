package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

const (
	zipLocalLen   = 30
	zipDescribed  = 1 << 3 // flag: sizes and checksum follow the data
	zip64Extra    = 1
	zip64Unsigned = 1<<32 - 1
)

// salvage opens the members of a zip archive without its directory, by the
// header before each, as far as they follow each other; also those of further
// archives behind it. in is the layer of the archive, data what there is of it.
func (w *walker) salvage(name string, in *stream, data io.Reader, depth int) error {
	// Damage of the layer shows where its bytes end.
	src := &stream{w: w, r: io.MultiReader(data, failing{in}), what: "zip archive", of: name}
	br := w.buffer(src)
	defer w.release(br)
	for {
		members, more, err := w.localMembers(name, src, br, depth)
		if err != nil || !more {
			return err
		}
		if passDirectory(br, members) != nil {
			if failed(in.err) {
				return w.fault(name, src.n, in.err)
			}
			return w.fault(name, src.n, &damage{of: name,
				reason: "the directory at the end of the zip archive is missing or damaged; the members before it " +
					"were read without it"})
		}
		err = codec.SkipZeros(br)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return w.fault(name, src.n, src.cause(err))
		}
		if head, _ := br.Peek(unpack.HeadLen); unpack.Sniff(head).Form != unpack.Zip {
			return w.fault(name, src.n-int64(br.Buffered()), &damage{of: name, reason: unpack.Explain("zip archive",
				codec.ErrTrailing)})
		}
	}
}

// failing gives the error of a layer that has been read before, or io.EOF.
type failing struct{ in *stream }

func (f failing) Read([]byte) (int, error) {
	if failed(f.in.err) {
		return 0, f.in.err
	}
	return 0, io.EOF
}

// localMembers opens members up to the archive's directory; more tells that it
// came there. If not, it has named the damage.
func (w *walker) localMembers(name string, src *stream, br *bufio.Reader, depth int) (members int, more bool,
	err error) {
	if head, _ := br.Peek(4); string(head) == zipDescriptor { // once split
		br.Discard(4)
	}
	for ; ; members++ {
		offset := src.n - int64(br.Buffered())
		sig, err := br.Peek(4)
		switch string(sig) {
		case zipLocal:
		case zipCentral, zipEnd, zipEnd64, zipExtra:
			return members, true, nil
		default:
			if err == nil {
				err = errors.New("no member begins where one should, the rest was not read")
			}
			return members, false, w.fault(name, offset, src.cause(codec.NoEOF(err)))
		}
		if err := w.entry(name, offset); err != nil {
			return members, false, err
		}
		h, err := readLocalHeader(br)
		if err != nil {
			return members, false, w.fault(name, offset, src.cause(codec.NoEOF(err)))
		}
		more, err := w.localMember(name, h, src, br, depth)
		if err != nil || !more {
			return members, false, err
		}
	}
}

// localMember opens the member behind a header; more tells that br stands behind
// it.
func (w *walker) localMember(archive string, h *localHeader, src *stream, br *bufio.Reader, depth int) (more bool,
	err error) {
	e := zipEntry{name: memberName(archive, h.name), method: h.method,
		encrypted: h.flags&1 != 0, crc: h.crc, size: h.size}
	described := h.flags&zipDescribed != 0
	if described && h.packed == 0 && h.isDir() && skipNothing(br) {
		return true, nil
	}
	if described && h.packed == 0 {
		w.member()
		if h.method != 8 {
			return false, w.fault(e.name, 0, &damage{of: e.name,
				reason: "its size stands only in the missing directory of the archive; it and the rest were not read"})
		}
		e.descriptor = func(size int64) (uint32, error) { return readDescriptor(br, size) }
		state, err := w.zipEntry(e, src, br, depth)
		if err != nil || state == io.EOF {
			return err == nil, err
		}
		if _, err := br.Peek(1); err != nil {
			return false, nil // the archive ends with the damaged member, which is named
		}
		return false, w.fault(archive, src.n-int64(br.Buffered()), &damage{of: archive,
			reason: "where the next member begins cannot be told, the rest was not read"})
	}
	data := &io.LimitedReader{R: br, N: h.packed}
	var state error
	if !h.isDir() || h.size > 0 || h.packed > zipNothing {
		w.member()
		part := w.buffer(data)
		state, err = w.zipEntry(e, src, part, depth)
		w.release(part)
		if err != nil {
			return false, err
		}
	}
	if _, err := io.CopyN(io.Discard, data, data.N); err != nil {
		if failed(state) {
			return false, nil // the same end, named with the member
		}
		return false, w.fault(e.name, 0, src.cause(codec.NoEOF(err)))
	}
	if described {
		skipDescriptor(br)
	}
	return true, nil
}

// skipNothing goes past the data of a directory, if they are none, and their
// descriptor.
func skipNothing(br *bufio.Reader) bool {
	if b, _ := br.Peek(2); string(b) == "\x03\x00" { // unpack.Deflate
		br.Discard(2)
	}
	return skipDescriptor(br)
}

// localHeader is what stands before a member (APPNOTE.TXT 4.3.7).
type localHeader struct {
	name          string
	flags, method uint16
	crc           uint32
	packed, size  int64
}

// isDir tells whether a member is a directory, unless it has data.
func (h *localHeader) isDir() bool { return strings.HasSuffix(h.name, "/") }

func readLocalHeader(br *bufio.Reader) (*localHeader, error) {
	var b [zipLocalLen]byte
	if _, err := io.ReadFull(br, b[:]); err != nil {
		return nil, err
	}
	h := &localHeader{
		flags:  le.Uint16(b[6:]),
		method: le.Uint16(b[8:]),
		crc:    le.Uint32(b[14:]),
		packed: int64(le.Uint32(b[18:])),
		size:   int64(le.Uint32(b[22:])),
	}
	rest := make([]byte, int(le.Uint16(b[26:]))+int(le.Uint16(b[28:])))
	if _, err := io.ReadFull(br, rest); err != nil {
		return nil, err
	}
	n := le.Uint16(b[26:])
	h.name = string(rest[:n])
	return h, h.widen(rest[n:])
}

// widen takes the sizes that do not fit into 32 bits from the extra field.
func (h *localHeader) widen(extra []byte) error {
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			break
		}
		field := extra[:n]
		extra = extra[n:]
		if id != zip64Extra {
			continue
		}
		for _, size := range []*int64{&h.size, &h.packed} {
			if *size == zip64Unsigned && len(field) >= 8 {
				*size = int64(le.Uint64(field))
				field = field[8:]
			}
		}
	}
	if h.size < 0 || h.packed < 0 {
		return fmt.Errorf("a member has the size %d", uint64(max(h.size, h.packed)))
	}
	return nil
}

// readDescriptor reads what follows the data of a member of so many unpacked
// bytes. Its signature may be missing and its sizes have 4 or 8 bytes; what fits
// the size and is followed by the next header is right.
func readDescriptor(br *bufio.Reader, size int64) (crc uint32, err error) {
	b, err := br.Peek(4 + 4 + 16 + 2)
	sig := 0
	if string(b[:min(4, len(b))]) == zipDescriptor {
		sig = 4
	}
	for _, wide := range []int{4, 8} {
		end := sig + 4 + 2*wide
		if len(b) < end {
			continue
		}
		got := le.Uint32(b[sig+4+wide:])
		next := b[end:min(end+2, len(b))]
		if got == uint32(size) && (string(next) == "PK" || len(next) < 2 && err != nil) {
			crc = le.Uint32(b[sig:])
			br.Discard(end)
			return crc, nil
		}
	}
	if err != nil {
		br.Discard(len(b)) // the archive ends in it
		return 0, codec.NoEOF(err)
	}
	return 0, codec.ErrChecksum
}

// skipDescriptor goes past the descriptor of a member whose size was known, if
// another header follows, and tells whether it did. If not, the one who looks for
// that says what is wrong.
func skipDescriptor(br *bufio.Reader) bool {
	for _, n := range []int{12, 16, 20, 24} {
		b, _ := br.Peek(n + 4)
		if len(b) == n+4 && b[n] == 'P' && b[n+1] == 'K' {
			br.Discard(n)
			return true
		}
	}
	return false
}
