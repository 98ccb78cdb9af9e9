package assemble_test

import (
	"fmt"
	"strings"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

func ExampleTrace() {
	id := trace.IDFromUint64
	note := func(us int64, value string) trace.Note {
		return trace.Note{Time: us, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value}}
	}
	span := func(n, parent uint64, name string) trace.Span {
		return trace.Span{TraceID: id(7), ID: id(n), ParentID: id(parent), HasParent: parent != 0, Name: trace.NewText(name),
			Notes: []trace.Note{note(1, "start"), note(2, "stop")}}
	}
	// Spans come in any order, as services log them when they end.
	t, _ := assemble.Trace(id(7), []trace.Span{
		span(9, 8, "schedule"), span(7, 0, "boot"), span(10, 99, "lost"), span(8, 7, "cast"),
	}, assemble.Options{})
	for _, node := range t.Spans {
		fmt.Println(strings.Repeat("  ", node.Depth) + node.Name.String)
	}
	for _, problem := range t.Problems {
		fmt.Println(problem.Code)
	}
	// Output:
	// boot
	//   cast
	//     schedule
	// lost
	// missing-parent
}
