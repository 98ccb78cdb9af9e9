package parser

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// This file reads Python literals as repr prints them: strings of Python 2
// (byte strings, u''), Python 3 and Jython, numbers, and times.

// stringEnd returns the length of the string literal that text begins with,
// prefix and both quotes included, or -1 if it is not closed. ok is false if
// text does not begin with a string literal at all.
func stringEnd(text []byte) (length int, ok bool) {
	i := 0
	if len(text) > 0 && (text[0]|0x20 == 'u' || text[0]|0x20 == 'b') {
		i = 1
	}
	if i >= len(text) || text[i] != '\'' && text[i] != '"' {
		return 0, false
	}
	quote := text[i]
	i++
	end := bytes.IndexByte(text[i:], quote)
	for end >= 0 {
		end += i // offset of the next quote; is it escaped?
		slash := bytes.IndexByte(text[i:end], '\\')
		if slash < 0 {
			return end + 1, true
		}
		// Skip the escapes up to the quote, and over it if it is one.
		for i += slash; i <= end; {
			if text[i] == '\\' {
				i += 2
			} else if i == end {
				return end + 1, true
			} else if slash = bytes.IndexByte(text[i:end], '\\'); slash >= 0 {
				i += slash
			} else {
				i = end
			}
		}
		if i > len(text) {
			break
		}
		end = bytes.IndexByte(text[i:], quote)
	}
	return -1, true
}

// literalString decodes a whole string literal, prefix and quotes included.
// invalid says that bytes that are no UTF-8, or unpaired surrogates, became
// U+FFFD, one for a run. bad is the offset of an escape that Python would not
// read, or -1.
//
// What the text means depends on the Python that wrote it: with the prefix u,
// or with a character beyond ASCII or a \u or \U inside, it is code points.
// Otherwise it is bytes, read as UTF-8; if that fails and every byte from 0x80
// up is one that Python 3 escapes though it is a character (80 to a0, ad), it
// is code points after all.
func literalString(literal []byte) (text string, invalid bool, bad int) {
	prefix := byte(0)
	body := literal
	if c := literal[0]; c != '\'' && c != '"' {
		prefix, body = c|0x20, literal[1:]
	}
	body = body[1 : len(body)-1]
	if bytes.IndexByte(body, '\\') < 0 { // by far the most
		if isASCII(body) {
			return string(body), false, -1
		}
		text, invalid = validUTF8(body)
		return text, invalid, -1
	}
	bodyAt := len(literal) - len(body) - 1
	points := prefix == 'u' || prefix != 'b' && (hasUnicodeEscape(body) || !isASCII(body))
	if points {
		out, invalid, bad := unescapePoints(body)
		if bad >= 0 {
			bad += bodyAt
		}
		return out, invalid, bad
	}
	raw, bad := unescapeBytes(body)
	if bad >= 0 {
		return "", false, bad + bodyAt
	}
	if utf8.Valid(raw) {
		return string(raw), false, -1
	}
	if prefix != 'b' && onlyPython3Escapes(raw) {
		var b strings.Builder
		for _, c := range raw {
			b.WriteRune(rune(c))
		}
		return b.String(), false, -1
	}
	text, invalid = validUTF8(raw)
	return text, invalid, -1
}

func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if (b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7])&0x80 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// hasUnicodeEscape says whether a literal's body holds \u or \U (and not \\u).
func hasUnicodeEscape(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+1 >= len(body) {
			return false
		}
		if body[i+1]|0x20 == 'u' {
			return true
		}
		body = body[i+2:]
	}
}

func onlyPython3Escapes(raw []byte) bool {
	for _, c := range raw {
		if c > 0xa0 && c != 0xad {
			return false
		}
	}
	return true
}

// validUTF8 is b with U+FFFD for each run of bytes that are no UTF-8.
func validUTF8(b []byte) (text string, invalid bool) {
	if utf8.Valid(b) {
		return string(b), false
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))), true
}

// unescapeBytes decodes the body of a byte string.
func unescapeBytes(body []byte) (raw []byte, bad int) {
	raw = make([]byte, 0, len(body))
	for i := 0; i < len(body); {
		slash := bytes.IndexByte(body[i:], '\\')
		if slash < 0 {
			return append(raw, body[i:]...), -1
		}
		raw = append(raw, body[i:i+slash]...)
		i += slash
		value, size := escape(body[i:], false)
		switch {
		case size < 0:
			return nil, i
		case size == 0: // not an escape: Python keeps the backslash
			raw = append(raw, '\\')
			i++
		default:
			raw = append(raw, byte(value))
			i += size
		}
	}
	return raw, -1
}

// unescapePoints decodes the body of a string of code points.
func unescapePoints(body []byte) (text string, invalid bool, bad int) {
	var b strings.Builder
	b.Grow(len(body))
	replaced := false // the last rune written stands for a run of invalid ones
	put := func(r rune, ok bool) {
		if ok {
			b.WriteRune(r)
		} else if !replaced {
			b.WriteRune(utf8.RuneError)
		}
		replaced = !ok
		invalid = invalid || !ok
	}
	for i := 0; i < len(body); {
		if body[i] != '\\' {
			r, size := utf8.DecodeRune(body[i:])
			put(r, r != utf8.RuneError || size > 1)
			i += size
			continue
		}
		value, size := escape(body[i:], true)
		if size < 0 {
			return "", false, i
		}
		if size == 0 {
			put('\\', true)
			i++
			continue
		}
		i += size
		if utf16.IsSurrogate(value) {
			if low, lowSize := escape(body[i:], true); lowSize > 0 && utf16.DecodeRune(value, low) != utf8.RuneError {
				value = utf16.DecodeRune(value, low)
				i += lowSize
			}
		}
		put(value, !utf16.IsSurrogate(value))
	}
	return b.String(), invalid, -1
}

// escape reads the escape that text begins with. size is its length, 0 if the
// backslash stands for itself (or text does not begin with one), -1 if it is an
// escape that lacks its digits.
func escape(text []byte, points bool) (value rune, size int) {
	if len(text) < 2 || text[0] != '\\' {
		return 0, 0
	}
	digits := 0
	switch c := text[1]; c {
	case '\\', '\'', '"':
		return rune(c), 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'a':
		return '\a', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'v':
		return '\v', 2
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '0', '1', '2', '3', '4', '5', '6', '7':
		for size = 1; size < 4 && size < len(text) && text[size] >= '0' && text[size] <= '7'; size++ {
			value = value<<3 | rune(text[size]-'0')
		}
		return value & 0xff, size
	}
	if digits == 0 || digits > 2 && !points {
		return 0, 0
	}
	if len(text) < 2+digits {
		return 0, -1
	}
	n, err := strconv.ParseUint(string(text[2:2+digits]), 16, 32)
	if err != nil || n > utf8.MaxRune {
		return 0, -1
	}
	return rune(n), 2 + digits
}

// numberEnd returns the length of the number that text begins with, as Python
// prints numbers: -?(0|[1-9][0-9]*) with a fraction, an exponent or an L, or
// nan, inf, -inf. float is true for all but whole numbers. The length is 0 if
// there is none.
func numberEnd(text []byte) (length int, float bool) {
	i := 0
	if i < len(text) && text[i] == '-' {
		i++
	}
	rest := text[i:]
	if bytes.HasPrefix(rest, []byte("inf")) || i == 0 && bytes.HasPrefix(rest, []byte("nan")) {
		return i + 3, true
	}
	whole := digitsEnd(rest)
	if whole == 0 || whole > 1 && rest[0] == '0' {
		return 0, false
	}
	i += whole
	if i < len(text) && text[i] == 'L' {
		return i + 1, false
	}
	if i+1 < len(text) && text[i] == '.' {
		if n := digitsEnd(text[i+1:]); n > 0 {
			i += 1 + n
			float = true
		}
	}
	if i+1 < len(text) && text[i]|0x20 == 'e' {
		j := i + 1
		if text[j] == '+' || text[j] == '-' {
			j++
		}
		if n := digitsEnd(text[j:]); n > 0 {
			i = j + n
			float = true
		}
	}
	return i, float
}

func digitsEnd(text []byte) int {
	for i, c := range text {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(text)
}

// microseconds reads a time in seconds as the log has it and rounds its decimal
// text half to even to whole microseconds, never through a float (int(t*1e6)
// gets one time in three wrong). ok is false for nan, infinities and what does
// not fit 64 bits.
func microseconds(number []byte) (us int64, ok bool) {
	number = bytes.TrimSuffix(number, []byte("L"))
	negative := len(number) > 0 && number[0] == '-'
	if negative {
		number = number[1:]
	}
	exponent := 0
	if e := bytes.IndexAny(number, "eE"); e >= 0 {
		n, err := strconv.Atoi(string(number[e+1:]))
		if err != nil {
			return 0, false
		}
		exponent, number = n, number[:e]
	}
	whole, fraction, _ := bytes.Cut(number, []byte("."))
	if len(whole) == 0 || whole[0] < '0' || whole[0] > '9' {
		return 0, false
	}
	// The value is 0.DIGITS x 10^point, the digits of whole and fraction in a row.
	point := len(whole) + exponent + 6
	digit := func(i int) byte {
		if i < len(whole) {
			return whole[i] - '0'
		}
		if i -= len(whole); i < len(fraction) {
			return fraction[i] - '0'
		}
		return 0
	}
	count := len(whole) + len(fraction)
	first := 0
	for first < count && digit(first) == 0 {
		first++
	}
	if first == count {
		return 0, true
	}
	if point-first > 19 {
		return 0, false
	}
	var n uint64
	for i := first; i < point; i++ {
		n = n*10 + uint64(digit(i))
	}
	if point >= first { // else it is below 0.1 µs
		half := digit(max(point, 0))
		rest := false
		for i := point + 1; i < count && !rest; i++ {
			rest = digit(i) != 0
		}
		if half > 5 || half == 5 && (rest || n&1 == 1) {
			n++
		}
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true
	case !negative && n < 1<<63:
		return int64(n), true
	}
	return 0, false
}
