// Package zipkintest starts real servers that take Zipkin's spans for tests, on
// loopback: Zipkin, with its spans in memory or in a real Cassandra, Jaeger, and
// an OpenTelemetry Collector.
//
// It needs sh, java (17 or later) for Zipkin and Cassandra, and for the first
// time a network, mvn, and go: those are fetched from Maven Central, the others
// built from Go modules once, and all are kept in the user's cache directory.
// Where one of these is missing the test is skipped; if the environment has
// TOMOSCRAPE_REQUIRE_SERVERS=1, it fails instead.
package zipkintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// Version is the version of Zipkin that is started.
const Version = "3.6.1"

// Server is a running Zipkin.
type Server struct {
	URL string // such as http://127.0.0.1:40123
	*process
}

// Start starts a Zipkin that lives until the test and its subtests end, and
// returns when it is ready. The variables env, each NAME=VALUE, are added to its
// environment.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	jar := fetch(t, "zipkin-server-"+Version+"-exec.jar", "",
		"dependency:copy", "-Dartifact=io.zipkin:zipkin-server:"+Version+":jar:exec", "-DoutputDirectory=.")
	var err error
	for range attempts {
		var s *Server
		if s, err = start(t, jar, env); err == nil {
			return s
		}
	}
	t.Fatalf("Zipkin does not start: %v", err)
	return nil
}

func start(t testing.TB, jar string, env []string) (*Server, error) {
	t.Helper()
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(ports[0])
	s := &Server{URL: "http://127.0.0.1:" + port}
	s.process, err = launch(t, "zipkin", []string{"java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-jar", jar, "--server.port=" + port, // the others make it listen at that address alone
		"--armeria.ports[0].ip=127.0.0.1", "--armeria.ports[0].port=" +
			port, "--armeria.ports[0].protocols[0]=http"}, env, s.healthy)
	return s, err
}

func (s *Server) healthy() bool {
	response, err := http.Get(s.URL + "/health")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// ErrNotFound is the error of [Server.Get] for the status 404.
var ErrNotFound = errors.New("not found")

// Get asks the server's API for a path with its query, such as
// "/api/v2/services", and decodes the JSON of the answer into v.
func (s *Server) Get(path string, v any) error {
	response, err := http.Get(s.URL + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w: %s", path, ErrNotFound, body)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return json.Unmarshal(body, v)
}
