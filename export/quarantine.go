package export

import (
	"encoding/json"
	"fmt"

	"github.com/openzipkin/zipkin-go/model"

	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// DefaultQuarantine is the quarantine file, in the working directory, if the
// user names none.
const DefaultQuarantine = "tomoscrape-quarantine.jsonl"

// Quarantine is the file of the spans that could not be delivered, one JSON
// object a line. It is created with the first one, readable for its owner only,
// and an existing file is continued.
type Quarantine struct {
	Path string
	Warn func(string) // is told when the file is made again; may be nil
	out  *Appender
}

// quarantineRecord is a line of the file.
type quarantineRecord struct {
	Reason  string             `json:"reason"`
	Status  int                `json:"status,omitempty"` // of the server's answer
	Server  string             `json:"server,omitempty"` // its words, escaped
	TraceID string             `json:"trace_id"`         // hexadecimal, as in Zipkin
	SpanID  string             `json:"span_id"`
	Origin  []quarantineOrigin `json:"origin"`
	Trace   json.RawMessage    `json:"trace"`            // a document of the trace with this span alone
	Zipkin  []*model.SpanModel `json:"zipkin,omitempty"` // as sent, if it was
}

type quarantineOrigin struct {
	File string `json:"file"`
	Line int64  `json:"line"`
}

// Add writes one span; models are its v2 spans, nil if it has none. status and words
// are the server's answer, if it was refused; the words are harmless already.
func (q *Quarantine) Add(node *trace.Node, models []*model.SpanModel, reason string, status int, words string) error {
	record := quarantineRecord{
		Reason: reason, Status: status, Server: words,
		TraceID: node.TraceID.Hex(), SpanID: node.ID.Hex(),
		Origin: make([]quarantineOrigin, 0, len(node.Origin)),
		Trace:  tracejson.Append(nil, aloneInTrace(*node)), Zipkin: models,
	}
	for i := range node.Origin {
		record.Origin = append(record.Origin, quarantineOrigin{node.Origin[i].File, node.Origin[i].Line})
	}
	line, err := json.Marshal(record)
	if err == nil && q.out == nil {
		if q.out, err = appendTo(q.Path, 0o600); err == nil {
			q.out.Warn = q.Warn
		}
	}
	if err == nil {
		err = q.out.Write(append(line, '\n'))
	}
	if err == nil {
		err = q.out.Keep()
	}
	if err != nil {
		return fmt.Errorf("a span that cannot be delivered could not be kept either: %w; choose another file with "+
			"--quarantine FILE", err)
	}
	return nil
}

// aloneInTrace is a trace with one span only.
func aloneInTrace(node trace.Node) *trace.Trace {
	node.Depth, node.Parent = 0, -1
	t := &trace.Trace{ID: node.TraceID, Spans: []trace.Node{node}, Problems: node.Problems}
	var timed int
	t.Start, t.End, timed = node.Extent()
	t.HasStart = timed > 0
	if service := node.Service(); service.Set {
		t.Services = []string{service.String}
	}
	return t
}

// Close completes the file, if there is one.
func (q *Quarantine) Close() error {
	if q.out == nil {
		return nil
	}
	err := q.out.Close()
	q.out = nil
	if err != nil {
		return fmt.Errorf("quarantine file: %w", err)
	}
	return nil
}
