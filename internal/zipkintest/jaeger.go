package zipkintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// JaegerVersion is the version of the Jaeger module that is built. It has both
// programs in it: all-in-one is Jaeger 1.76, jaeger is Jaeger 2.13.
const JaegerVersion = "1.76.0"

const jaegerModule = "github.com/jaegertracing/jaeger@v" + JaegerVersion

// jaegerYAML is what Jaeger 2 needs of its own all-in-one.yaml.
const jaegerYAML = `service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {traces: {receivers: [zipkin], processors: [batch], exporters: [jaeger_storage_exporter]}}
  telemetry: {metrics: {level: none}}
extensions:
  jaeger_storage: {backends: {memory: {memory: {max_traces: 100000}}}}
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "127.0.0.1:%[2]d"}
    grpc: {endpoint: "127.0.0.1:%[3]d"}
receivers: {zipkin: {endpoint: "127.0.0.1:%[1]d"}}
processors: {batch: }
exporters: {jaeger_storage_exporter: {trace_storage: memory}}
`

// Jaeger is a running Jaeger.
type Jaeger struct {
	URL   string // of its Zipkin receiver
	Query string // of its query service
	*process
}

// StartJaeger starts Jaeger 1 or 2, with its spans in memory, that lives until the
// test and its subtests end, and returns when it is ready.
func StartJaeger(t testing.TB, major int) *Jaeger {
	t.Helper()
	start := startJaeger1
	name, pkg := "jaeger-all-in-one-"+JaegerVersion, "./cmd/all-in-one"
	if major == 2 {
		start, name, pkg = startJaeger2, "jaeger-"+JaegerVersion, "./cmd/jaeger"
	}
	program := builtModule(t, name, jaegerModule, pkg)
	var err error
	for range attempts {
		var j *Jaeger
		if j, err = start(t, program); err == nil {
			return j
		}
	}
	t.Fatalf("Jaeger %d does not start: %v", major, err)
	return nil
}

func startJaeger1(t testing.TB, program string) (*Jaeger, error) {
	t.Helper()
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	flags := []string{"collector.zipkin", "query.http-server", "query.grpc-server", "collector.http-server", "collector.grpc-server", "admin.http"}
	args := []string{program, "--collector.otlp.enabled=false"}
	for i, flag := range flags {
		args = append(args, "--"+flag+".host-port="+net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])))
	}
	return launchJaeger(t, args, ports)
}

func startJaeger2(t testing.TB, program string) (*Jaeger, error) {
	t.Helper()
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(t.TempDir(), "jaeger.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, jaegerYAML, ports[0], ports[1], ports[2]), 0o644); err != nil {
		return nil, err
	}
	return launchJaeger(t, []string{program, "--config", config}, ports)
}

// launchJaeger runs a Jaeger that takes spans at the first port and shows them at
// the second.
func launchJaeger(t testing.TB, command []string, ports []int) (*Jaeger, error) {
	t.Helper()
	address := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])) }
	j := &Jaeger{URL: "http://" + address(0), Query: "http://" + address(1)}
	var err error
	j.process, err = launch(t, "jaeger", command, nil, func() bool {
		var services struct{ Data []string }
		return listens(address(0)) && j.get("/api/services", &services) == nil
	})
	return j, err
}

func (j *Jaeger) get(path string, v any) error {
	response, err := http.Get(j.Query + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return ErrNotFound
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(v)
}

// jaegerTags are Jaeger's tags and fields, whose values have types.
type jaegerTags []struct {
	Key   string
	Value any
}

func (list jaegerTags) texts() map[string]string {
	m := map[string]string{}
	for _, tag := range list {
		m[tag.Key] = fmt.Sprint(tag.Value)
	}
	return m
}

// Trace is what Jaeger's API has of a trace, sorted as it has it; the error is
// [ErrNotFound] without one.
func (j *Jaeger) Trace(id string) ([]Span, error) {
	var answer struct {
		Data []struct {
			Spans []struct {
				TraceID, SpanID, OperationName, ProcessID string
				References                                []struct{ SpanID string }
				StartTime, Duration                       int64
				Tags                                      jaegerTags
				Logs                                      []struct {
					Timestamp int64
					Fields    jaegerTags
				}
				Warnings []string
			}
			Processes map[string]struct {
				ServiceName string
				Tags        jaegerTags
			}
		}
	}
	if err := j.get("/api/traces/"+id, &answer); err != nil {
		return nil, err
	}
	var spans []Span
	for _, trace := range answer.Data {
		for _, s := range trace.Spans {
			process := trace.Processes[s.ProcessID]
			span := Span{TraceID: strings.Repeat("0", max(32-len(s.TraceID), 0)) + s.TraceID, ID: s.SpanID, Service: process.ServiceName, Name: s.OperationName,
				Start: s.StartTime, Duration: s.Duration, Tags: s.Tags.texts(), Resource: process.Tags.texts(), Warnings: s.Warnings}
			for _, reference := range s.References {
				span.ParentID = reference.SpanID
			}
			for _, log := range s.Logs {
				span.Notes = append(span.Notes, Note{log.Timestamp, log.Fields.texts()["event"]})
			}
			spans = append(spans, span)
		}
	}
	return spans, nil
}
