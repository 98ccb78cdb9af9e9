package parser

import (
	"bytes"
	"errors"
	"strings"
	"sync"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// This file is the definition of a span line: what the text behind a header may
// be, in every era of tomograph, and what is wrong with it if it can't be read.
// The decoder in scan.go does the work on well-formed lines; whatever it does not
// know, it leaves to the grammar, and where both have an opinion they agree
// (FuzzScanAgreesWithGrammar).
//
//	E1  Span(trace_id parent_id id name notes)   Note(time value service_name address port)
//	E2  as E1
//	E3  + dimensions                             + duration; Tag(key value service_name address port)
//	E4  as E3
//
// Fields may come in any order, any but trace_id and id may be missing, and
// fields tomograph never had are kept. Every decision is made by the next token.

type spanNode struct {
	Fields []*spanField `parser:"'Span':Name '(' @@ ( ',' @@ )*"`
	Close  *lexer.Token `parser:"@')'"`
}

type spanField struct {
	TraceID    *lexer.Token `parser:"'trace_id':Name '=' @Int"`
	ParentID   *lexer.Token `parser:"| 'parent_id':Name '=' @( Int | 'None':Const )"`
	ID         *lexer.Token `parser:"| 'id':Name '=' @Int"`
	Name       *lexer.Token `parser:"| 'name':Name '=' @( String | Const | Int | Float | Raw )"`
	Notes      *noteList    `parser:"| 'notes':Name '=' ( @@ | 'None':Const )"`
	Dimensions *tagList     `parser:"| 'dimensions':Name '=' ( @@ | 'None':Const )"`
	Extra      *extraField  `parser:"| @@"`
}

type noteList struct {
	Open  *lexer.Token `parser:"@'['"`
	Notes []*noteNode  `parser:"( @@ ( ',' @@ )* )?"`
	Close *lexer.Token `parser:"@']'"`
}

type tagList struct {
	Open  *lexer.Token `parser:"@'['"`
	Tags  []*tagNode   `parser:"( @@ ( ',' @@ )* )?"`
	Close *lexer.Token `parser:"@']'"`
}

type noteNode struct {
	Item   *lexer.Token `parser:"@Note"` // one that was read by itself (item.go)
	Fields []*noteField `parser:"| 'Note':Name '(' @@ ( ',' @@ )*"`
	Close  *lexer.Token `parser:"@')'"`
}

type noteField struct {
	Time     *lexer.Token `parser:"'time':Name '=' @( Int | Float | 'None':Const )"`
	Value    *lexer.Token `parser:"| 'value':Name '=' @( String | Const | Int | Float | Raw )"`
	Service  *lexer.Token `parser:"| 'service_name':Name '=' @( String | Const | Int | Float | Raw )"`
	Address  *lexer.Token `parser:"| 'address':Name '=' @( String | Const | Int | Float | Raw )"`
	Port     *lexer.Token `parser:"| 'port':Name '=' @( String | Const | Int | Float | Raw )"`
	Duration *lexer.Token `parser:"| 'duration':Name '=' @( String | Const | Int | Float | Raw )"`
	Extra    *extraField  `parser:"| @@"`
}

type tagNode struct {
	Item   *lexer.Token `parser:"@Tag"`
	Fields []*tagField  `parser:"| 'Tag':Name '(' @@ ( ',' @@ )*"`
	Close  *lexer.Token `parser:"@')'"`
}

type tagField struct {
	Key     *lexer.Token `parser:"'key':Name '=' @( String | Const | Int | Float | Raw )"`
	Value   *lexer.Token `parser:"| 'value':Name '=' @( String | Const | Int | Float | Raw )"`
	Service *lexer.Token `parser:"| 'service_name':Name '=' @( String | Const | Int | Float | Raw )"`
	Address *lexer.Token `parser:"| 'address':Name '=' @( String | Const | Int | Float | Raw )"`
	Port    *lexer.Token `parser:"| 'port':Name '=' @( String | Const | Int | Float | Raw )"`
	Extra   *extraField  `parser:"| @@"`
}

type extraField struct {
	Name  *lexer.Token `parser:"@( Extra | Name ) '='"`
	Value *lexer.Token `parser:"@( String | Const | Int | Float | Raw )"`
}

// What may follow a value in a note or a tag, piece by piece to the end of the
// span: it tells whether a value that nothing quotes may end there (raw.go).

type noteTail struct {
	Fields []*noteField `parser:"( ',' @@ )*"`
	Close  *lexer.Token `parser:"@')'"`
}

type tagTail struct {
	Fields []*tagField  `parser:"( ',' @@ )*"`
	Close  *lexer.Token `parser:"@')'"`
}

type nextItem struct {
	Note *noteNode `parser:"',' ( @@"`
	Tag  *tagNode  `parser:"| @@ )"`
}

type listTail struct {
	List *lexer.Token `parser:"@']'"`
	Span []*restField `parser:"( ',' @@ )*"`
	End  *lexer.Token `parser:"@')'"`
}

// restField is a field of Span that has not been read yet; a field of Note or
// Tag is none, so that a list of notes is not taken for that of the span.
type restField struct {
	Field *spanField   `parser:"(?= 'trace_id' | 'parent_id' | 'id' | 'name' | 'notes' | 'dimensions' ) @@"`
	Extra *lexer.Token `parser:"| @Extra '=' ( String | Const | Int | Float | Raw )"`
}

var (
	spanGrammar     = newGrammar[spanNode]()
	noteGrammar     = newGrammar[noteNode]()
	tagGrammar      = newGrammar[tagNode]()
	noteTailGrammar = newGrammar[noteTail]()
	tagTailGrammar  = newGrammar[tagTail]()
	nextItemGrammar = newGrammar[nextItem]()
	listTailGrammar = newGrammar[listTail]()
)

// grammar is one that is built when it is first asked: most logs need none.
type grammar[G any] func() *participle.Parser[G]

func newGrammar[G any]() grammar[G] {
	return sync.OnceValue(func() *participle.Parser[G] {
		return participle.MustBuild[G](participle.Lexer(definition{}), participle.UseLookahead(0))
	})
}

// grammarSpan reads the text of a span, which begins with "Span(", by the
// grammar. What is whole before any damage is in the span all the same. Notes and
// tags that the scanner knows it reads by itself, unless s is nil; these are
// borrowed from the text.
func (s *scanner) grammarSpan(text []byte, limit Options, syslog bool) decoded {
	read := func(doubt bool) (decoded, *spanLexer) {
		l := newSpanLexer(text, limit, s, syslog, doubt)
		l.run()
		if s != nil {
			s.work += l.at + l.raws.spent
		}
		return readTokens(&l.tokens, syslog), l
	}
	d, l := read(false)
	if d.damage == nil || len(l.raws.ends) == 0 || l.raws.tooMany {
		return d
	}
	if again, _ := read(true); again.damage == nil {
		return again
	}
	return d
}

func readTokens(tokens *tokens, syslog bool) decoded {
	node, err := parse(spanGrammar, tokens)
	b := builder{syslog: syslog, items: tokens.items}
	d := decoded{}
	b.build(node)
	d.span, d.has = b.span, b.hasTraceID && b.hasID
	switch {
	case b.damage != nil: // it stands before what the grammar minds
		d.damage = b.damage
	case err != nil:
		d.damage = describe(err, tokens)
	case !d.has:
		d.damage = &damage{at: node.Close.Pos.Offset, reason: "a Span without trace_id or id", expected: "both fields"}
	default:
		d.end = node.Close.Pos.Offset + 1
	}
	return d
}

func parse[G any](grammar grammar[G], t *tokens) (*G, error) {
	peeking, err := lexer.Upgrade(&tokenReader{tokens: t})
	if err != nil {
		return nil, err
	}
	return grammar().ParseFromLexer(peeking)
}

// describe says in words what is wrong where the grammar could not go on.
func describe(err error, t *tokens) *damage {
	var unexpected *participle.UnexpectedTokenError
	if !errors.As(err, &unexpected) {
		d := &damage{reason: err.Error()}
		var positioned participle.Error
		if errors.As(err, &positioned) {
			d.at, d.reason = positioned.Position().Offset, positioned.Message()
		}
		return d
	}
	token := unexpected.Unexpected
	d := &damage{at: token.Pos.Offset, expected: expectation(unexpected.Message())}
	switch token.Type {
	case tokenBad:
		bad := *t.bad
		if bad.expected == "" {
			bad.expected = d.expected
		}
		return &bad
	case tokenEOF:
		d.at, d.reason, d.cut = len(t.text), "the record ends before the span does", true
	default:
		d.reason = "unexpected " + quoted(t.text[d.at:])
		if strings.HasSuffix(string(bytes.TrimRight(t.text[:d.at], " ")), "=[") {
			d.expected = `an element of the list or "]"`
		}
	}
	return d
}

// expectation turns what participle says it expected into words.
func expectation(message string) string {
	_, expected, ok := strings.Cut(message, "(expected ")
	if !ok {
		return ""
	}
	expected = strings.TrimSuffix(expected, ")")
	switch {
	case strings.HasPrefix(expected, "(<string>"):
		return "a value"
	case strings.HasPrefix(expected, "<int>"), strings.HasPrefix(expected, "(<int> | \"None\""):
		return "a whole number"
	case strings.HasPrefix(expected, "(<int> | <float>"):
		return "a time in seconds"
	case strings.HasPrefix(expected, "SpanField"):
		return "a field of Span, as trace_id=…"
	case strings.HasPrefix(expected, "NoteField"):
		return "a field of Note, as time=…"
	case strings.HasPrefix(expected, "TagField"):
		return "a field of Tag, as key=…"
	case strings.HasPrefix(expected, "NoteNode"):
		return "Note(…)"
	case strings.HasPrefix(expected, "TagNode"):
		return "Tag(…)"
	case strings.HasPrefix(expected, "(NoteList"), strings.HasPrefix(expected, "(TagList"):
		return `"["`
	case strings.HasPrefix(expected, `")"`):
		return `"," or ")"`
	case strings.HasPrefix(expected, `"]"`):
		return `"," or "]"`
	}
	first, _, _ := strings.Cut(expected, " ")
	return strings.TrimSuffix(first, ":Name")
}
