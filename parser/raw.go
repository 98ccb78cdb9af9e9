package parser

import (
	"bytes"
	"fmt"
)

// A raw value is the repr of an object that is neither a string nor a number nor
// a constant: eras E1 and E2 print any object's, and nothing quotes it. It is
// the text with balanced brackets outside quotes up to ", service_name=". If
// that fails, it ends at the first ", service_name=" after which this note and
// what follows can be read. It never holds a record's header.

var serviceName = []byte(", service_name=")

// rawValues remembers, for one record, what was found out about the ends of raw
// values, so that each place is looked at once, and bounds the work.
type rawValues struct {
	doubt   bool           // whether what follows a balanced value is looked at, too
	ends    map[int]rawEnd // by where the value begins
	reads   map[int]bool   // whether the rest reads, by where a note or tag ended
	header  int            // of the first log header at or behind the offset it was looked for from
	from    int            // that offset plus one
	spent   int            // bytes looked at
	passed  int            // bytes looked at for brackets and quotes alone
	depth   int            // of values looked at while another one's end is looked for
	tooMany bool
}

type rawEnd struct {
	end int // offset behind the value
	damage
}

// Bounds on the work of finding where the raw values of one record end: the bytes
// looked at, as a multiple of its length (and at least 64 KiB), and how many
// values may wait for each other.
const (
	maxRawWork  = 6
	maxRawBytes = 1 << 20 // and the bytes themselves, beyond the record's length
	maxRawDepth = 10_000
	maxScanned  = 256 << 20 // bytes looked at for brackets and quotes alone, which is a hundred times as fast
)

// headerFrom is the offset of the first log header of text from at on, len(text)
// if there is none.
func (r *rawValues) headerFrom(text []byte, at int) int {
	end := len(text) // of what has to be looked at
	switch {
	case r.from == 0, r.header < at:
	case at+1 < r.from:
		end = min(end, r.from+maxGroup) // a header may reach beyond what was looked at
	default:
		return r.header
	}
	switch h := anyHeader(text[at:end]); {
	case end < len(text) && (h < 0 || at+h >= r.from):
	case h < 0:
		r.header = end
	default:
		r.header = at + h
	}
	r.from = at + 1
	return r.header
}

// rawValue reads a raw value at l.at.
func (l *spanLexer) rawValue() bool {
	end, known := l.raws.ends[l.at]
	if !known {
		end = l.findRawEnd()
		if l.raws.ends == nil {
			l.raws.ends = map[int]rawEnd{}
		}
		l.raws.ends[l.at] = end
	}
	if end.reason != "" {
		l.fail(end.damage)
		return false
	}
	if h := l.raws.headerFrom(l.text, l.at); h < end.end {
		l.fail(damage{at: h, reason: "another record begins inside a value", expected: "the end of the value",
			torn: true, inRaw: l.field() == "value"})
		return false
	}
	l.emit(tokenRaw, end.end-l.at)
	return true
}

func (l *spanLexer) findRawEnd() rawEnd {
	start := l.at
	cut := damage{at: len(l.text), reason: fmt.Sprintf("the record ends inside the value that begins with %s",
		quoted(l.text[start:])),
		expected: "the end of the value", cut: true, inRaw: true}
	if l.field() != "value" { // a field tomograph never had, or one whose value is odd
		cut.inRaw = false
		end, tooDeep := l.balancedEnd(start, fieldFollows)
		if tooDeep {
			return rawEnd{damage: tooDeepAt(start)}
		}
		if end > start {
			return rawEnd{end: end}
		}
		if h := l.raws.headerFrom(l.text, start); h < len(l.text) {
			return rawEnd{damage: damage{at: h, reason: "another record begins inside a value",
				expected: "the end of the value", torn: true}}
		}
		return rawEnd{damage: cut}
	}
	end, tooDeep := l.balancedEnd(start, func(rest []byte) bool { return bytes.HasPrefix(rest, serviceName) })
	// Where the balanced text holds the end of a note and the start of another,
	// or what follows it can't be read, its quotes and brackets were not what
	// they seemed, if the other rule finds an end.
	if end >= 0 && !holdsNotes(l.text[start:end]) && (!l.raws.doubt || l.reads(end)) {
		return rawEnd{end: end}
	}
	if first, ok := l.firstReadable(start); ok && brackets(l.text[start:first]) <= maxNesting {
		return rawEnd{end: first}
	}
	if tooDeep {
		return rawEnd{damage: tooDeepAt(start)}
	}
	if end >= 0 {
		return rawEnd{end: end}
	}
	if l.raws.tooMany {
		return rawEnd{damage: damage{at: start, reason: "too many ways to read a value",
			expected: "balanced quotes and brackets"}}
	}
	// Fields in another order than tomograph's: the value may be followed by
	// another field, or be the last.
	if end, _ := l.balancedEnd(start, fieldFollows); end > start && l.reads(end) {
		return rawEnd{end: end}
	}
	if h := l.raws.headerFrom(l.text, start); h < len(l.text) {
		return rawEnd{damage: damage{at: h, reason: "another record begins inside a value",
			expected: "the end of the value", torn: true, inRaw: true}}
	}
	return rawEnd{damage: cut}
}

// brackets is how many brackets of a text are open at most, quotes or not.
func brackets(text []byte) (most int) {
	open := 0
	for _, c := range text {
		switch c {
		case '(', '[', '{':
			open++
			most = max(most, open)
		case ')', ']', '}':
			open--
		}
	}
	return most
}

// holdsNotes says whether a value's text holds the end of a note or tag and the
// start of the next.
func holdsNotes(text []byte) bool {
	return bytes.Contains(text, []byte("), Note(time=")) || bytes.Contains(text, []byte("), Tag(key="))
}

func tooDeepAt(start int) damage {
	return damage{at: start, reason: fmt.Sprintf("a value with more than %d nested brackets", maxNesting),
		expected: "the repr of a Python value"}
}

// firstReadable finds the first ", service_name=" from start on after which the
// note and what follows can be read, to the end of the span: in a record that is
// cut, nobody can tell where such a value ends.
func (l *spanLexer) firstReadable(start int) (end int, ok bool) {
	text := l.text[:l.raws.headerFrom(l.text, start)] // a value never holds a header
	for at := start; ; at++ {
		i := bytes.Index(text[min(at, len(text)):], serviceName)
		if i < 0 || l.raws.tooMany {
			return -1, false
		}
		if at += i; l.reads(at) {
			return at, true
		}
	}
}

// reads says whether the rest can be read, to the end of the span, if the value
// before it ends at offset at.
func (l *spanLexer) reads(at int) bool {
	r := l.raws
	if r.depth++; r.depth > maxRawDepth {
		r.tooMany = true
	}
	defer func() { r.depth-- }()
	var end int
	var ok bool
	if l.scope == 'T' {
		end, ok = readPiece(l, tagTailGrammar, at, 'T')
	} else {
		end, ok = readPiece(l, noteTailGrammar, at, 'N')
	}
	if !ok {
		return false
	}
	var passed []int // the ends of notes and tags on the way
	for {
		known, ok := r.reads[end]
		if !ok {
			passed = append(passed, end)
			if end < len(l.text) && l.text[end] == ']' {
				_, known = readPiece(l, listTailGrammar, end, ']')
			} else if next, ok := readPiece(l, nextItemGrammar, end, 'S'); ok && !r.tooMany {
				end = next
				continue
			}
		}
		if r.reads == nil {
			r.reads = map[int]bool{}
		}
		for _, at := range passed {
			r.reads[at] = known
		}
		return known && !r.tooMany
	}
}

// spend says that so many bytes were read by the grammar, and whether that is
// enough.
func (l *spanLexer) spend(bytes int) (tooMany bool) {
	r := l.raws
	if r.spent += bytes; r.spent > min(maxRawWork*len(l.text)+64<<10, len(l.text)+maxRawBytes) || l.limit.done() {
		r.tooMany = true
	}
	return r.tooMany
}

// scanned says that so many bytes were looked at for brackets and quotes.
func (l *spanLexer) scanned(bytes int) {
	if l.raws.passed += bytes; l.raws.passed > maxScanned {
		l.raws.tooMany = true
	}
}

// readPiece reads the text from offset at by a grammar, up to the end of the note
// or tag, or, for the rest behind a list's bracket, of the span; scope is N in a
// note, T in a tag, S between them, ] at the bracket. It returns the offset behind
// what was read.
func readPiece[G any](l *spanLexer, grammar grammar[G], at int, scope byte) (end int, ok bool) {
	within := scope
	if scope == ']' {
		within = 'S'
	}
	piece := &spanLexer{tokens: tokens{text: l.text}, at: at, scope: within, limit: l.limit, scanner: l.scanner,
		syslog: l.syslog, count: l.count, raws: l.raws,
		piece: scope != ']', tail: within != 'S'}
	piece.run()
	if l.spend(piece.at-at+64) || piece.bad != nil {
		return piece.at, false
	}
	_, err := parse(grammar, &piece.tokens)
	return piece.at, err == nil
}

// fieldFollows says whether rest ends a value by a next field or a closing
// parenthesis.
func fieldFollows(rest []byte) bool {
	if rest[0] == ')' {
		return true
	}
	if rest[0] != ',' || len(rest) < 4 || rest[1] != ' ' {
		return false
	}
	i := 2
	for i < len(rest) && isWord(rest[i]) {
		i++
	}
	return i > 2 && i < len(rest) && rest[i] == '='
}

// balancedEnd scans a value from start on, with balanced brackets outside quotes,
// and returns the first offset outside brackets and quotes for which ends holds,
// -1 if there is none. A quote opens a string only where repr would print one:
// not behind a letter or digit, as in it's.
func (l *spanLexer) balancedEnd(start int, ends func(rest []byte) bool) (end int, tooDeep bool) {
	text := l.text[:l.raws.headerFrom(l.text, start)] // a value never holds a header
	i := start
	defer func() { l.scanned(i - start) }()
	var closing []byte // of the brackets that are open
	for ; i < len(text); i++ {
		switch c := text[i]; c {
		case ',':
			if len(closing) == 0 && ends(text[i:]) {
				return i, false
			}
		case '(', '[', '{':
			if len(closing) == maxNesting {
				return -1, true
			}
			closing = append(closing, closer(c))
		case ')', ']', '}':
			if len(closing) == 0 && ends(text[i:]) {
				return i, false
			}
			if len(closing) == 0 || closing[len(closing)-1] != c {
				return -1, false
			}
			closing = closing[:len(closing)-1]
		case '\'', '"':
			if i > start && isWord(text[i-1]) && !isPrefix(text[start:i]) {
				continue
			}
			n, _ := stringEnd(text[i:])
			if n < 0 {
				return -1, false
			}
			i += n - 1
		}
	}
	return -1, false
}

// closer is the bracket that closes an opening one.
func closer(open byte) byte {
	if open == '(' {
		return ')'
	}
	return open + 2 // [ ] and { } in ASCII
}

// isPrefix says whether text ends with a string prefix (u, b, r, ur, br) that is
// not the end of a word.
func isPrefix(text []byte) bool {
	i := len(text)
	for i > 0 && len(text)-i < 2 && bytes.IndexByte([]byte("ubrUBR"), text[i-1]) >= 0 {
		i--
	}
	return i < len(text) && (i == 0 || !isWord(text[i-1]))
}
