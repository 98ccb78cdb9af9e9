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
	flags := []string{"collector.zipkin", "query.http-server", "query.grpc-server", "collector.http-server",
		"collector.grpc-server", "admin.http"}
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

// Between is what is configured between tomoscrape and a Jaeger behind a Collector.
// The zero value is the plain way.
type Between struct {
	// the Collector's Zipkin receiver, beside its address, such as "parse_string_tags: true"
	Zipkin   string
	Exporter string                      // its configuration beside the address, such as "timeout: 1s"
	Receiver string                      // the same of Jaeger's gRPC receiver, such as "max_recv_msg_size_mib: 16"
	Through  func(address string) string // the address to which to send what is for Jaeger's; nil for that itself
}

// StartJaegerBehindCollector starts a Jaeger 2 to which an OpenTelemetry Collector
// passes spans on by gRPC, and returns when it is ready: URL is the Collector's
// Zipkin receiver.
func StartJaegerBehindCollector(t testing.TB, between Between) *Jaeger {
	t.Helper()
	program := builtModule(t, "jaeger-"+JaegerVersion, jaegerModule, "./cmd/jaeger") // it is a Collector, too
	var err error
	for range attempts {
		var j *Jaeger
		if j, err = startJaegerBehind(t, program, between); err == nil {
			return j
		}
	}
	t.Fatalf("Jaeger behind a Collector does not start: %v", err)
	return nil
}

// collectorOfJaeger is the configuration of the Collector, behindCollector that of
// Jaeger.
const (
	collectorOfJaeger = `service:
  pipelines: {traces: {receivers: [zipkin], exporters: [otlp]}}
  telemetry: {metrics: {level: none}}
receivers: {zipkin: {endpoint: "127.0.0.1:%d", %s}}
exporters: {otlp: {endpoint: %q, tls: {insecure: true}, %s}}
`
	behindCollector = `service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry: {metrics: {level: none}}
extensions:
  jaeger_storage: {backends: {memory: {memory: {max_traces: 100000}}}}
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "127.0.0.1:%[2]d"}
    grpc: {endpoint: "127.0.0.1:%[3]d"}
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:%[1]d", %[4]s}}}}
exporters: {jaeger_storage_exporter: {trace_storage: memory}}
`
)

func startJaegerBehind(t testing.TB, program string, between Between) (*Jaeger, error) {
	t.Helper()
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	to := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	if between.Through != nil {
		to = between.Through(to)
	}
	configs := map[string][]byte{
		"jaeger.yaml":    fmt.Appendf(nil, behindCollector, ports[0], ports[1], ports[2], between.Receiver),
		"collector.yaml": fmt.Appendf(nil, collectorOfJaeger, ports[3], between.Zipkin, to, between.Exporter),
	}
	for name, text := range configs {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	j, err := launchJaeger(t, []string{program, "--config", filepath.Join(dir, "jaeger.yaml")}, ports)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[3]))
	j.URL = "http://" + address
	if _, err = launch(t, "collector", []string{program, "--config", filepath.Join(dir, "collector.yaml")}, nil,
		func() bool { return listens(address) }); err != nil {
		j.stop()
		return nil, err
	}
	return j, nil
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
			span := Span{TraceID: strings.Repeat("0", max(32-len(s.TraceID), 0)) + s.TraceID, ID: s.SpanID,
				Service: process.ServiceName, Name: s.OperationName,
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
