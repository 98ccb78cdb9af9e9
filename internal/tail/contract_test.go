package tail

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export"
	"github.com/tomoscrape/tomoscrape/internal/follow"
	"github.com/tomoscrape/tomoscrape/internal/packtest"
	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/internal/source"
	"github.com/tomoscrape/tomoscrape/parser"
	"github.com/tomoscrape/tomoscrape/trace"
)

// This file holds replay and tail to one answer: what a PATH means, what a line
// is, what is said of what cannot be read. Each row is read by replay, by a tail
// that finds everything there when it starts, and by one that is there before.
// All three must give the row's spans and say what the row says, word for word.
// Where that cannot be, the row has the reason.

// row is one form of PATH, or one hard kind of line.
type row struct {
	name  string
	lay   func(d dir)
	paths []string // below the directory, as the user writes them; "" is the directory itself
	want           // of replay, and of tail in both ways
	tail  *exception
	live  *exception // of the tail that is there before, where it differs from tail's

	maxLine int    // of --max-line, 0 for the default
	noStdin string // why the row is not read from standard input, too
	text    []byte // of standard input
	slow    bool   // takes seconds: left out by -short
}

// want is what a run gives: "ID FILE:LINE" for each span, with "truncated" behind
// it if it is, and "KIND PLACE: reason" for each complaint.
type want struct {
	spans []string
	said  []string
}

// exception is what tail gives where it cannot be what replay gives.
type exception struct {
	because string
	refused string // the sentence with which tail does not start, DIR in it for the row's directory
	want
}

// line is a span's line, with a newline.
func line(id int) string { return span(id) + "\n" }

func span(id int) string {
	return fmt.Sprintf("2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=%d, parent_id=None, id=%[1]d, name='x', "+
		"notes=[Note(time=1366250528.495435, value='start', service_name='s', address='a', port=0, duration=0)], dimensions=[])", id)
}

func lines(from, to int) string {
	var b strings.Builder
	for id := from; id <= to; id++ {
		b.WriteString(line(id))
	}
	return b.String()
}

// document is a trace of one span as replay writes it, with a newline.
func document(id int) string {
	return fmt.Sprintf(`{"trace_id":"%016x","tomograph_id":"%[1]d","verdict":"complete","problems":[],"services":[],`+
		`"spans":[{"id":"%016[1]x","tomograph_id":"%[1]d","depth":0,"name":"x","notes":[],"dimensions":[],`+
		`"origin":[{"file":"x.log","line":7}],"problems":[]}]}`+"\n", id)
}

// half is a span's line up to the end of its name.
func half(id int) string { return strings.SplitAfter(span(id), "name='x',")[0] }

// dir is where a row's files are laid.
type dir struct {
	t    *testing.T
	path string
}

func (d dir) of(name string) string { return filepath.Join(d.path, name) }

func (d dir) file(name, text string) {
	require.NoError(d.t, os.MkdirAll(filepath.Dir(d.of(name)), 0o755))
	require.NoError(d.t, os.WriteFile(d.of(name), []byte(text), 0o644))
}

func (d dir) link(name, to string) {
	require.NoError(d.t, os.MkdirAll(filepath.Dir(d.of(name)), 0o755))
	require.NoError(d.t, os.Symlink(to, d.of(name)))
}

func (d dir) hardLink(name, to string) { require.NoError(d.t, os.Link(d.of(to), d.of(name))) }

func (d dir) fifo(name string) { require.NoError(d.t, syscall.Mkfifo(d.of(name), 0o644)) }

// feed writes text into a named pipe once somebody reads there.
func (d dir) feed(name, text string) {
	go func() {
		for d.t.Context().Err() == nil {
			if pipe, err := os.OpenFile(d.of(name), os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				_, _ = pipe.WriteString(text)
				pipe.Close()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
}

func (d dir) socket(name string) {
	l, err := net.Listen("unix", d.of(name))
	require.NoError(d.t, err)
	d.t.Cleanup(func() { l.Close() })
}

const manyFiles = 10_000

var (
	one      = want{spans: []string{"1 a.log:1"}}
	oneByOne = func(d dir) { d.file("a.log", line(1)) }
)

// rows is the contract.
var rows = []row{
	// Forms of PATH.
	{name: "file", lay: oneByOne, paths: []string{"a.log"}, want: one},
	{name: "file, written with detours", lay: func(d dir) { d.file("a.log", line(1)); d.file("d/b.log", line(2)) },
		paths: []string{"d/../a.log", "./d//b.log"}, want: want{spans: []string{"1 d/../a.log:1", "2 ./d//b.log:1"}}},
	{name: "directory", lay: func(d dir) { d.file("a.log", line(1)); d.file("d/e/b.log", line(2)); d.file("d/no-extension", line(3)) },
		paths: []string{""}, want: want{spans: []string{"1 a.log:1", "2 d/e/b.log:1", "3 d/no-extension:1"}}},
	{name: "directory with a slash", lay: func(d dir) { d.file("d/a.log", line(1)) },
		paths: []string{"d/"}, want: want{spans: []string{"1 d/a.log:1"}}},
	{name: "named pipe", lay: func(d dir) { d.fifo("p"); d.feed("p", line(1)) }, paths: []string{"p"}, want: want{spans: []string{"1 p:1"}},
		noStdin: "it is no file",
		tail: &exception{because: "a pipe cannot be read again from a checkpoint, and its writers must not wait for tail",
			refused: "DIR/p is a named pipe and cannot be followed; name a file, a directory or a pattern, or - for standard input"},
		live: &exception{because: "a name that is not there yet is waited for", want: want{
			said: []string{"unreadable p: it is a named pipe, not a file"}}}},
	{name: "device", lay: func(d dir) { d.link("null", "/dev/null") }, paths: []string{"null"},
		noStdin: "it is no file",
		tail: &exception{because: "nobody writes a log there",
			refused: "DIR/null is a device and cannot be followed; name a file, a directory or a pattern, or - for standard input"},
		live: &exception{because: "a name that is not there yet is waited for", want: want{
			said: []string{"unreadable null: it is a device, not a file"}}}},
	{name: "what is not there", lay: oneByOne, paths: []string{"a.log", "b.log", "d/c.log"},
		want: want{spans: one.spans, said: []string{"unreadable b.log: no such file or directory", "unreadable d/c.log: no such file or directory"}},
		tail: &exception{because: "it is waited for", want: one}},
	{name: "pattern that matches nothing", lay: oneByOne, paths: []string{"a.log", "*.txt"},
		want: want{spans: one.spans, said: []string{"unreadable *.txt: no file matches this pattern"}},
		tail: &exception{because: "it is waited for", want: one}},
	{name: "member of an archive", lay: func(d dir) { d.file("a.tar", packtest.Tar("c.log", line(1))) },
		paths: []string{"a.tar!c.log"}, want: want{spans: []string{"1 a.tar!c.log:1"}},
		tail: &exception{because: "nobody writes on in an archive",
			refused: "DIR/a.tar!c.log cannot be followed: it is a part of the archive DIR/a.tar, to which nothing is added; read it with tomoscrape replay"},
		live: &exception{because: "a name that is not there yet is waited for; that it is no file's is seen by its archive alone", want: want{
			said: []string{"unreadable a.tar!c.log: it is a part of the archive a.tar, to which nothing is added; read it with tomoscrape replay"}}}},
	{name: "empty directory", lay: func(d dir) { require.NoError(d.t, os.Mkdir(d.of("d"), 0o755)) }, paths: []string{"d"}},
	{name: "glob", lay: func(d dir) { d.file("a.log", line(1)); d.file("b.txt", line(2)); d.file("d/c.log", line(3)) },
		paths: []string{"*.log"}, want: one},
	{name: "glob, two stars", lay: func(d dir) { d.file("a.log", line(1)); d.file("b.txt", line(2)); d.file("d/e/c.log", line(3)) },
		paths: []string{"**/*.log"}, want: want{spans: []string{"1 a.log:1", "3 d/e/c.log:1"}}},
	{name: "glob, alternatives and classes", lay: func(d dir) { d.file("a.log", line(1)); d.file("b.txt", line(2)); d.file("c.log", line(3)) },
		paths: []string{"{a,[b-b]}.{log,txt}"}, want: want{spans: []string{"1 a.log:1", "2 b.txt:1"}}},
	{name: "glob of directories", lay: func(d dir) { d.file("da/a.log", line(1)); d.file("db/f/b.log", line(2)); d.file("x/c.log", line(3)) },
		paths: []string{"d*"}, want: want{spans: []string{"1 da/a.log:1", "2 db/f/b.log:1"}}},
	{name: "link to a file", lay: func(d dir) { d.file("real/r.log", line(1)); d.link("a.log", "real/r.log") },
		paths: []string{"a.log"}, want: one},
	{name: "link to a directory", lay: func(d dir) { d.file("real/r.log", line(1)); d.link("d", "real") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/r.log:1"}}},
	{name: "links out of a directory", lay: func(d dir) {
		d.file("out/r.log", line(1))
		d.file("far/s.log", line(2))
		d.link("d/a.log", "../out/r.log")
		d.link("d/e", "../far")
	}, paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1", "2 d/e/s.log:1"}}},
	{name: "links back up, directory", lay: func(d dir) { d.file("a/x.log", line(1)); d.link("a/l1", "."); d.link("a/l2", ".") },
		paths: []string{"a"}, want: want{spans: []string{"1 a/x.log:1"}}},
	{name: "links back up, glob", lay: func(d dir) { d.file("a/x.log", line(1)); d.link("a/l1", "."); d.link("a/l2", ".") },
		paths: []string{"a/**/*.log"}, want: want{spans: []string{"1 a/x.log:1"}}},
	{name: "links across, glob", lay: func(d dir) {
		d.file("a/x.log", line(1))
		d.file("b/y.log", line(2))
		for i := range 6 {
			d.link(fmt.Sprint("a/l", i), "../b")
			d.link(fmt.Sprint("b/l", i), "../a")
		}
	}, paths: []string{"a/**/*.log"}, want: want{spans: []string{"1 a/x.log:1", "2 a/l0/y.log:1"}}},
	{name: "link to itself", lay: func(d dir) { d.file("d/a.log", line(1)); d.link("d/loop.log", "loop.log") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"},
			said: []string{"skipped d/loop.log: symbolic link that leads to itself"}}},
	{name: "link to nothing", lay: func(d dir) { d.file("d/a.log", line(1)); d.link("d/gone.log", "nowhere") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"},
			said: []string{"skipped d/gone.log: symbolic link to a file that does not exist"}}},
	{name: "named pipe in a directory", lay: func(d dir) { d.file("d/a.log", line(1)); d.fifo("d/p") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"}, said: []string{"skipped d/p: a named pipe"}}},
	{name: "socket in a directory", lay: func(d dir) { d.file("d/a.log", line(1)); d.socket("d/s") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"}, said: []string{"skipped d/s: a socket"}}},
	{name: "device in a directory", lay: func(d dir) { d.file("d/a.log", line(1)); d.link("d/zero", "/dev/zero") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"}, said: []string{"skipped d/zero: a device"}}},
	{name: "unreadable file", lay: func(d dir) { d.file("d/a.log", line(1)); d.link("d/mem.log", "/proc/self/mem") },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"}, said: []string{"unreadable d/mem.log: reading failed: input/output error"}}},
	{name: "names with blanks, newlines and more", lay: func(d dir) {
		d.file("a b.log", line(1))
		d.file("c\nd.log", line(2))
		d.file("e!f.log", line(3))
		d.file("g\xff.log", line(4))
		d.file("[h]*?{i}.log", line(5))
		d.file("-", line(6))
	}, paths: []string{""}, want: want{spans: []string{"1 a b.log:1", "2 c\nd.log:1", "3 e!f.log:1", "4 g\ufffd.log:1", "5 [h]*?{i}.log:1", "6 -:1"}}},
	{name: "names with blanks, newlines and more, each named", lay: func(d dir) {
		d.file("a b.log", line(1))
		d.file("c\nd.log", line(2))
		d.file("e!f.log", line(3))
		d.file("g\xff.log", line(4))
		d.file("[h]*?{i}.log", line(5))
		d.file("h.log", line(6))
	}, paths: []string{"a b.log", "c\nd.log", "e!f.log", "g\xff.log", "[h]*?{i}.log"},
		want: want{spans: []string{"1 a b.log:1", "2 c\nd.log:1", "3 e!f.log:1", "4 g\ufffd.log:1", "5 [h]*?{i}.log:1"}}},
	{name: "one file by several paths", lay: func(d dir) {
		d.file("d/a.log", line(1))
		d.link("d/b.log", "a.log")
		d.hardLink("d/c.log", "d/a.log")
	}, paths: []string{"d", "d/a.log", "d/*.log"}, want: want{spans: []string{"1 d/a.log:1"}}},
	{name: "ten thousand files", slow: true, lay: func(d dir) {
		for id := 1; id <= manyFiles; id++ {
			d.file(fmt.Sprintf("d/%02d/%d.log", id%100, id), line(id))
		}
	}, paths: []string{"d"}, want: want{spans: func() (list []string) {
		for id := 1; id <= manyFiles; id++ {
			list = append(list, fmt.Sprintf("%d d/%02d/%[1]d.log:1", id, id%100))
		}
		return list
	}()}},
	{name: "rotated files of a log", lay: func(d dir) {
		d.file("a.log.2.gz", packtest.Gzip(line(1)))
		d.file("a.log.1", line(2))
		d.file("a.log", line(3))
	}, paths: []string{""}, want: want{spans: []string{"1 a.log.2.gz:1", "2 a.log.1:1", "3 a.log:1"}}},

	// Kinds of files.
	{name: "a program beside a log", lay: func(d dir) { d.file("d/a.log", line(1)); d.file("d/prog", "\x7fELF\x02\x01\x01\x00"+line(2)) },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"}, said: []string{"skipped d/prog: ELF file"}}},
	{name: "a file of a form that is not read, beside a log", lay: func(d dir) { d.file("d/a.log", line(1)); d.file("d/b.log.lz", "LZIP\x01"+line(2)) },
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1"},
			said: []string{"unreadable d/b.log.lz: lzip data; it cannot be read here, unpack it first (lzip -d)"}}},
	{name: "an archive beside a log", lay: func(d dir) {
		d.file("d/a.log", line(1))
		d.file("d/b.tar", packtest.Tar("c.log", line(2)))
	},
		paths: []string{"d"}, want: want{spans: []string{"1 d/a.log:1", "2 d/b.tar!c.log:1"}},
		tail: &exception{because: "nobody writes on in an archive, and what is in it is not in the order of writing",
			want: want{spans: []string{"1 d/a.log:1"},
				said: []string{"unreadable d/b.tar: tar archive, to which nothing is added; read it with tomoscrape replay"}}}},
	{name: "a packed log", lay: func(d dir) { d.file("a.gz", packtest.Gzip(lines(1, 3))) },
		paths: []string{"a.gz"}, noStdin: "tail refuses packed input: what it follows is written as it is read", want: want{spans: []string{"1 a.gz:1", "2 a.gz:2", "3 a.gz:3"}}},
	{name: "a packed log that was packed again", lay: func(d dir) { d.file("a.log", line(1)); d.file("b.gz.gz", packtest.Gzip(packtest.Gzip(line(2)))) },
		paths: []string{""}, want: want{spans: []string{"1 a.log:1", "2 b.gz.gz:1"}},
		tail: &exception{because: "no rotation packs twice",
			want: want{spans: []string{"1 a.log:1"}, said: []string{"unreadable b.gz.gz: packed twice; unpack it once"}}}},
	{name: "traces that were written as JSON", lay: func(d dir) { d.file("a.jsonl", line(1)+document(2)+line(3)) },
		paths: []string{"a.jsonl"}, want: want{spans: []string{"1 a.jsonl:1", "2 x.log:7", "3 a.jsonl:3"}},
		noStdin: "as in a file",
		tail: &exception{because: "a document is no line of a log: what tail writes is for replay to read",
			want: want{spans: []string{"1 a.jsonl:1", "3 a.jsonl:3"},
				said: []string{"unreadable a.jsonl: line 2: it is a trace that was written as JSON; tail reads logs only, tomoscrape replay reads both"}}}},
	{name: "an empty file", lay: func(d dir) { d.file("a.log", "") }, paths: []string{"a.log"}},

	// Hard kinds of lines.
	{name: "line longer than --max-line, not of a span", maxLine: 1000, lay: func(d dir) {
		d.file("a.log", line(1)+strings.Repeat("x", 3000)+"\n"+line(2))
	}, paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:3"},
		said: []string{"unreadable a.log: line 2 is longer than 1000 bytes: the rest of it was not read (--max-line sets the limit)"}}},
	{name: "line longer than --max-line, of a span", maxLine: 1000, lay: func(d dir) {
		d.file("a.log", line(1)+strings.TrimSuffix(span(2), "[])")+"["+strings.Repeat(tag, 40)+"])\n"+line(3))
	}, paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2 truncated", "3 a.log:3"},
		said: []string{"salvaged a.log:2:1001: the record ends in a name",
			"unreadable a.log: line 2 is longer than 1000 bytes: the rest of it was not read (--max-line sets the limit)"}}},
	{name: "line of more than a block", lay: func(d dir) {
		d.file("a.log", line(1)+strings.Replace(line(2), "start", strings.Repeat("x", 3<<20), 1)+line(3))
	}, paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2", "3 a.log:3"}}},
	{name: "NULs before a line", lay: func(d dir) { d.file("a.log", line(1)+strings.Repeat("\x00", 9<<20)+line(2)+line(3)) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2", "3 a.log:3"}}},
	{name: "NULs at the beginning", lay: func(d dir) { d.file("a.log", strings.Repeat("\x00", 9<<20)+line(1)+line(2)) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2"}}},
	{name: "no newline at the end", lay: func(d dir) { d.file("a.log", line(1)+span(2)) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2"}},
		tail: &exception{because: "the rest of a line may still come: it is read with its newline, or when its file is final",
			want: one}},
	{name: "CRLF", lay: func(d dir) { d.file("a.log", strings.ReplaceAll(lines(1, 3), "\n", "\r\n")) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2", "3 a.log:3"}}},
	{name: "BOM", lay: func(d dir) { d.file("a.log", "\ufeff"+lines(1, 2)) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:2"}}},
	{name: "half a line before a rotation", slow: true, lay: func(d dir) { d.file("a.log.1", line(1)+half(2)); d.file("a.log", line(3)) },
		paths: []string{""}, want: want{spans: []string{"1 a.log.1:1", "2 a.log.1:2 truncated", "3 a.log:1"},
			said: []string{"salvaged a.log.1:2:" + fmt.Sprint(len(half(2))+1) + ": the record ends before the span does"}}},
	{name: "pieces over a rotation", lay: func(d dir) {
		d.file("a.log.1", "2026-03-01T07:59:59.6Z stdout P "+span(1)[:90]+"\n")
		d.file("a.log", "2026-03-01T07:59:59.6Z stdout F "+span(1)[90:]+"\n")
	}, paths: []string{""}, want: want{spans: []string{"1 a.log.1:1"}}},
	{name: "cut and broken lines", lay: func(d dir) {
		d.file("a.log", half(1)+"\n"+strings.Replace(line(2), "notes=", "notes=?", 1)+strings.Replace(line(3), "trace_id=3", "trace_id=?", 1)+line(4))
	}, paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1 truncated", "2 a.log:2 truncated", "4 a.log:4"},
		said: []string{`rejected a.log:3:76: unexpected "?, parent_id=None, id=3,"…`,
			"salvaged a.log:1:110: the record ends before the span does", `salvaged a.log:2:117: unexpected "?[Note(time=1366250528.4"…`}}},
	{name: "two writers' lines in one", lay: func(d dir) { d.file("a.log", half(1)+line(2)+line(3)) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1 truncated", "2 a.log:1", "3 a.log:2"},
			said: []string{"salvaged a.log:1:110: another record begins here"}}},
	{name: "a record of several lines", lay: func(d dir) {
		text := strings.Replace(span(1), "value='start'", "value=<a\nb>", 1)
		d.file("a.log", strings.NewReplacer(", dimensions=[]", "", ", duration=0", "").Replace(text)+"\n"+line(2))
	}, paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:1", "2 a.log:3"}}},
	{name: "the journal left a message out", lay: func(d dir) {
		d.file("a.json", `{"MESSAGE":null,"_HOSTNAME":"h"}`+"\n"+line(1))
	}, paths: []string{"a.json"}, want: want{spans: []string{"1 a.json:2"},
		said: []string{`unreadable a.json: line 1: the journal's MESSAGE is "null" here: read it again with journalctl -a, which prints long messages, too`}}},
	{name: "bytes that are no UTF-8", lay: func(d dir) { d.file("a.log", "\xfd\xfe\xff not text\n"+line(1)) },
		paths: []string{"a.log"}, want: want{spans: []string{"1 a.log:2"}}},
	{name: "the same span in two logs", lay: func(d dir) { d.file("a.log", line(1)); d.file("b.log", line(1)) },
		paths: []string{""}, want: want{spans: []string{"1 a.log:1 b.log:1"}},
		tail: &exception{because: "a span goes out once, as it is read; the other place is not known yet", want: one}},
}

const tag = "Tag(key='k', value='v', service_name='s', address='a', port=0), "

func TestReplayAndTailGiveOneAnswer(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			switch {
			case r.slow && testing.Short():
				t.Skip("it takes seconds")
			case len(r.spans) == manyFiles && raceDetector:
				t.Skip("it takes minutes with the race detector: make test runs it once more without")
			}
			t.Parallel()
			tail := r.want
			if r.tail != nil {
				require.NotEmpty(t, r.tail.because)
				tail = r.tail.want
			}
			live := tail
			if r.live != nil {
				require.NotEmpty(t, r.live.because)
				live = r.live.want
			}
			t.Run("replay", func(t *testing.T) {
				d := dir{t, t.TempDir()}
				r.lay(d)
				r.want.check(t, r.replayed(t, d))
			})
			t.Run("tail", func(t *testing.T) {
				if r.tail != nil && r.tail.refused != "" {
					r.refused(t, r.tail.refused)
					return
				}
				tail.check(t, r.tailed(t, tail, false))
			})
			t.Run("tail that is there before", func(t *testing.T) { live.check(t, r.tailed(t, live, true)) })
			if text, w, ok := r.stdin(t); ok {
				t.Run("standard input, replay", func(t *testing.T) { w.check(t, r.piped(t, text).replayed(t, dir{t: t})) })
				t.Run("standard input, tail", func(t *testing.T) { w.check(t, r.piped(t, text).tailed(t, w, false)) })
			}
		})
	}
}

// stdin is the row as bytes of standard input, if it is one file, and what is wanted
// then: what replay gives, for both, since standard input has an end.
func (r *row) stdin(t *testing.T) (text []byte, w want, ok bool) {
	if len(r.paths) != 1 || r.noStdin != "" {
		return nil, w, false
	}
	d := dir{t, t.TempDir()}
	r.lay(d)
	text, err := os.ReadFile(d.of(r.paths[0]))
	if err != nil {
		return nil, w, false
	}
	dash := func(list []string) (renamed []string) {
		for _, s := range list {
			renamed = append(renamed, strings.Replace(s, " "+r.paths[0]+":", " -:", 1))
		}
		return renamed
	}
	return text, want{dash(r.spans), dash(r.said)}, true
}

// piped is the row with its bytes at standard input.
func (r *row) piped(_ *testing.T, text []byte) *row {
	c := *r
	c.paths, c.lay, c.text = []string{"-"}, func(dir) {}, text
	return &c
}

func (w want) check(t *testing.T, got want) {
	sort := func(list []string) []string { list = slices.Clone(list); slices.Sort(list); return list }
	expected, actual := sort(w.spans), sort(got.spans)
	if len(expected) > 100 { // a difference of thousands of lines tells nobody anything
		missing := slices.DeleteFunc(slices.Clone(expected), func(s string) bool { _, ok := slices.BinarySearch(actual, s); return ok })
		require.Empty(t, missing[:min(len(missing), 10)], "%d of %d are missing", len(missing), len(expected))
		require.Len(t, actual, len(expected))
	} else {
		require.Equal(t, expected, actual)
	}
	require.Equal(t, sort(w.said), sort(got.said))
}

func (r *row) absolute(d dir) []string {
	paths := make([]string, len(r.paths))
	for i, path := range r.paths {
		if paths[i] = path; path != "-" {
			paths[i] = d.path + "/" + path
		}
	}
	return paths
}

// replayed reads a row by replay.
func (r *row) replayed(t *testing.T, d dir) (got want) {
	result, err := replay.Run(context.Background(), replay.Options{Paths: r.absolute(d), Parser: parser.Options{MaxRecord: r.maxLine},
		Source: source.Options{Stdin: bytes.NewReader(r.text)},
		Complain: func(c *trace.Complaint) error {
			got.said = append(got.said, fmt.Sprintf("%s %s:%d:%d: %s", c.Kind, d.bare(c.File), c.Line, c.Column, c.Reason))
			return nil
		}})
	require.NoError(t, err)
	defer result.Close()
	l, err := result.Ledger()
	require.NoError(t, err)
	for _, s := range l.Skipped {
		got.said = append(got.said, fmt.Sprintf("skipped %s: %s", d.bare(s.Name), s.Reason))
	}
	for _, u := range l.Unreadable {
		got.said = append(got.said, fmt.Sprintf("unreadable %s: %s", d.bare(u.Name), u.Reason))
	}
	got.spans = d.spansIn(t, result)
	return got
}

// bare is a path as the row names it.
func (d dir) bare(path string) string {
	path = strings.ToValidUTF8(path, "\ufffd")
	if path == d.path {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(path, d.path), "/")
}

func (d dir) spansIn(t *testing.T, result *replay.Result) (list []string) {
	for tr, err := range result.Traces() {
		require.NoError(t, err)
		for i := range tr.Spans {
			s := &tr.Spans[i].Span
			text := fmt.Sprint(s.ID.Lo)
			origin := slices.Clone(s.Origin)
			slices.SortFunc(origin, func(a, b trace.Origin) int { return cmp.Compare(a.File, b.File) })
			for _, o := range origin {
				text += fmt.Sprintf(" %s:%d", d.bare(o.File), o.Line)
			}
			if s.Damage&trace.Truncated != 0 {
				text += " truncated"
			}
			list = append(list, text)
		}
	}
	return list
}

// refused starts a tail that must not start.
func (r *row) refused(t *testing.T, sentence string) {
	d := dir{t, t.TempDir()}
	r.lay(d)
	appender, err := export.Append(filepath.Join(t.TempDir(), "traces.jsonl"), nil)
	require.NoError(t, err)
	defer appender.Close()
	_, err = NewJSON(Options{Follow: follow.Options{Paths: r.absolute(d)}}, appender, LiveOptions{}, assemble.Options{})
	require.EqualError(t, err, strings.ReplaceAll(sentence, "DIR", d.path))
}

// tailed reads a row by tail until it has given what is expected, and everything
// was read; live: the tail is there before the files are.
func (r *row) tailed(t *testing.T, w want, live bool) (got want) {
	d := dir{t, t.TempDir()}
	out := filepath.Join(t.TempDir(), "traces.jsonl")
	said := &sayings{d: d}
	appender, err := export.Append(out, nil)
	require.NoError(t, err)
	if !live {
		r.lay(d)
	}
	tail, err := NewJSON(Options{Logger: slog.New(said), Parser: parser.Options{MaxRecord: r.maxLine},
		Follow: follow.Options{Paths: r.absolute(d), Checkpoint: filepath.Join(t.TempDir(), "checkpoint"), FromStart: true, Idle: time.Second,
			Stdin: bytes.NewReader(r.text)}},
		appender, LiveOptions{Settle: time.Millisecond, Idle: time.Millisecond}, assemble.Options{})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tail.Run(ctx) }()
	if live {
		r.lay(d)
		tail.Rescan()
	}
	done := func() bool {
		s := tail.Stats()
		return r.text == nil && int(s.Delivered) >= len(w.spans) && said.count() >= len(w.said)
	}
	poll, delivered := 5*time.Millisecond, int64(0)
	if len(w.spans) == manyFiles {
		poll = 100 * time.Millisecond // to ask costs as much as there are files
	}
	for deadline := time.Now().Add(patienceOfTests); !done() && len(ended) == 0 && time.Now().Before(deadline); time.Sleep(poll) {
		if now := tail.Stats().Delivered; now > delivered {
			delivered, deadline = now, time.Now().Add(patienceOfTests)
		}
	}
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, appender.Close())
	result, err := replay.Run(context.Background(), replay.Options{Paths: []string{out}})
	require.NoError(t, err)
	defer result.Close()
	return want{d.spansIn(t, result), said.list()}
}

// patienceOfTests is for what should come next; only a failure takes so long.
const patienceOfTests = 2 * time.Minute

// sayings is what a tail says of its input, as replay would.
type sayings struct {
	d  dir
	mu sync.Mutex
	l  []string
}

func (s *sayings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.l)
}

func (s *sayings) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.l)
}

func (s *sayings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (s *sayings) WithAttrs([]slog.Attr) slog.Handler               { return s }
func (s *sayings) WithGroup(string) slog.Handler                    { return s }

func (s *sayings) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value.String(); return true })
	if text := s.d.saying(r.Message, attrs); text != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.l = append(s.l, text)
	}
	return nil
}

// saying is an event as replay would tell it; "" if replay has nothing to say of it.
func (d dir) saying(message string, attrs map[string]string) string {
	path, reason := d.bare(attrs["path"]), strings.ReplaceAll(attrs["reason"], d.path+"/", "")
	switch {
	case attrs["kind"] != "":
		return fmt.Sprintf("%s %s:%s:%s: %s", attrs["kind"], d.bare(attrs["file"]), attrs["line"], attrs["column"],
			strings.TrimPrefix(message, "a span line did not parse whole: "))
	case message == "a line could not be read":
		return fmt.Sprintf("unreadable %s: line %s: %s", d.bare(attrs["file"]), attrs["line"], reason)
	case strings.HasPrefix(message, "line "):
		return fmt.Sprintf("unreadable %s: %s", d.bare(attrs["file"]), message)
	case strings.HasPrefix(message, "skipped: "):
		return fmt.Sprintf("skipped %s: %s", path, reason)
	case strings.HasPrefix(message, "cannot be followed"):
		return fmt.Sprintf("unreadable %s: %s", path, reason)
	case strings.HasPrefix(message, "waiting for"), strings.HasPrefix(message, "can be followed now"):
		return "" // what is not there yet is not there in a replay
	}
	return fmt.Sprintf("%s %v", message, attrs)
}
