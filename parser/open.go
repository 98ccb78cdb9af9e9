package parser

import (
	"bytes"
	"slices"
)

// This file keeps records that may go on in the next line of their stream, until
// they are whole or it turns out that they do not.

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

// openIn is the youngest open record of a stream that the process pid may have
// written; 0 is any.
func (r *Reader) openIn(key string, pid int64) *openRecord {
	for _, o := range slices.Backward(r.streams[key]) {
		if pid == 0 || o.pid == 0 || pid == o.pid {
			return o
		}
	}
	return nil
}

// mayGoOn says whether a damaged record at the end of a message may be whole
// once the next line of its stream is there.
func (r *Reader) mayGoOn(m *message, d *decoded) bool {
	if m.cut || m.json != nil || m.frame.cut || !d.damage.cut || len(m.text) >= r.opt.maxRecord() {
		return false
	}
	return d.damage.inRaw || m.isPiece()
}

// keepOpen keeps an open record; d is what it gave so far.
func (r *Reader) keepOpen(m *message, start spanStart, d decoded) {
	o := &openRecord{message: *m, key: m.stream(), start: start, pid: start.head.pid, first: len(m.text),
		tried: len(m.text), last: d,
		timed: timeEnd(m.text[skipBlank(m.text, min(start.header, len(m.text))):]) > 0}
	o.own()
	o.start.head.own()
	o.last.span = d.span.Clone()
	r.open = append(r.open, o)
	r.streams[o.key] = append(r.streams[o.key], o)
	r.bytes += o.cost()
	r.bound()
}

// begin notes that a message waits for its end.
func (r *Reader) begin(m *message) {
	if len(r.begun) > 2*maxHeld {
		r.begun = slices.DeleteFunc(r.begun, func(m *message) bool { return r.partial[m.stream()] != m })
	}
	r.begun = append(r.begun, m)
}

// close forgets an open record.
func (r *Reader) close(o *openRecord) {
	r.open = without(r.open, o)
	if same := without(r.streams[o.key], o); len(same) > 0 {
		r.streams[o.key] = same
	} else {
		delete(r.streams, o.key)
	}
	r.bytes -= o.cost()
}

// without takes an open record out of a list in which it stands, most often as the
// first.
func without(list []*openRecord, o *openRecord) []*openRecord {
	if list[0] == o {
		list[0] = nil
		return list[1:]
	}
	i := slices.Index(list, o)
	return slices.Delete(list, i, i+1)
}

// bound keeps what is held back within its bounds: the oldest is taken as it is.
func (r *Reader) bound() {
	tooMuch := func(n int) bool { return n > maxHeld || n > 0 && r.bytes > 4*r.opt.maxRecord() }
	for tooMuch(len(r.open)) {
		r.finish(r.open[0])
	}
	for tooMuch(len(r.partial)) {
		m := r.begun[0]
		r.begun = r.begun[1:]
		if key := m.stream(); r.partial[key] == m {
			delete(r.partial, key)
		} else {
			continue // its end came
		}
		r.bytes -= m.cost()
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
	if len(o.text)+len(m.text) > most || o.cost() > most+maxContinued {
		r.finish(o)
		r.message(m)
		return
	}
	r.bytes -= o.cost()
	o.add(m, glue)
	o.frame.more = m.frame.more
	r.bytes += o.cost()
	// A record that goes on and on is not tried at every line.
	if !o.cut && (!piece || o.isPiece()) && (bytes.IndexByte(m.text, ')') < 0 || o.tries > 16 &&
		len(o.text) < o.tried+o.tried/2) {
		r.bound()
		return
	}
	o.tries++
	if r.try(o); o.cut || o.last.damage == nil || !r.mayGoOn(&o.message, &o.last) {
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
	r.close(o)
	if o.object { // whole or not, it is what there is
		o.cut = true
		r.records(&o.message)
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
	r.emit(&first, &o.start, &d)
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
