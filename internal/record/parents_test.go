package record

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Of more parents than are looked for, nothing is known of any.
func TestTooManyMissingParents(t *testing.T) {
	var p Parents
	in, first := trace.IDFromUint64(1), trace.IDFromUint64(10)
	for i := range maxWanted {
		p.add(trace.IDFromUint64(uint64(10 + i)))
		p.add(first)
	}
	p.offer(in, first)
	require.Equal(t, assemble.Elsewhere{In: in, Found: true}, p.Elsewhere(first))
	require.Equal(t, assemble.Elsewhere{Nowhere: true}, p.Elsewhere(trace.IDFromUint64(11)))
	p.add(trace.IDFromUint64(9))
	p.offer(in, first)
	require.Equal(t, assemble.Elsewhere{}, p.Elsewhere(first))
	require.Equal(t, assemble.Elsewhere{}, p.Elsewhere(trace.IDFromUint64(11)))
}
