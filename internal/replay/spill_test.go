package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/export/terminal"
	"github.com/tomoscrape/tomoscrape/internal/record"
	"github.com/tomoscrape/tomoscrape/internal/sampletest"
	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

// shown is all that a user sees of a result: JSON, the list, every tree.
func shown(t require.TestingT, r *Result) string {
	var out bytes.Buffer
	require.NoError(t, export.JSON(&out, r.Render, false))
	require.NoError(t, terminal.List(&out, r.Traces(), terminal.View{Width: 100}))
	for tr, err := range r.Traces() {
		require.NoError(t, err)
		require.NoError(t, terminal.Tree(&out, tr, terminal.View{}))
	}
	return out.String()
}

// ledger is that of a result.
func ledger(t require.TestingT, r *Result) *Ledger {
	l, err := r.Ledger()
	require.NoError(t, err)
	return l
}

// empty fails if there is anything in a directory.
func empty(t require.TestingT, dir string) {
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// requireSame runs a replay in memory and at a limit, and compares them.
func requireSame(t require.TestingT, ctx context.Context, opt Options, read reader, memory int64, temp string) (limited *Ledger) {
	want, wantErr := replay(ctx, opt, read)
	opt.Memory, opt.Temp = memory, temp
	got, gotErr := replay(ctx, opt, read)
	require.Equal(t, wantErr, gotErr)
	empty(t, temp)
	require.Equal(t, shown(t, want), shown(t, got))
	limited = ledger(t, got)
	whole := *limited
	whole.Spill = nil
	require.Nil(t, ledger(t, want).Spill)
	require.Equal(t, *ledger(t, want), whole)
	require.NoError(t, want.Close())
	require.NoError(t, got.Close())
	return limited
}

func TestSpillGivesTheSameForTheSamples(t *testing.T) {
	folders, err := os.ReadDir(logs)
	require.NoError(t, err)
	for _, folder := range folders {
		for _, memory := range []int64{1, 4 << 10, 100 << 10} {
			opt := Options{Paths: []string{filepath.Join(logs, folder.Name())}}
			l := requireSame(t, t.Context(), opt, read, memory, t.TempDir())
			if memory == 1 {
				require.Equal(t, l.Traces, l.Spill.Partitions, "each trace by itself")
				require.Equal(t, l.Traces, l.Spill.OversizedTraces)
				require.Positive(t, l.Spill.Bytes)
			}
		}
	}
}

// spans is a reader that gives these.
func spans(list []trace.Span) reader {
	return func(_ context.Context, opt Options, add adder) (Ledger, error) {
		e := record.NewEncoder(opt.names, false)
		for _, s := range list {
			add(e.Append(nil, &s))
		}
		return Ledger{Parsed: int64(len(list))}, nil
	}
}

func TestSpillGivesTheSame(t *testing.T) {
	temp := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(sampletest.AnySpan, 0, 40).Draw(t, "spans")
		opt := Options{}
		opt.Assemble.AdjustSkew = rapid.Bool().Draw(t, "adjust")
		switch rapid.IntRange(0, 5).Draw(t, "filter") {
		case 0:
			opt.Filter.Limit = rapid.IntRange(1, 5).Draw(t, "limit")
		case 1:
			opt.Filter.Contains = "nova"
			opt.Filter.Limit = rapid.IntRange(0, 3).Draw(t, "limit")
		case 2:
			opt.Filter.TraceIDs = rapid.SliceOfN(rapid.SampledFrom([]string{
				"0", "3", "0000000000000004", "-1", "ffffffffffffffff", "99"}), 1, 3).Draw(t, "ids")
		case 3:
			opt.Filter.Service, opt.Filter.Limit = "nova-api", 2
		}
		l := requireSame(t, context.Background(), opt, spans(list), rapid.Int64Range(1, 20_000).Draw(t, "memory"), temp)
		require.Equal(t, l.Parsed, l.Spans+l.Duplicates)
	})
}

// Where nothing chooses, nobody looks at the traces before they are written: their
// order and number are the same as with a filter that lets all of them pass.
func TestOrderWithoutSurvey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(sampletest.AnySpan, 1, 40).Draw(t, "spans")
		memory := rapid.SampledFrom([]int64{1, 1 << 30}).Draw(t, "memory")
		give := func(f query.Filter) (string, *Ledger) {
			r, err := replay(context.Background(), Options{Memory: memory, Filter: f}, spans(list))
			require.NoError(t, err)
			defer r.Close()
			return shown(t, r), ledger(t, r)
		}
		want, wantLedger := give(query.Filter{Limit: math.MaxInt})
		got, gotLedger := give(query.Filter{})
		require.Equal(t, want, got)
		require.Equal(t, wantLedger, gotLedger)
	})
}

// A text may name two traces that fall into different partitions.
func TestAmbiguousAcrossPartitions(t *testing.T) {
	hexOfDigits, err := trace.ParseHex("1234567890123456")
	require.NoError(t, err)
	ids := []trace.ID{trace.IDFromUint64(1234567890123456), hexOfDigits}
	var list []trace.Span
	for i, id := range ids {
		list = append(list, trace.Span{TraceID: id, ID: id, Notes: []trace.Note{{Time: int64(9 - i), HasTime: true}}})
	}
	for range 20 { // as the hash goes
		result, err := replay(t.Context(), Options{Memory: 1, Temp: t.TempDir(), Filter: query.Filter{TraceIDs: []string{"1234567890123456"}}}, spans(list))
		var ambiguous *query.AmbiguousError
		require.ErrorAs(t, err, &ambiguous)
		require.Equal(t, []trace.ID{ids[1], ids[0]}, ambiguous.IDs)
		require.Zero(t, ledger(t, result).Selected)
		require.NoError(t, result.Close())
	}
}

// family is n spans of a trace, with text of so many bytes each.
func family(id uint64, n, bytes int) (list []trace.Span) {
	for i := range n {
		list = append(list, trace.Span{TraceID: trace.IDFromUint64(id), ID: trace.IDFromUint64(uint64(i + 1)),
			HasParent: i > 0, ParentID: trace.IDFromUint64(uint64(i / 2)), Name: trace.NewText(strings.Repeat("x", bytes)),
			Notes:  []trace.Note{{Time: int64(1000*id) + int64(i), HasTime: true, Value: trace.Value{Kind: trace.String, Text: "start"}}},
			Origin: []trace.Origin{{File: "nova.log", Line: int64(i + 1)}}})
	}
	return list
}

func TestOneTraceLargerThanMemory(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	var list []trace.Span
	for id := range uint64(50) {
		list = append(list, family(id, 3, 100)...)
	}
	within := family(66, 400, 1000) // too large for a partition, not for memory
	size := int64(0)
	for i := range within {
		size += record.Cost(&within[i])
	}
	require.Less(t, size, int64(1<<20))
	require.Greater(t, size, int64(1<<19))
	list = append(append(list, within...), family(77, 2000, 1000)...)
	l := requireSame(t, t.Context(), Options{}, spans(list), 1<<20, t.TempDir())
	require.EqualValues(t, 1, l.Spill.OversizedTraces)
	require.EqualValues(t, 52, l.Traces)

	// Go's own limit of memory makes room for it.
	debug.SetMemoryLimit(1 << 20)
	result, err := replay(t.Context(), Options{Memory: 1 << 20, Temp: t.TempDir()}, spans(list))
	require.NoError(t, err)
	require.NoError(t, result.Close())
	require.Greater(t, debug.SetMemoryLimit(-1), int64(1<<20+2_000_000+2000*record.OutlineCost))
}

// Equal hashes do not keep a partition from being split: every spill has a hash
// of its own.
func TestPartitionsAreSplitAgain(t *testing.T) {
	var list []trace.Span
	for id := range uint64(3000) {
		list = append(list, family(id, 2, 10)...)
	}
	l := requireSame(t, t.Context(), Options{}, spans(list), 128<<10, t.TempDir())
	require.Greater(t, l.Spill.Partitions, int64(record.MostPartitions))
	require.Zero(t, l.Spill.OversizedTraces)
}

// fullAfter makes temporary files of which all but the first n are on a full
// disk.
func fullAfter(t *testing.T, n int) func(string) (*os.File, error) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full here")
	}
	return func(dir string) (*os.File, error) {
		if n--; n < 0 {
			return os.OpenFile("/dev/full", os.O_RDWR, 0)
		}
		return record.OpenUnnamed(dir)
	}
}

func TestFullTemporaryDisk(t *testing.T) {
	list := family(1, 500, 1000)
	for files := range 3 { // the partition, then the runs, then the ids
		temp := t.TempDir()
		result, err := replay(t.Context(), Options{Memory: 1, Temp: temp, openTemp: fullAfter(t, files)}, spans(list))
		require.Nil(t, result)
		require.EqualError(t, err, "cannot write a temporary file in "+temp+": no space left on device; "+
			"choose a directory with more room with --temp DIR, or keep more in memory with --memory")
		require.ErrorIs(t, err, syscall.ENOSPC)
		empty(t, temp)
	}
}

// Reading ends as soon as the disk is full.
func TestFullTemporaryDiskEndsReading(t *testing.T) {
	list, more := family(1, 500, 1000), 0
	_, err := replay(t.Context(), Options{Memory: 1, Temp: t.TempDir(), openTemp: fullAfter(t, 0)},
		func(ctx context.Context, opt Options, add adder) (Ledger, error) {
			for i := range list {
				if ctx.Err() != nil {
					more++
				}
				_, _ = spans(list[i:i+1])(ctx, opt, add)
			}
			return Ledger{}, ctx.Err()
		})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Greater(t, more, 300)
}

func TestNoTemporaryDirectory(t *testing.T) {
	temp := filepath.Join(t.TempDir(), "none")
	_, err := replay(t.Context(), Options{Memory: 1, Temp: temp}, spans(family(1, 500, 1000)))
	var failed *record.TempError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, &record.TempError{Dir: temp, Doing: "make", Err: syscall.ENOENT}, failed)
}

func TestCancelledSpill(t *testing.T) {
	temp := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := replay(ctx, Options{Memory: 1, Temp: temp}, func(ctx context.Context, o Options, add adder) (Ledger, error) {
		l, _ := spans(family(1, 500, 1000))(ctx, o, add)
		cancel()
		return l, ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	empty(t, temp)

	for _, memory := range []int64{1, 1 << 30} { // while the traces are gone through
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		result, err := replay(ctx, Options{Memory: memory, Temp: temp}, spans(append(family(1, 3, 3), family(2, 3, 3)...)))
		require.NoError(t, err)
		seen := 0
		for tr, err := range result.Traces() {
			if seen++; seen == 1 {
				require.NoError(t, err)
				cancel()
				continue
			}
			require.Nil(t, tr)
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Equal(t, 2, seen)
		require.NoError(t, result.Close())
	}
}

// Whatever happens to the temporary file is an error of its own.
func TestSpoiltTemporaryFiles(t *testing.T) {
	var files []*os.File
	opt := Options{Memory: 1, Temp: t.TempDir(), openTemp: func(dir string) (*os.File, error) {
		f, err := record.OpenUnnamed(dir)
		files = append(files, f)
		return f, err
	}}
	spoil := map[string]func(*os.File) error{
		"cut":     func(f *os.File) error { return f.Truncate(100) },
		"emptied": func(f *os.File) error { return f.Truncate(0) },
		"changed": func(f *os.File) error {
			_, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 100), 0)
			return err
		},
	}
	for name, spoil := range spoil {
		t.Run(name, func(t *testing.T) {
			files = nil
			result, err := replay(t.Context(), opt, spans(family(1, 3, 3)))
			require.NoError(t, err)
			require.Len(t, files, 2, "of so few spans no partition needs a file, only runs and ids do")
			require.NoError(t, spoil(files[0]))
			var failed *record.TempError
			for tr, err := range result.Traces() {
				require.Nil(t, tr)
				require.ErrorAs(t, err, &failed)
			}
			require.Equal(t, "read", failed.Doing)
			require.NoError(t, result.Close())

			files = nil
			_, err = replay(t.Context(), opt, func(ctx context.Context, o Options, add adder) (Ledger, error) {
				l, err := spans(family(1, 500, 1000))(ctx, o, add)
				return l, errors.Join(err, spoil(files[0]))
			})
			require.ErrorAs(t, err, &failed)
		})
	}
}

func TestSummaryOfASpill(t *testing.T) {
	l := Ledger{Spill: &Spill{Bytes: 3 << 20, Partitions: 128}}
	require.Contains(t, summary(t, l), "\n--memory did not hold all spans: 3.0 MiB went through temporary files, in 128 partitions\n"+
		"the windows of decoders for packed input come on top of --memory: up to 128 MiB for each layer of xz or zstd\n")
	for n, words := range map[int64]string{1: "1 trace was larger than --memory", 2: "2 traces were each larger than --memory"} {
		l.Spill.OversizedTraces, l.Spill.OversizedBytes = n, 7<<20
		require.Contains(t, summary(t, l), fmt.Sprintf("128 partitions; %s and took up to 7.0 MiB, with nothing else beside it\n", words))
	}
}
