package export

import (
	"io"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// Render has work called for each of some traces, maybe for several at a time; a
// trace is work's only until that returns. take gets what work appended to dst, in
// the order of the traces and one at a time; if it returns false, no more comes.
// Of a large trace work may hand over a part of its text to full, which gives back
// room for more; for any other full is nil. The error is that of the traces.
type Render func(work func(dst []byte, t *trace.Trace, full func([]byte) []byte) []byte,
	take func(text []byte) bool) error

// JSON writes the document of each trace on a line of its own. For a terminal
// the document is the same, but all characters that could steer it stand as
// JSON escapes. An error among the traces ends the output and is returned.
func JSON(w io.Writer, render Render, terminal bool) error {
	var writeErr error
	err := render(func(dst []byte, t *trace.Trace, full func([]byte) []byte) []byte {
		return append(appendLine(dst, t, terminal, full), '\n')
	}, func(lines []byte) bool {
		_, writeErr = w.Write(lines)
		return writeErr == nil
	})
	if writeErr != nil {
		return writeErr
	}
	return err
}

func appendLine(dst []byte, t *trace.Trace, terminal bool, full func([]byte) []byte) []byte {
	if !terminal {
		return tracejson.AppendParts(dst, t, full)
	}
	draw := func(json []byte) {
		for _, r := range string(json) { // what does not draw stands inside strings only
			dst = safetext.AppendJSONRune(dst, r)
		}
	}
	var parts func([]byte) []byte
	if full != nil {
		parts = func(json []byte) []byte {
			draw(json)
			dst = full(dst)
			return json[:0]
		}
	}
	draw(tracejson.AppendParts(nil, t, parts))
	return dst
}
