package export_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tomoscrape/tomoscrape/export"
)

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "traces.jsonl")

	file, err := export.Create(path, os.Stdout)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(file, "{}")
	_, err = os.Stat(path)
	fmt.Println("there before it is complete:", err == nil)
	if err := file.Close(); err != nil {
		panic(err)
	}
	text, err := os.ReadFile(path)
	fmt.Printf("%s%v\n", text, err)
	// Output:
	// there before it is complete: false
	// {}
	// <nil>
}
