package parser

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/tomoscrape/tomoscrape/trace"
)

// decoded is what the text of a span gave.
type decoded struct {
	span   trace.Span
	has    bool    // trace_id and id stood whole, so span is worth having
	end    int     // offset behind the span, if it is whole
	damage *damage // nil if it is whole
}

// builder makes a span of what the grammar read, whole or in part: only what
// stands whole, and nothing behind the first thing that does not.
type builder struct {
	span       trace.Span
	hasTraceID bool
	hasID      bool
	damage     *damage // of a kind that the grammar does not mind
	syslog     bool    // control characters stand as #ooo outside literals
	items      []item  // of the tokens
}

// once says whether a field stands here for the first time; a second time is
// damage, as it is to Python.
func (b *builder) once(seen *uint, field uint, token *lexer.Token, name string) bool {
	if *seen&(1<<field) != 0 {
		b.damage = &damage{at: token.Pos.Offset, reason: "the field " + name + " stands twice"}
		return false
	}
	*seen |= 1 << field
	return true
}

func (b *builder) build(node *spanNode) {
	if node == nil {
		return
	}
	var seen uint
	for _, f := range node.Fields {
		if f == nil || b.damage != nil {
			return
		}
		switch {
		case f.TraceID != nil:
			b.hasTraceID = b.once(&seen, 0, f.TraceID, "trace_id") && b.id(&b.span.TraceID, f.TraceID)
		case f.ParentID != nil:
			if b.once(&seen, 1, f.ParentID, "parent_id") && f.ParentID.Type == tokenInt {
				b.span.HasParent = b.id(&b.span.ParentID, f.ParentID)
			}
		case f.ID != nil:
			b.hasID = b.once(&seen, 2, f.ID, "id") && b.id(&b.span.ID, f.ID)
		case f.Name != nil:
			if b.once(&seen, 3, f.Name, "name") {
				b.span.Name = b.text(f.Name)
			}
		case f.Notes != nil:
			b.notes(f.Notes, &seen)
		case f.Dimensions != nil:
			b.dimensions(f.Dimensions, &seen)
		case f.Extra != nil:
			b.extra(&b.span.Extra, f.Extra)
		}
	}
}

func (b *builder) notes(list *noteList, seen *uint) {
	if list.Open == nil || !b.once(seen, 4, list.Open, "notes") {
		return
	}
	for _, n := range list.Notes {
		if n == nil || n.Item == nil {
			return
		}
		i := b.item(n.Item)
		if b.damage != nil {
			return
		}
		b.span.Notes = append(b.span.Notes, i.note)
	}
}

func (b *builder) note(n *noteNode) (note trace.Note) {
	var seen uint
	for _, f := range n.Fields {
		if b.damage != nil {
			return note
		}
		switch {
		case f.Time != nil:
			if b.once(&seen, 0, f.Time, "time") {
				note.Time, note.HasTime = microseconds([]byte(f.Time.Value))
				if !note.HasTime {
					b.span.Damage |= trace.BadTime
				}
			}
		case f.Value != nil:
			if b.once(&seen, 1, f.Value, "value") {
				note.Value = b.value(f.Value)
			}
		case f.Service != nil:
			if b.once(&seen, 2, f.Service, "service_name") {
				note.Service = b.text(f.Service)
			}
		case f.Address != nil:
			if b.once(&seen, 3, f.Address, "address") {
				note.Address = b.text(f.Address)
			}
		case f.Port != nil:
			if b.once(&seen, 4, f.Port, "port") {
				note.Port = b.value(f.Port)
			}
		case f.Duration != nil:
			if b.once(&seen, 5, f.Duration, "duration") {
				note.Duration = b.value(f.Duration)
			}
		case f.Extra != nil:
			b.extra(&note.Extra, f.Extra)
		}
	}
	return note
}

func (b *builder) dimensions(list *tagList, seen *uint) {
	if list.Open == nil || !b.once(seen, 5, list.Open, "dimensions") {
		return
	}
	if list.Close != nil {
		b.span.Dimensions = []trace.Dimension{}
	}
	for _, n := range list.Tags {
		if n == nil || n.Item == nil {
			return
		}
		i := b.item(n.Item)
		if b.damage != nil {
			return
		}
		b.span.Dimensions = append(b.span.Dimensions, i.dimension)
	}
}

func (b *builder) dimension(n *tagNode) (d trace.Dimension) {
	var seen uint
	for _, f := range n.Fields {
		if b.damage != nil {
			return d
		}
		switch {
		case f.Key != nil:
			if b.once(&seen, 0, f.Key, "key") {
				d.Key = b.text(f.Key)
			}
		case f.Value != nil:
			if b.once(&seen, 1, f.Value, "value") {
				d.Value = b.value(f.Value)
			}
		case f.Service != nil:
			if b.once(&seen, 2, f.Service, "service_name") {
				d.Service = b.text(f.Service)
			}
		case f.Address != nil:
			if b.once(&seen, 3, f.Address, "address") {
				d.Address = b.text(f.Address)
			}
		case f.Port != nil:
			if b.once(&seen, 4, f.Port, "port") {
				d.Port = b.value(f.Port)
			}
		case f.Extra != nil:
			b.extra(&d.Extra, f.Extra)
		}
	}
	return d
}

// maxExtra bounds the fields tomograph never had of one span, note or tag.
const maxExtra = 100

func (b *builder) extra(fields *[]trace.Field, f *extraField) {
	if f.Value == nil {
		return
	}
	if len(*fields) == maxExtra {
		b.damage = &damage{at: f.Name.Pos.Offset, reason: fmt.Sprintf("more than %d fields that tomograph never had",
			maxExtra)}
		return
	}
	for _, have := range *fields {
		if have.Name == f.Name.Value {
			b.damage = &damage{at: f.Name.Pos.Offset, reason: fmt.Sprintf("the field %s stands twice", f.Name.Value)}
			return
		}
	}
	*fields = append(*fields, trace.Field{Name: f.Name.Value, Value: b.value(f.Value)})
}

func (b *builder) id(id *trace.ID, token *lexer.Token) bool {
	n, err := trace.ParseID(token.Value)
	if err != nil {
		b.damage = &damage{at: token.Pos.Offset, reason: err.Error(), expected: "a whole number"}
		return false
	}
	*id = n
	return true
}

// text makes a name, service, address or key of a token: absent for None, and
// the source text for what is no string.
func (b *builder) text(token *lexer.Token) trace.Text {
	v := b.value(token)
	if v.Kind == trace.None {
		return trace.Text{}
	}
	return trace.NewText(v.Text)
}

func (b *builder) value(token *lexer.Token) trace.Value {
	switch token.Type {
	case tokenString:
		text, invalid, _ := literalString([]byte(token.Value))
		if invalid {
			b.span.Damage |= trace.InvalidUTF8
		}
		return trace.Value{Kind: trace.String, Text: text}
	case tokenInt:
		return trace.Value{Kind: trace.Int, Text: strings.TrimSuffix(token.Value, "L")}
	case tokenFloat:
		return trace.Value{Kind: trace.Float, Text: token.Value}
	case tokenConst:
		if token.Value == "None" {
			return trace.Value{Kind: trace.None}
		}
		return trace.Value{Kind: trace.Bool, Text: token.Value}
	}
	source := []byte(token.Value)
	if b.syslog {
		source = unescapeSyslog(source)
	}
	text, invalid := validUTF8(source)
	if invalid {
		b.span.Damage |= trace.InvalidUTF8
	}
	return trace.Value{Kind: trace.Repr, Text: text}
}

// unescapeSyslog turns #ooo, as rsyslog writes control characters, back into
// them, outside quoted literals: repr leaves no control character in one, and a
// real # is not escaped.
func unescapeSyslog(source []byte) []byte {
	if bytes.IndexByte(source, '#') < 0 {
		return source
	}
	out := make([]byte, 0, len(source))
	var unclosed [2]bool // no literal that ' or " opens is closed from here on
	for i := 0; i < len(source); i++ {
		switch c := source[i]; c {
		case '\'', '"':
			open := &unclosed[c&1]
			if !*open && (i == 0 || !isWord(source[i-1]) || isPrefix(source[:i])) {
				if n, _ := stringEnd(source[i:]); n > 0 {
					out = append(out, source[i:i+n]...)
					i += n - 1
					continue
				}
				*open = true
			}
			out = append(out, c)
		case '#':
			if code, ok := octal(source[i+1:]); ok && (code < 0x20 || code == 0x7f) {
				out = append(out, code)
				i += 3
				continue
			}
			out = append(out, c)
		default:
			out = append(out, c)
		}
	}
	return out
}

func octal(text []byte) (code byte, ok bool) {
	if len(text) < 3 {
		return 0, false
	}
	n := 0
	for _, c := range text[:3] {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n<<3 | int(c-'0')
	}
	return byte(n), n < 256
}
