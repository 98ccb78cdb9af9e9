package tail

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Tail gives the same.
func TestOddIDsInTail(t *testing.T) {
	others := 1000
	log := sampletest.OddLog(others)
	for range 3 {
		l := newTailed(t, t.TempDir())
		l.start()
		for part := log; len(part) > 0; {
			n := min(len(part), 100_000)
			l.write("a.log", part[:n])
			part = part[n:]
			l.caughtUp(int64(len(log)-len(part)) - 1000)
		}
		l.caughtUp(int64(len(log)))
		l.stop()
		// A trace that goes on is written again, so the documents are put together.
		result, err := replay.Run(t.Context(), replay.Options{Paths: []string{l.out}})
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, export.JSON(&out, result.Render, false))
		sampletest.RequireOdd(t, out.Bytes(), 3*others)
		require.NoError(t, result.Close())
	}
}

// A tail knows what it saw of late, and claims no more.
func TestWhereAMissingParentIsInATail(t *testing.T) {
	log, told := sampletest.MissingParents(t)
	for span, words := range told {
		told[span] = strings.Replace(words, "which is nowhere in what was read", "which is not in this trace", 1)
		if strings.HasSuffix(span, " 51") { // the last one that was seen
			told[span] = strings.Replace(words, "00000000000000c8 (in the log: 200)", "0000000000000190 (in the log: 400)", 1)
		}
	}
	l := newTailed(t, t.TempDir())
	l.live = LiveOptions{Settle: time.Hour, Idle: time.Hour, Longest: 24 * time.Hour} // all in the end
	l.start()
	l.write("a.log", log)
	l.caughtUp(int64(len(log)))
	l.stop()
	text, err := os.ReadFile(l.out)
	require.NoError(t, err)
	sampletest.RequireMissingParents(t, told, text)
}

func TestRecentForgets(t *testing.T) {
	r := recent{most: 3}
	id := func(n int) trace.ID { return trace.IDFromUint64(uint64(n)) }
	for n := range 5 {
		r.add(id(n), id(100+n))
	}
	r.add(id(4), id(200))
	require.Len(t, r.in, 3)
	for n, want := range []string{"", "", "102", "103", "200"} {
		e := r.elsewhere(id(n))
		require.False(t, e.Nowhere)
		require.Equal(t, want != "", e.Found)
		if e.Found {
			require.Equal(t, want, fmt.Sprint(e.In.Decimal()))
		}
	}
}
