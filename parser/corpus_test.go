package parser

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// leftToTheGrammar are the seeds of FuzzScanAgreesWithGrammar that the scanner gives
// up on; it must take all others, lest the two agree because one says nothing.
var leftToTheGrammar = strings.Fields(`
	bad-escape brackets cut-before-last-parenthesis cut-in-number cut-in-string empty missing-comma
	no-fields-but-ids only-marker other-order positional spaces trailing-comma twice unknown-field
	value-empty value-newline value-note value-number-and-words value-object value-unbalanced`)

func TestScannerTakesItsSeeds(t *testing.T) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzScanAgreesWithGrammar/*")
	require.NoError(t, err)
	require.NotEmpty(t, seeds)
	var left []string
	for _, seed := range seeds {
		file, err := os.ReadFile(seed)
		require.NoError(t, err)
		_, literal, _ := strings.Cut(strings.TrimSpace(string(file)), "\n")
		text, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(literal, "[]byte("), ")"))
		require.NoError(t, err, seed)
		if _, ok := newScanner().scan([]byte(text), Options{}); !ok {
			left = append(left, filepath.Base(seed))
		}
	}
	slices.Sort(left)
	require.Equal(t, leftToTheGrammar, left)
}
