package parser

import (
	"bytes"
	"strconv"
	"strings"
)

// This file knows the headers of log records: how OpenStack, keystone and
// Python's logging begin a line, and what of it belongs to a span's origin.

const (
	loggerName = "tomograph.backends.log"
	spanMarker = "Span("
)

var (
	loggerBytes = []byte(loggerName)
	markerBytes = []byte(spanMarker)
)

// header is what the front of a record says about it, borrowed from its text.
type header struct {
	requestID       string
	globalRequestID string
	pid             int64
}

// own makes copies of what a header borrows.
func (h *header) own() {
	h.requestID, h.globalRequestID = strings.Clone(h.requestID), strings.Clone(h.globalRequestID)
}

// spanStart is a place in a text where a span record begins.
type spanStart struct {
	header int  // offset of the header, or of what stands for it
	span   int  // offset of "Span("
	bare   bool // there is no logger's name
	head   header
}

// findSpan finds the first span record of text at or after from. A record's
// start is one of
//
//   - a header with a logger name that is tomograph's, then any [...] groups,
//     then Span(: at the start of the message, or in mid-line after the torn end
//     of another line, unless a quote stands right before it;
//   - no header, or one without a logger name, at the start of the message, then
//     Span(trace_id=.
//
// Everything else that holds "Span(" is a mention. from is 0 for the start of
// a message.
func findSpan(text []byte, from int) (spanStart, bool) {
	i := bytes.Index(text[from:], loggerBytes)
	if from == 0 {
		if i >= 0 {
			// Nearly all messages begin with a header, and these are not bare.
			if s, ok := headedSpan(text, i, true); ok && s.header == 0 {
				return s, true
			}
		}
		if s, ok := bareSpan(text); ok {
			return s, true
		}
	}
	for at := from; ; i = bytes.Index(text[at:], loggerBytes) {
		if i < 0 {
			return spanStart{}, false
		}
		name := at + i
		at = name + len(loggerName)
		if s, ok := headedSpan(text, name, true); ok && s.header >= from {
			return s, true
		}
	}
}

// spanRightAt finds the span record that begins at offset at of a text, or behind
// blanks there: behind a whole span, or where another record tore one, a header
// needs no time.
func spanRightAt(text []byte, at int) (spanStart, bool) {
	if at = skipBlank(text, at); at == len(text) {
		return spanStart{}, false
	}
	s, ok := bareSpan(text[at:]) // first, for another kind may be looked for far away
	if !ok {
		s, ok = findSpan(text[at:], 0)
	}
	if !ok || s.header > 0 {
		return spanStart{}, false
	}
	s.header += at
	s.span += at
	return s, true
}

// anyHeader says where the first header in a text begins that is a log record's,
// any logger's with a time or tomograph's without one; -1 if there is none.
func anyHeader(text []byte) int {
	first := recordHeader(text)
	for at := 0; ; {
		i := bytes.Index(text[at:], loggerBytes)
		if i < 0 || first >= 0 && at+i > first {
			return first
		}
		if s, ok := headedSpan(text, at+i, false); ok && (first < 0 || s.header < first) {
			return s.header
		}
		at += i + len(loggerName)
	}
}

// bareSpan reads a message that begins with Span(trace_id=, maybe after a header
// that has no logger name.
func bareSpan(text []byte) (spanStart, bool) {
	i := 0
	for n := colourEnd(text); n > 0; n = colourEnd(text[i:]) {
		i += n
	}
	s := spanStart{header: i, bare: true}
	i = skipTo(text, i+timeEnd(text[i:]), i)
	if n := digitsEnd(text[i:]); n > 0 && n <= 10 && i+n < len(text) && text[i+n] == ' ' {
		s.head.pid, _ = strconv.ParseInt(string(text[i:i+n]), 10, 64)
		i = skipBlank(text, i+n)
	}
	if n := levelEnd(text[i:]); n > 0 {
		i = skipBlank(text, i+n)
	}
	if i < len(text) && text[i] == '[' {
		if n := bytes.IndexByte(text[i:min(len(text), i+maxGroup)], ']'); n > 0 && isLogger(text[i+1:i+n]) {
			return s, false // keystone's LEVEL [NAME]
		}
		i = s.head.groups(text, i)
	}
	s.span = i
	return s, bytes.HasPrefix(text[i:], []byte(spanMarker+"trace_id="))
}

// skipTo is skipBlank from offset to on, if something was read since offset
// from: a message does not begin with blanks.
func skipTo(text []byte, to, from int) int {
	if to == from {
		return to
	}
	return skipBlank(text, to)
}

// isLogger says whether a group is a logger's name rather than a context.
func isLogger(group []byte) bool {
	for _, c := range group {
		if !isWord(c) && c != '.' {
			return false
		}
	}
	return len(group) > 0
}

// headedSpan reads the header around tomograph's logger name, which stands at
// offset name:
//
//	[TIME] [PID] LEVEL NAME [groups] Span(      OpenStack, Python, the library's own
//	[TIME] LEVEL [NAME] Span(                   keystone
//	(NAME): TIME LEVEL [MODULE FUNC] Span(      logging.conf
//	LEVEL:NAME:Span(                            Python's default
//
// A message may begin with one that has no time; in mid-line it is taken for one
// only if not strict.
func headedSpan(text []byte, name int, strict bool) (spanStart, bool) {
	after := name + len(loggerName)
	if after >= len(text) {
		return spanStart{}, false
	}
	var s spanStart
	switch c := text[after]; {
	case c == ')' && (name == 0 || text[name-1] == '(') && after+1 < len(text) && text[after+1] == ':':
		i := skipBlank(text, after+2)
		n := timeEnd(text[i:])
		if n == 0 {
			return spanStart{}, false
		}
		i = skipBlank(text, i+n)
		if n = levelEnd(text[i:]); n == 0 {
			return spanStart{}, false
		}
		i = skipBlank(text, i+n)
		for words := 0; words < 2 && !bytes.HasPrefix(text[i:], markerBytes); words++ {
			n := wordEnd(text[i:])
			if n == 0 {
				return spanStart{}, false
			}
			i = skipBlank(text, i+n)
		}
		s = spanStart{header: max(0, name-1), span: i}
		if s.header > 0 && strict && isQuote(text[s.header-1]) {
			return spanStart{}, false
		}
		return s, bytes.HasPrefix(text[i:], markerBytes)
	case c == ']' && name > 0 && text[name-1] == '[':
		s.header, s.span = name-1, s.head.groups(text, after+1)
	case c == ' ', c == '\x1b', c == '#', c == ':':
		if name > 0 && text[name-1] != ':' && backBlank(text, name) == name {
			return spanStart{}, false // the end of a longer word
		}
		if c == ':' {
			after++
		}
		s.header, s.span = name, s.head.groups(text, after)
	default:
		return spanStart{}, false
	}
	if !bytes.HasPrefix(text[s.span:], markerBytes) {
		return spanStart{}, false
	}
	return s, s.front(text, strict)
}

// front moves s.header from the logger name back to where the header begins:
// over the level, a pid and a time. It says whether that is a header's front: a
// level must stand there, and in mid-line a time, too.
func (s *spanStart) front(text []byte, strict bool) bool {
	i := backBlank(text, s.header)
	if i > 0 && text[i-1] == ':' { // LEVEL:NAME:
		i--
	}
	n := levelStart(text[:i])
	if n < 0 {
		return false
	}
	s.header = n
	i = backBlank(text, n)
	if d := backDigits(text[:i]); d < i && i-d <= 10 && (d == 0 || text[d-1] == ' ') {
		s.head.pid, _ = strconv.ParseInt(string(text[d:i]), 10, 64)
		s.header = d
		i = backBlank(text, d)
	}
	if t := timeStart(text[:i]); t >= 0 {
		s.header = t
		return t == 0 || !strict || !isQuote(text[t-1])
	}
	return !strict || tornTime(text[:s.header])
}

// tornTime says whether what stands before the rest of a header at the start of
// a message is nothing, or what damage left of a time.
func tornTime(text []byte) bool {
	if len(text) > 40 {
		return false
	}
	for i := 0; i < len(text); i++ {
		if n := colourEnd(text[i:]); n > 0 {
			i += n - 1
			continue
		}
		if c := text[i]; isWord(c) && (c < '0' || c > '9') && c != 'T' && c != 'Z' || isQuote(c) || c == '(' ||
			c == '[' {
			return false
		}
	}
	return true
}

// maxGroup bounds the length of a [...] group.
const maxGroup = 4096

// groups reads the [...] groups of a header from i on, among them the request's
// ids, and returns where they end.
func (h *header) groups(text []byte, i int) int {
	for i = skipBlank(text, i); i < len(text) && text[i] == '['; i = skipBlank(text, i) {
		n := bytes.IndexByte(text[i:min(len(text), i+maxGroup)], ']')
		if n < 0 {
			return i
		}
		h.request(text[i+1 : i+n])
		i += n + 1
	}
	return i
}

// request reads a context group: [req user project], [None req user ...] or
// [req-global req-local ...].
func (h *header) request(group []byte) {
	if h.requestID != "" || !bytes.Contains(group, []byte("req-")) {
		return
	}
	var words [2][]byte
	n := 0
	for word := range bytes.FieldsSeq(plain(group)) {
		words[n] = word
		if n++; n == len(words) {
			break
		}
	}
	isRequest := func(w []byte) bool { return bytes.HasPrefix(w, []byte("req-")) }
	switch {
	case isRequest(words[1]):
		h.requestID = borrowed(words[1])
		if isRequest(words[0]) {
			h.globalRequestID = borrowed(words[0])
		}
	case isRequest(words[0]):
		h.requestID = borrowed(words[0])
	}
}

// recordHeader says where the first log header of text begins, any logger's:
// TIME [PID] LEVEL NAME. It returns -1 if there is none.
func recordHeader(text []byte) int {
	for at := 0; ; {
		// A time holds two colons three apart, which is rarer than its digits.
		i := bytes.IndexByte(text[at:], ':')
		if i < 0 {
			return -1
		}
		colon := at + i
		at = colon + 1
		start := colon - len("2006-01-02 15")
		if start < 0 || colon+3 >= len(text) || text[colon+3] != ':' {
			continue
		}
		n := timeEnd(text[start:])
		if n == 0 {
			continue
		}
		j := skipBlank(text, start+n)
		if d := digitsEnd(text[j:]); d > 0 && d <= 10 {
			j = skipBlank(text, j+d)
		}
		if l := levelEnd(text[j:]); l > 0 && j+l < len(text) && text[j+l] == ' ' {
			return start - loggerBefore(text[:start])
		}
	}
}

// loggerBefore returns the length of the (NAME): that text ends with, 0 if there
// is none.
func loggerBefore(text []byte) int {
	if !bytes.HasSuffix(text, []byte("): ")) {
		return 0
	}
	open := bytes.LastIndexByte(text[max(0, len(text)-200):], '(')
	if open < 0 {
		return 0
	}
	open += max(0, len(text)-200)
	if !isLogger(text[open+1 : len(text)-len("): ")]) {
		return 0
	}
	return len(text) - open
}

// startsRecord says whether a message begins a log record of its own: with TIME
// [PID] LEVEL, (NAME): TIME, Span(trace_id=, or, if headers here have no times,
// LEVEL. pid is that of its header, 0 if it has none.
func startsRecord(text []byte, timed bool) (pid int64, ok bool) {
	if bytes.HasPrefix(text, []byte(spanMarker+"trace_id=")) {
		return 0, true
	}
	i := skipBlank(text, 0)
	if i < len(text) && text[i] == '(' { // (NAME): TIME
		if n := bytes.Index(text[i:min(len(text), i+200)], []byte("): ")); n > 0 && timeEnd(text[i+n+3:]) > 0 {
			return 0, true
		}
	}
	n := timeEnd(text[i:])
	if n == 0 && timed {
		return 0, false
	}
	i = skipBlank(text, i+n)
	if d := digitsEnd(text[i:]); n > 0 && d > 0 && d <= 10 && i+d < len(text) && text[i+d] == ' ' {
		pid, _ = strconv.ParseInt(string(text[i:i+d]), 10, 64)
		i = skipBlank(text, i+d)
	}
	n = levelEnd(text[i:])
	return pid, n > 0 && i+n < len(text) && text[i+n] == ' '
}

// timeEnd returns the length of the time that text begins with, 0 if none:
// 2006-01-02 15:04:05 with T for the blank, .mmm or ,mmm, a zone.
func timeEnd(text []byte) int {
	const form = "0000-00-00 00:00:00"
	if len(text) < len(form) || text[4] != '-' {
		return 0
	}
	for i := 0; i < len(form); i++ {
		c := text[i]
		switch form[i] {
		case '0':
			if c < '0' || c > '9' {
				return 0
			}
		case ' ':
			if c != ' ' && c != 'T' {
				return 0
			}
		default:
			if c != form[i] {
				return 0
			}
		}
	}
	i := len(form)
	if i < len(text) && (text[i] == '.' || text[i] == ',') {
		if n := digitsEnd(text[i+1:]); n > 0 && n <= 9 {
			i += 1 + n
		}
	}
	return i + zoneEnd(text[i:])
}

// zoneEnd returns the length of the zone that text begins with: Z, +02:00, +0200.
func zoneEnd(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	if text[0] == 'Z' {
		return 1
	}
	if text[0] != '+' && text[0] != '-' || digitsEnd(text[1:]) < 2 {
		return 0
	}
	if len(text) >= 6 && text[3] == ':' && digitsEnd(text[4:6]) == 2 {
		return 6
	}
	if len(text) >= 5 && digitsEnd(text[1:5]) == 4 {
		return 5
	}
	return 0
}

// timeStart returns where the time that text ends with begins, -1 if none.
func timeStart(text []byte) int {
	for _, n := range [...]int{len("2006-01-02 15:04:05.000"), len("2006-01-02 15:04:05"),
		len("2006-01-02 15:04:05.000000"),
		len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.000Z"), len("2006-01-02T15:04:05.000000Z"),
		len("2006-01-02T15:04:05+00:00"), len("2006-01-02T15:04:05.000+00:00"), len("2006-01-02T15:04:05.000000+00:00"),
		len("2006-01-02T15:04:05+0000"), len("2006-01-02T15:04:05.000+0000")} {
		if at := len(text) - n; at >= 0 && timeEnd(text[at:]) == n {
			return at
		}
	}
	return -1
}

var levels = [...]string{"INFO", "DEBUG", "WARNING", "ERROR", "AUDIT", "TRACE", "CRITICAL", "WARN", "FATAL", "NOTSET"}

// levelEnd returns the length of the level that text begins with, 0 if none.
func levelEnd(text []byte) int {
	for _, l := range levels {
		if len(text) >= len(l) && string(text[:len(l)]) == l {
			if len(text) > len(l) && isWord(text[len(l)]) {
				continue
			}
			return len(l)
		}
	}
	return 0
}

// levelStart returns where the level that text ends with begins, -1 if none.
func levelStart(text []byte) int {
	for _, l := range levels {
		if at := len(text) - len(l); at >= 0 && string(text[at:]) == l {
			if at > 0 && isWord(text[at-1]) && !colourEndsAt(text[:at]) {
				continue
			}
			return at
		}
	}
	return -1
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func isQuote(c byte) bool { return c == '\'' || c == '"' }

// wordEnd returns the length of the run of text up to the next blank.
func wordEnd(text []byte) int {
	n := bytes.IndexByte(text, ' ')
	if n < 0 {
		return len(text)
	}
	return n
}

// Colour codes stand in headers as ESC [ 00 ; 36 m, or with #033 for the ESC
// where a syslog daemon has written them.

// colourEnd returns the length of the colour code that text begins with, 0 if
// there is none.
func colourEnd(text []byte) int {
	i := 0
	switch {
	case len(text) > 1 && text[0] == '\x1b' && text[1] == '[':
		i = 2
	case len(text) > 4 && text[0] == '#' && string(text[:5]) == "#033[":
		i = 5
	default:
		return 0
	}
	for ; i < len(text) && i < 24; i++ {
		if c := text[i]; c == 'm' || c == 'K' {
			return i + 1
		} else if c != ';' && (c < '0' || c > '9') {
			return 0
		}
	}
	return 0
}

// colourStart returns where the colour code that text ends with begins, -1 if
// there is none.
func colourStart(text []byte) int {
	if len(text) == 0 || text[len(text)-1] != 'm' {
		return -1
	}
	low := max(0, len(text)-24)
	for i := len(text) - 2; i >= low; i-- {
		c := text[i]
		if c == '[' {
			for _, esc := range [...]string{"\x1b", "#033"} {
				if bytes.HasSuffix(text[:i], []byte(esc)) {
					return i - len(esc)
				}
			}
			return -1
		}
		if c != ';' && (c < '0' || c > '9') {
			return -1
		}
	}
	return -1
}

func colourEndsAt(text []byte) bool { return colourStart(text) >= 0 }

// skipBlank returns the offset of the first byte from i on that is neither a
// blank nor part of a colour code.
func skipBlank(text []byte, i int) int {
	for i < len(text) {
		if text[i] == ' ' || text[i] == '\t' {
			i++
		} else if n := colourEnd(text[i:]); n > 0 {
			i += n
		} else {
			break
		}
	}
	return i
}

// backBlank is skipBlank backwards: the offset behind the last byte before i
// that is neither a blank nor part of a colour code.
func backBlank(text []byte, i int) int {
	for i > 0 {
		if text[i-1] == ' ' || text[i-1] == '\t' {
			i--
		} else if n := colourStart(text[:i]); n >= 0 {
			i = n
		} else {
			break
		}
	}
	return i
}

func backDigits(text []byte) int {
	i := len(text)
	for i > 0 && text[i-1] >= '0' && text[i-1] <= '9' {
		i--
	}
	return i
}

// plain is text without colour codes.
func plain(text []byte) []byte {
	if bytes.IndexByte(text, '\x1b') < 0 && bytes.IndexByte(text, '#') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		if n := colourEnd(text[i:]); n > 0 {
			i += n
			continue
		}
		out = append(out, text[i])
		i++
	}
	return out
}
