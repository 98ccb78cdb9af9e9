package export

import (
	"strconv"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// AppendComplaint appends a complaint as one line of JSON, newline included: kind,
// file, line, column, offset, reason, expected, text. The text is the first
// 4,096 bytes; a run of bytes that are no UTF-8 becomes U+FFFD, and what is no
// printable character stands as an escape.
func AppendComplaint(dst []byte, c *trace.Complaint) []byte {
	text := c.Text[:min(len(c.Text), trace.ComplaintText)]
	dst = safetext.AppendJSON(append(dst, `{"kind":`...), []byte(c.Kind))
	dst = safetext.AppendJSON(append(dst, `,"file":`...), []byte(c.File))
	dst = strconv.AppendInt(append(dst, `,"line":`...), c.Line, 10)
	dst = strconv.AppendInt(append(dst, `,"column":`...), int64(c.Column), 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), c.Offset, 10)
	dst = safetext.AppendJSON(append(dst, `,"reason":`...), []byte(c.Reason))
	dst = safetext.AppendJSON(append(dst, `,"expected":`...), []byte(c.Expected))
	dst = safetext.AppendJSON(append(dst, `,"text":`...), text)
	return append(dst, "}\n"...)
}
