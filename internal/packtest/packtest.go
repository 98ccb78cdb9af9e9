// Package packtest packs what tests read.
package packtest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Gzip packs as gzip does.
func Gzip(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, body)
	w.Close()
	return b.String()
}

// Zstd packs as zstd does.
func Zstd(body string) string {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	io.WriteString(w, body)
	w.Close()
	return b.String()
}

// XZ packs in one block whose header does not tell its sizes.
func XZ(body string) string {
	var b bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	io.WriteString(w, body)
	w.Close()
	return b.String()
}

// XZBlocks packs in blocks of a size whose headers tell their sizes, as xz -T does.
func XZBlocks(body string, size int) string {
	const check = 4 // CRC64
	out := append([]byte("\xfd7zXZ\x00"), 0, check)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out[6:8]))
	index := []byte{0}
	var blocks [][2]int // unpadded, unpacked
	for begin := 0; begin < len(body); begin += size {
		part := []byte(body[begin:min(len(body), begin+size)])
		var packed bytes.Buffer
		w, err := lzma.Writer2Config{DictCap: 1 << 16}.NewWriter2(&packed)
		if err != nil {
			panic(err)
		}
		w.Write(part)
		w.Close()
		header := binary.AppendUvarint([]byte{0, 0xc0}, uint64(packed.Len()))
		header = binary.AppendUvarint(header, uint64(len(part)))
		header = append(header, 0x21, 1, lzma.EncodeDictCap(1<<16))
		header = append(header, make([]byte, -len(header)&3)...)
		header[0] = byte(len(header) / 4)
		header = binary.LittleEndian.AppendUint32(header, crc32.ChecksumIEEE(header))
		out = append(append(out, header...), packed.Bytes()...)
		out = append(out, make([]byte, -packed.Len()&3)...)
		out = binary.LittleEndian.AppendUint64(out, crc64.Checksum(part, crc64.MakeTable(crc64.ECMA)))
		blocks = append(blocks, [2]int{len(header) + packed.Len() + 8, len(part)})
	}
	index = binary.AppendUvarint(index, uint64(len(blocks)))
	for _, b := range blocks {
		index = binary.AppendUvarint(binary.AppendUvarint(index, uint64(b[0])), uint64(b[1]))
	}
	index = append(index, make([]byte, -len(index)&3)...)
	index = binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(index))
	out = append(out, index...)
	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), 0, check)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(footer))
	return string(append(append(out, footer...), "YZ"...))
}

// Tar packs entries: name, body, name, body ...
func Tar(entries ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w.WriteHeader(&tar.Header{Name: entries[i], Size: int64(len(entries[i+1])), Mode: 0o644})
		io.WriteString(w, entries[i+1])
	}
	w.Close()
	return b.String()
}

// Zip packs with descriptors behind the data, as streaming writers do.
func Zip(entries ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		f, _ := w.Create(entries[i])
		io.WriteString(f, entries[i+1])
	}
	w.Close()
	return b.String()
}

// ZipStored packs by storing, with all sizes before the data.
func ZipStored(entries ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		size := uint64(len(entries[i+1]))
		f, _ := w.CreateRaw(&zip.FileHeader{Name: entries[i], CompressedSize64: size, UncompressedSize64: size,
			CRC32: crc32.ChecksumIEEE([]byte(entries[i+1]))})
		io.WriteString(f, entries[i+1])
	}
	w.Close()
	return b.String()
}

// Noise is text that does not pack too well.
func Noise(seed, lines int) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	for i := range lines {
		fmt.Fprintf(&b, "line %d of %x\n", i, r.Uint64())
	}
	return b.String()
}
