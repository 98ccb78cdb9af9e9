package packtest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"unicode/utf16"
)

// Random is like packed data.
func Random(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

// Lastlog is a record of lastlog.
func Lastlog(seconds int32) string {
	return Record(seconds, [32]byte(Padded("pts/0", 32)), [256]byte(Padded("ctl-1", 256)))
}

// Record is fields one after the other, in little endian.
func Record(fields ...any) string {
	var b bytes.Buffer
	for _, f := range fields {
		if err := binary.Write(&b, binary.LittleEndian, f); err != nil {
			panic(err)
		}
	}
	return b.String()
}

// Padded is s with NULs behind it.
func Padded(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

func Wide(order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(strings.Repeat("2013-04-18 02:02:08.797 1234 INFO nova [-] naïve\n",
		50))) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}
