package xz

import (
	"bufio"
	"bytes"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	xzpacker "github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/packtest"
)

func opened(in *bufio.Reader) *Reader {
	x := new(Reader)
	x.Reset(in, nil)
	return x
}

func unxz(data []byte) ([]byte, error) {
	return io.ReadAll(opened(bufio.NewReader(bytes.NewReader(data))))
}

// mixed is data that uses literals, matches near and far, repeats, and chunks
// that do not pack.
func mixed(r *rand.Rand, size int) []byte {
	var b []byte
	for len(b) < size {
		n := r.IntN(3000) + 1
		switch r.IntN(4) {
		case 0:
			for range n {
				b = append(b, byte(r.Uint32()))
			}
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(r.Uint32())}, n)...)
		case 2:
			if len(b) > 0 {
				at := r.IntN(len(b))
				b = append(b, b[at:min(len(b), at+n)]...)
			}
		case 3:
			b = append(b, packtest.Noise(int(r.Uint32()), n/40)...)
		}
	}
	return b[:size]
}

func TestXZGivesWhatWasPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		data := mixed(r, rapid.IntRange(0, 100_000).Draw(t, "size"))
		lc := rapid.IntRange(0, 4).Draw(t, "lc")
		config := xzpacker.WriterConfig{
			Properties: &lzma.Properties{LC: lc, LP: rapid.IntRange(0, 4-lc).Draw(t, "lp"), PB: rapid.IntRange(0, 4).Draw(t, "pb")},
			DictCap:    rapid.SampledFrom([]int{4096, 6144, 65536}).Draw(t, "dict"),
			BlockSize:  rapid.Int64Range(1000, 150_000).Draw(t, "block"),
			CheckSum:   rapid.SampledFrom([]byte{xzpacker.CRC32, xzpacker.CRC64, xzpacker.SHA256}).Draw(t, "check"),
			NoCheckSum: rapid.Bool().Draw(t, "no check"),
		}
		var packed bytes.Buffer
		w, err := config.NewWriter(&packed)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		w.Close()
		got, err := unxz(packed.Bytes())
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %d of %d bytes, %v", len(got), len(data), err)
		}
	})
}

// Nothing that was decoded before a cut is lost, however large the chunk.
func TestXZCutInAChunk(t *testing.T) {
	data := []byte(packtest.Noise(1, 4000))
	var packed bytes.Buffer
	w, err := xzpacker.NewWriter(&packed)
	require.NoError(t, err)
	w.Write(data)
	require.NoError(t, w.Close())
	for _, part := range []int{3, 10, 50, 90} {
		cut := packed.Len() * part / 100
		got, err := unxz(packed.Bytes()[:cut])
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.True(t, bytes.HasPrefix(data, got))
		require.InDelta(t, len(data)*part/100, len(got), float64(len(data))/100, "%d %%", part)
	}
}

// Each flipped byte is noticed: the whole container is covered by checksums.
func TestXZNoticesEveryChange(t *testing.T) {
	packed := []byte(packtest.XZ(strings.Repeat("some log line\n", 20)) + packtest.XZ("more\n"))
	for at := range packed {
		changed := bytes.Clone(packed)
		changed[at] ^= 0x10
		_, err := unxz(changed)
		require.Error(t, err, "byte %d", at)
	}
}

func TestXZAsksForTooMuch(t *testing.T) {
	for _, dict := range []int{64 << 20, 128 << 20, 192 << 20, lzma.MaxDictCap} {
		var header bytes.Buffer
		x := new(block)
		header.Write([]byte{0, filterLZMA2, 1, lzma.EncodeDictCap(int64(dict))})
		size, err := x.parseBlockHeader(bytes.NewReader(header.Bytes()))
		require.NoError(t, err)
		require.Equal(t, int64(dict), size)
	}
	data := []byte(packtest.XZ("text"))
	data[12+4] = lzma.EncodeDictCap(192 << 20) // of the first block
	le.PutUint32(data[12+8:], crc32.ChecksumIEEE(data[12:12+8]))
	_, err := unxz(data)
	require.Equal(t, codec.ErrWindow, err)
}

func FuzzXZ(f *testing.F) {
	f.Add([]byte(packtest.XZ(packtest.Noise(1, 30))))
	f.Add([]byte(packtest.XZ("") + "\x00\x00\x00\x00" + packtest.XZ("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		io.Copy(io.Discard, io.LimitReader(opened(bufio.NewReader(bytes.NewReader(data))), 10<<20))
	})
}

func BenchmarkXZ(b *testing.B) {
	data := []byte(packtest.Noise(1, 50_000))
	packed := []byte(packtest.XZ(string(data)))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, opened(bufio.NewReader(bytes.NewReader(packed)))); err != nil {
			b.Fatal(err)
		}
	}
}
