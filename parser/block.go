package parser

import "bytes"

// FeedBlock feeds a block of whole lines (the last may lack its newline), of
// which the first has the given number and offset. It does what Feed does for
// each of them, and costs little more than to search the block for "Span(" where
// the frames of its lines keep text as it was written. It returns the number of
// lines; see Stopped for those that were not read.
func (r *Reader) FeedBlock(data []byte, number, offset int64) (lines int64) {
	if r.at = offset; r.stop() {
		return 0
	}
	first, mention := number, -1
	var front []byte // the last line that is not indented, if it was passed over
	for at := 0; at < len(data); number++ {
		line, next := data[at:], len(data)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		if mention < at { // the next one from here on
			if mention = nextMention(data[at:]); mention < 0 {
				mention = len(data)
			} else {
				mention += at
			}
		}
		text, _ := trimLine(line)
		if mention < next || len(r.open) > 0 || len(r.partial) > 0 || hides(text) {
			r.passed(front)
			front = nil
			r.Feed(Line{Text: line, Number: number, Offset: offset + int64(at)})
			if r.stopped {
				return number - first
			}
		} else {
			r.Counts.Lines++
			r.fed++
			if len(text) > 0 && text[0] != ' ' {
				front = text
			}
		}
		at = next
	}
	r.passed(front)
	return number - first
}

// passed remembers the beginning of a line that was passed over: it may be the
// frame of what the indented lines below go on with.
func (r *Reader) passed(line []byte) {
	if len(line) > 0 && line[0] != ' ' {
		r.front = append(r.front[:0], line[:min(len(line), maxFront)]...)
	}
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
