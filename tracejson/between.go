package tracejson

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tomoscrape/tomoscrape/internal/poison"
)

// between goes to the brace that begins the next document and says whether there
// is one. What stands before it is handed on or damage, except for white space
// and what lists of documents are made of.
func (d *decoder) between() (more bool, err error) {
	d.inside, d.spans, d.held = false, 0, nil
	for {
		text := d.ahead(Lookahead)
		if len(text) == 0 {
			if err := d.ended(); err != io.EOF {
				return false, err
			}
			if d.lists > 0 {
				err = d.fail("the input ends within a list of documents", "]")
			}
			return false, err
		}
		if d.offset == d.bol && bytes.HasPrefix(text, byteOrderMark) && (d.offset == 0 || IsDocument(text)) {
			d.blank(len(byteOrderMark))
			continue
		}
		rest := bytes.TrimLeft(text, " \t\r")
		skipped, next := len(text)-len(rest), byte(' ')
		if len(rest) > 0 {
			next = rest[0]
		}
		switch {
		case next == '\n' && (d.other == nil || d.offset > d.bol):
			d.blank(skipped)
			d.newline()
		case next == ' ' && (d.other == nil || d.offset > d.bol):
			d.blank(skipped)
		case d.anyLists && (next == ',' || next == ']'):
			d.blank(skipped)
			d.consume(1)
			if next == ']' && d.lists > 0 {
				d.lists--
			}
		case next == '[' && IsDocument(rest):
			d.blank(skipped)
			d.consume(1)
			d.lists++
			d.anyLists = true
		case next == '{' && IsDocument(rest):
			d.blank(skipped)
			return true, nil
		case d.other == nil:
			if d.rerr != nil && d.rerr != io.EOF { // it may be why this is no document
				return false, d.ended()
			}
			d.blank(skipped)
			d.begin()
			if next == '{' || next == '[' {
				return true, d.fail("found what is no trace document",
					"an object with trace_id, tomograph_id and spans")
			}
			return true, d.unexpected(next, "{")
		default:
			if d.lists > 0 && next != '\n' && next != ' ' {
				d.lists = 0
				if err := d.tell(d.errorAt(d.offset+int64(skipped),
					"found a line of something else within a list of documents", "{, a comma or ]")); err != nil {
					return false, err
				}
			}
			if err := d.handOn(); err != nil {
				return false, err
			}
		}
	}
}

// resume goes on after damage and gives the number of the line that is read
// next, 0 if there is none: this one if nothing of it was read yet, else a later
// one. If no other lines are asked for, it is the next that begins a document.
func (d *decoder) resume() int64 {
	d.inside = false
	d.lists = 0 // its end may lie within the damage
	for {
		text := d.ahead(Lookahead)
		if len(text) == 0 {
			d.ended() // sets d.stop if the input is broken
			return 0
		}
		if d.offset == d.lead && d.offset > d.start {
			rest := bytes.TrimLeft(text, " \t\r")
			if d.other != nil || len(rest) > 0 && (rest[0] == '{' || rest[0] == '[') && IsDocument(rest) {
				return d.line
			}
		}
		d.skipLine()
	}
}

// skipLine passes the rest of this line.
func (d *decoder) skipLine() {
	for len(d.ahead(1)) > 0 {
		end := bytes.IndexByte(d.buf, '\n')
		if end >= 0 {
			d.consume(end)
			d.newline()
			return
		}
		d.consume(len(d.buf))
	}
}

// handOn gives the rest of this line to other.
func (d *decoder) handOn() error {
	number, offset, bol := d.line, d.offset, d.bol
	var line []byte
	if end := bytes.IndexByte(d.buf, '\n'); end >= 0 && end <= d.maxLine {
		line = d.buf[:end]
		d.consume(end)
		d.newline() // leaves what line refers to as it is
	} else {
		d.scratch = d.scratch[:0]
		cut := false
		for ended := false; !ended && len(d.ahead(1)) > 0; {
			end := bytes.IndexByte(d.buf, '\n')
			if ended = end >= 0; !ended {
				end = len(d.buf)
			}
			room := min(end, d.maxLine-len(d.scratch))
			d.scratch = append(d.scratch, d.buf[:room]...)
			cut = cut || room < end
			if d.consume(end); ended {
				d.newline()
			}
		}
		line = d.scratch
		if cut {
			at := offset + int64(len(line))
			err := d.tell(&DocumentError{
				Kind: LongLine, File: d.file, Document: d.documents, Line: number, Column: at - bol + 1, Offset: at,
				Reason: fmt.Sprintf("the line is longer than %d bytes; the rest of it was not read", d.maxLine),
				Text:   bytes.Clone(line[:min(len(line), 4096)]),
			})
			if err != nil {
				return err
			}
		}
	}
	d.stop = d.other(line, number, offset)
	if poison.Bytes(line); d.stop != nil {
		return errStop
	}
	return nil
}
