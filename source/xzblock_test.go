package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz/lzma"
	"pgregory.net/rapid"
)

// xzInBlocks packs in blocks of a size whose headers tell their sizes, as xz -T does.
func xzInBlocks(body string, size int) string {
	const check = 4 // CRC64
	out := append([]byte(xzMagic), 0, check)
	out = le.AppendUint32(out, crc32.ChecksumIEEE(out[6:8]))
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
		header = append(header, filterLZMA2, 1, lzma.EncodeDictCap(1<<16))
		header = append(header, make([]byte, -len(header)&3)...)
		header[0] = byte(len(header) / 4)
		header = le.AppendUint32(header, crc32.ChecksumIEEE(header))
		out = append(append(out, header...), packed.Bytes()...)
		out = append(out, make([]byte, -packed.Len()&3)...)
		out = le.AppendUint64(out, crc64.Checksum(part, crc64ECMA))
		blocks = append(blocks, [2]int{len(header) + packed.Len() + 8, len(part)})
	}
	index = binary.AppendUvarint(index, uint64(len(blocks)))
	for _, b := range blocks {
		index = binary.AppendUvarint(binary.AppendUvarint(index, uint64(b[0])), uint64(b[1]))
	}
	index = append(index, make([]byte, -len(index)&3)...)
	index = le.AppendUint32(index, crc32.ChecksumIEEE(index))
	out = append(out, index...)
	footer := append(le.AppendUint32(nil, uint32(len(index)/4-1)), 0, check)
	out = le.AppendUint32(out, crc32.ChecksumIEEE(footer))
	return string(append(append(out, footer...), xzFooterMagic...))
}

// unxzInParts decodes several blocks at once, and says how many there were at most.
func unxzInParts(t require.TestingT, data []byte, most int) (body []byte, atOnce int, err error) {
	x := newXZReader(bufio.NewReader(bytes.NewReader(data)))
	x.slots = make(chan struct{}, most)
	defer func() {
		x.close()
		require.Empty(t, x.slots)
	}()
	p := make([]byte, 5000)
	for {
		n, err := guardedRead(x, p)
		body = append(body, p[:n]...)
		atOnce = max(atOnce, len(x.queue))
		require.LessOrEqual(t, len(x.queue), most)
		if err == io.EOF {
			return body, atOnce, nil
		}
		if err != nil {
			return body, atOnce, err
		}
	}
}

func TestXZBlocksAtOnce(t *testing.T) {
	body := noise(1, 5000)
	data := xzInBlocks(body, 20_000)
	data += "\x00\x00\x00\x00" + xzed(body) + xzInBlocks("", 1) + xzInBlocks("more\n", 3)
	for most := 1; most <= 4; most++ {
		got, atOnce, err := unxzInParts(t, []byte(data), most)
		require.NoError(t, err)
		require.Equal(t, most, atOnce)
		require.Equal(t, body+body+"more\n", string(got))
	}

	// Somebody else has the slots.
	x := newXZReader(bufio.NewReader(strings.NewReader(data)))
	x.slots = make(chan struct{}, 2)
	x.slots <- struct{}{}
	x.slots <- struct{}{}
	got, err := io.ReadAll(x)
	require.NoError(t, err)
	require.Equal(t, body+body+"more\n", string(got))
}

// Damage is met where it stands, and what is before it is given, as if the blocks
// were decoded one after the other.
func TestDamagedXZBlocksAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	whole := []byte(xzInBlocks(string(mixed(r, 60_000)), 9_000) + xzInBlocks(noise(3, 600), 4_000))
	rapid.Check(t, func(t *rapid.T) {
		data := bytes.Clone(whole)
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "cut") {
			data = data[:at]
		} else {
			data[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		one, errOne := unxz(data)
		several, _, errSeveral := unxzInParts(t, data, 4)
		require.Error(t, errOne)
		require.Error(t, errSeveral)
		if len(one) != len(several) && errSeveral == errLZMA {
			// A block that does not end where its header says is not read on from.
			require.Less(t, len(several), len(one))
			one = one[:len(several)]
		} else if errSeveral != errLZMA {
			require.Equal(t, explain("xz data", errOne), explain("xz data", errSeveral))
		}
		require.True(t, bytes.Equal(one, several))
	})
}

// What a header says of sizes binds no memory.
func TestXZBlockSizesThatLie(t *testing.T) {
	for name, b := range map[string]xzBlock{
		"not told":            {packed: -1, unpacked: -1},
		"packed size alone":   {packed: 10, unpacked: -1},
		"too large":           {packed: 10, unpacked: xzUnpacked + 1},
		"packed is larger":    {packed: 1 << 20, unpacked: 1000},
		"packed is very much": {packed: 1<<63 - 1, unpacked: xzUnpacked},
	} {
		require.False(t, b.alone(1<<16), name)
	}
	b := xzBlock{packed: 1000, unpacked: xzUnpacked}
	require.True(t, b.alone(xzWindow))
	require.False(t, b.alone(xzWindow+1))
}
