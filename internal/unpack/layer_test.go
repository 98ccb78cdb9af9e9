package unpack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/packtest"
)

func TestUnpackOneLayer(t *testing.T) {
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	_, err := z.Write([]byte("a line\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())

	content, err := Open(bytes.NewReader(data.Bytes()))
	require.NoError(t, err)
	text, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "a line\n", string(text))
	require.NoError(t, content.Close())

	content, err = Open(bytes.NewReader(data.Bytes()[:data.Len()-3]))
	require.NoError(t, err)
	_, err = io.ReadAll(content)
	require.EqualError(t, err, "unexpected end of the gzip data")
	require.NoError(t, content.Close())

	content, err = Open(bytes.NewReader([]byte("plain")))
	require.NoError(t, err)
	text, err = io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "plain", string(text))
}

// However content is cut up, it is the same.
func TestTextureOfPieces(t *testing.T) {
	mixed := strings.Repeat("text\n", 5000) + packtest.Random(200_000) + strings.Repeat("\x00", 300_000) + packtest.Random(7)
	for _, content := range []string{mixed, packtest.Random(60), "\x00" + "\x00", strings.Repeat("\x00", 3001) + packtest.Lastlog(1700000000), packtest.Wide(binary.BigEndian)} {
		var whole Texture
		whole.Look([]byte(content))
		want := whole.Kind("x")
		require.NotEqual(t, Text, want.Form)
		for _, step := range []int{1, 7, 4095, 4096, 5000, 131072} {
			var t1 Texture
			for rest := content; rest != ""; rest = rest[min(step, len(rest)):] {
				t1.Look([]byte(rest[:min(step, len(rest))]))
			}
			require.Equal(t, want, t1.Kind("x"), fmt.Sprint(step))
			require.Equal(t, whole.windows, t1.windows)
		}
	}
}
