package source

import (
	"bytes"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/unpack"
)

// zipBehind finds the zip archive behind a program or a script that unpacks it: where
// it begins, or 0 if there is none. Its directory counts from there, or, adjusted to
// what stands before (zip -A), from the beginning of the file.
func zipBehind(head []byte, at io.ReaderAt, size int64) (begin int64, adjusted bool) {
	if at == nil || !bytes.HasPrefix(head, []byte("#!")) && !bytes.HasPrefix(head, []byte("\x7fELF")) &&
		!unpack.IsPE(head) {
		return 0, false
	}
	buf := make([]byte, min(size, zipEndLen+maxComment))
	start := size - int64(len(buf))
	if n, _ := at.ReadAt(buf, start); n < len(buf) {
		return 0, false
	}
	i, _ := lastEnd(buf)
	if i < 0 {
		return 0, false
	}
	length, offset := int64(le.Uint32(buf[i+12:])), int64(le.Uint32(buf[i+16:]))
	directory := start + int64(i) - length
	if begin = directory - offset; begin == 0 {
		adjusted = true
		begin = firstLocal(at, directory)
	}
	var sig [len(zipLocal)]byte
	if begin <= 0 {
		return 0, false
	}
	if n, _ := at.ReadAt(sig[:], begin); n < len(sig) || string(sig[:]) != zipLocal {
		return 0, false
	}
	return begin, adjusted
}

// firstLocal is where the first member stands that a directory names, or 0.
func firstLocal(at io.ReaderAt, directory int64) int64 {
	var entry [zipCentralLen]byte
	if n, _ := at.ReadAt(entry[:], directory); n < len(entry) || string(entry[:4]) != zipCentral {
		return 0
	}
	return int64(le.Uint32(entry[42:]))
}
