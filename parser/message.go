package parser

import "slices"

// This file holds what a service wrote at once, put together from the lines it
// was read from, and knows where each byte of it stood.

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
	seen    jsonAt // where in the literal something was looked for before
	array   bool   // the text is an array of bytes, whose places are not told apart
}

// stream tells the streams of a file apart.
func (m *message) stream() string { return string('0'+rune(m.frame.kind)) + m.frame.stream }

// cost is how many bytes a message that is held back takes, about.
func (m *message) cost() int { return m.size }

// partSize is what a part takes beside its line, about.
const partSize = 128

// own makes copies of what a message borrows.
func (m *message) own() {
	if m.size > 0 {
		return
	}
	m.text, m.parts = slices.Clone(m.text), slices.Clone(m.parts)
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

// partAt is the index of the part that holds the byte at offset at of a message's
// text (or, if that is decoded from a literal, of the literal's text).
func (m *message) partAt(at int) int {
	behind, _ := slices.BinarySearchFunc(m.parts[1:], at+m.base, func(p part, at int) int {
		if p.at <= at {
			return -1
		}
		return 1
	})
	return behind
}

// between narrows the parts down to those that hold the text from offset start up
// to offset end.
func (m *message) between(start, end int) []part {
	if len(m.parts) == 1 || m.json != nil {
		return m.parts
	}
	return m.parts[m.partAt(start) : m.partAt(max(start, end-1))+1]
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
		at = m.json.at + m.json.seen.offset(m.json.value, at)
	}
	p := &m.parts[m.partAt(at)]
	at += m.base
	column = at - p.at
	if p.array {
		column = 0
	} else if p.literal > 0 && p.column+p.literal <= len(p.raw) {
		column = p.seen.offset(p.raw[p.column:p.column+p.literal], column)
	}
	return p.place, min(p.column+column, len(p.raw)), p.raw
}
