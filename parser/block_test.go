package parser

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A block gives just what its lines give one by one, wherever a file is cut into
// blocks.
func TestBlocksGiveWhatLinesGive(t *testing.T) {
	var files [][]byte
	for _, pattern := range []string{"damaged/*/*.log", "damaged/journal/*", "python3-oslo/*/*", "python3-oslo/kubernetes/*/*", "folsom/*/*.log", "json/nova/*", "devstack/*", "syslog-2k/*"} {
		paths, err := filepath.Glob(filepath.Join("../testdata/logs", pattern))
		require.NoError(t, err)
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil {
				files = append(files, b)
			}
		}
	}
	require.Greater(t, len(files), 30)
	all := func(feed func(*Reader)) (results []Result, counts Counts) {
		r := NewReader("x.log", Options{}, Output{
			Record: func(r *Result) { results = append(results, r.clone()) },
			Lost:   func(at Place, reason string) { results = append(results, Result{Places: []Place{at}}) },
		})
		feed(r)
		r.Flush()
		return results, r.Counts
	}
	rapid.Check(t, func(rt *rapid.T) {
		file := files[rapid.IntRange(0, len(files)-1).Draw(rt, "file")]
		first := rapid.SampledFrom([]string{"", "torn end\n", "-- Logs begin at Thu --\n", "    indented\n", "\n"}).Draw(rt, "first")
		lines := bytes.SplitAfter(append([]byte(first), file...), []byte("\n"))
		want, wantCounts := all(func(r *Reader) {
			offset := int64(0)
			for i, line := range lines {
				if len(line) > 0 {
					r.Feed(Line{Text: bytes.TrimSuffix(line, []byte("\n")), Number: int64(i + 1), Offset: offset})
				}
				offset += int64(len(line))
			}
		})
		got, gotCounts := all(func(r *Reader) {
			number, offset := int64(1), int64(0)
			for at := 0; at < len(lines); {
				n := rapid.IntRange(1, 200).Draw(rt, "lines")
				block := bytes.Join(lines[at:min(at+n, len(lines))], nil)
				number += r.FeedBlock(block, number, offset)
				offset += int64(len(block))
				at += n
			}
		})
		require.Equal(t, wantCounts, gotCounts)
		require.Equal(t, want, got)
	})
}

func TestBlockOfOneUnterminatedLine(t *testing.T) {
	r := NewReader("x.log", Options{}, Output{Record: func(*Result) {}})
	require.EqualValues(t, 1, r.FeedBlock([]byte("x"), 1, 0))
	require.EqualValues(t, 0, r.FeedBlock(nil, 1, 0))
	require.EqualValues(t, 3, r.FeedBlock([]byte(strings.Repeat("\n", 3)), 1, 0))
	require.EqualValues(t, 2, r.FeedBlock([]byte(plainHeader+spanText(1)+"\nx"), 1, 0))
	require.Equal(t, Counts{Lines: 6, Parsed: 1}, r.Counts)
}

// A line that is indented goes on with the line above it, also where that is
// passed over.
func TestIndentedLineOfAnotherProcess(t *testing.T) {
	block := "Apr 18 02:02:08 hostA nova-api[1111]: " + plainHeader + spanText(1) + "\n" +
		"Apr 18 02:02:08 hostB nova-oth[2222]: Traceback (most recent call last):\n" +
		strings.Repeat(" ", 38) + "no pid: 2012-12-06 01:58:42 INFO tomograph.backends.log [-] " + spanText(2) + "\n" +
		"plain\n" + strings.Repeat(" ", 38) + "torn 2012-12-06 01:58:42 INFO tomograph.backends.log [-] " + spanText(3) + "\n"
	feeds := map[string]func(*Reader){
		"block": func(r *Reader) { r.FeedBlock([]byte(block), 1, 0) },
		"lines": func(r *Reader) {
			for i, line := range strings.Split(block, "\n") {
				r.Feed(Line{Text: []byte(line), Number: int64(i + 1)})
			}
		},
	}
	for name, feed := range feeds {
		var hosts []string
		r := NewReader("x.log", Options{}, Output{Record: func(r *Result) { hosts = append(hosts, r.Span.Origin[0].LogHost) }})
		feed(r)
		r.Flush()
		require.Equal(t, []string{"hostA", "hostB", ""}, hosts, name)
	}
}
