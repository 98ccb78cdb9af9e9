package export

import (
	"io"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// JSON writes the document of each trace on a line of its own.
func JSON(w io.Writer, traces []trace.Trace) error {
	var line []byte
	for i := range traces {
		line = append(tracejson.Append(line[:0], &traces[i]), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
