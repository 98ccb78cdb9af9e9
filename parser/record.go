package parser

import (
	"bytes"
	"cmp"
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Line is one line of a file, without its newline.
type Line struct {
	Text   []byte // borrowed until Feed returns
	Number int64  // from 1
	Offset int64  // of its first byte in the unpacked file
	Cut    bool   // its end is missing: it is longer than the reader allows
}

// Place is where a line stands in its (unpacked) file.
type Place struct {
	Line   int64 // from 1
	Offset int64 // in bytes, of the line's first byte
}

// Result is what became of one span record.
type Result struct {
	Span      trace.Span // valid if HasSpan
	HasSpan   bool
	Complaint *Complaint // nil if the record parsed whole; Text is borrowed
	Places    []Place    // of the lines that the record is made of
}

// Output takes what a Reader finds. Both functions are called within Feed and
// Flush, and must not keep what is borrowed.
type Output struct {
	Record func(Result)
	// Lost tells of a line whose text is not there though it may have been a span.
	Lost func(at Place, reason string)
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
	above   frame               // the syslog or journal line above, for its continuation lines
}

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
	tried int // length of the text when it was last tried
}

// Bounds on what a Reader holds back, besides Options.MaxRecord for each record.
const (
	maxHeld      = 1024
	maxContinued = 1 << 20 // bytes of a value over several lines
)

// Feed takes the next line.
func (r *Reader) Feed(line Line) {
	r.Counts.Lines++
	text, lead := trimLine(line.Text)
	if len(r.open) == 0 && len(r.partial) == 0 && !interesting(text) {
		return
	}
	place := Place{Line: line.Number, Offset: line.Offset}
	for n := 0; n < maxTornObjects; n++ {
		f := r.unframe(text)
		if f.lost != "" {
			r.out.Lost(place, f.lost)
		} else {
			r.take(&message{text: f.text, frame: f, cut: line.Cut, parts: []part{{
				place: place, raw: line.Text, column: lead + f.at, literal: len(f.literal), array: f.array}}})
		}
		if !f.cut {
			return
		}
		next := tornFrame(text) // two writers' objects in one line
		if next < 0 {
			return
		}
		text, lead = text[next:], lead+next
	}
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
	slices.SortFunc(partial, func(a, b *message) int { return cmp.Compare(a.parts[0].place.Line, b.parts[0].place.Line) })
	for _, m := range partial {
		m.cut = true
		r.message(m)
	}
	for len(r.open) > 0 {
		r.finish(r.open[0])
	}
	r.bytes = 0
	if r.scanner != nil {
		scanners.Put(r.scanner)
		r.scanner = nil
	}
}

// scanners are shared by the Readers of a run, one at a time: what one file says
// again and again, others say, too.
var scanners = sync.Pool{New: func() any { return newScanner() }}

func (r *Reader) decode(text []byte, syslog bool) decoded {
	if r.scanner == nil {
		r.scanner = scanners.Get().(*scanner)
	}
	return r.scanner.decodeSpan(text, r.opt, syslog)
}

// Holding is the first line that is held back for what may follow; ok is false
// if nothing is.
func (r *Reader) Holding() (first Place, ok bool) {
	hold := func(m *message) {
		if p := m.parts[0].place; !ok || p.Line < first.Line {
			first, ok = p, true
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
	if bytes.Contains(text, markerBytes) || text[0] == '{' || bytes.HasSuffix(text, []byte("blob data]")) {
		return true
	}
	// CRI: 2026-03-01T07:59:59.618516836Z stdout P …
	return text[0] >= '0' && text[0] <= '9' && len(text) > 10 && text[10] == 'T'
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
		if indent := len(text) - len(bytes.TrimLeft(text, " ")); indent >= r.above.width {
			f = r.above
			f.text, f.at = text[f.width:], f.width
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
	if before != nil {
		delete(r.partial, key)
		r.bytes -= len(before.text)
		if m.frame.cut || len(before.text)+len(m.text) > r.opt.maxRecord() {
			before.cut = true
			r.message(before)
			return m
		}
		before.add(m, "")
		m.text, m.parts, m.frame = before.text, before.parts, withMore(before.frame, m.frame.more)
	}
	if !m.frame.more {
		return m
	}
	m.own()
	r.partial[key] = m
	r.bytes += len(m.text)
	r.bound()
	return nil
}

func withMore(f frame, more bool) frame {
	f.more = more
	return f
}

// own makes copies of what a message borrows.
func (m *message) own() {
	m.text = slices.Clone(m.text)
	for i := range m.parts {
		if p := &m.parts[i]; p.raw != nil {
			p.raw = slices.Clone(p.raw)
		}
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
	}
	m.text = append(m.text, other.text...)
	m.cut = m.cut || other.cut
}

// message takes the next message of a stream: it goes on with an open record, or
// is looked at for records of its own.
func (r *Reader) message(m *message) {
	key := string('0'+rune(m.frame.kind)) + m.frame.stream
	if len(r.open) > 0 {
		pid, starts := startsRecord(m.text)
		starts = starts || len(m.text) > 0 && m.text[0] == '{' && isLogObject(m.text)
		for i := len(r.open) - 1; i >= 0 && i < len(r.open); i-- {
			o := r.open[i]
			if o.key != key {
				continue
			}
			if !starts {
				r.goOn(o, m)
				return
			}
			if pid == 0 || o.pid == 0 || pid == o.pid {
				r.finish(o)
			}
		}
	}
	r.records(m, key)
}

// records finds the records of a message.
func (r *Reader) records(m *message, key string) {
	if len(m.text) > 0 && m.text[0] == '{' && r.logObject(m) {
		return
	}
	start, found := findSpan(m.text, 0)
	if !found {
		r.mention(m.text)
	}
	for ok := found; ok; {
		d := r.decode(m.text[start.span:], m.frame.kind == syslog)
		var next spanStart
		if d.damage == nil {
			next, ok = findSpan(m.text, start.span+d.end)
		} else if next, ok = nextSpan(m.text, start.span, d.damage); !ok && r.mayGoOn(m, d) {
			r.hold(m, start, key)
			return
		}
		r.emit(m, start, d)
		start = next
	}
}

// nextSpan finds the next record of a text behind a damaged one that begins at
// offset span. Where the damage is another record's header, a quote may stand
// right before that: the closing one of the last string before the tear.
func nextSpan(text []byte, span int, d *damage) (spanStart, bool) {
	if at := span + d.at; d.torn && !d.quoted {
		if s, ok := findSpan(text[at:], 0); ok && s.header == 0 {
			s.header += at
			s.span += at
			return s, true
		}
	}
	return findSpan(text, span+len(spanMarker))
}

func (r *Reader) mention(text []byte) {
	if bytes.Contains(text, markerBytes) {
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

// hold keeps an open record.
func (r *Reader) hold(m *message, start spanStart, key string) {
	o := &openRecord{message: *m, key: key, start: start, pid: start.head.pid, first: len(m.text), tried: len(m.text)}
	o.own()
	r.open = append(r.open, o)
	r.bytes += len(o.text)
	r.bound()
}

// bound keeps what is held back within its bounds: the oldest is taken as it is.
func (r *Reader) bound() {
	for len(r.open) > 0 && (len(r.open) > maxHeld || r.bytes > 4*r.opt.maxRecord()) {
		r.finish(r.open[0])
	}
	for key, m := range r.partial {
		if len(r.partial) <= maxHeld && r.bytes <= 4*r.opt.maxRecord() {
			return
		}
		delete(r.partial, key)
		r.bytes -= len(m.text)
		m.cut = true
		r.message(m)
	}
}

// goOn appends a message to an open record and tries to read it.
func (r *Reader) goOn(o *openRecord, m *message) {
	glue := "\n"
	most := maxContinued
	if o.isPiece() {
		glue, most = "", r.opt.maxRecord()
	}
	if len(o.text)+len(m.text) > most {
		r.finish(o)
		r.message(m)
		return
	}
	o.add(m, glue)
	o.frame.more = m.frame.more
	r.bytes += len(glue) + len(m.text)
	if o.cut {
		r.finish(o)
		return
	}
	// A record that goes on and on is not tried at every line.
	if bytes.IndexByte(m.text, ')') < 0 || o.tries > 16 && len(o.text) < o.tried+o.tried/2 {
		return
	}
	o.tries++
	o.tried = len(o.text)
	d := r.decode(o.text[o.start.span:], o.frame.kind == syslog)
	if d.damage == nil || !r.mayGoOn(&o.message, d) {
		r.finish(o)
	}
}

// finish takes an open record as it is. Lines that turn out not to belong to it
// are looked at by themselves.
func (r *Reader) finish(o *openRecord) {
	r.open = slices.DeleteFunc(r.open, func(other *openRecord) bool { return other == o })
	r.bytes -= len(o.text)
	d := r.decode(o.text[o.start.span:], o.frame.kind == syslog)
	end := o.start.span + d.end
	switch {
	case d.damage == nil:
	case d.damage.inRaw: // the lines below are not the value's
		d = r.decode(o.text[o.start.span:o.first], o.frame.kind == syslog)
		end = o.first
	default:
		end = o.start.span + d.damage.at
	}
	r.emit(&o.message, o.start, d)
	for i, p := range o.parts[1:] {
		begin, stop := p.at, len(o.text)
		if i+2 < len(o.parts) {
			stop = o.parts[i+2].at
		}
		if stop <= end {
			continue
		}
		if d.damage == nil { // what follows the span in its last line
			p.column += max(0, end-begin)
			begin = max(begin, end)
		}
		p.at = 0
		text := bytes.TrimSuffix(o.text[begin:stop], []byte("\n"))
		r.records(&message{text: text, parts: []part{p}, frame: o.frame, cut: true}, o.key)
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
		f, h := &m.frame, &start.head
		place, _, _ := m.locate(start.span)
		result.Span.Origin = []trace.Origin{{
			File: r.file, Line: place.Line, RequestID: h.requestID, GlobalRequestID: h.globalRequestID,
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
	c := &Complaint{Kind: Rejected, File: r.file, Line: place.Line, Column: column + 1, Offset: place.Offset + int64(column),
		Reason: d.damage.reason, Expected: d.damage.expected, Text: raw}
	if d.has {
		c.Kind = Salvaged
	}
	return c
}

// locate says where the byte at offset at of a message's text was read: its
// line, the offset in that line, and the line.
func (m *message) locate(at int) (place Place, column int, raw []byte) {
	at += m.base
	if m.json != nil {
		at = m.json.at + jsonOffset(m.json.value, at)
	}
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
