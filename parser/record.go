package parser

import (
	"bytes"
	"cmp"
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// Line is one line of a file, without its newline.
type Line struct {
	Text   []byte // borrowed until Feed returns
	Number int64  // from 1
	Offset int64  // of its first byte in the unpacked file
	Cut    bool   // its end is missing: it is longer than the reader allows
}

// Place is where a line stands.
type Place struct {
	File   string // as the user can open it
	Line   int64  // from 1
	Offset int64  // in bytes, of the line's first byte in the unpacked file
}

// Result is what became of one span record.
type Result struct {
	Span      trace.Span // valid if HasSpan
	HasSpan   bool
	Complaint *Complaint // nil if the record parsed whole; Text is borrowed
	Places    []Place    // of the lines that the record is made of
}

// Output takes what a Reader finds. Its functions are called within Feed and
// Flush, and must not keep what is borrowed.
type Output struct {
	Record func(Result)
	// Lost tells of a line whose text is not there though it may have been a span.
	Lost func(at Place, reason string)
	// Document takes a line that is a trace written as JSON; the text is borrowed.
	// nil: such a line is text like any other.
	Document func(at Place, text []byte)
}

// Counts is a Reader's share of the ledger.
type Counts struct {
	Lines    int64
	Parsed   int64
	Salvaged int64
	Rejected int64
	Mentions int64
}

// Reader makes spans of the lines of one file: it takes frames off, joins what
// belongs together, finds span records and decodes them. It is a state machine
// without I/O, goroutines or a clock: a live follower may feed it a file over
// rotations, and after a restart again from the first Place it was Holding.
type Reader struct {
	file string
	opt  Options
	out  Output

	Counts  Counts
	scanner *scanner            // nil until it is needed
	partial map[string]*message // docker and CRI lines whose end is still to come, by stream
	open    []*openRecord       // records that may go on in the next line of their stream, oldest first
	bytes   int                 // held in partial and open
	fed     int64               // lines
	above   frame               // the syslog or journal line above, for its continuation lines
}

// Continue goes on with another file in which the content of the one before goes
// on: the next of its rotation family. What is held back stays so.
func (r *Reader) Continue(file string) { r.file = file }

// NewReader makes a Reader for the file of the given name.
func NewReader(file string, opt Options, out Output) *Reader {
	return &Reader{file: file, opt: opt, out: out, partial: map[string]*message{}}
}

// message is the text that a service wrote at once, put together from the lines
// it was read from.
type message struct {
	text  []byte
	parts []part
	frame frame       // of the first line
	json  *jsonMember // the text is decoded from this string within the parts' text
	base  int         // or begins at this offset of the parts' text
	cut   bool        // its end is known to be missing
	size  int         // bytes of it that are our own, about
	fed   int64       // which of all lines its first one was
}

// part is the part of a message that one line holds.
type part struct {
	at      int // offset of the part in the message's text
	place   Place
	raw     []byte // the line as read
	column  int    // offset in raw of the part's text, or of the JSON literal that holds it
	literal int    // length of that literal, 0 if the text stands in the line as it is
	array   bool   // the text is an array of bytes, whose places are not told apart
}

// openRecord is a span record that ends within a value that may go on below, or
// within a piece that the journal cut off.
type openRecord struct {
	message
	key   string // of its stream
	start spanStart
	pid   int64
	first int // length of the text of its first line
	tries int
	tried int     // length of the text when it was last tried
	last  decoded // what that gave
	timed bool    // its header has a time

	object bool // it is JSONFormatter's object, and not text
}

// Bounds on what a Reader holds back, besides Options.MaxRecord for each record.
const (
	maxHeld      = 1024
	maxContinued = 1 << 20 // bytes of a value over several lines
)

// Feed takes the next line.
func (r *Reader) Feed(line Line) {
	r.Counts.Lines++
	r.fed++
	text, lead := trimLine(line.Text)
	if len(r.open) == 0 && len(r.partial) == 0 && !interesting(text) {
		return
	}
	place := Place{File: r.file, Line: line.Number, Offset: line.Offset}
	if r.out.Document != nil && tracejson.IsDocument(text) {
		r.out.Document(place, text)
		return
	}
	for n := 0; n == 0 || n < maxTornObjects && len(text) > 0; n++ {
		f := r.unframe(text)
		// Behind a frame of JSON, or instead of its rest, another writer's may
		// stand in the same line.
		next := len(text)
		switch {
		case f.end > 0:
			next = jsonBlank(text, f.end)
		case f.cut, f.kind == unframed && len(text) > 0 && mayHideFrame(text):
			if i := tornFrame(text); i > 0 {
				next = i
				if f.kind == unframed {
					f.text = text[:i]
				}
			}
		}
		if f.lost != "" {
			r.out.Lost(place, f.lost)
		} else {
			r.take(&message{fed: r.fed, text: f.text, frame: f, cut: line.Cut || f.kind == unframed && next < len(text), parts: []part{{
				place: place, raw: line.Text, column: lead + f.at, literal: len(f.literal), array: f.array}}})
		}
		text, lead = text[next:], lead+next
	}
}

// mayHideFrame says whether a line without a frame may hold one in mid-line: it
// is JSON that is none, or the torn end of another line.
func mayHideFrame(text []byte) bool {
	if text[0] == '{' {
		return !isLogObject(text)
	}
	_, starts := startsRecord(text, false)
	return !starts && timeEnd(text) == 0 && bytes.Contains(text, []byte(`{"`))
}

// take takes what one line holds of a message.
func (r *Reader) take(m *message) {
	if m.frame.kind == docker || m.frame.kind == cri {
		if m = r.join(m); m == nil {
			return
		}
	}
	r.message(m)
}

// Flush ends the file: what was held back is taken as it is.
func (r *Reader) Flush() {
	for len(r.open) > 0 {
		r.finish(r.open[0])
	}
	partial := make([]*message, 0, len(r.partial))
	for _, m := range r.partial {
		partial = append(partial, m)
	}
	clear(r.partial)
	slices.SortFunc(partial, func(a, b *message) int { return cmp.Compare(a.fed, b.fed) })
	for _, m := range partial {
		r.bytes -= m.held()
		m.cut = true
		r.message(m)
	}
	for len(r.open) > 0 {
		r.finish(r.open[0])
	}
	if r.scanner != nil {
		scanners.Put(r.scanner)
		r.scanner = nil
	}
}

// scanners are shared by the Readers of a run, one at a time: what one file says
// again and again, others say, too.
var scanners = sync.Pool{New: func() any { return newScanner() }}

// decode decodes the span that text begins with; see decodeSpan.
func (r *Reader) decode(text []byte, syslog bool, nul int) decoded {
	if r.scanner == nil {
		r.scanner = scanners.Get().(*scanner)
	}
	return r.scanner.decodeSpan(text, r.opt, syslog, nul)
}

// Holding is the line that was fed first of those that are held back for what may
// follow; ok is false if none is.
func (r *Reader) Holding() (first Place, ok bool) {
	var fed int64
	hold := func(m *message) {
		if !ok || m.fed < fed {
			first, fed, ok = m.parts[0].place, m.fed, true
		}
	}
	for _, m := range r.partial {
		hold(m)
	}
	for _, o := range r.open {
		hold(&o.message)
	}
	return first, ok
}

// trimLine takes off what copytruncate and Windows leave around a line: NULs, a
// byte order mark, a carriage return. lead is what was taken off in front.
func trimLine(line []byte) (text []byte, lead int) {
	text = bytes.TrimLeft(line, "\x00")
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	lead = len(line) - len(text)
	text = bytes.TrimRight(text, "\x00")
	return bytes.TrimSuffix(text, []byte("\r")), lead
}

// interesting says whether a line can hold a span record, or part of one.
func interesting(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	if mentions(text) || text[0] == '{' || bytes.HasSuffix(text, []byte("blob data]")) {
		return true
	}
	// CRI: 2026-03-01T07:59:59.618516836Z stdout P …
	return text[0] >= '0' && text[0] <= '9' && len(text) > 10 && text[10] == 'T'
}

// mentions says whether a text has "Span(" in it, or "span(".
func mentions(text []byte) bool { return nextMention(text) >= 0 }

// nextMention is the offset of the first "Span(" or "span(" of a text, -1 if there
// is none.
func nextMention(text []byte) int {
	for at := 0; ; at++ {
		i := bytes.Index(text[at:], []byte("pan("))
		if i < 0 {
			return -1
		}
		if at += i; at > 0 && text[at-1]|0x20 == 's' {
			return at - 1
		}
	}
}

// unframe takes the frame off a line. A line without one that is indented as
// deep as the frame of the journal line above goes on with that line's message.
func (r *Reader) unframe(text []byte) frame {
	f := unframe(text)
	switch {
	case f.kind == syslog:
		if isBlob(f.text) {
			f.lost = "the journal shows a message only as " + string(f.text) + ": read it again with journalctl -o json -a"
		}
		r.above = frame{kind: syslog, stream: f.stream, host: f.host, pid: f.pid, width: f.width}
	case f.kind == unframed && r.above.width > 0:
		indent := len(text) - len(bytes.TrimLeft(text, " "))
		if indent == len(text) || indent >= r.above.width {
			f = r.above
			f.at = min(f.width, len(text))
			f.text, f.continues = text[f.at:], true
		} else {
			r.above = frame{}
		}
	}
	return f
}

// isBlob recognises what journalctl -o short prints for a message with control
// characters or bad UTF-8: [10B blob data].
func isBlob(text []byte) bool {
	inner, ok := bytes.CutSuffix(text, []byte(" blob data]"))
	if !ok || len(inner) < 3 || inner[0] != '[' || len(inner) > 12 {
		return false
	}
	return len(bytes.Trim(inner[1:len(inner)-1], "0123456789.")) == 0 && bytes.IndexByte([]byte("BKMGTPE"), inner[len(inner)-1]) >= 0
}

// join puts docker's and CRI's pieces together. It returns nil while more is to
// come.
func (r *Reader) join(m *message) *message {
	key := string('0'+rune(m.frame.kind)) + m.frame.stream
	before := r.partial[key]
	if before == nil && !m.frame.more {
		return m
	}
	if before == nil {
		m.own()
		r.partial[key] = m
		r.bytes += m.held()
		r.bound()
		return nil
	}
	r.bytes -= before.held()
	if m.frame.cut || before.cut || before.held()+m.held() > r.opt.maxRecord() { // what is cut has a gap behind it
		delete(r.partial, key)
		before.cut = true
		r.message(before)
		return r.join(m)
	}
	before.add(m, "")
	before.frame.more = m.frame.more
	if before.frame.more {
		r.bytes += before.held()
		r.bound()
		return nil
	}
	delete(r.partial, key)
	return before
}

// held is how many bytes a message that is held back takes, about.
func (m *message) held() int { return m.size }

// partSize is what a part takes beside its line, about.
const partSize = 128

// own makes copies of what a message borrows.
func (m *message) own() {
	if m.size > 0 {
		return
	}
	m.text = slices.Clone(m.text)
	m.size = len(m.text)
	for i := range m.parts {
		p := &m.parts[i]
		p.raw = slices.Clone(p.raw)
		m.size += len(p.raw) + partSize
	}
	m.frame.text, m.frame.literal = nil, nil
}

// add appends the text of another message.
func (m *message) add(other *message, glue string) {
	m.text = append(m.text, glue...)
	for _, p := range other.parts {
		p.at += len(m.text)
		p.raw = slices.Clone(p.raw)
		m.parts = append(m.parts, p)
		m.size += len(p.raw) + partSize
	}
	m.text = append(m.text, other.text...)
	m.size += len(glue) + len(other.text)
	m.cut = m.cut || other.cut
}

// message takes the next message of a stream: it goes on with an open record, or
// is looked at for records of its own.
func (r *Reader) message(m *message) {
	key := string('0'+rune(m.frame.kind)) + m.frame.stream
	if len(r.open) > 0 {
		pid, starts := startsRecord(m.text, r.open[len(r.open)-1].timed)
		starts = starts || len(m.text) > 0 && m.text[0] == '{' && isLogObject(m.text)
		// To finish a record may open another one, of lines it swallowed.
		for o := r.openIn(key, pid); o != nil; o = r.openIn(key, pid) {
			if !starts {
				r.goOn(o, m)
				return
			}
			r.finish(o)
		}
	}
	r.records(m, key)
}

// openIn is the youngest open record of a stream that the process pid may have
// written; 0 is any.
func (r *Reader) openIn(key string, pid int64) *openRecord {
	for _, o := range slices.Backward(r.open) {
		if o.key == key && (pid == 0 || o.pid == 0 || pid == o.pid) {
			return o
		}
	}
	return nil
}

// records finds the records of a message.
func (r *Reader) records(m *message, key string) {
	if len(m.text) > 0 && m.text[0] == '{' && r.logObject(m, key) {
		return
	}
	start, found := r.first(m)
	if !found {
		r.mention(m.text)
	}
	nul, object := -1, -1
	for ok := found; ok; {
		if nul < start.span && nul < len(m.text) { // the next one from here on
			if nul = bytes.IndexByte(m.text[start.span:], 0); nul >= 0 {
				nul += start.span
			} else {
				nul = len(m.text)
			}
		}
		text := m.text[start.span:nul]
		d := r.decode(text, m.frame.kind == syslog, nulBehind(text, m.text[start.span:]))
		var next spanStart
		if d.damage == nil {
			end := start.span + d.end
			if next, ok = spanRightAt(m.text, end); !ok {
				next, ok = findSpan(m.text, end)
			}
			if object = m.hidden(object, end); object < len(m.text) && (!ok || object < next.header) {
				r.emit(m, start, d)
				r.within(m, object)
				return
			}
		} else {
			next, ok = nextSpan(m.text, start.span, d.damage)
			if object = m.hidden(object, start.span+len(spanMarker)); object < len(m.text) && (!ok || object < next.header) {
				r.emit(m, start, r.decode(m.text[start.span:min(object, nul)], m.frame.kind == syslog, -1))
				r.within(m, object)
				return
			}
			if !ok && r.mayGoOn(m, d) {
				r.hold(m, start, key, d)
				return
			}
		}
		r.emit(m, start, d)
		start = next
	}
}

// nulBehind is the offset of the NUL that ends text within whole, -1 if none does.
func nulBehind(text, whole []byte) int {
	if len(text) < len(whole) {
		return len(text)
	}
	return -1
}

// hidden finds where, from offset from of a line without a frame, an object with
// one begins that another writer tore the line with; it is the length of the text
// if there is none. known is what it found from a lower offset on, or -1.
func (m *message) hidden(known, from int) int {
	if known >= from {
		return known
	}
	if m.frame.kind == unframed && m.json == nil && len(m.parts) == 1 && m.base == 0 {
		if i := tornFrame(m.text[from-1:]); i > 0 {
			return from - 1 + i
		}
	}
	return len(m.text)
}

// within takes the frame that begins at offset at of a line.
func (r *Reader) within(m *message, at int) {
	p := m.parts[0]
	f := r.unframe(m.text[at:])
	p.column += at + f.at
	p.literal, p.array = len(f.literal), f.array
	r.take(&message{fed: m.fed, text: f.text, frame: f, cut: m.cut, parts: []part{p}})
}

// first finds the first record of a message. The journal may name the logger
// beside it, and then that name decides.
func (r *Reader) first(m *message) (spanStart, bool) {
	start, ok := findSpan(m.text, 0)
	switch logger := m.frame.logger; {
	case ok && start.bare && (m.frame.continues || logger != "" && logger != loggerName):
		return spanStart{}, false
	case !ok && logger == loggerName && bytes.HasPrefix(m.text, markerBytes):
		return spanStart{}, true
	}
	return start, ok
}

// nextSpan finds the next record of a text behind a damaged one that begins at
// offset span. Where the damage is another record's header, a quote may stand
// right before that: the closing one of the last string before the tear.
func nextSpan(text []byte, span int, d *damage) (spanStart, bool) {
	at := span + d.at
	if d.torn && !d.quoted {
		if s, ok := spanRightAt(text, at); ok {
			return s, true
		}
	}
	return findSpan(text, max(at, span+len(spanMarker)))
}

func (r *Reader) mention(text []byte) {
	if mentions(text) {
		r.Counts.Mentions++
	}
}

// mayGoOn says whether a damaged record at the end of a message may be whole
// once the next line of its stream is there.
func (r *Reader) mayGoOn(m *message, d decoded) bool {
	if m.cut || m.json != nil || m.frame.cut || !d.damage.cut || len(m.text) >= r.opt.maxRecord() {
		return false
	}
	return d.damage.inRaw || m.isPiece()
}

// isPiece says whether the last part of a message is one that the journal cut
// off: of just the length at which it cuts the lines of a service's output,
// 48 KiB, or 2,048 (2,047) before systemd 235, or said to be one.
func (m *message) isPiece() bool {
	last := m.parts[len(m.parts)-1]
	switch m.frame.kind {
	case journalJSON:
		if m.frame.more {
			return true
		}
	case syslog:
		if m.frame.pid == 0 {
			return false
		}
	default:
		return false
	}
	size := len(m.text) - last.at
	return size == 48<<10 || size == 2048 || size == 2047
}

// hold keeps an open record; d is what it gave so far.
func (r *Reader) hold(m *message, start spanStart, key string, d decoded) {
	o := &openRecord{message: *m, key: key, start: start, pid: start.head.pid, first: len(m.text), tried: len(m.text), last: d,
		timed: timeEnd(m.text[skipBlank(m.text, min(start.header, len(m.text))):]) > 0}
	o.own()
	r.open = append(r.open, o)
	r.bytes += o.held()
	r.bound()
}

// bound keeps what is held back within its bounds: the oldest is taken as it is.
func (r *Reader) bound() {
	tooMuch := func(n int) bool { return n > maxHeld || n > 0 && r.bytes > 4*r.opt.maxRecord() }
	for tooMuch(len(r.open)) {
		r.finish(r.open[0])
	}
	for tooMuch(len(r.partial)) {
		oldest := ""
		for key, m := range r.partial {
			if old := r.partial[oldest]; old == nil || m.fed < old.fed {
				oldest = key
			}
		}
		m := r.partial[oldest]
		delete(r.partial, oldest)
		r.bytes -= m.held()
		m.cut = true
		r.message(m)
	}
}

// goOn appends a message to an open record and tries to read it.
func (r *Reader) goOn(o *openRecord, m *message) {
	glue, most := "\n", o.first+maxContinued
	piece := o.isPiece()
	if piece {
		glue, most = "", r.opt.maxRecord()
	}
	if len(o.text)+len(m.text) > most || o.held() > most+maxContinued {
		r.finish(o)
		r.message(m)
		return
	}
	r.bytes -= o.held()
	o.add(m, glue)
	o.frame.more = m.frame.more
	r.bytes += o.held()
	// A record that goes on and on is not tried at every line.
	if !o.cut && (!piece || o.isPiece()) && (bytes.IndexByte(m.text, ')') < 0 || o.tries > 16 && len(o.text) < o.tried+o.tried/2) {
		r.bound()
		return
	}
	o.tries++
	if r.try(o); o.cut || o.last.damage == nil || !r.mayGoOn(&o.message, o.last) {
		r.finish(o)
	}
}

// try reads what an open record has become.
func (r *Reader) try(o *openRecord) {
	o.tried = len(o.text)
	if o.object {
		return
	}
	o.last = r.decode(o.text[o.start.span:], o.frame.kind == syslog, bytes.IndexByte(o.text[o.start.span:], 0))
}

// finish takes an open record as it is. Lines that turn out not to belong to it
// are looked at by themselves.
func (r *Reader) finish(o *openRecord) {
	r.open = slices.DeleteFunc(r.open, func(other *openRecord) bool { return other == o })
	r.bytes -= o.held()
	if o.object { // whole or not, it is what there is
		o.cut = true
		r.records(&o.message, o.key)
		return
	}
	if o.tried < len(o.text) {
		r.try(o)
	}
	d := o.last
	end := o.start.span + d.end
	switch {
	case d.damage == nil:
	case d.damage.inRaw: // the lines below are not the value's
		if o.first < len(o.text) {
			d = r.decode(o.text[o.start.span:o.first], o.frame.kind == syslog, -1)
		}
		end = o.first
	default:
		end = o.start.span + d.damage.at
	}
	mine := 1
	for mine < len(o.parts) && o.parts[mine].at < end {
		mine++
	}
	first := o.message
	first.parts = o.parts[:mine]
	r.emit(&first, o.start, d)
	for i := 1; i < len(o.parts); i++ {
		p := o.parts[i]
		begin, stop := p.at, len(o.text)
		if i+1 < len(o.parts) {
			stop = o.parts[i+1].at
		}
		if stop <= end {
			continue
		}
		rest := &message{fed: o.fed, frame: o.frame, cut: o.cut && i == len(o.parts)-1}
		if d.damage == nil && end > begin { // what follows the span in its last line
			rest.base = end - begin
			rest.frame.continues = true
			begin = end
		}
		rest.text = bytes.TrimSuffix(o.text[begin:stop], []byte("\n"))
		p.at = 0
		rest.parts = []part{p}
		r.message(rest)
	}
}

// emit hands out what became of a record.
func (r *Reader) emit(m *message, start spanStart, d decoded) {
	result := Result{Span: d.span, HasSpan: d.has, Places: make([]Place, len(m.parts))}
	for i, p := range m.parts {
		result.Places[i] = p.place
	}
	if d.damage != nil {
		result.Complaint = r.complaint(m, start.span+d.damage.at, d)
	}
	if d.has {
		f, h, place := &m.frame, &start.head, m.place(start.span)
		result.Span.Origin = []trace.Origin{{
			File: place.File, Line: place.Line, RequestID: h.requestID, GlobalRequestID: h.globalRequestID,
			PID: cmp.Or(h.pid, f.pid), LogHost: f.host, LogTime: f.time,
		}}
	}
	switch {
	case d.damage == nil:
		r.Counts.Parsed++
	case d.has:
		r.Counts.Salvaged++
	default:
		r.Counts.Rejected++
	}
	r.out.Record(result)
}

func (r *Reader) complaint(m *message, at int, d decoded) *Complaint {
	place, column, raw := m.locate(at)
	c := &Complaint{Kind: Rejected, File: place.File, Line: place.Line, Column: column + 1, Offset: place.Offset + int64(column),
		Reason: d.damage.reason, Expected: d.damage.expected, Text: raw}
	if d.has {
		c.Kind = Salvaged
	}
	return c
}

// place says which line holds the byte at offset at of a message's text.
func (m *message) place(at int) Place {
	if len(m.parts) == 1 {
		return m.parts[0].place
	}
	place, _, _ := m.locate(at)
	return place
}

// locate says where the byte at offset at of a message's text was read: its
// line, the offset in that line, and the line.
func (m *message) locate(at int) (place Place, column int, raw []byte) {
	if m.json != nil {
		at = m.json.at + jsonOffset(m.json.value, at)
	}
	at += m.base
	i := len(m.parts) - 1
	for i > 0 && m.parts[i].at > at {
		i--
	}
	p := m.parts[i]
	column = at - p.at
	if p.array {
		column = 0
	} else if p.literal > 0 && p.column+p.literal <= len(p.raw) {
		column = jsonOffset(p.raw[p.column:p.column+p.literal], column)
	}
	return p.place, min(p.column+column, len(p.raw)), p.raw
}
