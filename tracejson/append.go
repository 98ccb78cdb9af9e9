package tracejson

import (
	"slices"
	"strconv"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Append appends the document of a trace to dst: one line without its newline.
// The trace is one that package assemble made; in particular a span's damage is
// among its problems. Control characters and what is no UTF-8 never appear raw.
func Append(dst []byte, t *trace.Trace) []byte { return AppendParts(dst, t, nil) }

// AppendParts appends as Append does. Of the document of a large trace it hands over
// what there is to full, behind a span or a problem when that is half a mebibyte, and
// goes on with what full gives back.
func AppendParts(dst []byte, t *trace.Trace, full func([]byte) []byte) []byte {
	if t.Large == nil {
		dst = slices.Grow(dst, estimate(t))
	}
	dst = append(dst, `{"trace_id":"`...)
	dst = t.ID.AppendHex(dst)
	dst = append(dst, `","tomograph_id":"`...)
	dst = t.ID.AppendDecimal(dst)
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
	dst = appendProblems(dst, t.Problems, full)
	dst = append(dst, `,"services":[`...)
	for i, service := range t.Services {
		dst = appendString(appendComma(dst, i), service)
	}
	dst = append(dst, `],"spans":[`...)
	for i := range t.Len() {
		dst = handOver(appendSpan(appendComma(dst, i), t.Node(i)), full)
	}
	return append(dst, `]}`...)
}

// handOver hands over what there is if it is enough.
func handOver(dst []byte, full func([]byte) []byte) []byte {
	if full == nil || len(dst) < partSize {
		return dst
	}
	return full(dst)
}

// partSize is about how many bytes of a large document are handed over at once.
const partSize = 512 << 10

// estimate is about how long the document of a trace becomes. Looking at all of
// its notes beforehand pays by itself: they lie all over the memory, and are
// fetched several at a time here.
func estimate(t *trace.Trace) int {
	size := 256
	for i := range t.Spans {
		n := &t.Spans[i]
		size += 256
		for j := range n.Notes {
			size += 112 + len(n.Notes[j].Value.Text) + len(n.Notes[j].Address.String)
		}
		if len(n.Origin) > 0 {
			size += len(n.Origin[0].File)
		}
	}
	return size
}

func appendSpan(dst []byte, n *trace.Node) []byte {
	dst = append(dst, `{"id":"`...)
	dst = n.ID.AppendHex(dst)
	dst = append(dst, `","tomograph_id":"`...)
	dst = n.ID.AppendDecimal(dst)
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
	dst = appendNotes(dst, n.Notes)
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
	dst = appendProblems(dst, n.Problems, nil)
	return append(dst, '}')
}

// appendNotes appends notes with commas between them. Most notes of a span stand
// on one endpoint, and a statement is often noted twice, so what a note has in
// common with that before it is copied from there.
func appendNotes(dst []byte, notes []trace.Note) []byte {
	var value, endpoint, rest int // where these parts of the note before begin
	for i := range notes {
		n := &notes[i]
		dst = appendComma(dst, i)
		begin := len(dst)
		if n.HasTime {
			dst = appendInt(dst, `,"time":`, n.Time)
		}
		from := len(dst)
		if i > 0 && n.Value == notes[i-1].Value {
			dst = again(dst, value, endpoint)
		} else {
			dst = appendTyped(dst, n.Value)
		}
		to := len(dst)
		if i > 0 && sameEndpoint(n, &notes[i-1]) {
			dst = again(dst, endpoint, rest)
		} else {
			dst = appendText(dst, `,"service":`, n.Service)
			dst = appendText(dst, `,"address":`, n.Address)
			dst = appendOptional(dst, `,"port":`, n.Port)
		}
		value, endpoint, rest = from, to, len(dst)
		dst = appendOptional(dst, `,"duration":`, n.Duration)
		dst = appendExtra(dst, n.Extra)
		dst = object(dst, begin)
	}
	return dst
}

// again appends the fields that stand at dst[begin:end] once more. The comma
// before them may have become a brace there, see object.
func again(dst []byte, begin, end int) []byte {
	if begin == end {
		return dst
	}
	dst = append(dst, ',')
	return append(dst, dst[begin+1:end]...)
}

func sameEndpoint(a, b *trace.Note) bool {
	return a.Service == b.Service && a.Address == b.Address && a.Port == b.Port
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
	dst = appendNonempty(dst, `,"file":`, o.File)
	dst = appendNonzero(dst, `,"line":`, o.Line)
	dst = appendNonempty(dst, `,"request_id":`, o.RequestID)
	dst = appendNonempty(dst, `,"global_request_id":`, o.GlobalRequestID)
	dst = appendNonzero(dst, `,"pid":`, o.PID)
	dst = appendNonempty(dst, `,"log_host":`, o.LogHost)
	dst = appendNonzero(dst, `,"log_time":`, o.LogTime)
	return object(dst, begin)
}

func appendNonempty(dst []byte, key, s string) []byte {
	return appendText(dst, key, trace.Text{String: s, Set: s != ""})
}

func appendNonzero(dst []byte, key string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return appendInt(dst, key, n)
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

func appendProblems(dst []byte, problems []trace.Problem, full func([]byte) []byte) []byte {
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
		dst = handOver(append(dst, '}'), full)
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

// number says whether text is a JSON number, and whether it is a whole one,
// without a point or an exponent.
func number(text string) (whole, ok bool) {
	at := 0
	if text != "" && text[0] == '-' {
		at = 1
	}
	end := digits(text, at)
	if end == at || text[at] == '0' && end > at+1 {
		return false, false
	}
	if end == len(text) {
		return true, true
	}
	if text[end] == '.' {
		at = end + 1
		if end = digits(text, at); end == at {
			return false, false
		}
	}
	if end < len(text) && (text[end] == 'e' || text[end] == 'E') {
		at = end + 1
		if at < len(text) && (text[at] == '+' || text[at] == '-') {
			at++
		}
		if end = digits(text, at); end == at {
			return false, false
		}
	}
	return false, end == len(text)
}

// digits is the end of the decimal digits of text from at on.
func digits(text string, at int) int {
	for at < len(text) && '0' <= text[at] && text[at] <= '9' {
		at++
	}
	return at
}
