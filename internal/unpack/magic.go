// Package unpack says what something is by its first bytes, or by all of them, and
// unpacks what is packed.
//
//	magic.go    forms that begin in their own way: packed data, archives, what is no log
//	records.go  records of logins, by their structure
//	texture.go  text, or neither text nor a form that is read here, by samples of all
//	hint.go     what that may be, by its name
//	unpack.go   decoders of one layer, used again
package unpack

import (
	"bytes"
	"encoding/binary"

	"github.com/tomoscrape/tomoscrape/internal/tarfile"
)

var le, be = binary.LittleEndian, binary.BigEndian

// HeadLen is how much of the beginning is looked at: a tar header.
const HeadLen = tarfile.BlockSize

// Kind is what the first bytes say.
type Kind struct {
	Form   Form
	Reason string // of Skip and Refuse
}

type Form int

const (
	Text    Form = iota
	Skip         // no log
	Foreign      // something that may hold anything, but is seldom a log's, and cannot be read here
	Refuse       // may hold a log, but cannot be read here
	Gzip
	Bzip2
	XZ
	Zstd
	Tar
	Zip
	Deflate // inside zip archives only
	Store   // inside zip archives only
)

// Compressed tells what holds one thing, packed.
func (f Form) Compressed() bool {
	return f == Gzip || f == Bzip2 || f == XZ || f == Zstd
}

// Data names the layer in messages.
func (f Form) Data() string {
	switch f {
	case Gzip:
		return "gzip data"
	case Bzip2:
		return "bzip2 data"
	case XZ:
		return "xz data"
	case Zstd:
		return "zstd data"
	case Tar:
		return "tar archive"
	case Zip, Deflate, Store:
		return "zip archive"
	}
	return ""
}

const unpackFirst = "cannot be read here, unpack it first"

// magics is tried in order. What stands here must be so unlike text that no log
// begins with it by chance.
var magics = []struct {
	magic string
	kind  Kind
}{
	{"BZh?1AY&SY", Kind{Form: Bzip2}},
	{"BZh?\x17\x72\x45\x38\x50\x90", Kind{Form: Bzip2}}, // empty
	{"\xfd7zXZ\x00", Kind{Form: XZ}},
	{"\x28\xb5\x2f\xfd", Kind{Form: Zstd}},
	{"PK\x03\x04", Kind{Form: Zip}},
	{"PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00", Kind{Form: Zip}}, // empty
	{"PK\x07\x08PK\x03\x04", Kind{Form: Zip}},                       // once split

	{"LPKSHHRH", Kind{Refuse, "systemd journal; read it with: journalctl --file F -o json -a | tomoscrape replay -"}},
	{"\xff\xfe\x00\x00", Kind{Refuse, "UTF-32 text; convert it first: iconv -f UTF-32 -t UTF-8"}},
	{"\xff\xfe", Kind{Refuse, "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8"}},
	{"\xfe\xff", Kind{Refuse, "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8"}},
	{"7z\xbc\xaf\x27\x1c", Kind{Refuse, "7z archive; it " + unpackFirst}},
	{"Rar!\x1a\x07", Kind{Refuse, "rar archive; it " + unpackFirst}},
	{"\x04\x22\x4d\x18", Kind{Refuse, "lz4 data; it " + unpackFirst + " (lz4 -d)"}},
	{"\x02\x21\x4c\x18", Kind{Refuse, "lz4 data; it " + unpackFirst + " (lz4 -d)"}},
	{"LZIP\x01", Kind{Refuse, "lzip data; it " + unpackFirst + " (lzip -d)"}},
	{"\x89LZO\x00\r\n\x1a\n", Kind{Refuse, "lzop data; it " + unpackFirst + " (lzop -d)"}},
	{"\xff\x06\x00\x00sNaPpY", Kind{Refuse, "snappy data; it " + unpackFirst}},
	{"LRZI\x00", Kind{Refuse, "lrzip data; it " + unpackFirst + " (lrzip -d)"}},
	{"\x1f\x9d", Kind{Refuse, "compress (.Z) data; it " + unpackFirst + " (uncompress)"}},

	{"\x7fELF", Kind{Skip, "ELF file"}},
	{"SQLite format 3\x00", Kind{Skip, "SQLite database"}},
	{"\x89PNG\r\n\x1a\n", Kind{Skip, "PNG image"}},
	{"\xff\xd8\xff", Kind{Skip, "JPEG image"}},
	{"GIF87a", Kind{Skip, "GIF image"}},
	{"GIF89a", Kind{Skip, "GIF image"}},
	{"%PDF-", Kind{Skip, "PDF document"}},
	{"\xca\xfe\xba\xbe", Kind{Skip, "Java class or Mach-O file"}},
	{"\xfe\xed\xfa\xce", Kind{Skip, "Mach-O file"}},
	{"\xfe\xed\xfa\xcf", Kind{Skip, "Mach-O file"}},
	{"\xce\xfa\xed\xfe", Kind{Skip, "Mach-O file"}},
	{"\xcf\xfa\xed\xfe", Kind{Skip, "Mach-O file"}},
	{"\xed\xab\xee\xdb", Kind{Foreign, "RPM package; it " + unpackFirst + " (rpm2cpio)"}},
	{"!<arch>\n", Kind{Foreign, "ar archive or Debian package; it " + unpackFirst + " (ar x)"}},
	{"xar!\x00", Kind{Foreign, "xar archive; it " + unpackFirst + " (xar -x)"}},
	{"MSCF\x00\x00\x00\x00", Kind{Foreign, "cabinet archive; it " + unpackFirst + " (cabextract)"}},
	{"QFI\xfb", Kind{Foreign, "disk image (qcow2); it " + unpackFirst + " (guestmount)"}},
	{"\x00asm\x01\x00\x00\x00", Kind{Skip, "WebAssembly module"}},
	{"\xd4\xc3\xb2\xa1", Kind{Skip, "packet capture"}},
	{"\xa1\xb2\xc3\xd4", Kind{Skip, "packet capture"}},
	{"\x0a\x0d\x0d\x0a????\x4d\x3c\x2b\x1a", Kind{Skip, "packet capture"}},
	{"KDUMP   ", Kind{Skip, "kernel crash dump"}},
}

// Sniff says what begins with head, the first HeadLen bytes or all there are.
func Sniff(head []byte) Kind {
	if isGzip(head) {
		return Kind{Form: Gzip}
	}
	for i := range magics {
		if hasMagic(head, magics[i].magic) {
			return magics[i].kind.orCore(head)
		}
	}
	switch {
	case isSkippableZstd(head):
		return Kind{Form: Zstd}
	case tarfile.Is(head):
		return Kind{Form: Tar}
	case isLZMA(head):
		return Kind{Refuse, "lzma data; it " + unpackFirst + " (xz -d --format=lzma)"}
	case isCPIO(head):
		return Kind{Refuse, "cpio archive; it " + unpackFirst}
	case IsPE(head):
		return Kind{Skip, "Windows program"}
	case isUtmp(head):
		return Kind{Skip, utmpRecords}
	case isLastlog(head):
		return Kind{Skip, lastlogRecords}
	}
	return Kind{}
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
func (k Kind) orCore(head []byte) Kind {
	if k.Form == Skip && hasMagic(head, "\x7fELF") && len(head) > 17 && head[16]|head[17] == 4 {
		k.Reason = "ELF core dump"
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

// IsPE tells a Windows program: MZ and, where it says, the PE header.
func IsPE(head []byte) bool {
	if len(head) < 64 || !hasMagic(head, "MZ") {
		return false
	}
	at := le.Uint32(head[60:])
	return at < HeadLen-4 && int(at)+4 <= len(head) && string(head[at:at+4]) == "PE\x00\x00"
}
