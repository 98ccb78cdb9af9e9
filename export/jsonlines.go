package export

import (
	"io"
	"iter"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// JSON writes the document of each trace on a line of its own. For a terminal
// the document is the same, but all characters that could steer it stand as
// JSON escapes. An error among the traces ends the output and is returned.
func JSON(w io.Writer, traces iter.Seq2[*trace.Trace, error], v View) error {
	var line, safe []byte
	for t, err := range traces {
		if err != nil {
			return err
		}
		line = tracejson.Append(line[:0], t)
		if v.Width > 0 {
			safe = safe[:0]
			for _, r := range string(line) { // what does not draw stands inside strings only
				safe = appendJSONRune(safe, r)
			}
			line, safe = safe, line
		}
		line = append(line, '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
