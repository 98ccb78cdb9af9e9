package zipkintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// CollectorVersion is the version of the OpenTelemetry Collector that is built,
// with its Zipkin receiver and an exporter to a file.
const CollectorVersion = "0.165.0"

const collectorMod = `module otelcol

go 1.26.0

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter v` + CollectorVersion + `
	github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver v` + CollectorVersion + `
	go.opentelemetry.io/collector/component v1.71.0
	go.opentelemetry.io/collector/confmap v1.71.0
	go.opentelemetry.io/collector/confmap/provider/fileprovider v1.71.0
	go.opentelemetry.io/collector/exporter v1.71.0
	go.opentelemetry.io/collector/otelcol v` + CollectorVersion + `
	go.opentelemetry.io/collector/receiver v1.71.0
	go.opentelemetry.io/collector/service v` + CollectorVersion + `
)
`

const collectorMain = `package main

import (
	"log"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/telemetry"
)

func main() {
	cmd := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "otelcol", Version: "` + CollectorVersion + `"},
		Factories: func() (otelcol.Factories, error) {
			r, e := zipkinreceiver.NewFactory(), fileexporter.NewFactory()
			return otelcol.Factories{
				Receivers: map[component.Type]receiver.Factory{r.Type(): r},
				Exporters: map[component.Type]exporter.Factory{e.Type(): e},
				Telemetry: telemetry.NewFactory(func() component.Config { return &struct{}{} }),
			}, nil
		},
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()}, DefaultScheme: "file",
		}},
	})
	if err := cmd.Execute(); err != nil {
		log.Fatal(err)
	}
}
`

const collectorYAML = `receivers: {zipkin: {endpoint: "127.0.0.1:%d"}}
exporters: {file: {path: %q, flush_interval: 10ms}}
service: {pipelines: {traces: {receivers: [zipkin], exporters: [file]}}}
`

// Collector is a running OpenTelemetry Collector.
type Collector struct {
	URL  string // of its Zipkin receiver
	file string // that it writes what it got to
	*process
}

// StartCollector starts an OpenTelemetry Collector that lives until the test and
// its subtests end, and returns when it takes spans.
func StartCollector(t testing.TB) *Collector {
	t.Helper()
	program := builtMain(t, "otelcol-"+CollectorVersion, collectorMod, collectorMain)
	var err error
	for range attempts {
		var c *Collector
		if c, err = startCollector(t, program); err == nil {
			return c
		}
	}
	t.Fatalf("the OpenTelemetry Collector does not start: %v", err)
	return nil
}

func startCollector(t testing.TB, program string) (*Collector, error) {
	t.Helper()
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "otelcol.yaml")
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	c := &Collector{URL: "http://" + address, file: filepath.Join(dir, "spans.jsonl")}
	if err := os.WriteFile(config, fmt.Appendf(nil, collectorYAML, ports[0], c.file), 0o644); err != nil {
		return nil, err
	}
	c.process, err = launch(t, "otelcol", []string{program, "--config", config}, nil,
		func() bool { return listens(address) })
	return c, err
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// otlp is a line of the file: a request of OTLP in JSON
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
type otlp struct {
	ResourceSpans []struct {
		Resource   struct{ Attributes []otlpAttribute }
		ScopeSpans []struct {
			Spans []struct {
				TraceID, SpanID, ParentSpanID, Name string
				Kind                                int
				StartTimeUnixNano, EndTimeUnixNano  json.Number
				Attributes                          []otlpAttribute
				Events                              []struct {
					TimeUnixNano json.Number
					Name         string
				}
				Status struct{ Code int }
			}
		}
	}
}

type otlpAttribute struct {
	Key   string
	Value map[string]any
}

// Span is what another receiver than Zipkin made of a span.
type Span struct {
	TraceID, ID, ParentID string // hexadecimal, of 32 and 16 digits
	Service, Name         string
	Start, Duration       int64  // microseconds
	Notes                 []Note // in the receiver's order
	Tags                  map[string]string
	Resource              map[string]string // what it takes for facts about the service
	Warnings              []string          // of Jaeger
}

// Note is a note as another receiver has it.
type Note struct {
	Time int64 // microseconds
	Text string
}

func texts(list []otlpAttribute) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		m[a.Key] = ""
		for _, v := range a.Value {
			m[a.Key] = fmt.Sprint(v)
		}
	}
	return m
}

// Spans are all spans that the collector got, once there are n of them.
func (c *Collector) Spans(t testing.TB, n int) (spans []Span) {
	t.Helper()
	for late := time.Now().Add(time.Minute); len(spans) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("the collector wrote %d spans instead of %d", len(spans), n)
		}
		text, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		spans = nil
		whole := bytes.LastIndexByte(text, '\n') + 1
		for line := range bytes.Lines(text[:whole]) {
			var request otlp
			if err := json.Unmarshal(line, &request); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			spans = append(spans, request.spans()...)
		}
	}
	return spans
}

func (o *otlp) spans() (spans []Span) {
	for _, r := range o.ResourceSpans {
		resource := texts(r.Resource.Attributes)
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				start, end := micros(s.StartTimeUnixNano), micros(s.EndTimeUnixNano)
				span := Span{TraceID: s.TraceID, ID: s.SpanID, ParentID: s.ParentSpanID,
					Service: resource["service.name"], Name: s.Name,
					Start: start, Duration: end - start, Tags: texts(s.Attributes), Resource: resource}
				if s.Status.Code == 2 {
					span.Tags["status"] = "error"
				}
				for _, e := range s.Events {
					span.Notes = append(span.Notes, Note{micros(e.TimeUnixNano), e.Name})
				}
				spans = append(spans, span)
			}
		}
	}
	return spans
}

func micros(nanoseconds json.Number) int64 {
	n, _ := nanoseconds.Int64()
	return n / 1000
}
