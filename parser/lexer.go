package parser

import (
	"bytes"
	"fmt"
	"io"

	"github.com/alecthomas/participle/v2/lexer"
)

// The lexer of the grammar. It is written by hand for one reason: what a value
// is depends on what follows it (eras E1 and E2 print any object's repr, with
// quotes, brackets and newlines in it), so no set of regular expressions will do.

// Token types. A value's token is Int, Float, Const, String or Raw.
const (
	tokenEOF    = lexer.EOF
	tokenName   = lexer.TokenType(-2 - iota) // Span, Note, Tag, a field tomograph has
	tokenExtra                               // a field tomograph never had
	tokenPunct                               // ( ) [ ] , =
	tokenInt                                 // 12, -3, 12L
	tokenFloat                               // 1.5, 1e-05, nan, -inf
	tokenConst                               // None, True, False
	tokenString                              // 'x', "x", u'x', b'x'
	tokenRaw                                 // the repr of any other value
	tokenNote                                // Note(…), read by itself: item number Pos.Line
	tokenTag                                 // Tag(…), likewise
	tokenBad                                 // what can't be read; the last token
)

var knownNames = map[string]bool{
	"Span": true, "Note": true, "Tag": true,
	"trace_id": true, "parent_id": true, "id": true, "name": true, "notes": true, "dimensions": true,
	"time": true, "value": true, "service_name": true, "address": true, "port": true, "duration": true, "key": true,
}

// Limits on what a raw value may be; CPython's repr itself gives up at 1,000
// nested calls.
const maxNesting = 1000

// Bounds on the fields tomograph never had in a whole record, and on all fields of
// one Span, Note or Tag: with so many, one stands there twice.
const (
	maxExtras = 10_000
	maxFields = 1000
)

// damage is why and where the reading of a span stopped.
type damage struct {
	at       int    // offset in the text
	reason   string // in words
	expected string
	cut      bool // the text ends where a span could go on: a cut line, or one that goes on below
	inRaw    bool // in the repr of a note's or tag's value, which may hold newlines
	torn     bool // another record begins there
	quoted   bool // and a string's opening quote stands right before it
}

// tokens is a text cut into tokens; it ends behind the span's closing
// parenthesis, at the end of the text, or with a tokenBad.
type tokens struct {
	text  []byte
	list  []lexer.Token
	items []item  // what tokenNote and tokenTag stand for
	bad   *damage // why the last token is tokenBad
}

// tokenReader hands tokens to participle.
type tokenReader struct {
	*tokens
	next int
}

func (r *tokenReader) Next() (lexer.Token, error) {
	if r.next == len(r.list) {
		return lexer.Token{Type: tokenEOF, Pos: lexer.Position{Offset: len(r.text)}}, nil
	}
	r.next++
	return r.list[r.next-1], nil
}

// definition is the lexer as participle wants it, with the default limits.
type definition struct{}

func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{
		"EOF": tokenEOF, "Name": tokenName, "Extra": tokenExtra, "Punct": tokenPunct, "Int": tokenInt,
		"Float": tokenFloat, "Const": tokenConst, "String": tokenString, "Raw": tokenRaw, "Note": tokenNote,
		"Tag": tokenTag, "Bad": tokenBad,
	}
}

func (definition) Lex(_ string, r io.Reader) (lexer.Lexer, error) {
	text, err := io.ReadAll(r)
	l := newSpanLexer(text, Options{}, nil, false, false)
	l.run()
	return &tokenReader{tokens: &l.tokens}, err
}

// spanLexer cuts one record's text into tokens.
type spanLexer struct {
	tokens
	at      int
	scope   byte // 'S' in Span( ), 'N' in Note( ), 'T' in Tag( )
	limit   Options
	scanner *scanner // reads the notes and tags that it knows; may be nil
	syslog  bool
	first   int        // index of the token that the item of a list at hand begins with, or -1
	fields  int        // seen in the Span, Note or Tag at hand
	count   int        // notes and dimensions seen
	extras  int        // fields seen that tomograph never had
	raws    *rawValues // shared with the lexers that look ahead
	tail    bool       // of a note or tag, in which service_name stands once: a second one is part of a value
	service bool       // it was seen
	piece   bool       // end behind the first closing parenthesis
}

// newSpanLexer makes a lexer for the text of a span, which begins with "Span(".
//
// doubt has it look behind every value that nothing quotes whether the rest can
// be read; where there is none, that changes nothing.
func newSpanLexer(text []byte, limit Options, scanner *scanner, syslog, doubt bool) *spanLexer {
	if scanner != nil {
		scanner.last = endpoint{}
	}
	return &spanLexer{tokens: tokens{text: text}, limit: limit, scanner: scanner, syslog: syslog, scope: 'S',
		raws: &rawValues{doubt: doubt}}
}

func (l *spanLexer) run() {
	for {
		for l.at < len(l.text) && (l.text[l.at] == ' ' || l.text[l.at] == '\t') {
			l.at++
		}
		if l.at == len(l.text) {
			return
		}
		c := l.text[l.at]
		if !l.mayFollow(c) { // the grammar will mind it
			l.emit(tokenPunct, 1)
			return
		}
		switch {
		case c == '(' || c == '[' || c == ']' || c == ',' || c == '=':
			l.emit(tokenPunct, 1)
			if c == '=' && !l.value() {
				return
			}
		case c == ')':
			l.emit(tokenPunct, 1)
			if l.scope == 'S' || l.piece || l.first >= 0 && !l.item() {
				return
			}
			l.scope, l.fields = 'S', 0
		case isWord(c):
			if !l.name() {
				return
			}
		default:
			l.fail(damage{at: l.at, reason: fmt.Sprintf("unexpected %s", quoted(l.text[l.at:]))})
			return
		}
	}
}

// mayFollow says whether what begins with c may stand behind the last token. It
// is asked so that a line of nothing but brackets is not cut into tokens to its
// end; what it lets pass the grammar judges.
func (l *spanLexer) mayFollow(c byte) bool {
	if len(l.list) == 0 {
		return true
	}
	switch last := l.list[len(l.list)-1]; last.Type {
	case tokenName, tokenExtra:
		return c == '=' || c == '('
	case tokenNote, tokenTag:
		return c == ',' || c == ')' || c == ']'
	case tokenPunct:
		switch last.Value {
		case "(", ",", "[":
			return isWord(c) || last.Value == "[" && c == ']'
		}
		return c == ',' || c == ')' || c == ']' || last.Value == "=" && c == '['
	}
	return c == ',' || c == ')'
}

func (l *spanLexer) emit(kind lexer.TokenType, size int) {
	l.list = append(l.list, lexer.Token{Type: kind, Value: string(l.text[l.at : l.at+size]),
		Pos: lexer.Position{Offset: l.at}})
	l.at += size
}

func (l *spanLexer) fail(d damage) {
	l.list = append(l.list, lexer.Token{Type: tokenBad, Value: d.reason, Pos: lexer.Position{Offset: l.at}})
	l.bad = &d
}

// name reads Span, Note, Tag or a field's name.
func (l *spanLexer) name() bool {
	end := l.at
	for end < len(l.text) && isWord(l.text[end]) {
		end++
	}
	word := string(l.text[l.at:min(end, l.at+40)])
	if end == len(l.text) {
		l.fail(damage{at: end, reason: "the record ends in a name", cut: true})
		return false
	}
	if end-l.at > 200 {
		l.fail(damage{at: l.at, reason: fmt.Sprintf("a name of %d bytes", end-l.at)})
		return false
	}
	switch word {
	case "Note", "Tag":
		if l.count++; l.count > l.limit.maxNotes() {
			l.fail(damage{at: l.at, reason: fmt.Sprintf("more than %d notes and dimensions in one span",
				l.limit.maxNotes())})
			return false
		}
		if l.count%64 == 0 && l.limit.done() {
			l.fail(damage{at: l.at, reason: "the reading was ended"})
			return false
		}
		listed := l.inList()
		if listed && l.scanItem(word[0]) {
			return !l.piece
		}
		if l.first = -1; listed {
			l.first = len(l.list)
		}
		l.scope, l.fields = word[0], 0
	default:
		if l.fields++; l.fields > maxFields {
			l.fail(damage{at: l.at, reason: fmt.Sprintf("more than %d fields", maxFields)})
			return false
		}
	}
	if l.tail && word == "service_name" {
		if l.service {
			l.fail(damage{at: l.at, reason: "a second service_name"})
			return false
		}
		l.service = true
	}
	kind := tokenName
	if !knownNames[word] {
		kind = tokenExtra
		if l.extras++; l.extras > maxExtras || l.piece && l.extras > maxExtra {
			l.fail(damage{at: l.at, reason: fmt.Sprintf("more than %d fields that tomograph never had", maxExtras)})
			return false
		}
	}
	l.emit(kind, end-l.at)
	return true
}

// value reads what stands behind an equals sign.
func (l *spanLexer) value() bool {
	equals := l.at
	for l.at < len(l.text) && (l.text[l.at] == ' ' || l.text[l.at] == '\t') {
		l.at++
	}
	rest := l.text[l.at:]
	if len(rest) == 0 {
		l.fail(damage{at: l.at, reason: "the record ends before a value", expected: "a value", cut: true,
			inRaw: l.field() == "value"})
		return false
	}
	if rest[0] == '[' && l.scope == 'S' && (l.field() == "notes" || l.field() == "dimensions") {
		return true
	}
	if size, ok := stringEnd(rest); ok {
		return l.stringValue(size)
	}
	kind, size := literalEnd(rest)
	if size > 0 {
		if delimited(rest[size:]) && (l.field() != "value" || fieldEnds(rest[size:])) {
			l.emit(kind, size)
			return true
		}
		if size == len(rest) {
			l.fail(damage{at: len(l.text), reason: fmt.Sprintf("the record ends in %s or right behind it",
				quoted(rest)),
				expected: `"," or ")"`, cut: true, inRaw: l.field() == "value"})
			return false
		}
		if l.field() != "value" { // a number is whole with what ends it
			l.fail(damage{at: l.at + size, reason: "unexpected " + quoted(rest[size:]), expected: `"," or ")"`})
			return false
		}
	}
	l.at = equals // a value's text is all of it
	return l.rawValue()
}

// field is the name of the field before the equals sign just read.
func (l *spanLexer) field() string {
	if len(l.list) < 2 {
		return ""
	}
	return l.list[len(l.list)-2].Value
}

// stringValue reads a string literal of the given size, -1 if it is not closed.
func (l *spanLexer) stringValue(size int) bool {
	rest := l.text[l.at:]
	if size > 0 && (size == len(rest) || delimited(rest[size:])) {
		if _, _, bad := literalString(rest[:size]); bad >= 0 {
			l.fail(damage{at: l.at + bad, reason: "a broken escape in a string", expected: "its hexadecimal digits"})
			return false
		}
		l.emit(tokenString, size)
		return true
	}
	// Where a string is not what it should be, another record's header in it
	// tells where the damage began.
	body := rest
	if size > 0 {
		body = rest[:size]
	}
	if h := anyHeader(body); h >= 0 {
		l.fail(damage{at: l.at + h, reason: "another record begins inside a string", expected: "the closing quote",
			torn:   true,
			quoted: h == 1 || h == 2 && body[0]|0x20 == 'u'})
		return false
	}
	if size < 0 {
		l.fail(damage{at: len(l.text), reason: fmt.Sprintf("the record ends inside the string that begins with %s",
			quoted(rest)),
			expected: "the closing quote", cut: true})
		return false
	}
	l.emit(tokenString, size) // what follows it is the damage
	return true
}

// literalEnd recognises a number or a constant at the start of text.
func literalEnd(text []byte) (kind lexer.TokenType, size int) {
	for _, word := range [...]string{"None", "True", "False"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return tokenConst, len(word)
		}
	}
	size, float := numberEnd(text)
	if float {
		return tokenFloat, size
	}
	return tokenInt, size
}

// delimited says whether what follows a value ends it: a comma or a closing
// parenthesis.
func delimited(after []byte) bool {
	after = bytes.TrimLeft(after, " \t")
	return len(after) > 0 && (after[0] == ',' || after[0] == ')')
}

// fieldEnds says whether a comma that follows a value is that before the next
// field, as far as the text goes, and not one of the value's own.
func fieldEnds(after []byte) bool {
	after = bytes.TrimLeft(after, " \t")
	if after[0] == ')' {
		return true
	}
	after = bytes.TrimLeft(after[1:], " \t")
	for i, c := range after {
		if !isWord(c) {
			return i > 0 && (c == '=' || c == ' ')
		}
	}
	return true
}

// quoted is the beginning of hostile text, fit to be shown.
func quoted(text []byte) string {
	const most = 24
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}
