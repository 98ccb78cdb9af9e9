package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomoscrape/tomoscrape/export/zipkinhttp"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// options are the values of all flags.
type options struct {
	config     string
	noProgress bool
	summary    string
	errors     string

	maxLine     int64
	maxDepth    int64
	maxMembers  int64
	maxUnpacked int64
	memory      int64
	temp        string
	skew        string
	filter      query.Filter
	limit       int64

	json          string
	zipkin        string
	receiver      string
	jaegerQuery   string
	quarantine    string
	shiftTo       string
	hosts         string
	splitServices string
	compact       bool
	noInfer       bool
	maxValue      int64
	hostAddresses zipkin.Hosts // what hosts says
	zipkinAccess  zipkinhttp.Access
	verify        bool

	checkpoint      string
	resetCheckpoint bool
	from            string
	settle          time.Duration
	idle            time.Duration
	metrics         string
	logFormat       string
}

const configUsage = "YAML `FILE` with flags, such as \"max-line: 1MiB\""

// readFlags are those of every command that reads.
func (o *options) readFlags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.config, "config", "", configUsage)
	f.BoolVar(&o.noProgress, "no-progress", false, "no progress bar, also on a terminal")
	f.StringVar(&o.summary, "summary", "", "write what was read, and what became of it, to `FILE` as JSON")
	f.StringVar(&o.errors, "errors", "",
		"write every span line that did not parse whole to `FILE`, one JSON object a line")
	o.maxLine = parser.DefaultMaxRecord
	f.Var(&size{&o.maxLine}, "max-line", "longest line that is read whole, in `BYTES`")
	o.maxDepth = 8
	f.Var(&number{&o.maxDepth, 1}, "max-depth", "how many layers of compression and archives are unpacked")
	o.maxUnpacked = 100 << 30
	f.Var(&size{&o.maxUnpacked}, "max-unpacked", "how much may be unpacked in all, in `BYTES`")
	o.maxMembers = 1_000_000
	f.Var(&number{&o.maxMembers, 1}, "max-members", "how many members archives may have in all")
	o.memory = record.DefaultMemory
	f.Var(&atLeast{size{&o.memory}, &leastMemory}, "memory",
		"how much the spans may take in memory, in `BYTES` from 64MiB; beyond it they go to temporary files")
	f.StringVar(&o.temp, "temp", "", "directory for temporary files, `DIR` (default $TMPDIR, or else the system's)")
}

// leastMemory is what --memory must be at least; tests allow less.
var leastMemory int64 = 64 << 20

// assembleFlags are those of the commands that make traces.
func (o *options) assembleFlags(c *cobra.Command) {
	o.skewFlag(c)
	f := c.Flags()
	f.StringArrayVar(&o.filter.TraceIDs, "trace", nil,
		"only the trace with this `ID`, decimal as in the log or hexadecimal as in Zipkin (repeatable)")
	f.StringVar(&o.filter.RequestID, "request-id", "", "only traces of this request, `req-…`")
	f.StringVar(&o.filter.Contains, "contains", "", "only traces with `TEXT` in a name, value or key")
	f.StringVar(&o.filter.Service, "service", "", "only traces with this service `NAME`")
	f.StringVar(&o.filter.Span, "span", "", "only traces with a span of this `NAME`")
	f.StringVar(&o.filter.AnnotationQuery, "annotation-query", "",
		"only traces with these values, as Zipkin's `QUERY`: \"error and http.method=GET\"")
	f.Var(&span{&o.filter.MinDuration}, "min-duration",
		"only traces with a span of at least this `DURATION`, such as 100ms")
	f.Var(&span{&o.filter.MaxDuration}, "max-duration", "only traces with a span of at most this `DURATION`")
	f.Var(&moment{at: &o.filter.Since}, "since",
		"only traces that started at this `TIME` (RFC 3339, or 2h for two hours ago) or later")
	f.Var(&moment{at: &o.filter.Until}, "until", "only traces that started at this `TIME` or earlier")
	f.Var(&number{&o.limit, 0}, "limit", "only the newest so many traces")
}

func (o *options) skewFlag(c *cobra.Command) {
	o.skew = "report"
	choose(c, &o.skew, "skew", []string{"report", "adjust"}, "clocks that differ: say so, or move spans as Zipkin does")
}

// filterFlags are the flags that choose traces.
var filterFlags = []string{"trace", "request-id", "contains", "service", "span", "annotation-query",
	"min-duration", "max-duration", "since", "until", "limit"}

// filtered says whether any filter is set, wherever that was done.
func filtered(c *cobra.Command) bool {
	return slices.ContainsFunc(filterFlags, c.Flags().Changed)
}

// choose adds a flag that takes one of a few words.
func choose(c *cobra.Command, value *string, name string, words []string, usage string) {
	c.Flags().Var(&choice{value, words}, name, usage)
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // the flag is there, just above
	}
}

type choice struct {
	value *string
	words []string
}

func (v *choice) String() string { return *v.value }
func (v *choice) Type() string   { return strings.Join(v.words, "|") }

func (v *choice) Set(text string) error {
	if !slices.Contains(v.words, text) {
		return fmt.Errorf("expected %s", strings.Join(v.words, " or "))
	}
	*v.value = text
	return nil
}

// number is a whole number with a least value.
type number struct {
	value *int64
	least int64
}

func (v *number) String() string { return strconv.FormatInt(*v.value, 10) }
func (v *number) Type() string   { return "N" }

func (v *number) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < v.least {
		return fmt.Errorf("expected a whole number from %d", v.least)
	}
	*v.value = n
	return nil
}

// size is a number of bytes: 8388608, 8MiB or 64KB.
type size struct{ value *int64 }

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

func (v *size) Type() string { return "BYTES" }

func (v *size) String() string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; *v.value >= u.bytes && *v.value%u.bytes == 0 {
			return strconv.FormatInt(*v.value/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(*v.value, 10)
}

func (v *size) Set(text string) error {
	digits, unit := text, int64(1)
	for _, u := range sizeUnits {
		if n := len(text) - len(u.name); n > 0 && strings.EqualFold(text[n:], u.name) {
			digits, unit = strings.TrimSpace(text[:n]), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && n > math.MaxInt64/unit:
		return errors.New("it is too large")
	case err != nil || n <= 0:
		return errors.New("expected a number of bytes such as 8388608, 8MiB or 64KB")
	}
	*v.value = n * unit
	return nil
}

// atLeast is a size with a least value.
type atLeast struct {
	size
	least *int64
}

func (v *atLeast) Set(text string) error {
	var n int64
	if err := (&size{&n}).Set(text); err != nil {
		return err
	}
	if n < *v.least {
		return fmt.Errorf("expected %s or more", &size{v.least})
	}
	*v.value = n
	return nil
}

// span is a duration as package query reads it.
type span struct{ value *time.Duration }

func (v *span) Type() string { return "DURATION" }

func (v *span) String() string {
	if *v.value == 0 {
		return ""
	}
	return v.value.String()
}

func (v *span) Set(text string) (err error) {
	*v.value, err = query.ParseDuration(text)
	return wordsOf(err)
}

// moment is a time as package query reads it.
type moment struct {
	at   *time.Time
	text string
}

func (v *moment) Type() string   { return "TIME" }
func (v *moment) String() string { return v.text }

func (v *moment) Set(text string) (err error) {
	v.text = text
	*v.at, err = query.ParseTime(text, time.Now())
	return wordsOf(err)
}

// wordsOf is an error of package query without the value, which pflag names.
func wordsOf(err error) error {
	if usage := (*query.UsageError)(nil); errors.As(err, &usage) {
		return fmt.Errorf("it %s; expected %s", usage.Problem, usage.Expected)
	}
	return err
}
