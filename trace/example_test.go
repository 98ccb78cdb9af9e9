package trace_test

import (
	"fmt"

	"github.com/tomoscrape/tomoscrape/trace"
)

func ExampleParseID() {
	// Tomograph logs ids as decimal numbers, Zipkin shows them as hexadecimal ones.
	id, err := trace.ParseID("5731049070570866")
	fmt.Println(id.Hex(), err)
	// Output: 00145c5bd80aad72 <nil>
}
