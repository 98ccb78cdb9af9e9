package source

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

func TestNamesOfOneRotation(t *testing.T) {
	require.Equal(t, "/l/nova.log", LogOf("/l/nova.log.2.gz"))
	require.Equal(t, "/l/nova.log", LogOf("/l/nova.log-20260101"))
	require.Equal(t, "/l/nova.log", LogOf("/l/nova.log"))
	names := []string{"x", "x.1", "x.10.gz", "x.2.gz"}
	slices.SortFunc(names, CompareRotated)
	require.Equal(t, []string{"x.10.gz", "x.2.gz", "x.1", "x"}, names)
	require.True(t, Succeeds("x", "x.1"))
	require.False(t, Succeeds("x", "x.2"))
}

func TestSniffForFollowing(t *testing.T) {
	packed, reason := Sniff([]byte("\x1f\x8b\x08\x00"))
	require.True(t, packed)
	require.Empty(t, reason)
	packed, reason = Sniff([]byte("\x7fELF"))
	require.False(t, packed)
	require.Equal(t, "ELF file", reason)
	packed, reason = Sniff([]byte("PK\x03\x04"))
	require.False(t, packed)
	require.Equal(t, "a zip archive", reason)
	packed, reason = Sniff([]byte("2026-01-01 a line"))
	require.False(t, packed)
	require.Empty(t, reason)
}

func TestUnpackOneLayer(t *testing.T) {
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	_, err := z.Write([]byte("a line\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())

	content, err := Unpack(bytes.NewReader(data.Bytes()))
	require.NoError(t, err)
	text, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "a line\n", string(text))
	require.NoError(t, content.Close())

	content, err = Unpack(bytes.NewReader(data.Bytes()[:data.Len()-3]))
	require.NoError(t, err)
	_, err = io.ReadAll(content)
	require.EqualError(t, err, "unexpected end of the gzip data")
	require.NoError(t, content.Close())

	content, err = Unpack(bytes.NewReader([]byte("plain")))
	require.NoError(t, err)
	text, err = io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "plain", string(text))
}
