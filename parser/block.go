package parser

import "bytes"

// FeedBlock feeds a block of whole lines (the last may lack its newline), of
// which the first has the given number and offset. It does what Feed does for
// each of them, and costs little more than to search the block for "Span(" where
// the frames of its lines keep text literal. It returns the number of lines.
func (r *Reader) FeedBlock(data []byte, number, offset int64) (lines int64) {
	first := number
	all := !literal(data)
	for at := 0; at < len(data); {
		if !all && len(r.open) == 0 && len(r.partial) == 0 {
			skipped := len(data) - at // nothing in the rest
			if i := nextMention(data[at:]); i >= 0 {
				skipped = bytes.LastIndexByte(data[at:at+i], '\n') + 1
			}
			n := int64(bytes.Count(data[at:at+skipped], newline))
			at += skipped
			if at == len(data) && skipped > 0 && data[at-1] != '\n' {
				n++
			}
			r.Counts.Lines += n
			r.fed += n
			number += n
			if at == len(data) {
				break
			}
			if skipped > 0 && data[at] == ' ' {
				r.front = append(r.front[:0], frontBefore(data, at)...)
			}
		}
		line, next := data[at:], len(data)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		r.Feed(Line{Text: line, Number: number, Offset: offset + int64(at)})
		number++
		at = next
	}
	return number - first
}

var newline = []byte{'\n'}

// literal says whether a span's text stands in a block as it was written, so that
// lines without "Span(" need no look: no line hides it, and there are no NULs.
func literal(data []byte) bool {
	if bytes.IndexByte(data, 0) >= 0 {
		return false
	}
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		if len(line) > 0 && (line[0] == '\xef' || line[len(line)-1] == '\r') {
			line, _ = trimLine(line)
		}
		if hides(line) {
			return false
		}
	}
	return true
}

// frontBefore is the beginning of the last line in front of offset at of a block
// that is not indented.
func frontBefore(data []byte, at int) []byte {
	for at > 0 {
		start := bytes.LastIndexByte(data[:at-1], '\n') + 1
		if line := data[start:at]; line[0] != ' ' && line[0] != '\n' {
			return line[:min(len(line), maxFront)]
		}
		at = start
	}
	return nil
}

// Rebase moves the places of what is held back by so many lines and bytes.
func (r *Reader) Rebase(lines, bytes int64) {
	move := func(m *message) {
		for i := range m.parts {
			m.parts[i].place.Line += lines
			m.parts[i].place.Offset += bytes
		}
	}
	for _, m := range r.partial {
		move(m)
	}
	for _, o := range r.open {
		move(&o.message)
	}
}
