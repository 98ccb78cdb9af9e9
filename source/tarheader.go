package source

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// This file reads what a tar archive says of its members: headers of v7, ustar,
// pax (POSIX.1-2001), GNU and star, and the sparse files of GNU tar ("GNU tar: an
// archiver tool", appendix D). ADR 9 says why archive/tar does not.

const (
	maxTarText  = 8 << 20 // of long names and pax records before a member
	maxTarParts = 1 << 20 // of a sparse file
)

// The types of members that are spoken of (the others are files).
const (
	tarHardLink  = '1'
	tarSymlink   = '2'
	tarChar      = '3'
	tarBlockDev  = '4'
	tarDir       = '5'
	tarFifo      = '6'
	tarPax       = 'x'
	tarPaxSun    = 'X'
	tarPaxGlobal = 'g'
	tarLongName  = 'L'
	tarLongLink  = 'K'
	tarSparse    = 'S'
	tarDump      = 'D' // a directory with the names that were in it
	tarVolume    = 'V' // the name of the archive
)

var errTarHeader = errors.New("a damaged header")

// tarHeader is what stands before the data of a member.
type tarHeader struct {
	name, target string // target of a link
	kind         byte
	size         int64    // of the data in the archive
	parts        []extent // what the data are of a sparse file, nil of any other
	whole        int64    // size of the sparse file
}

// tarReader reads members one after the other: next gives a header, Read the
// data behind it.
type tarReader struct {
	in        *tarInput
	left, pad int64 // of the data, and behind them
	block     [tarBlock]byte
}

// next goes to the next header; io.EOF is the end. errTarHeader is a damaged one
// if in.err is nil.
func (t *tarReader) next() (*tarHeader, error) {
	if err := t.in.skip(t.left); err != nil {
		return nil, noEOF(err)
	}
	pad := t.pad
	t.left, t.pad = 0, 0
	if err := t.in.skip(pad); err != nil {
		return nil, err
	}
	var about tarAbout
	for {
		if err := t.readBlock(); err != nil {
			return nil, err
		}
		h, err := parseTarHeader(t.block[:])
		if err != nil {
			return nil, err
		}
		if about.is(h.kind) {
			text, err := t.text(h.size)
			if err == nil {
				err = about.add(h.kind, text)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := about.apply(h); err != nil {
			return nil, err
		}
		if h.noData() && h.size > 0 && !t.dataFollow() {
			h.size = 0
		}
		t.left, t.pad = h.size, -h.size&(tarBlock-1)
		return h, t.readMap(h, &about)
	}
}

// Read gives the data of a member.
func (t *tarReader) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	n, err := t.in.Read(p[:min(int64(len(p)), t.left)])
	t.left -= int64(n)
	if t.left > 0 {
		err = noEOF(err)
	}
	return n, err
}

// readBlock reads a header. Two blocks of zeros, or one at the end of all, are the
// end of an archive.
func (t *tarReader) readBlock() error {
	for zeros := 0; ; zeros++ {
		_, err := io.ReadFull(t.in, t.block[:])
		blank := isBlank(t.block[:])
		switch {
		case err != nil:
			return err
		case blank && zeros == 1:
			return io.EOF
		case !blank && zeros == 1:
			return errTarHeader
		case !blank:
			return nil
		}
	}
}

// text reads the data of a header that speaks of the next one.
func (t *tarReader) text(size int64) ([]byte, error) {
	if size > maxTarText {
		return nil, errTarHeader
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(t.in, text); err != nil {
		return nil, noEOF(err)
	}
	return text, t.in.skip(-size & (tarBlock - 1))
}

// dataFollow tells whether a member that should have none has data: GNU tar, star
// and others write sizes of links and directories without them, pax and cpio links
// with them. If not, another header follows, or the end.
func (t *tarReader) dataFollow() bool {
	b, _ := t.in.r.Peek(2 * tarBlock)
	return len(b) > 0 && (len(b) < tarBlock || !isTarHeader(b[:tarBlock]) && !isBlank(b))
}

func isBlank(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// noData tells whether members of this kind have no data, as a rule.
func (h *tarHeader) noData() bool {
	return tarHardLink <= h.kind && h.kind <= tarFifo || h.isDir()
}

// isDir tells a directory, unless it has data.
func (h *tarHeader) isDir() bool {
	return h.kind == tarDir || h.kind == tarDump || strings.HasSuffix(h.name, "/")
}

// parseTarHeader reads a block. Only what is needed may be damaged; times and
// owners may be what they like.
func parseTarHeader(block []byte) (*tarHeader, error) {
	if !tarSumFits(block) {
		return nil, errTarHeader
	}
	size, ok := tarNumber(block[124:136])
	if !ok {
		return nil, errTarHeader
	}
	h := &tarHeader{name: tarString(block[:100]), target: tarString(block[157:257]), kind: block[156], size: size}
	if prefix := tarPrefix(block); prefix != "" {
		h.name = prefix + "/" + h.name
	}
	return h, nil
}

// tarPrefix is what stands before the name: in ustar, in star, and in what Go
// before 1.8 took for GNU's format, which has times there.
func tarPrefix(block []byte) string {
	switch magic := string(block[257:265]); {
	case magic == tarGNU:
		prefix := tarString(block[345:500])
		_, atime := tarNumber(block[345:357])
		_, ctime := tarNumber(block[357:369])
		if atime && ctime || strings.ContainsFunc(prefix, func(c rune) bool { return c >= 0x80 }) {
			return ""
		}
		return prefix
	case magic[:6] != tarUstar:
		return ""
	case string(block[508:]) == "tar\x00": // star
		return tarString(block[345:476])
	}
	return tarString(block[345:500])
}

const (
	tarUstar = "ustar\x00"
	tarGNU   = "ustar  \x00"
)

// tarString ends with a NUL or with its field.
func tarString(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}

// tarNumber reads octal digits, of which there may be none, or a number of base
// 256, which has the highest bit set. It fails for negative ones.
func tarNumber(field []byte) (n int64, ok bool) {
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

// tarAbout is what headers say of the member behind them.
type tarAbout struct {
	longName, longTarget string
	pax                  map[string]string
	parts                []string // of a sparse file of version 0.0: offset, size, …
}

// is tells whether headers of this kind speak of the next one, or of all.
func (a *tarAbout) is(kind byte) bool {
	return strings.IndexByte(string([]byte{tarPax, tarPaxSun, tarPaxGlobal, tarLongName, tarLongLink}), kind) >= 0
}

// add takes what such a header says. What is said of all members is none of our
// business: times and owners.
func (a *tarAbout) add(kind byte, text []byte) error {
	switch kind {
	case tarLongName:
		a.longName = tarString(text)
	case tarLongLink:
		a.longTarget = tarString(text)
	case tarPax, tarPaxSun:
		a.pax = make(map[string]string)
		return a.addRecords(text)
	case tarPaxGlobal:
		return (&tarAbout{pax: make(map[string]string)}).addRecords(text)
	}
	return nil
}

// addRecords reads pax records: "LENGTH KEY=VALUE\n", LENGTH being that of all.
func (a *tarAbout) addRecords(text []byte) error {
	for !isBlank(text) {
		digits, _, _ := bytes.Cut(text[:min(len(text), 20)], []byte{' '})
		n, err := strconv.Atoi(string(digits))
		if err != nil || n <= len(digits)+1 || n > len(text) || text[n-1] != '\n' {
			return errTarHeader
		}
		key, value, ok := strings.Cut(string(text[len(digits)+1:n-1]), "=")
		if !ok {
			return errTarHeader
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
func (a *tarAbout) apply(h *tarHeader) error {
	for _, s := range []struct {
		field   *string
		instead []string
	}{
		{&h.name, []string{a.longName, a.pax["path"], a.pax["GNU.sparse.name"]}},
		{&h.target, []string{a.longTarget, a.pax["linkpath"]}},
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
			return errTarHeader
		}
		h.size = n
	}
	return nil
}

// readMap reads which parts of a sparse file the data of a member are.
func (t *tarReader) readMap(h *tarHeader, about *tarAbout) (err error) {
	var numbers []int64
	major, minor := about.pax["GNU.sparse.major"], about.pax["GNU.sparse.minor"]
	switch {
	case h.kind == tarSparse:
		h.whole, numbers, err = t.oldMap()
	case major == "1" && minor == "0":
		before := t.left
		numbers, err = t.mapBefore()
		h.size -= before - t.left
	case major != "" && major != "0" || minor != "" && minor != "0" && minor != "1":
		return nil // unknown
	case about.pax["GNU.sparse.map"] != "":
		numbers, err = parseNumbers(strings.Split(about.pax["GNU.sparse.map"], ","))
	case len(about.parts) > 0:
		numbers, err = parseNumbers(about.parts)
	case about.pax["GNU.sparse.size"] == "":
		return nil
	}
	if h.kind != tarSparse && err == nil {
		size := about.pax["GNU.sparse.realsize"]
		if size == "" {
			size = about.pax["GNU.sparse.size"]
		}
		if h.whole, err = strconv.ParseInt(size, 10, 64); err != nil {
			return errTarHeader
		}
	}
	if err != nil {
		return err
	}
	h.parts, err = partsOf(numbers, h.size, h.whole)
	return err
}

// oldMap reads the map of GNU's own format: in the header, and in blocks behind.
func (t *tarReader) oldMap() (whole int64, numbers []int64, err error) {
	block := t.block[:]
	if string(block[257:265]) != tarGNU {
		return 0, nil, errTarHeader // star's is another one
	}
	whole, ok := tarNumber(block[483:495])
	list, more := block[386:482], block[482]
	for ok {
		for ; len(list) >= 24 && list[0] != 0; list = list[24:] {
			offset, okOffset := tarNumber(list[:12])
			size, okSize := tarNumber(list[12:24])
			numbers, ok = append(numbers, offset, size), ok && okOffset && okSize
		}
		if more == 0 || len(numbers) > 2*maxTarParts {
			break
		}
		if _, err := io.ReadFull(t.in, block); err != nil {
			return 0, nil, noEOF(err)
		}
		list, more = block[:504], block[504]
	}
	if !ok {
		return 0, nil, errTarHeader
	}
	return whole, numbers, nil
}

// mapBefore reads the map of GNU's version 1.0, which stands before the data in
// blocks of its own: how many parts, then offset and size of each, one a line.
func (t *tarReader) mapBefore() ([]int64, error) {
	var numbers []int64
	var line []byte
	var block [tarBlock]byte
	for want := int64(1); int64(len(numbers)) < want; {
		if _, err := io.ReadFull(t, block[:]); err != nil {
			return nil, noEOF(err)
		}
		for _, c := range block {
			if c != '\n' {
				line = append(line, c)
				continue
			}
			n, err := strconv.ParseInt(string(line), 10, 64)
			if line = line[:0]; err != nil {
				return nil, errTarHeader
			}
			if numbers = append(numbers, n); len(numbers) == 1 {
				if want = 1 + 2*n; n < 0 || n > maxTarParts {
					return nil, errTarHeader
				}
			}
			if int64(len(numbers)) == want {
				break
			}
		}
		if len(line) > 20 {
			return nil, errTarHeader
		}
	}
	return numbers[1:], nil
}

func parseNumbers(texts []string) (numbers []int64, err error) {
	for _, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errTarHeader
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// partsOf makes parts of offsets and sizes. They must be in order, lie in the whole
// file, and be as long as the data.
func partsOf(numbers []int64, size, whole int64) ([]extent, error) {
	if len(numbers)%2 != 0 || len(numbers) > 2*maxTarParts {
		return nil, errTarHeader
	}
	parts := make([]extent, 0, len(numbers)/2)
	end := int64(0)
	for i := 0; i < len(numbers); i += 2 {
		part := extent{numbers[i], numbers[i+1]}
		if part.at < end || part.size < 0 || part.size > math.MaxInt64-part.at || part.size > size {
			return nil, errTarHeader
		}
		end = part.end()
		if size -= part.size; part.size > 0 {
			parts = append(parts, part)
		}
	}
	if size != 0 || whole < end {
		return nil, errTarHeader
	}
	return parts, nil
}
