package parser

import (
	"bytes"
	"cmp"
	"slices"
	"sync"

	"github.com/tomoscrape/tomoscrape/internal/poison"
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

// Result is what became of one span record. It is borrowed, with all that it
// refers to; [trace.Span.Clone] makes a span that can be kept.
type Result struct {
	Span      trace.Span // valid if HasSpan
	HasSpan   bool
	Complaint *trace.Complaint // nil if the record parsed whole
	Places    []Place          // of the lines that the record is made of
}

// Output takes what a Reader finds. Its functions are called within Feed and
// Flush, and must not keep what is borrowed; one that is nil is not called.
type Output struct {
	Record func(*Result)
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
// rotations, and after a restart again from the first Place that was Pending.
type Reader struct {
	file string
	opt  Options
	out  Output

	Counts  Counts
	scanner *scanner                 // nil until it is needed
	partial map[string]*message      // docker and CRI lines whose end is still to come, by stream
	begun   []*message               // these, oldest first, and some whose end came
	open    []*openRecord            // records that may go on in the next line of their stream, oldest first
	streams map[string][]*openRecord // these, by stream
	bytes   int                      // held in partial and open
	stopped bool                     // Options.Done ended the reading
	at      int64                    // offset of the line that is fed
	fed     int64                    // lines
	above   frame                    // the syslog or journal line above, for its continuation lines
	front   []byte                   // the beginning of that line, if its frame was not needed so far

	// What is lent out, or needed for a line only.
	line   message
	part   [1]part
	places []Place
	origin [1]trace.Origin
	result Result
}

// Continue goes on with another file in which the content of the one before goes
// on: the next of its rotation family. What is held back stays so.
func (r *Reader) Continue(file string) { r.file = file }

// NewReader makes a Reader for the file of the given name.
func NewReader(file string, opt Options, out Output) *Reader {
	if out.Record == nil {
		out.Record = func(*Result) {}
	}
	if out.Lost == nil {
		out.Lost = func(Place, string) {}
	}
	return &Reader{file: file, opt: opt, out: out, partial: map[string]*message{}, streams: map[string][]*openRecord{}}
}

// Stopped says whether Options.Done ended the reading, and gives the offset of the
// first line that is to be read again, beside those that are held back. Nothing is
// found any more.
func (r *Reader) Stopped() (at int64, ok bool) { return r.at, r.stopped }

func (r *Reader) stop() bool {
	r.stopped = r.stopped || r.opt.done()
	return r.stopped
}

// Bounds on what a Reader holds back, besides Options.MaxRecord for each record.
const (
	maxHeld      = 1024
	maxContinued = 1 << 20 // bytes of a value over several lines
)

// Feed takes the next line.
func (r *Reader) Feed(line Line) {
	if r.at = line.Offset; r.stop() {
		return
	}
	r.Counts.Lines++
	r.fed++
	text, lead := trimLine(line.Text)
	if len(r.open) == 0 && len(r.partial) == 0 && !interesting(text) {
		r.passed(text)
		return
	}
	place := Place{File: r.file, Line: line.Number, Offset: line.Offset}
	if r.out.Document != nil && tracejson.IsDocument(text) {
		r.out.Document(place, text)
		return
	}
	for n := 0; n == 0 || n < maxTornObjects && len(text) > 0 && !r.stopped; n++ {
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
			r.part[0] = part{place: place, raw: line.Text, column: lead + f.at, literal: len(f.literal), array: f.array}
			r.line = message{fed: r.fed, text: f.text, frame: f, cut: line.Cut || f.kind == unframed &&
				next < len(text), parts: r.part[:]}
			r.frame(&r.line)
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
	if timeEnd(text) > 0 || bytes.IndexByte(text, '{') < 0 {
		return false
	}
	_, starts := startsRecord(text, false)
	return !starts && bytes.Contains(text, []byte(`{"`))
}

// frame takes what one line holds of a message.
func (r *Reader) frame(m *message) {
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
	r.begun = nil
	slices.SortFunc(partial, func(a, b *message) int { return cmp.Compare(a.fed, b.fed) })
	for _, m := range partial {
		r.bytes -= m.cost()
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

// Pending is the line that was fed first of those that are held back for what may
// follow; ok is false if none is.
func (r *Reader) Pending() (first Place, ok bool) {
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

// PendingPlaces gives the place of every line of which something is held back.
func (r *Reader) PendingPlaces(yield func(Place)) {
	for _, m := range r.partial {
		for i := range m.parts {
			yield(m.parts[i].place)
		}
	}
	for _, o := range r.open {
		for i := range o.parts {
			yield(o.parts[i].place)
		}
	}
}

// trimLine takes off what copytruncate and Windows leave around a line: NULs, a
// byte order mark, a carriage return. lead is what was taken off in front.
func trimLine(line []byte) (text []byte, lead int) {
	if n := len(line); n == 0 || line[0] != 0 && line[0] != '\xef' && line[n-1] != 0 && line[n-1] != '\r' {
		return line, 0 // nearly all
	}
	text = bytes.TrimLeft(line, "\x00")
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	lead = len(line) - len(text)
	text = bytes.TrimRight(text, "\x00")
	return bytes.TrimSuffix(text, []byte("\r")), lead
}

// interesting says whether a line can hold a span record, or part of one.
func interesting(text []byte) bool { return hides(text) || mentions(text) }

// hides says whether a line may hold a span's text, or part of it, in another form
// than the service wrote it: as JSON, in pieces, or left out by the journal.
func hides(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	switch c := text[0]; {
	case c == '{', text[len(text)-1] == ']' && bytes.HasSuffix(text, []byte("blob data]")):
		return true
	case c < '0' || c > '9':
		return false
	}
	return len(text) > 10 && text[10] == 'T' && criStream(text, timeEnd(text)) != ""
}

// mentions says whether a text has "Span(" in it, or "span(".
func mentions(text []byte) bool { return nextMention(text) >= 0 }

// nextMention is the offset of the first "Span(" or "span(" of a text, -1 if there
// is none.
func nextMention(text []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '(') // rarer in a log than the letters
		if i < 0 {
			return -1
		}
		if at += i; at >= 4 && text[at-4]|0x20 == 's' && string(text[at-3:at]) == "pan" {
			return at - 4
		}
	}
}

// unframe takes the frame off a line. A line without one that is indented as
// deep as the frame of the journal line above goes on with that line's message.
func (r *Reader) unframe(text []byte) frame {
	f := unframe(text)
	indent := len(text) - len(bytes.TrimLeft(text, " "))
	if f.kind == unframed && (indent > 0 || len(text) == 0) {
		if len(r.front) > 0 {
			r.above = unframe(r.front).above()
			r.front = r.front[:0]
		}
		if r.above.width > 0 && (indent == len(text) || indent >= r.above.width) {
			f = r.above
			f.at = min(f.width, len(text))
			f.text, f.continues = text[f.at:], true
		}
		return f
	}
	r.above, r.front = f.above(), r.front[:0]
	if f.kind == syslog && isBlob(f.text) {
		f.lost = "the journal shows a message only as " + string(f.text) + ": read it again with journalctl -o json -a"
	}
	return f
}

// maxFront is as long as the frame of a line is at most.
const maxFront = 600

// above is what a line's frame says of the lines that continue it.
func (f frame) above() frame {
	if f.kind != syslog {
		return frame{}
	}
	return frame{kind: syslog, stream: f.stream, host: f.host, pid: f.pid, time: f.time, width: f.width}
}

// isBlob recognises what journalctl -o short prints for a message with control
// characters or bad UTF-8: [10B blob data].
func isBlob(text []byte) bool {
	inner, ok := bytes.CutSuffix(text, []byte(" blob data]"))
	if !ok || len(inner) < 3 || inner[0] != '[' || len(inner) > 12 {
		return false
	}
	return len(bytes.Trim(inner[1:len(inner)-1], "0123456789.")) == 0 && bytes.IndexByte([]byte("BKMGTPE"),
		inner[len(inner)-1]) >= 0
}

// join puts docker's and CRI's pieces together. It returns nil while more is to
// come.
func (r *Reader) join(m *message) *message {
	key := m.stream()
	before := r.partial[key]
	if before == nil && !m.frame.more {
		return m
	}
	if before == nil {
		first := *m
		first.own()
		r.partial[key] = &first
		r.begin(&first)
		r.bytes += first.cost()
		r.bound()
		return nil
	}
	r.bytes -= before.cost()
	if m.frame.cut || before.cut || before.cost()+m.cost() > r.opt.maxRecord() { // what is cut has a gap behind it
		delete(r.partial, key)
		before.cut = true
		r.message(before)
		return r.join(m)
	}
	before.add(m, "")
	before.frame.more = m.frame.more
	if before.frame.more {
		r.bytes += before.cost()
		r.bound()
		return nil
	}
	delete(r.partial, key)
	return before
}

// message takes the next message of a stream: it goes on with an open record, or
// is looked at for records of its own.
func (r *Reader) message(m *message) {
	if len(r.open) > 0 {
		key := m.stream()
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
	r.records(m)
}

// records finds the records of a message.
func (r *Reader) records(m *message) {
	if len(m.text) > 0 && m.text[0] == '{' && r.logObject(m) {
		return
	}
	start, found := r.first(m)
	if !found {
		r.mention(m.text)
	}
	nul, object := -1, -1
	for ok := found; ok && !r.stopped; {
		if nul < start.span && nul < len(m.text) { // the next one from here on
			if nul = bytes.IndexByte(m.text[start.span:], 0); nul >= 0 {
				nul += start.span
			} else {
				nul = len(m.text)
			}
		}
		behind := -1 // of the NUL in the record's text
		if nul < len(m.text) {
			behind = nul - start.span
		}
		d := r.decode(m.text[start.span:], m.frame.kind == syslog, behind)
		var next spanStart
		if d.damage == nil {
			end := start.span + d.end
			if next, ok = spanRightAt(m.text, end); !ok {
				next, ok = findSpan(m.text, end)
			}
			if object = m.hidden(object, end); object < len(m.text) && (!ok || object < next.header) {
				r.emit(m, &start, &d)
				r.within(m, object)
				return
			}
		} else {
			next, ok = nextSpan(m.text, start.span, d.damage)
			if object = m.hidden(object, start.span+len(spanMarker)); object < len(m.text) &&
				(!ok || object < next.header) {
				d = r.decode(m.text[start.span:min(object, nul)], m.frame.kind == syslog, -1)
				r.emit(m, &start, &d)
				r.within(m, object)
				return
			}
			if !ok && r.mayGoOn(m, &d) {
				r.keepOpen(m, start, d)
				return
			}
		}
		r.emit(m, &start, &d)
		start = next
	}
}

// within takes the frame that begins at offset at of a line.
func (r *Reader) within(m *message, at int) {
	p := m.parts[0]
	f := r.unframe(m.text[at:])
	p.column += at + f.at
	p.literal, p.array = len(f.literal), f.array
	r.frame(&message{fed: m.fed, text: f.text, frame: f, cut: m.cut, parts: []part{p}})
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

// emit hands out what became of a record.
func (r *Reader) emit(m *message, start *spanStart, d *decoded) {
	if r.stop() {
		r.at = min(r.at, m.parts[0].place.Offset)
		return
	}
	r.places = r.places[:0]
	end := d.end
	if d.damage != nil {
		end = d.damage.at
	}
	for _, p := range m.between(start.header, start.span+end) {
		r.places = append(r.places, p.place)
	}
	result := &r.result
	*result = Result{Span: d.span, HasSpan: d.has, Places: r.places}
	if d.damage != nil {
		result.Complaint = r.complaint(m, start.span+d.damage.at, d)
	}
	if d.has {
		f, h, place := &m.frame, &start.head, m.place(start.span)
		r.origin[0] = trace.Origin{
			File: place.File, Line: place.Line, RequestID: h.requestID, GlobalRequestID: h.globalRequestID,
			PID: cmp.Or(h.pid, f.pid), LogHost: f.host, LogTime: f.time,
		}
		result.Span.Origin = r.origin[:]
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
	if poison.On {
		poison.List(result.Span.Notes)
		poison.List(result.Span.Dimensions)
		poison.List(r.places)
		r.origin[0], *result = trace.Origin{}, Result{}
	}
}

func (r *Reader) complaint(m *message, at int, d *decoded) *trace.Complaint {
	place, column, raw := m.locate(at)
	c := &trace.Complaint{Kind: trace.Rejected, File: place.File, Line: place.Line, Column: column + 1,
		Offset: place.Offset + int64(column),
		Reason: d.damage.reason, Expected: d.damage.expected, Text: raw}
	if d.has {
		c.Kind = trace.Salvaged
	}
	return c
}
