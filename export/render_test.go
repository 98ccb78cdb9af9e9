package export

import (
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

// rendered renders traces one after the other.
func rendered(traces iter.Seq2[*trace.Trace, error]) Render {
	return func(work func([]byte, *trace.Trace, func([]byte) []byte) []byte, take func([]byte) bool) error {
		for t, err := range traces {
			if err != nil {
				return err
			}
			if !take(work(nil, t, nil)) {
				return nil
			}
		}
		return nil
	}
}

// The outputs stop at an error among the traces, and return it.
func TestErrorAmongTraces(t *testing.T) {
	broken := errors.New("the disk is broken")
	traces := func(yield func(*trace.Trace, error) bool) {
		for tr := range sampletest.Each(sampletest.OddTraces()[:2]...) {
			if !yield(tr, nil) {
				return
			}
		}
		yield(nil, broken)
	}
	require.ErrorIs(t, JSON(io.Discard, rendered(traces), false), broken)
}
