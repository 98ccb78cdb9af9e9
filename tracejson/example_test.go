package tracejson_test

import (
	"fmt"
	"strings"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

func Example() {
	id := trace.IDFromUint64(7)
	t, _ := assemble.Trace(id, []trace.Span{{TraceID: id, ID: id, Name: trace.NewText("boot")}}, assemble.Options{})
	document := tracejson.Append(nil, &t)

	err := tracejson.Read(strings.NewReader(string(document)), "traces.jsonl", func(s trace.Span) error {
		fmt.Println(s.TraceID.Hex(), s.Name.String)
		return nil
	}, func(damage *tracejson.DocumentError) error {
		fmt.Println(damage)
		return nil
	}, nil)
	fmt.Println(err)
	// Output:
	// 0000000000000007 boot
	// <nil>
}
