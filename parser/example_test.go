package parser_test

import (
	"fmt"
	"strings"

	"github.com/tomoscrape/tomoscrape/parser"
)

func ExampleSpans() {
	log := `2013-04-18 02:02:08.797 1234 INFO nova.api [-] ready
2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] Span(trace_id=7, parent_id=None, id=7, name='boot', notes=[Note(time=1366250528.5, value='start', service_name='nova-api', address='ctl', port=0, duration=0)], dimensions=[])
2013-04-18 02:02:08.799 1234 INFO tomograph.backends.log [-] Span(trace_id=7, parent_id=7, id=8, name='cast', notes=[Note(time=1366250528.5, val
`
	for span, err := range parser.Spans(strings.NewReader(log), "nova-api.log") {
		if span != nil {
			fmt.Printf("span %d %q, notes: %d\n", span.ID.Lo, span.Name.String, len(span.Notes))
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// span 7 "boot", notes: 1
	// span 8 "cast", notes: 0
	// nova-api.log:3:145: salvaged: the record ends in a name, expected a field of Note, as time=…
}
