package follow

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func randomBytes(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{9}).Read(b)
	return string(b)
}

func packed(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// What no magic names is said to be no log, once, and followed all the same.
func TestFileThatIsNoText(t *testing.T) {
	b := newBench(t, Options{FromStart: true})
	blob := strings.ReplaceAll(randomBytes(1<<20), "\n", "\t") + "\n"
	b.write("x.log.br", blob)
	b.write("blob.log", "2013-04-18 02:02:08 "+blob)
	b.write("spans.log", blob+"Span(\n")
	b.open()
	b.step(0)
	b.step(0)
	said := "it is no log: neither text nor a form that is read here; its name says brotli data (brotli -dc); lines that come are read all the same"
	require.Equal(t, 1, strings.Count(b.logs.String(), "it is no log: "), b.logs.String())
	require.Contains(t, b.logs.String(), said)
	require.EqualValues(t, 1, b.f.Stats().Skipped)
	b.write("x.log.br", "Span(\n")
	b.step(0)
	require.Contains(t, b.out.all(), "Span(")
	require.Equal(t, 1, strings.Count(b.logs.String(), "it is no log: "))
}

func TestStandardInputThatIsNoLog(t *testing.T) {
	const neither = "standard input is no log: neither text nor a form that is read here"
	for _, c := range []struct{ content, want string }{
		{packed(t, "a\n"), "standard input is no log: gzip data; unpack it: gzip -dc FILE | tomoscrape tail -, or read it once: tomoscrape replay -"},
		{"PK\x03\x04" + randomBytes(1000),
			"standard input is no log: zip archive; tail reads lines as they are written, replay reads what is packed: tomoscrape replay -"},
		{"\x28\xb5\x2f\xfd" + randomBytes(1000),
			"standard input is no log: zstd data; unpack it: zstd -dc FILE | tomoscrape tail -, or read it once: tomoscrape replay -"},
		{"7z\xbc\xaf\x27\x1c" + randomBytes(1000), "standard input is no log: 7z archive; it cannot be read here, unpack it first"},
		{"\x7fELF" + randomBytes(1000), "standard input is no log: ELF file"},
		{randomBytes(100_000), neither},
		{randomBytes(100_000) + "\nSpan(\n", ""},
		{"2013-04-18 02:02:08 " + randomBytes(100_000), ""},
		{"a line\n", ""},
		{"", ""},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.content), iotest.OneByteReader(strings.NewReader(c.content)),
			iotest.DataErrReader(strings.NewReader(c.content))} {
			b := newBench(t, Options{Paths: []string{"-"}, Stdin: r}).open()
			err := b.f.Run(context.Background(), b.out.take)
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.want)
			}
		}
	}

	// Beside files it is said, and these are followed.
	b := newBench(t, Options{Paths: []string{"-", "x.log"}, Stdin: strings.NewReader(packed(t, "a\n")), FromStart: true})
	b.write("x.log", "a line\n")
	b.open()
	stop := b.run()
	b.wait(1)
	require.Eventually(t, func() bool { return b.f.Stats().Refused == 1 }, time.Minute, time.Millisecond)
	stop()
	require.Contains(t, b.logs.String(), "standard input is no log: gzip data")
}

func TestSniffForFollowing(t *testing.T) {
	packed, reason, _ := sniff([]byte("\x1f\x8b\x08\x00"))
	require.True(t, packed)
	require.Empty(t, reason)
	packed, reason, _ = sniff([]byte("2026-01-01 a line"))
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
		packed, reason, holds := sniff([]byte(head))
		require.False(t, packed)
		require.Equal(t, want.reason, reason)
		require.Equal(t, want.holds, holds, reason)
	}
}
