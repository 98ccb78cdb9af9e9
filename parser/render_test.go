package parser

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
)

// This file renders spans as Python's repr does, for the tests to read back.

// python is a Python that prints spans.
type python struct {
	three bool // Python 3: code points, printable ones unescaped
	java  bool // Jython: L from 2**31 up
	era   int  // 1 to 4
}

// repr is Python's repr of a str: the double quote only where the text has a
// single quote and no double one.
func (p python) repr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if p.three {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || !p.three && r >= 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x7f:
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	b.WriteByte(quote)
	return b.String()
}

// unicodeRepr is Python 2's repr of a unicode string.
func unicodeRepr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte('u')
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default: // a narrow build's surrogate pair
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

func (p python) integer(decimal string) string {
	id, _ := trace.ParseID(decimal)
	if p.java && (id.Hi > 0 || id.Lo >= 1<<31 || id.Odd != "") {
		return decimal + "L"
	}
	return decimal
}

func (p python) text(t trace.Text, wide bool) string {
	if !t.Set {
		return "None"
	}
	if wide && !p.three {
		return unicodeRepr(t.String)
	}
	return p.repr(t.String)
}

func (p python) value(v trace.Value) string {
	switch v.Kind {
	case trace.None:
		return "None"
	case trace.String:
		return p.repr(v.Text)
	case trace.Int:
		return p.integer(v.Text)
	}
	return v.Text
}

func seconds(us int64) string {
	s := strconv.FormatInt(us/1e6, 10) + "." + strings.TrimRight(fmt.Sprintf("%06d", us%1e6), "0")
	if strings.HasSuffix(s, ".") {
		s += "0"
	}
	return s
}

// span prints a span as the library of the era logs it.
func (p python) span(s *trace.Span) string {
	var b strings.Builder
	parent := "None"
	if s.HasParent {
		parent = p.integer(s.ParentID.Decimal())
	}
	fmt.Fprintf(&b, "Span(trace_id=%s, parent_id=%s, id=%s, name=%s, notes=[", p.integer(s.TraceID.Decimal()), parent,
		p.integer(s.ID.Decimal()), p.text(s.Name, len(s.Name.String)%3 == 1))
	for i, n := range s.Notes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "Note(time=%s, value=%s, service_name=%s, address=%s, port=%s", seconds(n.Time), p.value(n.Value),
			p.text(n.Service, len(n.Service.String)%5 == 1), p.text(n.Address, false), p.value(n.Port))
		if p.era >= 3 {
			b.WriteString(", duration=" + p.value(n.Duration))
		}
		b.WriteByte(')')
	}
	b.WriteByte(']')
	if p.era >= 3 {
		b.WriteString(", dimensions=[")
		for i, d := range s.Dimensions {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "Tag(key=%s, value=%s, service_name=%s, address=%s, port=%s)", p.text(d.Key, false), p.value(d.Value),
				p.text(d.Service, false), p.text(d.Address, false), p.value(d.Port))
		}
		b.WriteByte(']')
	}
	b.WriteByte(')')
	return b.String()
}

// Generators of spans as they may be logged.

func genPython() *rapid.Generator[python] {
	return rapid.Custom(func(t *rapid.T) python {
		p := python{era: rapid.IntRange(1, 4).Draw(t, "era"), three: rapid.Bool().Draw(t, "three")}
		p.java = !p.three && rapid.Bool().Draw(t, "java")
		return p
	})
}

var words = []string{"start", "stop", "", "it's", `say "hi"`, `both ' and "`, "café", "雪 ☃ 😀", "a\nb\tc", `C:\temp\x41 \u0041 \\`, "SELECT 1 FROM t WHERE a = '%s' \nAND b IN (1, 2)",
	", service_name='x', address=", "Span(trace_id=1, parent_id=None, id=2, name='x', notes=[])", "[1, {2: (3,)}]", ")])", "\x00\x1b[0m\x7f", "\u0085\u00a0\u200b", "100%% of %(x)s"}

func genString() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(words), rapid.StringMatching(`[ -~]{0,30}`), rapid.StringOfN(rapid.RuneFrom(nil, unicode.Latin, unicode.Han, unicode.Symbol), 0, 12, -1))
}

func genText() *rapid.Generator[trace.Text] {
	return rapid.Custom(func(t *rapid.T) trace.Text { return trace.NewText(genString().Draw(t, "text")) })
}

// balanced reprs of objects, as eras E1 and E2 print them
var reprs = []string{"<Image at 0x7f>", "<Note(a=1, service_name='x') at 0x7f>", "{'k': [1, \"it's\"], 2: (3,)}", "[]", "datetime.datetime(2012, 12, 6, 1, 58)",
	"<it's an object>", "Decimal('1.5')", "<function <lambda> at 0x1>", "set([1, 2])", "<a b=1, c=2>", "()", "object", "12 apples", "[Note(time=1.0, value='a', service_name='s', address='h', port=1)]"}

func (p python) genValue() *rapid.Generator[trace.Value] {
	return rapid.Custom(func(t *rapid.T) trace.Value {
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case kind == 0:
			return trace.Value{Kind: trace.None}
		case kind == 1:
			return trace.Value{Kind: trace.Int, Text: strconv.FormatInt(rapid.Int64().Draw(t, "int"), 10)}
		case kind == 2:
			return trace.Value{Kind: trace.Float, Text: rapid.SampledFrom([]string{"1.5", "1e-05", "1e+22", "nan", "inf", "-inf", "-0.0", "0.0032958984375"}).Draw(t, "float")}
		case kind == 3:
			return trace.Value{Kind: trace.Bool, Text: rapid.SampledFrom([]string{"True", "False"}).Draw(t, "bool")}
		case kind == 4 && p.era <= 2:
			return trace.Value{Kind: trace.Repr, Text: rapid.SampledFrom(reprs).Draw(t, "repr")}
		}
		return trace.Value{Kind: trace.String, Text: genString().Draw(t, "string")}
	})
}

func (p python) genSpan() *rapid.Generator[trace.Span] {
	return rapid.Custom(func(t *rapid.T) trace.Span {
		id := func(name string) trace.ID { return trace.IDFromUint64(rapid.Uint64Range(0, 1<<53).Draw(t, name)) }
		s := trace.Span{TraceID: id("trace"), ID: id("id"), Name: genText().Draw(t, "name")}
		if s.HasParent = rapid.Bool().Draw(t, "has parent"); s.HasParent {
			s.ParentID = id("parent")
		}
		port := func() trace.Value {
			return trace.Value{Kind: trace.Int, Text: strconv.Itoa(rapid.IntRange(0, 70000).Draw(t, "port"))}
		}
		for range rapid.IntRange(0, 4).Draw(t, "notes") {
			n := trace.Note{Time: rapid.Int64Range(0, 4e15).Draw(t, "time"), HasTime: true, Value: p.genValue().Draw(t, "value"),
				Service: genText().Draw(t, "service"), Address: genText().Draw(t, "address"), Port: port()}
			if p.era >= 3 {
				n.Duration = trace.Value{Kind: trace.Int, Text: "0"}
			}
			s.Notes = append(s.Notes, n)
		}
		if p.era >= 3 {
			s.Dimensions = []trace.Dimension{}
			for range rapid.IntRange(0, 3).Draw(t, "dimensions") {
				s.Dimensions = append(s.Dimensions, trace.Dimension{Key: genText().Draw(t, "key"), Value: p.genValue().Draw(t, "value"),
					Service: genText().Draw(t, "service"), Address: genText().Draw(t, "address"), Port: port()})
			}
		}
		return s
	})
}
