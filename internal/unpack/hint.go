package unpack

import (
	"bytes"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/paths"
)

// packings are the ends of names that say that something is packed, and with what
// it is unpacked.
var packings = map[string]packing{
	"gz": {"gzip data", "gzip -dc"}, "tgz": {"gzip data", "gzip -dc"},
	"bz2": {"bzip2 data", "bzip2 -dc"}, "tbz2": {"bzip2 data", "bzip2 -dc"}, "tbz": {"bzip2 data", "bzip2 -dc"},
	"xz": {"xz data", "xz -dc"}, "txz": {"xz data", "xz -dc"}, "lzma": {"lzma data", "xz -dc --format=lzma"},
	"zst": {"zstd data", "zstd -dc"}, "tzst": {"zstd data", "zstd -dc"},
	"z": {"compress (.Z) data", "uncompress -c"}, "zz": {"zlib data", "pigz -dc"}, "zlib": {"zlib data", "pigz -dc"},
	"br": {"brotli data", "brotli -dc"}, "lz4": {"lz4 data", "lz4 -dc"}, "lz": {"lzip data", "lzip -dc"},
	"lzo": {"lzop data", "lzop -dc"}, "lrz": {"lrzip data", "lrzip -d"}, "sz": {"snappy data", "snzip -dc"},
	"7z": {"7z archive", "7z x"}, "rar": {"rar archive", "unrar x"}, "zip": {"zip archive", "unzip"},
	"tar": {"tar archive", "tar -x"}, "cpio": {"cpio archive", "cpio -i"},
}

// headless is what does not begin in a way of its own. All else would have been known
// by its beginning.
var headless = map[string]bool{"brotli data": true, "zlib data": true, "lzma data": true}

type packing struct{ what, command string }

// ciphers are the ends of names of what is encrypted.
var ciphers = map[string]bool{"gpg": true, "pgp": true, "age": true, "enc": true, "aes": true}

// PackedByName tells whether a name promises something packed, or a log that is
// encrypted.
func PackedByName(name string) bool {
	_, ok := packedByName(name)
	return ok
}

// packedByName says what a name promises: something packed (X.log.br, X.gz.tailed,
// X.7z.001), or a log that is encrypted (X.log.gpg). Any name that says "packed"
// may be a log's.
func packedByName(name string) (p packing, ok bool) {
	parts := strings.Split(strings.ToLower(paths.LastName(name)), ".")
	last := parts[len(parts)-1]
	if len(parts) < 2 {
		return packing{}, false
	}
	if ciphers[last] {
		for _, part := range parts[1 : len(parts)-1] {
			if _, packed := packings[part]; packed || strings.HasPrefix(part, "log") {
				return packing{"encrypted", "gpg -d"}, true
			}
		}
		return packing{}, false
	}
	if isVolume(last, parts[len(parts)-2]) {
		return packing{what: "one part of a split archive"}, true
	}
	if p, ok = packings[last]; !ok && len(parts) > 2 {
		p, ok = packings[parts[len(parts)-2]]
	}
	return p, ok
}

// isVolume tells whether a name ends as those of an archive's parts: z01 (zip), r00
// (rar), and 001 behind what the archive is packed with.
func isVolume(end, before string) bool {
	if len(end) != 3 || !digits([]byte(end[1:])) {
		return false
	}
	_, packed := packings[before]
	return end[0] == 'z' || end[0] == 'r' || packed && digits([]byte(end))
}

// signatures are what forms begin with that text may begin with, too. They are
// looked at when it is known that something is no text.
var signatures = []struct{ magic, what string }{
	{"PAR1", "Parquet file"}, {"Salted__", "data encrypted by openssl"}, {"\x01CD001", "ISO 9660 image"},
	{"ZIM\x04", "ZIM archive"}, {"hsqs", "squashfs image"}, {"KDMV", "disk image (vmdk)"}, {"conectix",
		"disk image (vhd)"},
	{"\x80\x04\x95", "Python pickle"}, {"\xac\xed\x00\x05", "serialized Java objects"}, {"\x89HDF\r\n\x1a\n",
		"HDF5 file"},
	{"\x00\x01\x00\x00Standard ", "Microsoft Access database"}, {"\x8c\x0d\x04", "data encrypted by gpg"},
	{"x\x01", "zlib data (pigz -dc)"}, {"x\x9c", "zlib data (pigz -dc)"}, {"x\xda", "zlib data (pigz -dc)"},
	{"age-encryption.org/", "data encrypted by age"}, {"070701", "cpio archive"}, {"070707", "cpio archive"},
}

// extMagic is where an ext file system has its magic number: in the superblock,
// which begins at 1024 (linux/fs/ext4/ext4.h).
const extMagic = 1024 + 56

// hint says what it may be that is no text, by its name or what it begins with,
// and what to do; with a mark before. first are its first bytes behind so many
// NULs.
func hint(name string, first []byte, lead int64) string {
	if at := extMagic - lead; 0 <= at && at+2 <= int64(len(first)) && string(first[at:at+2]) == "\x53\xef" {
		return "; it may be: ext file system image"
	}
	for _, s := range signatures {
		if bytes.HasPrefix(first, []byte(s.magic)) {
			return "; it may be: " + s.what
		}
	}
	if bytes.HasPrefix(first, []byte("#!")) {
		return ": a script with something packed behind it"
	}
	switch p, ok := packedByName(name); {
	case !ok:
		return ""
	case p.command == "":
		return "; its name says that it is " + p.what + ": join the parts first"
	case p.what == "encrypted":
		return "; its name says that it is encrypted, decrypt it first"
	case !headless[p.what]:
		return "; its name says " + p.what + ", of which the beginning is not there: what is left cannot be unpacked"
	default:
		return "; its name says " + p.what + " (" + p.command + ")"
	}
}
