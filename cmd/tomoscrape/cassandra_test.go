package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/replay"
	"github.com/tomoscrape/tomoscrape/internal/zipkintest"
	"github.com/tomoscrape/tomoscrape/zipkin"
)

// TestZipkinOnCassandra: what Zipkin does with its spans in Cassandra, and what
// --verify says of it.
func TestZipkinOnCassandra(t *testing.T) {
	cassandra := zipkintest.StartCassandra(t)
	server := zipkintest.Start(t, cassandra.Env()...)

	// tomoscrape gives the exit code and what it said.
	tomoscrape := func(t *testing.T, stdin string, args ...string) (int, string) {
		path, err := exec.LookPath("tomoscrape") // see testscript.Main
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, append(args, "--zipkin", server.URL, "--verify")...)
		cmd.Dir = t.TempDir() // where a quarantine would be
		cmd.Stdin = strings.NewReader(stdin)
		said, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
			require.NoError(t, err)
		}
		return cmd.ProcessState.ExitCode(), string(said)
	}
	samples, err := filepath.Abs("../../testdata/logs")
	require.NoError(t, err)
	logs := func(folder string) string { return filepath.Join(samples, folder) }

	t.Run("old traces", func(t *testing.T) {
		code, said := tomoscrape(t, "", "replay", logs("folsom"))
		require.Equal(t, exitWhole, code, said)
		require.Contains(t, said, "\nread back: 34 of 34 traces stored whole\n"+
			"stored, but not found by search: 34 traces: ")
		require.Regexp(t, `They open by trace ID\. On Cassandra .* 3 days, .*: --shift-to now moves traces to the present, in a Zipkin that does not have them yet\n`, said)
		require.NotContains(t, said, "older than three days", "it is said once")

		var want []*model.SpanModel
		result, err := replay.Run(t.Context(), replay.Options{Paths: []string{logs("folsom")}})
		require.NoError(t, err)
		for tr, err := range result.Traces() {
			require.NoError(t, err)
			for i := range tr.Spans {
				models, err := zipkin.Map(&tr.Spans[i], zipkin.Options{})
				require.NoError(t, err)
				want = append(want, models...)
			}
		}
		require.GreaterOrEqual(t, len(want), 310)
		server.RequireStored(t, want)
	})

	t.Run("moved to the present", func(t *testing.T) {
		code, said := tomoscrape(t, "", "replay", logs("real-openstack"), "--shift-to", "now")
		require.Equal(t, exitWhole, code, said)
		require.Contains(t, said, "\nread back: 208 of 208 traces stored whole, and found by search\n")
		var found [][]any
		require.NoError(t, server.Get("/api/v2/traces?serviceName=rpcbuild_and_run_instance", &found))
		require.NotEmpty(t, found, "without endTs and lookback")
	})

	t.Run("moved too late", func(t *testing.T) {
		code, said := tomoscrape(t, "", "replay", logs("folsom"), "--shift-to", "now")
		require.Equal(t, exitWhole, code, said)
		require.Contains(t, said, "\nread back: 34 of 34 traces stored whole\n"+
			"stored, but there with other times, too: 34 traces: ")
	})

	t.Run("a trace of many spans beside others", func(t *testing.T) {
		// The index gives 3 rows, of which each is a span, for a trace that is
		// asked for, the newest first. Each small trace begins before the large
		// one and ends, in another service, after it.
		var lines strings.Builder
		span := func(trace, id int, service string, at float64) {
			fmt.Fprintf(&lines, "2013-07-09 23:30:02,790 INFO tomograph.backends.log Span(trace_id=%d, parent_id=None, id=%d, name='WSGI', notes=[Note(time=%[4]f, value='start', service_name='%[3]s', address='10.0.0.1', port=80, duration=0), "+
				"Note(time=%[4]f, value='stop', service_name='%[3]s', address='10.0.0.1', port=80, duration=0)], dimensions=[])\n", trace, id, service, at)
		}
		now := float64(time.Now().Unix())
		for i := range 10 {
			span(100+i, 1, "crowded", now-60)
			span(100+i, 2, "roomy", now-40)
		}
		for i := range 1000 {
			span(200, 1+i, "crowded", now-50)
		}
		code, said := tomoscrape(t, lines.String(), "replay", "-")
		require.Equal(t, exitWhole, code, said)
		require.Contains(t, said, "\nread back: 11 of 11 traces stored whole, and found by search\n")

		page, err := url.Parse(regexp.MustCompile(`to be found at (\S+)`).FindStringSubmatch(said)[1])
		require.NoError(t, err)
		from, err := strconv.ParseInt(page.Query().Get("startTs"), 10, 64)
		require.NoError(t, err)
		to, err := strconv.ParseInt(page.Query().Get("endTs"), 10, 64)
		require.NoError(t, err)
		var found [][]any
		require.NoError(t, server.Get(fmt.Sprintf("/api/v2/traces?serviceName=crowded&endTs=%d&lookback=%d&limit=%s", to, to-from, page.Query().Get("limit")), &found))
		require.Len(t, found, 11, "with the limit of the page")
	})

	t.Run("tail", func(t *testing.T) {
		log, err := os.ReadFile(filepath.Join(logs("grizzly"), "nova", "nova-api.log"))
		require.NoError(t, err)
		code, said := tomoscrape(t, string(log), "tail", "-")
		require.Equal(t, exitWhole, code, said)
		require.Regexp(t, `level=INFO msg="read back: (\d+) of (\d+) traces stored whole" output=zipkin\n`, said)
		require.Regexp(t, `level=INFO msg="stored, but not found by search: .*--shift-to now`, said)
	})

	// The longest time to live that can be asked for: to a table that does not
	// say more, Cassandra refuses all that expires after 2038.
	require.NoError(t, cassandra.Exec("ALTER TABLE zipkin2.span WITH default_time_to_live = 630720000"))
	t.Run("storage that refuses", func(t *testing.T) {
		log, err := os.ReadFile(filepath.Join(logs("havana"), "nova", "nova-api.log"))
		require.NoError(t, err)
		code, said := tomoscrape(t, string(log), "tail", "-")
		require.Equal(t, exitWhole, code, said)
		require.Regexp(t, `level=WARN msg="missing: \d+ spans of \d+ traces: `, said)

		code, said = tomoscrape(t, "", "replay", logs("havana"))
		require.Equal(t, exitFailed, code, said)
		missing := regexp.MustCompile(`\nread back: 0 of (\d+) traces stored whole\nmissing: \d+ spans of (\d+) traces: `).FindStringSubmatch(said)
		require.NotNil(t, missing, said)
		require.Equal(t, missing[1], missing[2])
		require.Contains(t, said, "its storage refused them (see its log)")
		require.Contains(t, said, "tomoscrape: spans that Zipkin took are not there\n")
	})

	cassandra.Stop()
	t.Run("storage that is gone", func(t *testing.T) {
		code, said := tomoscrape(t, "", "replay", logs("havana"))
		require.Equal(t, exitFailed, code, said)
		require.Contains(t, said, "could not be read back, so whether it is stored is not known: it answered 500 Internal Server Error, in its words: No node was available to execute the query; it is to be asked again when it works")
	})
}
