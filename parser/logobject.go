package parser

import (
	"bytes"
	"cmp"
	"strconv"
)

// This file reads the lines that JSONFormatter writes: an object with message,
// name, msg and more.

// logObject is what such a line says.
type logObject struct {
	name, message, msg *jsonMember
	head               header
	host               string
	time               int64 // microseconds
	known              bool  // it has a key that only log lines have
	end                int   // offset behind the object, -1 if it is cut or torn
}

func readLogObject(text []byte) (o logObject) {
	o.end = jsonMembers(text, func(m jsonMember) {
		switch m.key {
		case "name":
			o.name = &m
		case "message":
			o.message, o.known = &m, true
		case "msg":
			o.msg, o.known = &m, true
		case "levelname", "asctime":
			o.known = true
		case "process":
			o.head.pid, _ = strconv.ParseInt(string(m.value), 10, 64)
		case "hostname":
			o.host, _ = jsonString(m.value)
		case "created":
			o.time, _ = microseconds(m.value)
		case "request_id", "global_request_id":
			o.requestMember(m)
		case "context", "extra":
			jsonMembers(m.value, o.requestMember)
		}
	})
	return o
}

func (o *logObject) requestMember(m jsonMember) {
	if len(m.value) < 3 || m.value[0] != '"' {
		return
	}
	switch id, _ := jsonString(m.value); m.key {
	case "request_id":
		o.head.requestID = id
	case "global_request_id":
		o.head.globalRequestID = id
	}
}

func isLogObject(text []byte) bool { return readLogObject(text).known }

// maxTornObjects bounds the objects looked for in one torn line.
const maxTornObjects = 16

// logObject reads a message that is such an object; false if it is none. Behind
// it, or instead of its rest, another writer's may stand in the same line.
func (r *Reader) logObject(m *message) bool {
	o := readLogObject(m.text)
	if !o.known {
		return false
	}
	if o.end < 0 && m.isPiece() && !m.cut && !m.frame.cut { // the journal cut it
		r.keepOpen(m, spanStart{}, decoded{})
		r.open[len(r.open)-1].object = true
		return true
	}
	found := r.object(m, &o, 0)
	next := o.end
	if o.end < 0 {
		next = tornFrame(m.text)
	}
	if !found {
		text := m.text
		if next > 0 {
			text = text[:next]
		}
		r.mention(text)
	}
	if next > 0 {
		if next = jsonBlank(m.text, next); next < len(m.text) {
			rest := *m
			rest.text, rest.base = m.text[next:], m.base+next
			r.records(&rest)
		}
	}
	return true
}

// object finds the span record of a log object that begins at offset at.
func (r *Reader) object(m *message, o *logObject, at int) (found bool) {
	name := ""
	if o.name != nil {
		name, _ = jsonString(o.name.value)
	}
	if o.name != nil && name != loggerName {
		return false
	}
	inner := &message{fed: m.fed, parts: m.parts, frame: m.frame, base: m.base, cut: o.end < 0}
	if o.host != "" {
		inner.frame.host = o.host
	}
	if o.time != 0 {
		inner.frame.time = o.time
	}
	text := o.message
	if text == nil || text.value[0] != '"' {
		text = o.msg
	}
	if text == nil {
		return false
	}
	located := *text
	located.at += at
	if text.value[0] == '[' && name == loggerName {
		inner.text, inner.base = text.value, m.base+located.at
		d := jsonSpan(text.value, r.opt)
		r.emit(inner, &spanStart{head: o.head}, &d)
		return true
	}
	if text.value[0] != '"' {
		return false
	}
	decoded, _ := jsonString(text.value)
	inner.text, inner.json = []byte(decoded), &located
	start, ok := findSpan(inner.text, 0)
	if !ok && name == loggerName && bytes.HasPrefix(inner.text, markerBytes) {
		ok = true
	}
	if !ok {
		return false
	}
	start.head = start.head.or(o.head)
	d := r.decode(inner.text[start.span:], false, bytes.IndexByte(inner.text[start.span:], 0))
	r.emit(inner, &start, &d)
	return true
}

// or takes from another header what this one lacks.
func (h header) or(other header) header {
	return header{requestID: cmp.Or(h.requestID, other.requestID), globalRequestID: cmp.Or(h.globalRequestID,
		other.globalRequestID),
		pid: cmp.Or(h.pid, other.pid)}
}
