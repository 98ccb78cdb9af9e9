package terminal_test

import (
	"os"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/export/terminal"
	"github.com/tomoscrape/tomoscrape/trace"
)

func ExampleList() {
	note := func(us int64, value string) trace.Note {
		return trace.Note{Time: us, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value}, Service: trace.NewText("nova-api")}
	}
	id := trace.IDFromUint64(7)
	t, _ := assemble.Trace(id, []trace.Span{{TraceID: id, ID: id, Name: trace.NewText("boot\x1b[2J"),
		Notes: []trace.Note{note(1_366_250_528_000_000, "start"), note(1_366_250_530_500_000, "stop")}}}, assemble.Options{})
	traces := func(yield func(*trace.Trace, error) bool) {
		yield(&t, nil)
	}
	if err := terminal.List(os.Stdout, traces, terminal.View{}); err != nil {
		panic(err)
	}
	// Output:
	// TRACE             START                        DURATION  ROOT                  SPANS  SERVICES  VERDICT
	// 0000000000000007  2013-04-18T02:02:08.000000Z     2.5 s  nova-api boot\x1b[2J      1  nova-api  complete
}
