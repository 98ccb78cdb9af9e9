package source

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/codec"
)

// The records of a zip archive (APPNOTE.TXT 4.3).
var le = binary.LittleEndian

const (
	zipLocal      = "PK\x03\x04"
	zipCentral    = "PK\x01\x02"
	zipSigned     = "PK\x05\x05" // signature of the directory
	zipEnd        = "PK\x05\x06"
	zipEnd64      = "PK\x06\x06"
	zipLocator64  = "PK\x06\x07"
	zipExtra      = "PK\x06\x08" // archive extra data, before an encrypted directory
	zipDescriptor = "PK\x07\x08"

	zipCentralLen = 46
	zipEndLen     = 22
	zipEnd64Len   = 56
	zipLocatorLen = 20
	maxComment    = 1<<16 - 1
	zipMany       = 1<<16 - 1 // members: the number stands in the record of 64 bits
)

// zipTail is how a zip archive ends.
type zipTail struct {
	directory int64 // end of the directory
	after     int64 // end of the end record with its comment
	rest      int64 // first byte behind it that is not zero, or the size of all
}

// findEnd finds the end record, whose directory must stand right before it and
// where the record says, counted from the first byte: so that it is not the
// record of an archive inside this one, of which the end was cut off, nor that
// of the second of two.
func findEnd(at io.ReaderAt, size int64) (*zipTail, error) {
	buf := make([]byte, min(size, zipEndLen+maxComment))
	start := size - int64(len(buf))
	if n, err := at.ReadAt(buf, start); n < len(buf) {
		return nil, err
	}
	i, after := lastEnd(buf)
	if i < 0 {
		return nil, errDirectory
	}
	rest := buf[after:]
	zeros := len(rest) - len(bytes.TrimLeft(rest, "\x00"))
	if bytes.HasPrefix(rest[zeros:], []byte("PK")) {
		return nil, errElsewhere
	}
	tail := &zipTail{after: start + int64(after), rest: start + int64(after+zeros)}
	length, offset := uint64(le.Uint32(buf[i+12:])), uint64(le.Uint32(buf[i+16:]))
	tail.directory = start + int64(i)
	if at64, b := readEnd64(at, tail.directory); b != nil {
		tail.directory = at64
		length, offset = le.Uint64(b[40:]), le.Uint64(b[48:])
	}
	if end := uint64(tail.directory); length > end || offset != end-length {
		return nil, errElsewhere
	}
	return tail, nil
}

// lastEnd finds the last end record whose comment fits, and where that ends; -1
// if there is none.
func lastEnd(buf []byte) (i, after int) {
	for i = len(buf) - zipEndLen; i >= 0; i-- {
		if i = bytes.LastIndex(buf[:i+len(zipEnd)], []byte(zipEnd)); i < 0 {
			break
		}
		if after = i + zipEndLen + int(le.Uint16(buf[i+20:])); after <= len(buf) {
			return i, after
		}
	}
	return -1, 0
}

// readEnd64 gives the end record of 64 bits that stands before the other one at
// end, or nil.
func readEnd64(at io.ReaderAt, end int64) (offset int64, record []byte) {
	var locator [zipLocatorLen]byte
	if n, _ := at.ReadAt(locator[:], end-zipLocatorLen); n < zipLocatorLen || string(locator[:4]) != zipLocator64 {
		return 0, nil
	}
	offset = int64(le.Uint64(locator[8:]))
	b := make([]byte, zipEnd64Len)
	if n, _ := at.ReadAt(b, offset); n < zipEnd64Len || string(b[:4]) != zipEnd64 {
		return 0, nil
	}
	if le.Uint64(b[4:]) != uint64(end-zipLocatorLen-offset-12) {
		return 0, nil
	}
	return offset, b
}

// passDirectory goes past the directory and the end record of an archive with so
// many members, which all must be named there.
func passDirectory(br *bufio.Reader, members int) error {
	for named := 0; ; {
		b, err := br.Peek(4)
		if err != nil {
			return codec.NoEOF(err)
		}
		sig := string(b)
		if b, err = br.Peek(zipRecordLens[sig]); err != nil {
			return codec.NoEOF(err)
		}
		length := int64(len(b))
		switch sig {
		case zipCentral:
			named++
			length += int64(le.Uint16(b[28:])) + int64(le.Uint16(b[30:])) + int64(le.Uint16(b[32:]))
		case zipSigned:
			length += int64(le.Uint16(b[4:]))
		case zipExtra:
			length += int64(le.Uint32(b[4:]))
		case zipEnd64:
			length += int64(le.Uint64(b[4:]))
		case zipEnd:
			said := int(le.Uint16(b[10:]))
			if named != members || said != named&zipMany && said != zipMany {
				return errDirectory
			}
			length += int64(le.Uint16(b[20:]))
		case zipLocator64:
		default:
			return errDirectory
		}
		if n, err := io.CopyN(io.Discard, br, length); n < length || length < 0 {
			return cmp.Or(codec.NoEOF(err), errDirectory)
		}
		if sig == zipEnd {
			return nil
		}
	}
}

// zipRecordLens are the lengths of what stands in each record before the parts
// whose length it gives.
var zipRecordLens = map[string]int{zipCentral: zipCentralLen, zipSigned: 6, zipExtra: 8,
	zipEnd64: 12, zipLocator64: zipLocatorLen, zipEnd: zipEndLen}
