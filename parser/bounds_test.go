package parser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// These tests count what hostile input makes the parser do: the bytes that the
// grammar reads, each as often as it does, and the tokens that it holds.

// work feeds lines and gives the bytes that the grammar has read for them.
func work(t *testing.T, out Output, lines ...string) (grammar int, counts Counts) {
	r := NewReader("x.log", Options{}, out)
	s := newScanner()
	r.scanner = s
	for i, line := range lines {
		r.Feed(Line{Text: []byte(line), Number: int64(i + 1)})
	}
	r.Flush()
	require.Zero(t, r.bytes)
	require.Empty(t, r.open)
	require.Empty(t, r.streams)
	require.Empty(t, r.partial)
	require.Empty(t, r.begun)
	return s.work, r.Counts
}

const notesOf = "Span(trace_id=1, parent_id=None, id=2, name='x', notes=["

// hostileRecords are spans of about so many bytes that are not whole.
func hostileRecords(size int) map[string]string {
	fill := func(piece string) string { return strings.Repeat(piece, size/len(piece)) }
	return map[string]string{
		"service names":         notesOf + "Note(time=1, value=<(" + fill(", service_name=x"),
		"service names, closed": notesOf + "Note(time=1, value=<(" + fill(", service_name=x") + ", service_name='s', address='h', port=80)])",
		"service names, fields": notesOf + "Note(time=1, value=<(" + fill(", service_name='s', a=1"),
		"known fields":          notesOf + "Note(time=1, value=<(, service_name='s'" + fill(", port=1"),
		"fields of a note":      notesOf + "Note(time=1" + fill(", port=1"),
		"fields of a span":      "Span(trace_id=1, id=2" + fill(", name=1"),
		"notes":                 notesOf + fill("Note(time=1, value=1, port=1), "),
		"unbalanced notes":      notesOf + fill("Note(time=1, value=<(, service_name='s', address='h', port=1), "),
		"names":                 "Span(" + fill("a=1, "),
	}
}

// Of all tokens of a record only those of one note or tag are held, and of these
// no more than can be the fields of one; and what is looked at, again and again, to
// find where values end is bounded by the record's length.
func TestWorkOfOneRecord(t *testing.T) {
	const size = 64 << 10
	for name, text := range hostileRecords(size) {
		t.Run(name, func(t *testing.T) {
			l := newSpanLexer([]byte(text), Options{}, nil, false, false)
			l.run()
			require.LessOrEqual(t, len(l.list), 2*len(l.items)+4*maxFields+100)
			piece := newSpanLexer([]byte(text), Options{}, nil, false, false)
			piece.at, piece.piece, piece.tail = strings.Index(text, ", "), true, true
			piece.run()
			require.LessOrEqual(t, len(piece.list), 4*maxFields+100)

			grammar, counts := work(t, Output{}, plainHeader+text)
			require.LessOrEqual(t, grammar, 2*(1+maxRawWork)*len(text)+128<<10, "in two rounds at most")
			require.EqualValues(t, 1, counts.Parsed+counts.Salvaged+counts.Rejected)
		})
	}
}

// However many streams have something open, the grammar reads each piece once:
// what it costs grows with the bytes alone.
func TestWorkOfOpenPieces(t *testing.T) {
	open := plainHeader + notesOf + "Note(time=1, value='a', service_name='s', address='h', port=80), Note(time=2, value=<(more of it and so on"
	for name, line := range map[string]func(stream int) string{
		"docker":  func(stream int) string { return fmt.Sprintf(`{"log":"%s","stream":"s%d"}`, open, stream) },
		"journal": func(stream int) string { return fmt.Sprintf("Mar  1 08:00:00 h%d nova[7]: %s", stream, open) },
		"process": func(stream int) string { return strings.Replace(open, "1234", fmt.Sprint(stream+1), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			read := func(streams, rounds int) int {
				var lines []string
				for i := range streams * rounds {
					lines = append(lines, line(i%streams))
				}
				grammar, counts := work(t, Output{}, lines...)
				require.EqualValues(t, len(lines), counts.Salvaged)
				return grammar
			}
			one := read(1, 1)
			require.LessOrEqual(t, one, 3*len(open)+200)
			require.LessOrEqual(t, read(500, 3), 1500*one)
			require.LessOrEqual(t, read(1500, 2), 3000*one)
		})
	}
}

// Beyond the bound the oldest piece goes first, and a stream that went on
// meanwhile is as old as its first piece.
func TestOldestPieceGoesFirst(t *testing.T) {
	var order []string
	r := NewReader("x.log", Options{}, Output{Record: func(r *Result) { order = append(order, strings.Clone(r.Span.Name.String)) }})
	piece := func(stream int, text, end string) {
		r.Feed(Line{Text: fmt.Appendf(nil, `{"log":"%s","stream":"s%d"}`, text+end, stream)})
	}
	for i := range maxHeld {
		piece(i, fmt.Sprintf("%sSpan(trace_id=1, id=2, name='n%d', ", plainHeader, i), "")
	}
	piece(0, "parent_id=None, ", "")  // goes on, and is still the oldest
	piece(1, "parent_id=None)", `\n`) // ends
	require.Equal(t, []string{"n1"}, order)
	for i := range 3 {
		piece(maxHeld+i, "x", "")
	}
	require.Equal(t, []string{"n1", "n0", "n2"}, order)
	require.Len(t, r.partial, maxHeld)
}

// What ends the reading ends it within a line, and within a record: nothing of
// what follows is found, and it is known where to go on.
func TestDoneEndsTheReading(t *testing.T) {
	whole := plainHeader + notesOf + "])"
	without := func(pid string) string { return strings.Replace(whole, "1234 ", pid, 1) }
	open := func(pid string) string { return strings.TrimSuffix(without(pid+" "), "])") + "Note(time=1, value=<(\n" }
	for name, c := range map[string]struct {
		text string
		from int64
	}{
		"the next line":         {whole + "\n" + whole + "\n", int64(len(whole) + 1)},
		"in the line":           {whole + " " + whole + "\n", 0},
		"in the record":         {whole + " " + plainHeader + notesOf + strings.Repeat("Note(time=1, value=<(, service_name='s', address='h', port=1), ", 5000) + "\n", 0},
		"what was held back":    {open("1") + open("2") + without("") + "\n", 0},
		"a line that is passed": {whole + "\nx\n" + whole + "\n", int64(len(whole) + 3)},
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			found := 0
			r := NewReader("x.log", Options{Done: done}, Output{Record: func(*Result) {
				if found++; found == 1 {
					close(done)
				}
			}})
			s := newScanner()
			r.scanner = s
			r.FeedBlock([]byte(c.text), 1, 0)
			at, stopped := r.Stopped()
			require.True(t, stopped)
			require.Equal(t, c.from, at)
			require.LessOrEqual(t, s.work, 20_000)
			require.Zero(t, r.FeedBlock([]byte(c.text), 1, 1000))
			at, _ = r.Stopped()
			require.EqualValues(t, 1000, at)
			r.Flush()
			require.Equal(t, 1, found)
		})
	}
}
