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
	packed, reason, _ := Sniff([]byte("\x1f\x8b\x08\x00"))
	require.True(t, packed)
	require.Empty(t, reason)
	packed, reason, _ = Sniff([]byte("2026-01-01 a line"))
	require.False(t, packed)
	require.Empty(t, reason)
	for head, want := range map[string]struct {
		reason string
		holds  bool
	}{
		"\x7fELF":      {"ELF file", false},
		"PK\x03\x04":   {"zip archive, to which nothing is added; read it with tomoscrape replay", true},
		"LZIP\x01 ...": {"lzip data; it cannot be read here, unpack it first (lzip -d)", true},
	} {
		packed, reason, holds := Sniff([]byte(head))
		require.False(t, packed)
		require.Equal(t, want.reason, reason)
		require.Equal(t, want.holds, holds, reason)
	}
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
