package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"strconv"
)

// Truth is what a made log holds, said by the generator. The names of the counts
// are those of tomoscrape's summary.
type Truth struct {
	Generator  int    `json:"generator"` // its version
	Seed       uint64 `json:"seed"`
	Bytes      int64  `json:"bytes"`
	Lines      int64  `json:"lines"`
	SpanLines  int64  `json:"span_lines"`
	SpanBytes  int64  `json:"span_bytes"` // of the text from Span( on
	Mentions   int64  `json:"mentions"`
	Spans      int64  `json:"spans"`
	Duplicates int64  `json:"duplicates"`
	Traces     int64  `json:"traces"`
	Complete   int64  `json:"complete"`
	Incomplete int64  `json:"incomplete"`
	Checksum   Sum    `json:"checksum"` // of (trace_id, id, parent_id) of each span
}

// Sum is a checksum of a set of spans: the order in which they come is all one.
type Sum uint64

// add adds a span; parent is 0 for none, and no made span has the id 0.
func (s *Sum) add(trace, id, parent uint64) {
	*s += Sum(scramble(scramble(scramble(trace)^id) ^ parent))
}

// scramble is the finalizer of SplitMix64, a bijection.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// MarshalJSON and UnmarshalJSON keep all 64 bits, as hexadecimal text.
func (s Sum) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%016x"`, uint64(s)), nil }

func (s *Sum) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseUint(string(bytes.Trim(text, `"`)), 16, 64)
	*s = Sum(n)
	return err
}

// checkSummary compares the file of --summary with the truth.
func checkSummary(path string, want *Truth) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var got struct {
		Truth
		Parsed     int64 `json:"parsed"`
		Skipped    []any `json:"skipped"`
		Unreadable []any `json:"unreadable"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return fmt.Errorf("the summary: %w", err)
	}
	if got.Parsed != want.SpanLines || len(got.Skipped)+len(got.Unreadable) > 0 {
		return fmt.Errorf("the summary says that not all was read and parsed: %s", text)
	}
	said := *want // what a summary says
	said.Generator, said.Seed, said.SpanBytes, said.Checksum = 0, 0, 0, 0
	if got.Truth != said {
		return fmt.Errorf("the summary is %s, the truth %+v", text, *want)
	}
	return nil
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// checkTraces reads trace documents, one a line, and compares their spans with
// the truth. It gives the CRC of the file, by which two outputs are compared.
func checkTraces(path string, want *Truth) (crc uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var sum Sum
	var traces, spans int64
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 256<<10), 256<<20)
	for lines.Scan() {
		crc = crc64.Update(crc, crcTable, lines.Bytes())
		n, err := addDocument(&sum, lines.Bytes())
		if err != nil {
			return 0, fmt.Errorf("%s: trace %d: %w", path, traces+1, err)
		}
		traces++
		spans += n
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	if traces != want.Traces || spans != want.Spans || sum != want.Checksum {
		return 0, fmt.Errorf("%s holds %d spans in %d traces, checksum %016x; the truth is %d in %d, %016x",
			path, spans, traces, uint64(sum), want.Spans, want.Traces, uint64(want.Checksum))
	}
	return crc, nil
}

// addDocument adds the spans of a trace document to a sum. Quotes within strings
// are escaped, so a key with its quotes is found nowhere else; the parent stands
// between a span's id and its name.
func addDocument(sum *Sum, document []byte) (spans int64, err error) {
	rest, found := bytes.CutPrefix(document, []byte(`{"trace_id":"`))
	if !found {
		return 0, errors.New(`a document does not begin with its "trace_id"`)
	}
	trace, err := hexID(rest)
	for err == nil {
		if _, rest, found = bytes.Cut(rest, []byte(`{"id":"`)); !found {
			return spans, nil
		}
		head, _, _ := bytes.Cut(rest, []byte(`"name":`))
		var id, parent uint64
		id, err = hexID(head)
		if _, text, found := bytes.Cut(head, []byte(`"parent_id":"`)); found && err == nil {
			parent, err = hexID(text)
		}
		sum.add(trace, id, parent)
		spans++
	}
	return spans, err
}

func hexID(text []byte) (uint64, error) {
	if len(text) < 17 || text[16] != '"' {
		return 0, errors.New("an id has 16 hexadecimal digits")
	}
	return strconv.ParseUint(string(text[:16]), 16, 64)
}

// checkLines counts the lines of a file.
func checkLines(path string, want int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var got int64
	block := make([]byte, 256<<10)
	for {
		n, err := f.Read(block)
		got += int64(bytes.Count(block[:n], []byte("\n")))
		switch {
		case err == nil:
		case err != io.EOF:
			return err
		case got != want:
			return fmt.Errorf("%s has %d lines, not %d", path, got, want)
		default:
			return nil
		}
	}
}

// checkSize compares the size of a file.
func checkSize(path string, want int64) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() != want {
		err = fmt.Errorf("%s has %d bytes, not %d", path, info.Size(), want)
	}
	return err
}
