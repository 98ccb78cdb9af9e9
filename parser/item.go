package parser

import (
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/tomoscrape/tomoscrape/trace"
)

// This file reads the notes and tags of a span one by one, as soon as their tokens
// are there: those of a whole record would take many times its length, and nobody
// could end the reading of it.

// item is a note or tag that was read by itself.
type item struct {
	note      trace.Note
	dimension trace.Dimension
	flags     trace.Damage
	damage    *damage // of a kind that the grammar does not mind
}

// item reads the note or tag whose tokens are the last ones, and puts one token in
// their place. If it can't be read, they stay, for the grammar of the span to say
// what is wrong; nothing behind them matters then.
func (l *spanLexer) item() bool {
	own := tokens{text: l.text[:l.at], list: l.list[l.first:]}
	b := builder{syslog: l.syslog}
	kind := tokenNote
	var i item
	if l.scope == 'N' {
		node, err := parse(noteGrammar, &own)
		if err != nil {
			return false
		}
		i.note = b.note(node)
	} else {
		node, err := parse(tagGrammar, &own)
		if err != nil {
			return false
		}
		kind, i.dimension = tokenTag, b.dimension(node)
	}
	i.flags, i.damage = b.span.Damage, b.damage
	at := l.list[l.first].Pos.Offset
	l.list = l.list[:l.first]
	l.emitItem(kind, at, i)
	return true
}

// emitItem emits the token for an item that begins at offset at.
func (l *spanLexer) emitItem(kind lexer.TokenType, at int, i item) {
	l.items = append(l.items, i)
	l.list = append(l.list, lexer.Token{Type: kind, Pos: lexer.Position{Offset: at, Line: len(l.items) - 1}})
}

// inList says whether an item of a list may stand at l.at.
func (l *spanLexer) inList() bool {
	n := len(l.list)
	switch {
	case l.scope != 'S' || n == 0 || l.list[n-1].Type != tokenPunct:
		return false
	case l.list[n-1].Value == ",":
		return n == 1 || l.list[n-2].Type == tokenNote || l.list[n-2].Type == tokenTag
	}
	return l.list[n-1].Value == "["
}

// scanItem has the scanner read the note or tag at l.at; false if it can't.
func (l *spanLexer) scanItem(scope byte) bool {
	s := l.scanner
	if s == nil {
		return false
	}
	var i item
	ok, kind := false, tokenNote
	s.text, s.at, s.span.Damage = l.text, l.at, 0
	if scope == 'N' {
		ok = s.note(&i.note)
	} else {
		ok, kind = s.dimension(&i.dimension), tokenTag
	}
	if !ok {
		return false
	}
	at := l.at
	l.at, i.flags = s.at, s.span.Damage
	l.emitItem(kind, at, i)
	return true
}

// item is what a token stands for; its damage becomes the builder's.
func (b *builder) item(token *lexer.Token) *item {
	i := &b.items[token.Pos.Line]
	b.span.Damage |= i.flags
	b.damage = i.damage
	return i
}
