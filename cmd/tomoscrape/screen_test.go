package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nothing of the bar reaches the screen once it ended, whoever still draws it: what
// is told behind it stays.
func TestNothingIsDrawnBehindTheEnd(t *testing.T) {
	var screen bytes.Buffer
	b := &progress{screen: &gate{to: &screen}}
	b.clear() // before it stands there
	b.step(0, 100)
	b.step(40, 100)
	require.Contains(t, screen.String(), "reading")
	b.end()
	require.Equal(t, "\r", screen.String()[screen.Len()-1:], "it is off the screen")
	screen.Reset()
	b.step(50, 200)
	require.NoError(t, b.bar.RenderBlank())
	b.clear()
	b.end()
	require.Empty(t, screen.String())
}
