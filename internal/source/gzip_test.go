package source

import (
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The flags in a header of gzip (RFC 1952, 2.3.1).
const (
	gzipHeaderSum = 1 << 1
	gzipExtra     = 1 << 2
	gzipName      = 1 << 3
	gzipComment   = 1 << 4
)

// gzWith is gzip data with a header of these flags and fields.
func gzWith(flags byte, fields, body string) string {
	return "\x1f\x8b\x08" + string(flags) + "\x00\x00\x00\x00\x00\x03" + fields + gz(body)[10:]
}

// withSum adds the sum of a header to its fields.
func withSum(flags byte, fields string) string {
	header := strings.TrimSuffix(gzWith(flags, fields, ""), gz("")[10:])
	return fields + string(le.AppendUint16(nil, uint16(crc32.ChecksumIEEE([]byte(header)))))
}

// What gzip -t says OK to is read.
func TestGzipHeaders(t *testing.T) {
	long := strings.Repeat("n", 100_000) + "\x00"
	extra := "\xff\xff" + strings.Repeat("\x00e", 1<<15)[:1<<16-1]
	all := byte(gzipExtra | gzipName | gzipComment | gzipHeaderSum)
	for name, data := range map[string]string{
		"a name of 511 bytes":     gzWith(gzipName, long[len(long)-512:], "text"),
		"a name of 512 bytes":     gzWith(gzipName, long[len(long)-513:], "text"),
		"a long comment":          gzWith(gzipComment, long, "text"),
		"a name and a comment":    gzWith(gzipName|gzipComment, long+long, "text"),
		"an empty name":           gzWith(gzipName, "\x00", "text"),
		"an extra field":          gzWith(gzipExtra, extra, "text"),
		"a sum":                   gzWith(gzipHeaderSum, withSum(gzipHeaderSum, ""), "text"),
		"all of these":            gzWith(all, withSum(all, extra+long+long), "text"),
		"said to be text":         gzWith(1, "", "text"),
		"one after another":       gzWith(gzipName, long, "te") + gzWith(all, withSum(all, extra+long+long), "") + gzWith(gzipComment, long, "xt"),
		"then zeros":              gzWith(gzipName, long, "text") + strings.Repeat("\x00", 9999),
		"zeros between":           gzWith(gzipName, long, "te") + strings.Repeat("\x00", 9999) + gz("xt"),
		"many that have a byte":   gzWith(gzipName, long, "t") + gz("e") + gzWith(gzipName, long, "x") + gz("t"),
		"many that have nothing":  strings.Repeat(gz(""), 1000) + gz("text"),
		"what pipes cut in parts": gzWith(gzipExtra, "\x00\x00", "text"),
	} {
		t.Run(name, func(t *testing.T) {
			list, report := readBytes(t, Options{}, []byte(data))
			require.Equal(t, []got{{"-", "text"}}, list)
			require.Empty(t, report.Unreadable)
		})
	}
}

// What is damaged is named, and what stands before it is read.
func TestGzipDamage(t *testing.T) {
	long := strings.Repeat("n", 1000)
	for name, tc := range map[string]struct {
		data, body, reason string
	}{
		"the header's sum":     {gzWith(gzipHeaderSum, "\x00\x00", "text"), "text", "the checksum of the gzip data does not match, it may be damaged"},
		"the sum":              {gz("text")[:20] + "\x00\x00\x00\x00" + gz("text")[24:], "text", "the checksum of the gzip data does not match, it may be damaged"},
		"the size":             {gz("text")[:len(gz("text"))-1] + "\x01", "text", "the checksum of the gzip data does not match, it may be damaged"},
		"cut behind the data":  {gz("text")[:len(gz("text"))-3], "text", "unexpected end of the gzip data"},
		"a name without end":   {gz("text") + gzWith(gzipName, "", "")[:10] + long, "text", "unexpected end of the gzip data"},
		"a cut extra field":    {gz("text") + gzWith(gzipExtra, "", "")[:10] + "\xff\xff" + long, "text", "unexpected end of the gzip data"},
		"half a header":        {gz("text") + gz("")[:5], "text", "unexpected end of the gzip data"},
		"another way to pack":  {gz("text") + "\x1f\x8b\x09" + gz("")[3:], "text", "the gzip data is damaged (gzip: invalid header)"},
		"something else":       {gz("text") + "garbage", "text", "something else follows the end of the gzip data and was not read"},
		"nothing but a header": {gzWith(gzipName, long+"\x00", "")[:1011], "", "unexpected end of the gzip data"},
	} {
		t.Run(name, func(t *testing.T) {
			list, report := readBytes(t, Options{}, []byte(tc.data))
			if tc.body != "" {
				require.Equal(t, []got{{"-", tc.body}}, list)
			}
			require.Equal(t, []Unreadable{{Name: "-", Offset: int64(len(tc.body)), Reason: tc.reason}}, report.Unreadable)
		})
	}
}
