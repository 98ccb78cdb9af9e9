package monitor

import (
	"cmp"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
)

// Tail is a run as seen from outside. Its functions are called from several
// goroutines at once, for as long as the run is watched.
type Tail struct {
	// Outputs gives the state of each output now; nil: there is none yet. What it
	// returns is only read, and not kept.
	Outputs func() []Output
	Checks  []Check
	Log     *slog.Logger // for what goes wrong in watching; nil: [slog.Default]
}

func (t *Tail) outputs() []Output {
	if t.Outputs == nil {
		return nil
	}
	return t.Outputs()
}

// errorLog is for what takes no slog.Logger.
func (t *Tail) errorLog() *log.Logger {
	return slog.NewLogLogger(cmp.Or(t.Log, slog.Default()).Handler(), slog.LevelWarn)
}

// Check asks one pipeline whether it turns.
type Check struct {
	Name    string       // of the output
	Healthy func() error // gives nil, or what is stuck; nil: nothing ever is
}

// Output is what the pipeline of one output has counted since it started, and
// how it stands.
type Output struct {
	Name  string // "zipkin", "json"; no two have the same
	Files []File // in any order

	Bytes      int64 // read from logs
	Lines      int64 // read from logs
	ReadErrors int64 // times a file could not be read
	Unreadable int64 // lines whose text the journal left out
	Refused    int64 // paths that could not be followed

	Spans      int64 // found, without duplicates
	Salvaged   int64 // records of which only a part is left
	Rejected   int64 // records without a span that could be kept
	Mentions   int64 // lines that hold "Span(" and are no record
	Duplicates int64 // spans that were there before

	Delivered   int64 // spans that the output has accepted
	Quarantined int64 // spans that the output refused for good and that were set aside
	Batches     int64 // sent and accepted
	Retries     int64 // attempts after the first

	OpenTraces     int64 // held until they are complete or quiet, now
	OpenTraceBytes int64 // that these take, now
	EarlyTraces    int64 // written before they were quiet, for want of memory

	Truncations     int64 // of logs
	LostGenerations int64 // contents of logs that went away before they were read to the end
	LostBytes       int64 // of these, at least
	LongLines       int64 // cut because they are longer than --max-line

	Checkpoints      int64     // written
	CheckpointErrors int64     // times the checkpoint could not be written
	LastCheckpoint   time.Time // zero: none yet

	Up     bool      // the output takes spans
	Reason string    // if it does not: why, in words
	Since  time.Time // if it does not: since when; zero: not known
}

// File is how far an output is with one log and its rotated files.
type File struct {
	Path       string
	Offset     int64   // bytes: where reading stands in the file that is written to
	Lag        int64   // bytes that are known and not read yet
	LagSeconds float64 // for how long there have been such bytes without a break; 0: there are none
	Unacked    int64   // bytes that were read and whose spans the output has not accepted yet
}

// Healthy is nil while all pipelines turn, else it says which do not, one a line.
func (t *Tail) Healthy() error {
	var stuck reasons
	for _, c := range t.Checks {
		if c.Healthy == nil {
			continue
		}
		if err := c.Healthy(); err != nil {
			stuck = append(stuck, safetext.Printable(c.Name)+": "+safetext.Printable(err.Error()))
		}
	}
	return stuck.err()
}

// Ready is nil when all outputs take spans, else it says which do not, since
// when and why, one a line.
func (t *Tail) Ready() error {
	outputs := t.outputs()
	if len(outputs) == 0 {
		return reasons{"no output has started yet"}
	}
	var down reasons
	for _, o := range outputs {
		if o.Up {
			continue
		}
		since, reason := "", "no reason is known"
		if !o.Since.IsZero() {
			since = " since " + o.Since.UTC().Format(time.RFC3339)
		}
		if o.Reason != "" {
			reason = safetext.Printable(o.Reason)
		}
		down = append(down, fmt.Sprintf("%s: takes no spans%s: %s", safetext.Printable(o.Name), since, reason))
	}
	return down.err()
}

// reasons are escaped sentences, one for each thing that is wrong.
type reasons []string

func (r reasons) Error() string { return strings.Join(r, "\n") }

func (r reasons) err() error {
	if len(r) == 0 {
		return nil
	}
	return r
}
