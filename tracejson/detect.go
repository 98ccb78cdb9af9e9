package tracejson

import (
	"bytes"
	"strings"
)

// Lookahead is how much of what may be a document [IsDocument] is best shown:
// more tells nothing new, less can hide the keys behind a long value.
const Lookahead = 4096

// shapes are the eight keys of a document, each with what its value looks like.
// The text of a value may be cut at its end; whole says that it is not.
var shapes = map[string]func(value []byte, whole bool) bool{
	"trace_id": func(value []byte, whole bool) bool {
		digits, ok := within(value, "-0123456789abcdef")
		return ok && (!whole || digits >= 16)
	},
	"tomograph_id": func(value []byte, _ bool) bool {
		_, ok := within(value, "-0123456789")
		return ok
	},
	"start":    integral,
	"duration": integral,
	"verdict": func(value []byte, _ bool) bool {
		return strings.HasPrefix(`"complete"`, string(value)) || strings.HasPrefix(`"incomplete"`, string(value))
	},
	"problems": func(value []byte, _ bool) bool { return list(value, '{') },
	"services": func(value []byte, _ bool) bool { return list(value, '"') },
	"spans":    func(value []byte, _ bool) bool { return list(value, '{') },
}

// A document has a key of each: one that its spans do not have, and one that other
// programs' records of a time, a duration or an id do not have.
var (
	noSpan   = map[string]bool{"trace_id": true, "verdict": true, "services": true, "spans": true}
	noRecord = map[string]bool{"tomograph_id": true, "verdict": true, "problems": true, "spans": true}
)

// foreign are keys that no document begins with, but a record of a log does
// (oslo.log's JSONFormatter, docker, the journal), or a span of a document.
var foreign = map[string]bool{"message": true, "msg": true, "MESSAGE": true, "log": true, "id": true, "depth": true}

// IsDocument says whether data that begins like this is trace documents: an
// object, or a list of them, with two keys or more whose values look as they do in
// a document, and which together nothing else has. Where the prefix ends before
// that, what is there decides, provided that it reaches into the value of such a
// key. Keys stand in any order, and unknown ones may stand between
// them. No log writes such lines. [Lookahead] is how much to show.
func IsDocument(prefix []byte) bool {
	// nearly all log lines
	if len(prefix) > 0 && (prefix[0] >= '0' && prefix[0] <= '9' || prefix[0] >= 'A' && prefix[0] <= 'Z') {
		return false
	}
	rest := bytes.TrimLeft(bytes.TrimPrefix(prefix, byteOrderMark), blanks)
	for range 2 { // a list, or one of lists
		if len(rest) > 0 && rest[0] == '[' {
			rest = bytes.TrimLeft(rest[1:], blanks)
		}
	}
	if len(rest) == 0 || rest[0] != '{' {
		return false
	}
	rest = untilObject(rest)
	known, unknown, span, record := 0, 0, true, true
	for rest[0] == '{' || rest[0] == ',' {
		name, text, after, ok := field(rest[1:])
		if !ok {
			return known > 0 && (!record || unknown == 0)
		}
		switch right := shapes[name]; {
		case right == nil && known == 0 && foreign[name]:
			return false
		case right == nil:
			unknown++
		case !right(text, after != nil):
			return false
		default:
			known++
			span = span && !noSpan[name]
			record = record && !noRecord[name]
		}
		if known > 1 && !span && !record {
			return true
		}
		if rest = bytes.TrimLeft(after, blanks); len(rest) == 0 {
			return known > 0 && (!record || unknown == 0)
		}
	}
	return false
}

// untilObject ends text where a line begins with a brace. What stands before that
// tells enough, and no line of a log is looked at for more than its own sake, so
// that many of them cost no more than their length.
func untilObject(text []byte) []byte {
	for end := 0; ; {
		next := bytes.IndexByte(text[end:], '\n')
		if next < 0 {
			return text
		}
		line := bytes.TrimLeft(text[end+next:], blanks)
		if len(line) > 0 && line[0] == '{' {
			return text[:end+next]
		}
		end = len(text) - len(line)
	}
}

// field cuts a name and its value off the beginning of text. If the text ends
// within the value, rest is nil; ok is false if that happens before the value, or
// if there is no field.
func field(text []byte) (name string, val, rest []byte, ok bool) {
	key, rest := value(bytes.TrimLeft(text, blanks))
	rest = bytes.TrimLeft(rest, blanks)
	if len(key) < 2 || key[0] != '"' || len(rest) == 0 || rest[0] != ':' {
		return "", nil, nil, false
	}
	rest = bytes.TrimLeft(rest[1:], blanks)
	if len(rest) == 0 {
		return "", nil, nil, false
	}
	val, rest = value(rest)
	return string(key[1 : len(key)-1]), val, rest, true
}

// blanks are the white space of JSON.
const blanks = " \t\r\n"

var byteOrderMark = []byte("\ufeff")

// value cuts one JSON value off the beginning of text; rest is nil if the text
// ends within it, and at a raw newline in a string, where a line was torn. What is
// no JSON goes up to the next punctuation.
func value(text []byte) (val, rest []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '\n':
			return text[:i], nil
		case quoted && c == '\\':
			i++
		case c == '"':
			if quoted = !quoted; !quoted && depth == 0 {
				return text[:i+1], text[i+1:]
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth == 0 && strings.IndexByte(",]}:"+blanks, c) >= 0:
			return text[:i], text[i:]
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return text[:i+1], text[i+1:]
			}
		}
	}
	return text, nil
}

// within counts the bytes of a string if all are of the set and there are any.
func within(value []byte, set string) (n int, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return 0, false
	}
	text := bytes.TrimSuffix(value[1:], []byte(`"`))
	return len(text), len(text) > 0 && len(bytes.Trim(text, set)) == 0
}

func integral(value []byte, _ bool) bool {
	return len(value) > 0 && len(bytes.Trim(value, "-0123456789")) == 0
}

// list says whether a value is an empty list or one of what begins with first.
func list(value []byte, first byte) bool {
	if len(value) == 0 || value[0] != '[' {
		return false
	}
	rest := bytes.TrimLeft(value[1:], blanks)
	return len(rest) == 0 || rest[0] == first || rest[0] == ']'
}
