package export

import (
	"io"
	"iter"
	"sync"

	"github.com/tomoscrape/tomoscrape/internal/inorder"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// JSON writes the document of each trace on a line of its own. For a terminal
// the document is the same, but all characters that could steer it stand as
// JSON escapes. An error among the traces ends the output and is returned.
func JSON(w io.Writer, traces iter.Seq2[*trace.Trace, error], v View) error {
	var readErr, writeErr error
	buffers := sync.Pool{New: func() any { return new([]byte) }}
	inorder.Each(batches(traces, &readErr), func(batch []*trace.Trace) *[]byte {
		lines := buffers.Get().(*[]byte)
		*lines = (*lines)[:0]
		for _, t := range batch {
			*lines = append(appendLine(*lines, t, v), '\n')
		}
		return lines
	}, func(lines *[]byte) bool {
		_, writeErr = w.Write(*lines)
		buffers.Put(lines)
		return writeErr == nil
	})
	if writeErr != nil {
		return writeErr
	}
	return readErr
}

// batchSpans is how many spans a batch has, or one trace of more.
const batchSpans = 512

// batches gives traces in batches that are worth a worker's while. What ends them
// is in err.
func batches(traces iter.Seq2[*trace.Trace, error], err *error) iter.Seq[[]*trace.Trace] {
	return func(yield func([]*trace.Trace) bool) {
		var batch []*trace.Trace
		spans := 0
		for t, traceErr := range traces {
			if traceErr != nil {
				*err = traceErr
				break
			}
			batch = append(batch, t)
			if spans += len(t.Spans); spans >= batchSpans {
				if !yield(batch) {
					return
				}
				batch, spans = nil, 0
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

func appendLine(dst []byte, t *trace.Trace, v View) []byte {
	if v.Width <= 0 {
		return tracejson.Append(dst, t)
	}
	for _, r := range string(tracejson.Append(nil, t)) { // what does not draw stands inside strings only
		dst = appendJSONRune(dst, r)
	}
	return dst
}
