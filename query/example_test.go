package query_test

import (
	"fmt"
	"time"

	"github.com/tomoscrape/tomoscrape/query"
	"github.com/tomoscrape/tomoscrape/trace"
)

func ExampleFilter() {
	filter := query.Filter{Span: "boot", MinDuration: time.Millisecond}
	selection, err := filter.Begin()
	if err != nil {
		panic(err)
	}
	note := func(us int64) trace.Note { return trace.Note{Time: us, HasTime: true} }
	boot := func(id uint64, us int64) trace.Trace {
		span := trace.Span{ID: trace.IDFromUint64(id), Name: trace.NewText("Boot"), Notes: []trace.Note{note(0), note(us)}}
		return trace.Trace{ID: span.ID, HasStart: true, End: us, Spans: []trace.Node{{Span: span, Parent: -1}}}
	}
	short, long := boot(1, 999), boot(2, 5000)
	fmt.Println(selection.Match(&short), selection.Match(&long))
	first, end, err := selection.End()
	fmt.Println(end-first, err)
	// Output:
	// false true
	// 1 <nil>
}
