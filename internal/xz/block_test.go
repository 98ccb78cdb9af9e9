package xz

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/codec"
	"github.com/tomoscrape/tomoscrape/internal/packtest"
)

// unxzInParts decodes several blocks at once, and says how many there were at most.
func unxzInParts(t require.TestingT, data []byte, most int) (body []byte, atOnce int, err error) {
	x := new(Reader)
	x.Reset(bufio.NewReader(bytes.NewReader(data)), make(chan struct{}, most))
	defer func() {
		x.Close()
		require.Empty(t, x.slots)
	}()
	p := make([]byte, 5000)
	for {
		n, err := codec.Read(x, p)
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
	body := packtest.Noise(1, 5000)
	data := packtest.XZBlocks(body, 20_000)
	data += "\x00\x00\x00\x00" + packtest.XZ(body) + packtest.XZBlocks("", 1) + packtest.XZBlocks("more\n", 3)
	for most := 1; most <= 4; most++ {
		got, atOnce, err := unxzInParts(t, []byte(data), most)
		require.NoError(t, err)
		require.Equal(t, most, atOnce)
		require.Equal(t, body+body+"more\n", string(got))
	}

	// Somebody else has the slots.
	x := new(Reader)
	x.Reset(bufio.NewReader(strings.NewReader(data)), make(chan struct{}, 2))
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
	whole := []byte(packtest.XZBlocks(string(mixed(r, 60_000)), 9_000) + packtest.XZBlocks(packtest.Noise(3, 600), 4_000))
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
			require.Equal(t, errOne, errSeveral)
		}
		require.True(t, bytes.Equal(one, several))
	})
}

// What a header says of sizes binds no memory.
func TestXZBlockSizesThatLie(t *testing.T) {
	for name, b := range map[string]block{
		"not told":            {packed: -1, unpacked: -1},
		"packed size alone":   {packed: 10, unpacked: -1},
		"too large":           {packed: 10, unpacked: mostUnpacked + 1},
		"packed is larger":    {packed: 1 << 20, unpacked: 1000},
		"packed is very much": {packed: 1<<63 - 1, unpacked: mostUnpacked},
	} {
		require.False(t, b.alone(1<<16), name)
	}
	b := block{packed: 1000, unpacked: mostUnpacked}
	require.True(t, b.alone(mostWindow))
	require.False(t, b.alone(mostWindow+1))
}

// Nothing of one stream is seen by the next one: a stream that does not begin by
// forgetting what was before it is refused.
func TestXZForgets(t *testing.T) {
	d := new(lzma2)
	d.reset(strings.NewReader("\x01\x00\x02abc\x00"), 4096)
	whole, err := io.ReadAll(d)
	require.NoError(t, err)
	require.Equal(t, "abc", string(whole))
	for _, control := range []string{"\x02\x00\x02", "\x80\x00\x02\x00\x05", "\xa0\x00\x02\x00\x05", "\xc0\x00\x02\x00\x05\x5d"} {
		d.reset(bytes.NewReader([]byte(control+"abcdefgh\x00")), 4096)
		got, err := io.ReadAll(d)
		require.ErrorIs(t, err, errLZMA)
		require.Empty(t, got)
	}
}
