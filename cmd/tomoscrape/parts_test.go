package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/zipkintest"
)

// delivering runs the program with a log on standard input, and gives its exit
// code and what it said.
func delivering(t *testing.T, log string, args ...string) (int, string) {
	path, err := exec.LookPath("tomoscrape") // see testscript.Main
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = t.TempDir() // where a quarantine would be
	cmd.Stdin = strings.NewReader(log)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// spanLine is a span of one second in a log.
func spanLine(trace, id int, parent string, at int64) string {
	return fmt.Sprintf("2013-07-09 23:30:02,790 INFO tomograph.backends.log Span(trace_id=%d, parent_id=%s, id=%d, name='WSGI', notes=["+
		"Note(time=%d.25, value='start', service_name='nova-api', address='10.0.0.1', port=80, duration=0), "+
		"Note(time=%d.25, value='stop', service_name='nova-api', address='10.0.0.1', port=80, duration=0)], dimensions=[])\n", trace, parent, id, at, at+1)
}

// TestTraceInTwoParts: what is delivered in several runs is searched for, and
// found at the printed address, as Zipkin has all of it.
func TestTraceInTwoParts(t *testing.T) {
	server := zipkintest.Start(t)
	now := time.Now().Unix()
	trace := 100
	for name, ages := range map[string][2]int64{"of today": {7200, 60}, "old": {5_000_000, 4_990_000}} {
		for _, command := range []string{"replay", "tail"} {
			for _, verify := range []bool{true, false} {
				if command == "tail" && !verify {
					continue // it prints no address
				}
				t.Run(fmt.Sprintf("%s/%s/verify %v", name, command, verify), func(t *testing.T) {
					trace++
					args := []string{command, "-", "--zipkin", server.URL, "--from", "start"}
					if command == "replay" {
						args = args[:4]
					}
					if verify {
						args = append(args, "--verify")
					}
					code, said := delivering(t, spanLine(trace, 1, "None", now-ages[0]), args...)
					require.Equal(t, exitWhole, code, said)
					code, said = delivering(t, spanLine(trace, 2, "1", now-ages[1]), args...)
					require.Equal(t, exitWhole, code, said)
					if verify {
						require.Contains(t, said, "read back: 1 of 1 trace stored whole, and found by search")
					}
					require.NotContains(t, said, "not found")
					if command == "tail" {
						return
					}
					page, err := url.Parse(regexp.MustCompile(`to be found at (\S+)`).FindStringSubmatch(said)[1])
					require.NoError(t, err)
					from, err := strconv.ParseInt(page.Query().Get("startTs"), 10, 64)
					require.NoError(t, err)
					to, err := strconv.ParseInt(page.Query().Get("endTs"), 10, 64)
					require.NoError(t, err)
					var found [][]struct{ TraceID string }
					require.NoError(t, server.Get(fmt.Sprintf("/api/v2/traces?endTs=%d&lookback=%d&limit=100", to, to-from), &found))
					ids := map[string]int{}
					for _, spans := range found {
						ids[spans[0].TraceID] = len(spans)
					}
					require.Equal(t, 2, ids[fmt.Sprintf("%016x", trace)], "%v in %s", ids, page)
				})
			}
		}
	}
}

// TestSearchSwitchedOff: a Zipkin that searches for nothing says so itself.
func TestSearchSwitchedOff(t *testing.T) {
	server := zipkintest.Start(t, "SEARCH_ENABLED=false")
	now := time.Now().Unix()
	for name, age := range map[string]int64{"of today": 60, "old": 5_000_000} {
		for _, command := range []string{"replay", "tail"} {
			t.Run(name+"/"+command, func(t *testing.T) {
				log := spanLine(100, 1, "None", now-age) + spanLine(101, 1, "None", now-age)
				if name == "old" {
					log = strings.NewReplacer("trace_id=100", "trace_id=200", "trace_id=101", "trace_id=201").Replace(log)
				}
				code, said := delivering(t, log, command, "-", "--zipkin", server.URL, "--verify")
				require.Equal(t, exitWhole, code, said)
				require.Regexp(t, `read back: 2 of 2 traces stored whole["\n]`, said)
				require.Contains(t, said, "it is switched off there (SEARCH_ENABLED=false); they open by trace ID")
				require.NotContains(t, said, "Cassandra")
				if command == "replay" {
					require.Regexp(t, `to be found at http://[0-9.:]+/zipkin/traces/00000000000000[0-9a-f]{2}\nSearch is switched off there`, said)
				}
			})
		}
	}
}

// Where Zipkin has no page at the address, none is named.
func TestPageThatIsNotThere(t *testing.T) {
	for want, shows := range map[string]string{
		"to be found where that Zipkin shows them: at this address are neither its page nor its API for reading\n":                "/no/where",
		"/api/v2/traces?endTs=1384168296101&lookback=1&limit=10 (Zipkin's page is not at this address)\nSome of these traces are": "/api/v2/services",
		"/zipkin/?lookback=range&startTs=1384168296100&endTs=1384168296101&limit=10\nSome of these traces are":                    "/zipkin/config.json",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost:
				w.WriteHeader(http.StatusAccepted)
			case r.URL.Path != shows:
				w.WriteHeader(http.StatusNotFound)
			case strings.HasSuffix(shows, ".json"):
				io.WriteString(w, "{}")
			default:
				io.WriteString(w, "[]")
			}
		}))
		path := filepath.Join(t.TempDir(), "a.log")
		line := fmt.Sprintf("2013-07-10 09:00:00,123 INFO tomograph.backends.log Span(trace_id=77, parent_id=None, id=1, name='x', notes=[%s, %s], dimensions=[])\n",
			noteOf("1", "start", "a"), noteOf("2", "stop", "a"))
		require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
		require.Contains(t, replayTo(t, exitWhole, path, "--zipkin", server.URL), want)
		server.Close()
	}
}

// What net/http says of a server goes nowhere: a log in another form than ours, or
// in the midst of a table.
func TestOnlyTheProgramSpeaks(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				requests := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\nand more")
				}
			}()
		}
	}()
	code, said := delivering(t, spanLine(5, 5, "None", 1373412602), "replay", "-", "--zipkin", "http://"+listener.Addr().String())
	require.Equal(t, exitWhole, code, said)
	require.NotContains(t, said, "nsolicited")
}
