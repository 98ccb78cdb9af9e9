package tracejson

import (
	"math/bits"
	"unicode/utf8"
)

// appendString appends s as a JSON string. Control characters (C0, DEL and C1),
// U+2028 and U+2029 are escaped; a run of bytes that are no UTF-8 becomes one
// U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '"')
		}
		dst, s = appendSpecial(dst, s[n:])
	}
}

// appendSpecial appends what s, which has some, begins with and is not plain: a
// character or a run of bytes that are no UTF-8. It gives the rest of s.
func appendSpecial(dst []byte, s string) (json []byte, rest string) {
	const hex = "0123456789abcdef"
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == '"' || r == '\\':
		dst = append(dst, '\\', byte(r))
	case r == '\n':
		dst = append(dst, `\n`...)
	case r == '\r':
		dst = append(dst, `\r`...)
	case r == '\t':
		dst = append(dst, `\t`...)
	case r < 0xa0:
		dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	case r == '\u2028' || r == '\u2029':
		dst = append(append(dst, `\u202`...), hex[r&15])
	case r == utf8.RuneError && size == 1:
		dst = append(dst, "\uFFFD"...)
		for r == utf8.RuneError && size == 1 {
			s = s[1:]
			r, size = utf8.DecodeRuneInString(s)
		}
		return dst, s
	default:
		dst = append(dst, s[:size]...)
	}
	return dst, s[size:]
}

// plain is the number of bytes that s begins with and that stand for themselves
// in a JSON string: printable ASCII but quotes and backslashes. It looks at eight
// of them at a time.
func plain(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if special := specials(load(s[i:])); special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	// The last eight, of which some were looked at already.
	if i < len(s) && i > 0 && specials(load(s[len(s)-8:])) == 0 {
		return len(s)
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// load is the first eight bytes of s, the first one lowest.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// specials has the high bit set of the lowest byte of w that is not plain, and
// none if there is no such byte. What it says of the bytes above that is void,
// since borrows and carries of the lowest run into them.
func specials(w uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	control := w - each*' '
	quote := (w ^ each*'"') - each
	backslash := (w ^ each*'\\') - each
	del := w + each
	return (control | quote | backslash | del | w) & high
}
