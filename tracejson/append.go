package tracejson

import (
	"strconv"
	"unicode/utf8"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Append appends the document of a trace to dst: one line without its newline.
// The trace is one that package assemble made; in particular a span's damage is
// among its problems. Control characters and what is no UTF-8 never appear raw.
func Append(dst []byte, t *trace.Trace) []byte {
	dst = append(dst, `{"trace_id":"`...)
	dst = t.ID.AppendHex(dst)
	dst = append(dst, `","tomograph_id":"`...)
	dst = append(dst, t.ID.Decimal()...)
	dst = append(dst, '"')
	if t.HasStart {
		dst = appendInt(dst, `,"start":`, t.Start)
		dst = appendInt(dst, `,"duration":`, length(t.Start, t.End))
	}
	if t.Complete() {
		dst = append(dst, `,"verdict":"complete","problems":`...)
	} else {
		dst = append(dst, `,"verdict":"incomplete","problems":`...)
	}
	dst = appendProblems(dst, t.Problems)
	dst = append(dst, `,"services":[`...)
	for i, service := range t.Services {
		dst = appendString(appendComma(dst, i), service)
	}
	dst = append(dst, `],"spans":[`...)
	for i := range t.Spans {
		dst = appendSpan(appendComma(dst, i), &t.Spans[i])
	}
	return append(dst, `]}`...)
}

func appendSpan(dst []byte, n *trace.Node) []byte {
	dst = append(dst, `{"id":"`...)
	dst = n.ID.AppendHex(dst)
	dst = append(dst, `","tomograph_id":"`...)
	dst = append(dst, n.ID.Decimal()...)
	if n.HasParent {
		dst = append(dst, `","parent_id":"`...)
		dst = n.ParentID.AppendHex(dst)
		if n.ParentID.Odd != "" {
			dst = append(dst, `","tomograph_parent_id":"`...)
			dst = append(dst, n.ParentID.Odd...)
		}
	}
	dst = appendInt(dst, `","depth":`, int64(n.Depth))
	dst = appendText(dst, `,"name":`, n.Name)
	dst = appendText(dst, `,"service":`, n.Service())
	dst = appendText(dst, `,"host":`, n.Host())
	first, last, timed := n.Extent()
	if timed > 0 {
		dst = appendInt(dst, `,"start":`, first)
	}
	if timed > 1 {
		dst = appendInt(dst, `,"duration":`, length(first, last))
	}
	if n.Moved != 0 {
		dst = appendInt(dst, `,"moved":`, n.Moved)
	}
	dst = append(dst, `,"notes":[`...)
	for i := range n.Notes {
		dst = appendNote(appendComma(dst, i), &n.Notes[i])
	}
	dst = append(dst, ']')
	if n.Dimensions != nil {
		dst = append(dst, `,"dimensions":[`...)
		for i := range n.Dimensions {
			dst = appendDimension(appendComma(dst, i), &n.Dimensions[i])
		}
		dst = append(dst, ']')
	}
	dst = appendExtra(dst, n.Extra)
	dst = append(dst, `,"origin":[`...)
	for i := range n.Origin {
		dst = appendOrigin(appendComma(dst, i), &n.Origin[i])
	}
	dst = append(dst, `],"problems":`...)
	dst = appendProblems(dst, n.Problems)
	return append(dst, '}')
}

func appendNote(dst []byte, n *trace.Note) []byte {
	begin := len(dst)
	if n.HasTime {
		dst = appendInt(dst, `,"time":`, n.Time)
	}
	dst = appendTyped(dst, n.Value)
	dst = appendText(dst, `,"service":`, n.Service)
	dst = appendText(dst, `,"address":`, n.Address)
	dst = appendOptional(dst, `,"port":`, n.Port)
	dst = appendOptional(dst, `,"duration":`, n.Duration)
	dst = appendExtra(dst, n.Extra)
	return object(dst, begin)
}

func appendDimension(dst []byte, d *trace.Dimension) []byte {
	begin := len(dst)
	dst = appendText(dst, `,"key":`, d.Key)
	dst = appendTyped(dst, d.Value)
	dst = appendText(dst, `,"service":`, d.Service)
	dst = appendText(dst, `,"address":`, d.Address)
	dst = appendOptional(dst, `,"port":`, d.Port)
	dst = appendExtra(dst, d.Extra)
	return object(dst, begin)
}

func appendOrigin(dst []byte, o *trace.Origin) []byte {
	begin := len(dst)
	text := func(key, s string) {
		if s != "" {
			dst = appendString(append(dst, key...), s)
		}
	}
	number := func(key string, n int64) {
		if n != 0 {
			dst = appendInt(dst, key, n)
		}
	}
	text(`,"file":`, o.File)
	number(`,"line":`, o.Line)
	text(`,"request_id":`, o.RequestID)
	text(`,"global_request_id":`, o.GlobalRequestID)
	number(`,"pid":`, o.PID)
	text(`,"log_host":`, o.LogHost)
	number(`,"log_time":`, o.LogTime)
	return object(dst, begin)
}

// object ends an object whose fields were appended from begin on, each with a
// comma before it: the first comma becomes the brace.
func object(dst []byte, begin int) []byte {
	if len(dst) == begin {
		return append(dst, "{}"...)
	}
	dst[begin] = '{'
	return append(dst, '}')
}

func appendProblems(dst []byte, problems []trace.Problem) []byte {
	dst = append(dst, '[')
	for i := range problems {
		p := &problems[i]
		dst = appendString(append(appendComma(dst, i), `{"code":`...), string(p.Code))
		if p.HasSpan {
			dst = append(dst, `,"span":"`...)
			dst = p.Span.AppendHex(dst)
			dst = append(dst, '"')
		}
		dst = appendString(append(dst, `,"text":`...), p.Text)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendTyped appends the field value and, where its JSON does not tell the
// type, the field type. Nothing stands for a value that is not there.
func appendTyped(dst []byte, v trace.Value) []byte {
	if v.Kind == trace.Absent {
		return dst
	}
	dst, kind := appendValue(append(dst, `,"value":`...), v)
	return appendType(dst, kind)
}

func appendType(dst []byte, kind string) []byte {
	if kind == "" {
		return dst
	}
	dst = append(dst, `,"type":"`...)
	dst = append(dst, kind...)
	return append(dst, '"')
}

// appendOptional appends a field for which None is not there.
func appendOptional(dst []byte, key string, v trace.Value) []byte {
	if v.Kind == trace.Absent || v.Kind == trace.None {
		return dst
	}
	return appendAny(append(dst, key...), v)
}

// appendAny appends a value as JSON that tells its type alone.
func appendAny(dst []byte, v trace.Value) []byte {
	begin := len(dst)
	dst, kind := appendValue(dst, v)
	if kind == "" {
		return dst
	}
	return object(appendTyped(dst[:begin], v), begin)
}

// appendValue appends the JSON of a value and names the type that it does not
// tell.
func appendValue(dst []byte, v trace.Value) (json []byte, kind string) {
	switch v.Kind {
	case trace.String:
		return appendString(dst, v.Text), ""
	case trace.Int, trace.Float:
		whole, ok := number(v.Text)
		switch {
		case ok && whole == (v.Kind == trace.Int):
			return append(dst, v.Text...), ""
		case v.Kind == trace.Int:
			return appendString(dst, v.Text), typeInt
		}
		return appendString(dst, v.Text), typeFloat
	case trace.Bool:
		return strconv.AppendBool(dst, v.Text == "True"), ""
	case trace.Repr:
		return appendString(dst, v.Text), typeRepr
	default:
		return append(dst, "null"...), ""
	}
}

// The types that stand beside a value.
const (
	typeRepr  = "repr"
	typeFloat = "float"
	typeInt   = "int"
)

// appendExtra appends the fields tomograph never had as one object, nothing if
// there are none.
func appendExtra(dst []byte, fields []trace.Field) []byte {
	if len(fields) == 0 {
		return dst
	}
	dst = append(dst, `,"extra":{`...)
	again := repeated(fields)
	begin := len(dst)
	for i := range fields {
		f := &fields[i]
		all, several := again[f.Name]
		if several && all == nil {
			continue // they stand where the first of them did
		}
		if len(dst) > begin {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, f.Name), ':')
		if !several {
			dst = appendAny(dst, f.Value)
			continue
		}
		dst = append(dst, `{"values":[`...)
		for j, v := range all {
			dst = appendAny(appendComma(dst, j), v)
		}
		dst = append(dst, `]}`...)
		again[f.Name] = nil
	}
	return append(dst, '}')
}

// repeated are the values of the names that several fields have; nil if all
// names differ.
func repeated(fields []trace.Field) map[string][]trace.Value {
	if len(fields) < 2 {
		return nil
	}
	all := make(map[string][]trace.Value, len(fields))
	for _, f := range fields {
		all[f.Name] = append(all[f.Name], f.Value)
	}
	for name, values := range all {
		if len(values) == 1 {
			delete(all, name)
		}
	}
	return all
}

func appendText(dst []byte, key string, t trace.Text) []byte {
	if !t.Set {
		return dst
	}
	return appendString(append(dst, key...), t.String)
}

func appendInt(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(dst, key...), n, 10)
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// length is last - first; what no int64 holds, which only times beyond all dates
// give, is its largest.
func length(first, last int64) int64 {
	if d := last - first; d >= 0 {
		return d
	}
	return 1<<63 - 1
}

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (plain [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// appendString appends s as a JSON string. Control characters (C0, DEL and C1),
// U+2028 and U+2029 are escaped; a run of bytes that are no UTF-8 becomes one
// U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	begin := 0 // of what is not appended yet
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[begin:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, `\n`...)
			case '\r':
				dst = append(dst, `\r`...)
			case '\t':
				dst = append(dst, `\t`...)
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			begin = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[begin:i]...), "\uFFFD"...)
			for i < len(s) && r == utf8.RuneError && size == 1 {
				i++
				r, size = utf8.DecodeRuneInString(s[i:])
			}
			begin = i
			continue
		case r < 0xa0:
			dst = append(append(dst, s[begin:i]...), '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
			begin = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, s[begin:i]...), `\u202`...)
			dst = append(dst, hex[r&15])
			begin = i + size
		}
		i += size
	}
	return append(append(dst, s[begin:]...), '"')
}

// number says whether text is a JSON number, and whether it is a whole one,
// without a point or an exponent.
func number(text string) (whole, ok bool) {
	i := 0
	digits := func() bool {
		begin := i
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i > begin
	}
	if i < len(text) && text[i] == '-' {
		i++
	}
	zero := i < len(text) && text[i] == '0'
	if begin := i; !digits() || zero && i > begin+1 {
		return false, false
	}
	whole = true
	if i < len(text) && text[i] == '.' {
		i++
		whole = false
		if !digits() {
			return false, false
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		whole = false
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if !digits() {
			return false, false
		}
	}
	return whole, i == len(text)
}
