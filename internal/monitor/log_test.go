package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// logged is a Logger, and the lines it has written since they were last asked
// for, without their times.
func logged(t require.TestingT, format string, level slog.Level) (*Logger, func() []string) {
	var out bytes.Buffer
	log, err := NewLogger(&out, format, level)
	require.NoError(t, err)
	return log, func() (lines []string) {
		for line := range strings.Lines(out.String()) {
			_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			lines = append(lines, line)
		}
		out.Reset()
		return lines
	}
}

// inBubble runs a test with a clock of its own: time.Sleep takes no time.
func inBubble(t *testing.T, test func(t *testing.T)) { synctest.Test(t, test) }

func TestRepetitionsAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log, lines := logged(t, "text", slog.LevelInfo)
		for i := range 10 {
			log.Warn("zipkin does not answer", "attempt", i)
			time.Sleep(time.Second)
		}
		require.Equal(t, []string{`level=WARN msg="zipkin does not answer" attempt=0`}, lines())
		time.Sleep(50 * time.Second)
		log.Warn("zipkin does not answer", "attempt", 10)
		log.Warn("zipkin does not answer", "attempt", 11)
		require.Equal(t, []string{`level=WARN msg="zipkin does not answer" attempt=10 repeated=9`}, lines())
		time.Sleep(time.Minute)
		log.Warn("zipkin does not answer", "attempt", 12)
		require.Equal(t, []string{`level=WARN msg="zipkin does not answer" attempt=12 repeated=1`}, lines())
		require.NoError(t, log.Flush())
		require.Empty(t, lines(), "nothing was held back")
	})
}

func TestCausesAreToldApart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log, lines := logged(t, "text", slog.LevelInfo)
		log.Info("a")
		log.Warn("a")
		log.Info("b")
		log.Info("a", "file", "x")               // as the first
		log.Info("a", "cause", "x")              // not so
		log.With("cause", "y").Info("a")         // nor this
		log.With("cause", "y").Info("a", "n", 2) // as the one before
		log.With("output", "json").WithGroup("g").Info("a")
		log.Debug("not asked for")
		require.Equal(t, []string{"level=INFO msg=a", "level=WARN msg=a", "level=INFO msg=b", "level=INFO msg=a cause=x", "level=INFO msg=a cause=y"}, lines())
		require.NoError(t, log.Flush())
		require.ElementsMatch(t, []string{
			`level=INFO msg="messages were held back" message=a repeated=2 last=2000-01-01T00:00:00.000Z`,
			`level=INFO msg="messages were held back" message=a repeated=1 last=2000-01-01T00:00:00.000Z cause=y`,
		}, utc(lines()))
		require.NoError(t, log.Flush())
		require.Empty(t, lines())
		log.Info("a")
		require.Len(t, lines(), 1, "a Logger is of use after Flush")
	})
}

// utc replaces the zone of the machine, for a bubble's time is local.
func utc(lines []string) []string {
	for i, line := range lines {
		before, rest, ok := strings.Cut(line, "last=")
		if !ok {
			continue
		}
		stamp, after, blank := strings.Cut(rest, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err == nil {
			lines[i] = before + "last=" + at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
			if blank {
				lines[i] += " " + after
			}
		}
	}
	return lines
}

// What a burst held back is said though the burst never comes again.
func TestEndOfABurstIsSaid(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log, lines := logged(t, "text", slog.LevelInfo)
		for range 500 {
			log.Error("disk full")
		}
		time.Sleep(2 * time.Minute)
		lines()
		log.Info("reloaded")
		require.Equal(t, []string{
			`level=ERROR msg="messages were held back" message="disk full" repeated=499 last=2000-01-01T00:00:00.000Z`,
			`level=INFO msg=reloaded`,
		}, utc(lines()))
	})
}

func TestCausesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log, lines := logged(t, "text", slog.LevelInfo)
		const all = 5 * maxCauses
		for i := range all {
			log.Info(strings.Repeat("x", maxKey-10) + fmt.Sprintf("%010d", i))
		}
		require.Len(t, lines(), maxCauses)
		require.LessOrEqual(t, len(log.state.entries), maxCauses+1)
		time.Sleep(time.Minute)
		log.Info("another")
		got := lines()
		require.Len(t, got, 2)
		require.Contains(t, got[0], fmt.Sprintf(`message=%q repeated=%d`, otherCauses, all-maxCauses))
		require.Len(t, log.state.entries, 1, "room again")
	})
}

// Nothing is lost: what was written and what was counted is what was logged.
func TestEveryRecordIsWrittenOrCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		log, err := NewLogger(&out, "json", slog.LevelInfo)
		require.NoError(t, err)
		now := time.Now()
		n := rapid.IntRange(0, 200).Draw(t, "records")
		for range n {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(40*time.Second)).Draw(t, "pause")))
			r := slog.NewRecord(now, slog.LevelWarn, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "message"), 0)
			require.NoError(t, log.Handler().Handle(t.Context(), r))
		}
		require.NoError(t, log.Flush())
		counted := 0
		for line := range strings.Lines(out.String()) {
			var record struct {
				Msg      string
				Repeated int
			}
			require.NoError(t, json.Unmarshal([]byte(line), &record))
			if counted += record.Repeated; record.Msg != "messages were held back" {
				counted++
			}
		}
		require.Equal(t, n, counted)
	})
}

func TestConcurrentLogging(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "text", slog.LevelInfo)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				log.With("n", i).Info("the same")
			}
		})
	}
	wg.Wait()
	require.NoError(t, log.Flush())
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "repeated=799")
}

// Neither format lets anything reach a terminal that steers it, wherever it
// stands in a record.
func TestLogIsSafeForATerminal(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log, err := NewLogger(&out, format, slog.LevelInfo)
		require.NoError(t, err)
		log.With(hostile, hostile).WithGroup(hostile).Info(hostile, hostile, hostile, "err", errors.New(hostile),
			"bytes", []byte(hostile), "list", []string{hostile}, "any", struct{ S string }{hostile}, "cause", hostile)
		log.Info(hostile, "cause", hostile)
		require.NoError(t, log.Flush())
		require.Equal(t, 2, strings.Count(out.String(), "\n"))
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			require.Equal(t, strings.ReplaceAll(line, `\`, ""), strings.ReplaceAll(safetext.Printable(line), `\`, ""))
			if format == "json" {
				var record map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &record))
				if record["msg"] != "messages were held back" {
					require.Equal(t, strings.ToValidUTF8(hostile, "\ufffd"), strings.ReplaceAll(record["msg"].(string), "\ufffd\ufffd", "\ufffd"))
				}
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	_, err := NewLogger(&bytes.Buffer{}, "xml", slog.LevelInfo)
	require.EqualError(t, err, `"xml" is no format of the log: expected text or json`)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLogThatCannotBeWritten(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		log, err := NewLogger(failing{}, format, slog.LevelInfo)
		require.NoError(t, err)
		log.Info("a")
		log.Info("a")
		require.ErrorContains(t, log.Flush(), "broken pipe")
	}
}
