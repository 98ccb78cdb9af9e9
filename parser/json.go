package parser

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A small JSON reader for one purpose: to walk the top level of a log line that
// is a JSON object, also a line that is cut, without decoding what is not asked
// for. It accepts what any JSON encoder writes; it is no validator.

// maxJSONDepth bounds the nesting of a value that is walked over.
const maxJSONDepth = 512

// jsonMember is a member of an object: its key, decoded, and its value as it
// stands. whole is false where the text ends inside the value.
type jsonMember struct {
	key   string
	value []byte
	at    int // offset of the value in the text
	whole bool
	seen  jsonAt // where in a string's value something was looked for before
}

// jsonMembers calls each for the members of the object that text begins with. It
// returns the offset behind the object, or -1 if the text is cut or is no JSON
// object; each has then been called for what stands before that, a cut string or
// array included.
func jsonMembers(text []byte, each func(jsonMember)) int {
	i := jsonBlank(text, 0)
	if i >= len(text) || text[i] != '{' {
		return -1
	}
	i = jsonBlank(text, i+1)
	if i < len(text) && text[i] == '}' {
		return i + 1
	}
	for {
		n, ok := jsonStringEnd(text[i:])
		if !ok {
			return -1
		}
		key, _ := jsonString(text[i : i+n])
		i = jsonBlank(text, i+n)
		if i >= len(text) || text[i] != ':' {
			return -1
		}
		i = jsonBlank(text, i+1)
		n, ok = jsonValueEnd(text[i:])
		if !ok {
			if i < len(text) && (text[i] == '"' || text[i] == '[') {
				each(jsonMember{key: key, value: text[i:], at: i})
			}
			return -1
		}
		each(jsonMember{key: key, value: text[i : i+n], at: i, whole: true})
		i = jsonBlank(text, i+n)
		if i >= len(text) {
			return -1
		}
		if text[i] == '}' {
			return i + 1
		}
		if text[i] != ',' {
			return -1
		}
		i = jsonBlank(text, i+1)
	}
}

// jsonElements calls each for the elements of the array that text begins with,
// and says whether it was read to its end; in a cut one the last element may be
// an array that is cut, too.
func jsonElements(text []byte, each func(value []byte, at int)) bool {
	i := jsonBlank(text, 0)
	if i >= len(text) || text[i] != '[' {
		return false
	}
	i = jsonBlank(text, i+1)
	if i < len(text) && text[i] == ']' {
		return true
	}
	for {
		n, ok := jsonValueEnd(text[i:])
		if !ok {
			if i < len(text) && text[i] == '[' {
				each(text[i:], i)
			}
			return false
		}
		each(text[i:i+n], i)
		i = jsonBlank(text, i+n)
		if i >= len(text) || text[i] != ',' {
			return i < len(text) && text[i] == ']'
		}
		i = jsonBlank(text, i+1)
	}
}

func jsonBlank(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// jsonStringEnd returns the length of the JSON string that text begins with,
// quotes included; ok is false if there is none or it is not closed.
func jsonStringEnd(text []byte) (length int, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return 0, false
	}
	n, _ := stringEnd(text) // the same rule as Python's: a backslash hides what follows it
	return n, n > 0
}

// jsonValueEnd returns the length of the JSON value that text begins with.
func jsonValueEnd(text []byte) (length int, ok bool) {
	if len(text) == 0 {
		return 0, false
	}
	switch text[0] {
	case '"':
		return jsonStringEnd(text)
	case '{', '[':
		depth := 0
		for i := 0; i < len(text); i++ {
			switch text[i] {
			case '"':
				n, ok := jsonStringEnd(text[i:])
				if !ok {
					return 0, false
				}
				i += n - 1
			case '{', '[':
				if depth++; depth > maxJSONDepth {
					return 0, false
				}
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1, true
				}
			}
		}
		return 0, false
	}
	for i, c := range text {
		switch c {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return i, i > 0
		}
	}
	return 0, false // a number or word may go on
}

// jsonString decodes a JSON string, quotes included; the closing one may be
// missing where the text is cut, and an escape cut in two is left out. Invalid
// UTF-8 stays as it is. escapes says whether its length differs from the text's.
func jsonString(literal []byte) (text string, escapes bool) {
	out := make([]byte, 0, len(literal))
	for i := 1; i < len(literal) && literal[i] != '"'; {
		piece, size := jsonRune(literal[i:])
		if size == 0 {
			break
		}
		escapes = escapes || size != len(piece)
		out = append(out, piece...)
		i += size
	}
	return string(out), escapes
}

// jsonRune decodes the first character or escape of a string's body. Bytes that
// are no UTF-8 are taken one by one. size is 0 for an escape cut in two.
func jsonRune(body []byte) (piece []byte, size int) {
	if body[0] != '\\' {
		n := 0
		for n < len(body) && body[n] != '\\' && body[n] != '"' {
			n++
		}
		return body[:n], n
	}
	if len(body) < 2 {
		return nil, 0
	}
	switch c := body[1]; c {
	case 'n':
		return []byte{'\n'}, 2
	case 't':
		return []byte{'\t'}, 2
	case 'r':
		return []byte{'\r'}, 2
	case 'b':
		return []byte{'\b'}, 2
	case 'f':
		return []byte{'\f'}, 2
	case 'u':
	default:
		return body[1:2], 2
	}
	r, ok := jsonHex(body)
	if !ok {
		return nil, 0
	}
	size = 6
	if utf16.IsSurrogate(r) {
		if low, ok := jsonHex(body[6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			return utf8.AppendRune(nil, utf16.DecodeRune(r, low)), 12
		}
	}
	if utf16.IsSurrogate(r) { // kept as bytes that are no UTF-8, which it is not
		return []byte{0xed, byte(0x80 | r>>6&0x3f), byte(0x80 | r&0x3f)}, size
	}
	return utf8.AppendRune(nil, r), size
}

func jsonHex(body []byte) (rune, bool) {
	if len(body) < 6 || body[0] != '\\' || body[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(body[2:6]), 16, 32)
	return rune(n), err == nil
}

// jsonAt is a place in a JSON string: an offset in its text, and where in its
// literal that stands.
type jsonAt struct{ text, literal int }

// offset returns where in a JSON string's literal the byte stands that is decoded
// to the byte at offset at of its text. It goes on from where it was asked for
// before, if that is in front.
func (j *jsonAt) offset(literal []byte, at int) int {
	if j.literal == 0 || at < j.text {
		*j = jsonAt{0, 1}
	}
	for j.literal < len(literal) && literal[j.literal] != '"' && j.text < at {
		if literal[j.literal] != '\\' {
			j.text++
			j.literal++
			continue
		}
		piece, size := jsonRune(literal[j.literal:])
		if size == 0 || at-j.text < len(piece) {
			break
		}
		j.text += len(piece)
		j.literal += size
	}
	return j.literal
}
