// Package tarfile reads tar archives: what their headers say, where the data of
// members are, and on behind what is damaged.
package tarfile

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/sparse"
)

// This file reads what a tar archive says of its members: headers of v7, ustar,
// pax (POSIX.1-2001), GNU and star, and the sparse files of GNU tar ("GNU tar: an
// archiver tool", appendix D). ADR 9 says why archive/tar does not.

const (
	maxText  = 8 << 20 // of long names and pax records before a member
	maxParts = 1 << 20 // of a sparse file
)

// The types of members that are spoken of (the others are files).
const (
	HardLink    = '1'
	SymLink     = '2'
	CharDevice  = '3'
	BlockDevice = '4'
	Directory   = '5'
	Fifo        = '6'
	pax         = 'x'
	paxSun      = 'X'
	paxGlobal   = 'g'
	longName    = 'L'
	longLink    = 'K'
	sparseFile  = 'S'
	Dump        = 'D' // a directory with the names that were in it
	Volume      = 'V' // the name of the archive
)

// ErrHeader is a header that cannot be read.
var ErrHeader = errors.New("a damaged header")

// Header is what stands before the data of a member.
type Header struct {
	Name, Target string // target of a link
	Kind         byte
	Size         int64           // of the data in the archive
	Parts        []sparse.Extent // what the data are of a sparse file, nil of any other
	Whole        int64           // size of the sparse file
}

// Reader reads members one after the other: Next gives a header, Read the
// data behind it.
type Reader struct {
	in        *Input
	left, pad int64 // of the data, and behind them
	block     [BlockSize]byte
}

// NewReader reads what an input gives.
func NewReader(in *Input) *Reader { return &Reader{in: in} }

// Next goes to the next header; io.EOF is the end. ErrHeader is a damaged one
// if Input.Err is nil.
func (t *Reader) Next() (*Header, error) {
	if err := t.in.skip(t.left); err != nil {
		return nil, codec.NoEOF(err)
	}
	pad := t.pad
	t.left, t.pad = 0, 0
	if err := t.in.skip(pad); err != nil {
		return nil, err
	}
	var said about
	for {
		if err := t.readBlock(); err != nil {
			return nil, err
		}
		h, err := parseHeader(t.block[:])
		if err != nil {
			return nil, err
		}
		if said.is(h.Kind) {
			text, err := t.text(h.Size)
			if err == nil {
				err = said.add(h.Kind, text)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := said.apply(h); err != nil {
			return nil, err
		}
		if h.noData() && h.Size > 0 && !t.dataFollow() {
			h.Size = 0
		}
		t.left, t.pad = h.Size, -h.Size&(BlockSize-1)
		return h, t.readMap(h, &said)
	}
}

// Read gives the data of a member.
func (t *Reader) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	n, err := t.in.Read(p[:min(int64(len(p)), t.left)])
	t.left -= int64(n)
	if t.left > 0 {
		err = codec.NoEOF(err)
	}
	return n, err
}

// readBlock reads a header. Two blocks of zeros, or one at the end of all, are the
// end of an archive.
func (t *Reader) readBlock() error {
	for zeros := 0; ; zeros++ {
		_, err := io.ReadFull(t.in, t.block[:])
		blank := isBlank(t.block[:])
		switch {
		case err != nil:
			return err
		case blank && zeros == 1:
			return io.EOF
		case !blank && zeros == 1:
			return ErrHeader
		case !blank:
			return nil
		}
	}
}

// text reads the data of a header that speaks of the next one.
func (t *Reader) text(size int64) ([]byte, error) {
	if size > maxText {
		return nil, ErrHeader
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(t.in, text); err != nil {
		return nil, codec.NoEOF(err)
	}
	return text, t.in.skip(-size & (BlockSize - 1))
}

// dataFollow tells whether a member that should have none has data: GNU tar, star
// and others write sizes of links and directories without them, pax and cpio links
// with them. If not, another header follows, or the end.
func (t *Reader) dataFollow() bool {
	b, _ := t.in.r.Peek(2 * BlockSize)
	return len(b) > 0 && (len(b) < BlockSize || !isHeader(b[:BlockSize]) && !isBlank(b))
}

func isBlank(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// noData tells whether members of this kind have no data, as a rule.
func (h *Header) noData() bool {
	return HardLink <= h.Kind && h.Kind <= Fifo || h.IsDir()
}

// IsDir tells a directory, unless it has data.
func (h *Header) IsDir() bool {
	return h.Kind == Directory || h.Kind == Dump || strings.HasSuffix(h.Name, "/")
}

// parseHeader reads a block. Only what is needed may be damaged; times and
// owners may be what they like.
func parseHeader(block []byte) (*Header, error) {
	if !sumFits(block) {
		return nil, ErrHeader
	}
	size, ok := numberOf(block[124:136])
	if !ok {
		return nil, ErrHeader
	}
	h := &Header{Name: stringOf(block[:100]), Target: stringOf(block[157:257]), Kind: block[156], Size: size}
	if prefix := prefixOf(block); prefix != "" {
		h.Name = prefix + "/" + h.Name
	}
	return h, nil
}

// prefixOf is what stands before the name: in ustar, in star, and in what Go
// before 1.8 took for GNU's format, which has times there.
func prefixOf(block []byte) string {
	switch magic := string(block[257:265]); {
	case magic == gnu:
		prefix := stringOf(block[345:500])
		_, atime := numberOf(block[345:357])
		_, ctime := numberOf(block[357:369])
		if atime && ctime || strings.ContainsFunc(prefix, func(c rune) bool { return c >= 0x80 }) {
			return ""
		}
		return prefix
	case magic[:6] != ustar:
		return ""
	case string(block[508:]) == "tar\x00": // star
		return stringOf(block[345:476])
	}
	return stringOf(block[345:500])
}

const (
	ustar = "ustar\x00"
	gnu   = "ustar  \x00"
)

// stringOf ends with a NUL or with its field.
func stringOf(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}

// numberOf reads octal digits, of which there may be none, or a number of base
// 256, which has the highest bit set. It fails for negative ones.
func numberOf(field []byte) (n int64, ok bool) {
	if field[0]&0x80 != 0 {
		n = int64(field[0] & 0x7f)
		for _, b := range field[1:] {
			if n >= 1<<55 {
				return 0, false
			}
			n = n<<8 | int64(b)
		}
		return n, field[0]&0x40 == 0
	}
	digits := bytes.TrimLeft(field, " \x00")
	if i := bytes.IndexAny(digits, " \x00"); i >= 0 {
		digits = digits[:i]
	}
	if len(digits) == 0 {
		return 0, true
	}
	n, err := strconv.ParseInt(string(digits), 8, 64)
	return n, err == nil && n >= 0
}

// about is what headers say of the member behind them.
type about struct {
	longName, longTarget string
	pax                  map[string]string
	parts                []string // of a sparse file of version 0.0: offset, size, …
}

// is tells whether headers of this kind speak of the next one, or of all.
func (a *about) is(kind byte) bool {
	return strings.IndexByte(string([]byte{pax, paxSun, paxGlobal, longName, longLink}), kind) >= 0
}

// add takes what such a header says. What is said of all members is none of our
// business: times and owners.
func (a *about) add(kind byte, text []byte) error {
	switch kind {
	case longName:
		a.longName = stringOf(text)
	case longLink:
		a.longTarget = stringOf(text)
	case pax, paxSun:
		a.pax = make(map[string]string)
		return a.addRecords(text)
	case paxGlobal:
		return (&about{pax: make(map[string]string)}).addRecords(text)
	}
	return nil
}

// addRecords reads pax records: "LENGTH KEY=VALUE\n", LENGTH being that of all.
func (a *about) addRecords(text []byte) error {
	for !isBlank(text) {
		digits, _, _ := bytes.Cut(text[:min(len(text), 20)], []byte{' '})
		n, err := strconv.Atoi(string(digits))
		if err != nil || n <= len(digits)+1 || n > len(text) || text[n-1] != '\n' {
			return ErrHeader
		}
		key, value, ok := strings.Cut(string(text[len(digits)+1:n-1]), "=")
		if !ok {
			return ErrHeader
		}
		text = text[n:]
		switch key {
		case "GNU.sparse.offset", "GNU.sparse.numbytes":
			a.parts = append(a.parts, value)
		default:
			a.pax[key] = value
		}
	}
	return nil
}

// apply completes a header.
func (a *about) apply(h *Header) error {
	for _, s := range []struct {
		field   *string
		instead []string
	}{
		{&h.Name, []string{a.longName, a.pax["path"], a.pax["GNU.sparse.name"]}},
		{&h.Target, []string{a.longTarget, a.pax["linkpath"]}},
	} {
		for _, text := range s.instead {
			if text != "" {
				*s.field = text
			}
		}
	}
	if size := a.pax["size"]; size != "" {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 {
			return ErrHeader
		}
		h.Size = n
	}
	return nil
}

// readMap reads which parts of a sparse file the data of a member are.
func (t *Reader) readMap(h *Header, said *about) (err error) {
	var numbers []int64
	major, minor := said.pax["GNU.sparse.major"], said.pax["GNU.sparse.minor"]
	switch {
	case h.Kind == sparseFile:
		h.Whole, numbers, err = t.oldMap()
	case major == "1" && minor == "0":
		before := t.left
		numbers, err = t.mapBefore()
		h.Size -= before - t.left
	case major != "" && major != "0" || minor != "" && minor != "0" && minor != "1":
		return nil // unknown
	case said.pax["GNU.sparse.map"] != "":
		numbers, err = parseNumbers(strings.Split(said.pax["GNU.sparse.map"], ","))
	case len(said.parts) > 0:
		numbers, err = parseNumbers(said.parts)
	case said.pax["GNU.sparse.size"] == "":
		return nil
	}
	if h.Kind != sparseFile && err == nil {
		size := said.pax["GNU.sparse.realsize"]
		if size == "" {
			size = said.pax["GNU.sparse.size"]
		}
		if h.Whole, err = strconv.ParseInt(size, 10, 64); err != nil {
			return ErrHeader
		}
	}
	if err != nil {
		return err
	}
	h.Parts, err = partsOf(numbers, h.Size, h.Whole)
	return err
}

// oldMap reads the map of GNU's own format: in the header, and in blocks behind.
func (t *Reader) oldMap() (whole int64, numbers []int64, err error) {
	block := t.block[:]
	if string(block[257:265]) != gnu {
		return 0, nil, ErrHeader // star's is another one
	}
	whole, ok := numberOf(block[483:495])
	list, more := block[386:482], block[482]
	for ok {
		for ; len(list) >= 24 && list[0] != 0; list = list[24:] {
			offset, okOffset := numberOf(list[:12])
			size, okSize := numberOf(list[12:24])
			numbers, ok = append(numbers, offset, size), ok && okOffset && okSize
		}
		if more == 0 || len(numbers) > 2*maxParts {
			break
		}
		if _, err := io.ReadFull(t.in, block); err != nil {
			return 0, nil, codec.NoEOF(err)
		}
		list, more = block[:504], block[504]
	}
	if !ok {
		return 0, nil, ErrHeader
	}
	return whole, numbers, nil
}

// mapBefore reads the map of GNU's version 1.0, which stands before the data in
// blocks of its own: how many parts, then offset and size of each, one a line.
func (t *Reader) mapBefore() ([]int64, error) {
	var numbers []int64
	var line []byte
	var block [BlockSize]byte
	for want := int64(1); int64(len(numbers)) < want; {
		if _, err := io.ReadFull(t, block[:]); err != nil {
			return nil, codec.NoEOF(err)
		}
		for _, c := range block {
			if c != '\n' {
				line = append(line, c)
				continue
			}
			n, err := strconv.ParseInt(string(line), 10, 64)
			if line = line[:0]; err != nil {
				return nil, ErrHeader
			}
			if numbers = append(numbers, n); len(numbers) == 1 {
				if want = 1 + 2*n; n < 0 || n > maxParts {
					return nil, ErrHeader
				}
			}
			if int64(len(numbers)) == want {
				break
			}
		}
		if len(line) > 20 {
			return nil, ErrHeader
		}
	}
	return numbers[1:], nil
}

func parseNumbers(texts []string) (numbers []int64, err error) {
	for _, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, ErrHeader
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// partsOf makes parts of offsets and sizes. They must be in order, lie in the whole
// file, and be as long as the data.
func partsOf(numbers []int64, size, whole int64) ([]sparse.Extent, error) {
	if len(numbers)%2 != 0 || len(numbers) > 2*maxParts {
		return nil, ErrHeader
	}
	parts := make([]sparse.Extent, 0, len(numbers)/2)
	end := int64(0)
	for i := 0; i < len(numbers); i += 2 {
		part := sparse.Extent{At: numbers[i], Size: numbers[i+1]}
		if part.At < end || part.Size < 0 || part.Size > math.MaxInt64-part.At || part.Size > size {
			return nil, ErrHeader
		}
		end = part.End()
		if size -= part.Size; part.Size > 0 {
			parts = append(parts, part)
		}
	}
	if size != 0 || whole < end {
		return nil, ErrHeader
	}
	return parts, nil
}

// NextPart gives the parts of a sparse member, one after the other.
func (h *Header) NextPart() func(from int64) (sparse.Extent, error) {
	parts := h.Parts
	return func(int64) (sparse.Extent, error) {
		if len(parts) == 0 {
			return sparse.Extent{At: h.Whole}, nil
		}
		part := parts[0]
		parts = parts[1:]
		return part, nil
	}
}

// IsDump tells whether the data of the member begin as GNU tar's list of a directory: for each file a
// letter and its name, ended by a NUL.
func (t *Reader) IsDump() bool {
	b, _ := t.in.r.Peek(int(min(t.left, BlockSize)))
	return bytes.IndexByte(b, 0) >= 0 && bytes.IndexByte([]byte("DNRTXY\x00"), b[0]) >= 0 &&
		bytes.IndexByte(b, '\n') < 0
}
