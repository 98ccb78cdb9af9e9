package zipkin_test

import (
	"fmt"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

func Example() {
	note := func(us int64, value string) trace.Note {
		return trace.Note{Time: us, HasTime: true, Value: trace.Value{Kind: trace.String, Text: value}, Service: trace.NewText("nova-api")}
	}
	node := &trace.Node{Span: trace.Span{
		TraceID: trace.IDFromUint64(7), ID: trace.IDFromUint64(7), Name: trace.NewText("boot"),
		Notes: []trace.Note{note(1_366_250_528_000_000, "start"), note(1_366_250_528_000_900, "stop")},
	}}
	spans, err := zipkin.Map(node, zipkin.Options{})
	if err != nil {
		panic(err)
	}
	_, body, err := zipkin.Encode(spans, zipkin.Options{})
	fmt.Println(string(body), err)
	// Output:
	// {"timestamp":1366250528000000,"duration":900,"traceId":"0000000000000007","id":"0000000000000007","name":"boot","localEndpoint":{"serviceName":"nova-api"},"annotations":[{"timestamp":1366250528000000,"value":"start"},{"timestamp":1366250528000900,"value":"stop"}]} <nil>
}
