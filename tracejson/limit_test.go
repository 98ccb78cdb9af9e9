package tracejson

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// TestSpanLimit shows that a document of any length is read within the limit of
// one span, and that a span beyond it costs no memory.
func TestSpanLimit(t *testing.T) {
	const limit = 100_000
	document := func(id int, value string, notes int) string {
		return fmt.Sprintf(`{"trace_id":"%016x","tomograph_id":"%d","verdict":"complete","problems":[%s{}],"services":[],"spans":[`,
			id, id, strings.Repeat(`{"code":"open","text":"this is not kept"},`, 2000)) +
			strings.Repeat(`{"id":"0000000000000001","tomograph_id":"1","notes":[`+strings.Repeat(`{},`, notes)+`{"value":"`+value+`"}]},`, 20) +
			`{"id":"0000000000000002","tomograph_id":"2"}]}` + "\n"
	}
	input := document(1, strings.Repeat("x", limit/2), 0) + document(2, strings.Repeat("x", limit), 0) +
		document(3, "", limit/100) + document(4, "", 0)
	perTrace := make(map[uint64]int)
	var errs []string
	d := newDecoder(strings.NewReader(input), "f.json")
	d.limit = limit
	require.NoError(t, read(d,
		func(s trace.Span) error { perTrace[s.TraceID.Lo]++; return nil },
		func(e *DocumentError) error { errs = append(errs, e.Reason); return nil }, nil))
	require.Equal(t, map[uint64]int{1: 21, 4: 21}, perTrace)
	require.Equal(t, []string{"one span takes more than 100000 bytes", "one span takes more than 100000 bytes"}, errs)
	require.LessOrEqual(t, cap(d.scratch), 2*limit)
}

// TestHeldLimit shows that spans before their trace id are held within a limit of
// their own, each document for itself.
func TestHeldLimit(t *testing.T) {
	const limit = 100_000
	document := func(id, spans int) string {
		return `{"spans":[` + strings.Repeat(`{"id":"0000000000000001","tomograph_id":"1"},`, spans-1) +
			fmt.Sprintf(`{"id":"0000000000000002","tomograph_id":"2"}],"tomograph_id":"%d","trace_id":"%016x"}`, id, id) + "\n"
	}
	perTrace := make(map[uint64]int)
	var errs []string
	d := newDecoder(strings.NewReader(document(1, 200)+document(2, 2000)+document(3, 200)), "f.json")
	d.heldLimit = limit
	require.NoError(t, read(d,
		func(s trace.Span) error { perTrace[s.TraceID.Lo]++; return nil },
		func(e *DocumentError) error { errs = append(errs, e.Error()); return nil }, nil))
	require.Equal(t, map[uint64]int{1: 200, 3: 200}, perTrace)
	require.Len(t, errs, 1)
	require.Regexp(t, `^f.json:2:\d+: trace document 2: the spans before trace_id and tomograph_id take more than 100000 bytes; `+
		`expected these two before the spans \(the \d+ spans before it are lost, for their trace_id and tomograph_id were still to come\)$`, errs[0])
}

// TestLineLimit shows that a line between documents is cut, and told before it is
// handed on.
func TestLineLimit(t *testing.T) {
	const limit = 100_000 // more than is read at a time
	short, long := strings.Repeat("s", limit), strings.Repeat("l", limit+1)
	var told []string
	d := newDecoder(strings.NewReader(short+"\n"+long+"\nend"), "f.json")
	d.maxLine = limit
	require.NoError(t, read(d, nil,
		func(e *DocumentError) error {
			require.Equal(t, LongLine, e.Kind)
			require.Equal(t, long[:4096], string(e.Text))
			told = append(told, e.Error())
			return nil
		}, func(line []byte, number, offset int64) error {
			require.LessOrEqual(t, len(line), limit)
			told = append(told, fmt.Sprint(number, offset, len(line), line[0]))
			return nil
		}))
	require.Equal(t, []string{
		"1 0 100000 115", "f.json:2:100001: the line is longer than 100000 bytes; the rest of it was not read", "2 100001 100000 108", "3 200003 3 101",
	}, told)
}

func BenchmarkAppend(b *testing.B) {
	tr := benchmarkTrace(b)
	var dst []byte
	for b.Loop() {
		dst = Append(dst[:0], tr)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkRead(b *testing.B) {
	document := string(Append(nil, benchmarkTrace(b)))
	b.SetBytes(int64(len(document)))
	for b.Loop() {
		require.NoError(b, Read(strings.NewReader(document), "f", func(trace.Span) error { return nil }, func(e *DocumentError) error { return e }, nil))
	}
}

func benchmarkTrace(b *testing.B) *trace.Trace {
	b.Helper()
	t := &trace.Trace{ID: trace.IDFromUint64(1), HasStart: true, Start: 1, End: 2, Services: []string{"nova-api"}}
	for i := range 100 {
		s := trace.Span{TraceID: t.ID, ID: trace.IDFromUint64(uint64(i)), Name: trace.NewText("WSGI"), Dimensions: []trace.Dimension{}}
		for _, value := range []string{"start", "SELECT token.id AS token_id, token.expires AS token_expires \nFROM token", "stop"} {
			s.Notes = append(s.Notes, trace.Note{
				Time: 1366250528495435, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value}, Service: trace.NewText("nova-api"),
				Address: trace.NewText("ctl-1"), Port: trace.Value{Kind: trace.Int, Text: "8774"}, Duration: trace.Value{Kind: trace.Int, Text: "0"},
			})
		}
		s.Origin = []trace.Origin{{File: "nova/nova-api.log", Line: int64(i + 1), PID: 2148}}
		t.Spans = append(t.Spans, trace.Node{Span: s, Parent: -1})
	}
	return t
}
