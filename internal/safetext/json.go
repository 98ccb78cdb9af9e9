package safetext

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

func AppendJSON(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, r := range string(bytes.ToValidUTF8(s, []byte("\ufffd"))) {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		default:
			dst = AppendJSONRune(dst, r)
		}
	}
	return append(dst, '"')
}

// AppendJSONRune appends a character of a JSON string, as an escape if it would
// not draw.
func AppendJSONRune(dst []byte, r rune) []byte {
	switch {
	case draws(r):
		return utf8.AppendRune(dst, r)
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
}
