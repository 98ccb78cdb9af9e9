package source

import (
	"bytes"
)

// sniffLen is how much of the beginning is looked at: a tar header.
const sniffLen = 512

// kind is what the first bytes say.
type kind struct {
	form   form
	reason string // of skip and refuse
}

type form int

const (
	text    form = iota
	skip         // no log
	foreign      // something that may hold anything, but is seldom a log's, and cannot be read here
	refuse       // may hold a log, but cannot be read here
	gzipped
	bzipped
	xzipped
	zstandard
	tarball
	zipped
	deflated // inside zip archives only
	stored   // inside zip archives only
)

// compressed tells what holds one thing, packed.
func (f form) compressed() bool {
	return f == gzipped || f == bzipped || f == xzipped || f == zstandard
}

// data names the layer in messages.
func (f form) data() string {
	switch f {
	case gzipped:
		return "gzip data"
	case bzipped:
		return "bzip2 data"
	case xzipped:
		return "xz data"
	case zstandard:
		return "zstd data"
	case tarball:
		return "tar archive"
	case zipped, deflated, stored:
		return "zip archive"
	}
	return ""
}

const unpackFirst = "cannot be read here, unpack it first"

// magics is tried in order. What stands here must be so unlike text that no log
// begins with it by chance.
var magics = []struct {
	magic string
	kind  kind
}{
	{"BZh?1AY&SY", kind{form: bzipped}},
	{"BZh?\x17\x72\x45\x38\x50\x90", kind{form: bzipped}}, // empty
	{"\xfd7zXZ\x00", kind{form: xzipped}},
	{"\x28\xb5\x2f\xfd", kind{form: zstandard}},
	{"PK\x03\x04", kind{form: zipped}},
	{"PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00", kind{form: zipped}}, // empty
	{"PK\x07\x08PK\x03\x04", kind{form: zipped}},                       // once split

	{"LPKSHHRH", kind{refuse, "systemd journal; read it with: journalctl --file F -o json -a | tomoscrape replay -"}},
	{"\xff\xfe\x00\x00", kind{refuse, "UTF-32 text; convert it first: iconv -f UTF-32 -t UTF-8"}},
	{"\xff\xfe", kind{refuse, "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8"}},
	{"\xfe\xff", kind{refuse, "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8"}},
	{"7z\xbc\xaf\x27\x1c", kind{refuse, "7z archive; it " + unpackFirst}},
	{"Rar!\x1a\x07", kind{refuse, "rar archive; it " + unpackFirst}},
	{"\x04\x22\x4d\x18", kind{refuse, "lz4 data; it " + unpackFirst + " (lz4 -d)"}},
	{"\x02\x21\x4c\x18", kind{refuse, "lz4 data; it " + unpackFirst + " (lz4 -d)"}},
	{"LZIP\x01", kind{refuse, "lzip data; it " + unpackFirst + " (lzip -d)"}},
	{"\x89LZO\x00\r\n\x1a\n", kind{refuse, "lzop data; it " + unpackFirst + " (lzop -d)"}},
	{"\xff\x06\x00\x00sNaPpY", kind{refuse, "snappy data; it " + unpackFirst}},
	{"LRZI\x00", kind{refuse, "lrzip data; it " + unpackFirst + " (lrzip -d)"}},
	{"\x1f\x9d", kind{refuse, "compress (.Z) data; it " + unpackFirst + " (uncompress)"}},

	{"\x7fELF", kind{skip, "ELF file"}},
	{"SQLite format 3\x00", kind{skip, "SQLite database"}},
	{"\x89PNG\r\n\x1a\n", kind{skip, "PNG image"}},
	{"\xff\xd8\xff", kind{skip, "JPEG image"}},
	{"GIF87a", kind{skip, "GIF image"}},
	{"GIF89a", kind{skip, "GIF image"}},
	{"%PDF-", kind{skip, "PDF document"}},
	{"\xca\xfe\xba\xbe", kind{skip, "Java class or Mach-O file"}},
	{"\xfe\xed\xfa\xce", kind{skip, "Mach-O file"}},
	{"\xfe\xed\xfa\xcf", kind{skip, "Mach-O file"}},
	{"\xce\xfa\xed\xfe", kind{skip, "Mach-O file"}},
	{"\xcf\xfa\xed\xfe", kind{skip, "Mach-O file"}},
	{"\xed\xab\xee\xdb", kind{foreign, "RPM package; it " + unpackFirst + " (rpm2cpio)"}},
	{"!<arch>\n", kind{foreign, "ar archive or Debian package; it " + unpackFirst + " (ar x)"}},
	{"xar!\x00", kind{foreign, "xar archive; it " + unpackFirst + " (xar -x)"}},
	{"MSCF\x00\x00\x00\x00", kind{foreign, "cabinet archive; it " + unpackFirst + " (cabextract)"}},
	{"QFI\xfb", kind{foreign, "disk image (qcow2); it " + unpackFirst + " (guestmount)"}},
	{"\x00asm\x01\x00\x00\x00", kind{skip, "WebAssembly module"}},
	{"\xd4\xc3\xb2\xa1", kind{skip, "packet capture"}},
	{"\xa1\xb2\xc3\xd4", kind{skip, "packet capture"}},
	{"\x0a\x0d\x0d\x0a????\x4d\x3c\x2b\x1a", kind{skip, "packet capture"}},
	{"KDUMP   ", kind{skip, "kernel crash dump"}},
}

// sniff says what begins with head, the first sniffLen bytes or all there are.
func sniff(head []byte) kind {
	if isGzip(head) {
		return kind{form: gzipped}
	}
	for i := range magics {
		if hasMagic(head, magics[i].magic) {
			return magics[i].kind.orCore(head)
		}
	}
	switch {
	case isSkippableZstd(head):
		return kind{form: zstandard}
	case isTar(head):
		return kind{form: tarball}
	case isLZMA(head):
		return kind{refuse, "lzma data; it " + unpackFirst + " (xz -d --format=lzma)"}
	case isCPIO(head):
		return kind{refuse, "cpio archive; it " + unpackFirst}
	case isPE(head):
		return kind{skip, "Windows program"}
	case isUtmp(head):
		return kind{skip, utmpRecords}
	case isLastlog(head):
		return kind{skip, lastlogRecords}
	}
	return kind{}
}

// hasMagic compares; a "?" stands for any byte.
func hasMagic(head []byte, magic string) bool {
	if len(head) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && head[i] != magic[i] {
			return false
		}
	}
	return true
}

// orCore tells core dumps from programs: e_type 4 at offset 16.
func (k kind) orCore(head []byte) kind {
	if k.form == skip && hasMagic(head, "\x7fELF") && len(head) > 17 && head[16]|head[17] == 4 {
		k.reason = "ELF core dump"
	}
	return k
}

// isGzip: magic, deflate, and no reserved flag (RFC 1952).
func isGzip(head []byte) bool {
	return hasMagic(head, "\x1f\x8b\x08") && len(head) > 3 && head[3]&0xe0 == 0
}

// isSkippableZstd: a frame that is to be skipped, then a zstd frame or another
// one beyond what is seen here (RFC 8878, 3.1.2). lz4 has such frames, too.
func isSkippableZstd(head []byte) bool {
	for len(head) >= 8 && hasMagic(head[1:], "\x2a\x4d\x18") && head[0]&0xf0 == 0x50 {
		size := int64(le.Uint32(head[4:])) + 8
		if size >= int64(len(head)) {
			return true
		}
		if head = head[size:]; hasMagic(head, "\x28\xb5\x2f\xfd") {
			return true
		}
	}
	return false
}

// isTar: the magic of POSIX or GNU, or a header whose checksum is right (v7).
func isTar(head []byte) bool {
	if len(head) < 265 {
		return false
	}
	if magic := string(head[257:265]); magic == tarUstar+"00" || magic == tarGNU {
		return head[0] != 0 || len(head) >= tarBlock && tarSumFits(head)
	}
	return hasTarSum(head)
}

// hasTarSum tells whether a block that begins with a name is a tar header whose
// checksum is right.
func hasTarSum(block []byte) bool {
	return len(block) >= tarBlock && block[0] != 0 && tarSumFits(block)
}

// tarSumFits compares the checksum of a tar header. Some old programs summed the
// bytes as signed ones.
func tarSumFits(block []byte) bool {
	want, ok := tarNumber(block[148:156])
	if !ok {
		return false
	}
	var sum, signed int64
	for i, b := range block[:tarBlock] {
		if 148 <= i && i < 156 {
			b = ' '
		}
		sum += int64(b)
		signed += int64(int8(b))
	}
	return want == sum || want == signed
}

// isLZMA: a header of the .lzma format, which has no magic: the usual lc, lp and
// pb, a dictionary of 2^n or 2^n+2^(n-1) bytes, and a size that is unknown or
// less than 256 GiB.
func isLZMA(head []byte) bool {
	if len(head) < 14 || head[0] != 0x5d || head[13] != 0 {
		return false
	}
	dict := le.Uint32(head[1:])
	size := le.Uint64(head[5:])
	top := dict & (dict - 1)
	return dict >= 1<<12 && (top == 0 || top == dict&-dict<<1) && (size == 1<<64-1 || size < 1<<38)
}

// isCPIO: a whole header, since a log may begin with the digits of a date.
func isCPIO(head []byte) bool {
	digits := func(n int, allowed string) bool {
		return len(head) >= n && len(bytes.Trim(head[:n], allowed)) == 0
	}
	switch {
	case hasMagic(head, "070701"), hasMagic(head, "070702"):
		return digits(110, "0123456789abcdefABCDEF")
	case hasMagic(head, "070707"):
		return digits(76, "01234567")
	}
	return false
}

// isPE: MZ and, where it says, the PE header.
func isPE(head []byte) bool {
	if len(head) < 64 || !hasMagic(head, "MZ") {
		return false
	}
	at := le.Uint32(head[60:])
	return at < sniffLen-4 && int(at)+4 <= len(head) && string(head[at:at+4]) == "PE\x00\x00"
}
