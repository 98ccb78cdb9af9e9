package replay

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/tomoscrape/tomoscrape/internal/source"
	"github.com/tomoscrape/tomoscrape/trace"
	"github.com/tomoscrape/tomoscrape/tracejson"
)

// all are the traces of a result.
func all(t testing.TB, r *Result) (traces []trace.Trace) {
	for tr, err := range r.Traces() {
		require.NoError(t, err)
		traces = append(traces, *tr)
	}
	return traces
}

// documents are the JSON documents of traces without what depends on where their
// files are: the archive may order and name them in its own way.
func documents(t testing.TB, r *Result) []string {
	var lines []string
	for _, t := range all(t, r) {
		t.Spans = append([]trace.Node(nil), t.Spans...)
		t.Problems = nil
		for j := range t.Spans {
			t.Spans[j].Origin = nil
			t.Spans[j].Problems = nil
		}
		lines = append(lines, string(tracejson.Append(nil, &t)))
	}
	return lines
}

func gz(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(b, nil)
}

func xzed(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

type file struct {
	name    string
	content []byte
}

func tarOf(t testing.TB, files ...file) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content))}))
		_, err := w.Write(f.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zipOf(t testing.TB, files ...file) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		e, err := w.Create(f.name)
		require.NoError(t, err)
		_, err = e.Write(f.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// sosreport packs all logs of a folder: each file in another way, in a .tar.xz.
func sosreport(t testing.TB, folder string) []byte {
	var members, zipped, inner []file
	i := 0
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		name, err := filepath.Rel(folder, path)
		require.NoError(t, err)
		switch i++; i % 6 {
		case 0:
			members = append(members, file{name, b})
		case 1:
			members = append(members, file{name + ".gz", gz(t, b)})
		case 2:
			members = append(members, file{name + ".xz", xzed(t, b)})
		case 3:
			members = append(members, file{name + ".zst", zst(t, b)})
		case 4:
			zipped = append(zipped, file{name, b})
		case 5:
			inner = append(inner, file{name, b})
		}
		return nil
	}))
	members = append(members, file{"more.zip", zipOf(t, zipped...)}, file{"inner.tar.gz", gz(t, tarOf(t, inner...))})
	return xzed(t, tarOf(t, members...))
}

// The same logs, plain and packed, give the same traces.
func TestArchiveGivesTheSameTraces(t *testing.T) {
	for _, folder := range []string{"real-openstack", "folsom", "python3-oslo", "damaged"} {
		t.Run(folder, func(t *testing.T) {
			plain, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, folder)}})
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "sos.tar.xz")
			require.NoError(t, os.WriteFile(path, sosreport(t, filepath.Join(logs, folder)), 0o600))
			packed, err := Run(t.Context(), Options{Paths: []string{path}})
			require.NoError(t, err)
			require.Equal(t, documents(t, plain), documents(t, packed))
			want, got := *ledger(t, plain), *ledger(t, packed)
			require.Equal(t, 1, got.Files)
			require.Greater(t, got.Members, want.Files) // the zip and the inner tar count, too
			require.Equal(t, len(want.Unreadable), len(got.Unreadable))
			require.Equal(t, want.Bytes, got.Bytes)
			got.Files, got.Members, got.Unreadable, want.Files, want.Members, want.Unreadable = 0, 0, nil, 0, 0, nil
			require.Equal(t, want, got)
		})
	}
}

// Members that hold nothing take no buffers, not to speak of a block each.
func TestEmptyMembers(t *testing.T) {
	const n = 5_000
	members := make([]file, n)
	for i := range members {
		members[i].name = fmt.Sprint(i)
	}
	path := filepath.Join(t.TempDir(), "empty.tar")
	require.NoError(t, os.WriteFile(path, tarOf(t, append(members, file{"last.log", []byte(wholeLine + "\n")})...), 0o600))
	before, after := new(runtime.MemStats), new(runtime.MemStats)
	runtime.ReadMemStats(before)
	result, err := Run(t.Context(), Options{Paths: []string{path}})
	require.NoError(t, err)
	runtime.ReadMemStats(after)
	require.Equal(t, n+1, ledger(t, result).Members)
	require.EqualValues(t, 1, ledger(t, result).Parsed)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/n, uint64(256<<10))
}

// An archive cut in the middle gives what was readable, and names the damage.
func TestArchiveCutInTheMiddle(t *testing.T) {
	whole := sosreport(t, filepath.Join(logs, "folsom"))
	path := filepath.Join(t.TempDir(), "sos.tar.xz")
	before := int64(0)
	for _, tenths := range []int{1, 3, 5, 7, 9} {
		require.NoError(t, os.WriteFile(path, whole[:len(whole)*tenths/10], 0o600))
		result, err := Run(t.Context(), Options{Paths: []string{path}})
		require.NoError(t, err)
		require.NotEmpty(t, ledger(t, result).Unreadable)
		for _, u := range ledger(t, result).Unreadable {
			require.True(t, strings.HasPrefix(u.Name, path), u.Name)
			require.NotEmpty(t, u.Reason)
		}
		requireBalance(t, ledger(t, result))
		require.GreaterOrEqual(t, ledger(t, result).Spans, before)
		before = ledger(t, result).Spans
	}
	require.Positive(t, before)
}

// What was written as trace JSON is read back as the same traces.
func TestTraceJSONIsReadBack(t *testing.T) {
	for _, folder := range []string{"real-openstack", "havana", "damaged", "odd-trees"} {
		first, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, folder)}})
		require.NoError(t, err)
		var lines []byte
		for _, tr := range all(t, first) {
			lines = append(tracejson.Append(lines, &tr), '\n')
		}
		path := filepath.Join(t.TempDir(), "traces.json")
		require.NoError(t, os.WriteFile(path, lines, 0o600))
		again, err := Run(t.Context(), Options{Paths: []string{path}})
		require.NoError(t, err)
		var second []byte
		for _, tr := range all(t, again) {
			second = append(tracejson.Append(second, &tr), '\n')
		}
		require.Equal(t, string(lines), string(second), folder)
		requireBalance(t, ledger(t, again))
		require.Equal(t, ledger(t, first).Spans, ledger(t, again).Spans)
	}
}

// A record goes on in the next file of its rotation, and only there.
func TestRecordOverRotation(t *testing.T) {
	dir := t.TempDir()
	span := func(id int) string {
		return fmt.Sprintf("2013-04-18 02:02:08 INFO tomograph.backends.log Span(trace_id=7, parent_id=None, id=%d, name='x', notes=[Note(time=1.5, value=<a\n b>, service_name='s', address='h', port=80)])\n", id)
	}
	first, second, _ := strings.Cut(span(1), "\n")
	piece := "2026-03-01T07:59:59.6Z stdout "
	for name, content := range map[string]string{
		"nova.log.1": first + "\n", "nova.log": second + span(2),
		"0.log.20260301-080000": piece + "P " + first[:80] + "\n", "0.log": piece + "F " + first[80:] + "\n" + piece + "F " + second,
		"other.log.2": first + "\n", "other.log": second, // the one in between is gone
		"open.log.1": first, "open.log": second, // nobody knows how its last line ends
		"cut.log.1.gz": string(gz(t, []byte(first+"\n"))[:40]), "cut.log": second,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	result, err := Run(t.Context(), Options{Paths: []string{filepath.Join(dir, "nova.log*")}})
	require.NoError(t, err)
	require.EqualValues(t, 2, ledger(t, result).Parsed)
	result, err = Run(t.Context(), Options{Paths: []string{filepath.Join(dir, "0.log*")}})
	require.NoError(t, err)
	require.EqualValues(t, 1, ledger(t, result).Parsed)
	for _, paths := range [][]string{{"nova.log", "nova.log.1"}, {"other.log.2", "other.log"}, {"open.log.1", "open.log"}} {
		result, err = Run(t.Context(), Options{Paths: []string{filepath.Join(dir, paths[0]), filepath.Join(dir, paths[1])}})
		require.NoError(t, err)
		require.EqualValues(t, 1, ledger(t, result).Salvaged)
		requireBalance(t, ledger(t, result))
	}
	result, err = Run(t.Context(), Options{Paths: []string{filepath.Join(dir, "cut.log*")}})
	require.NoError(t, err)
	require.Zero(t, ledger(t, result).Parsed)
	require.Len(t, ledger(t, result).Unreadable, 1)
}

// Traces written as JSON and log lines may stand in one stream, in any order.
func TestMixedStream(t *testing.T) {
	first, err := Run(t.Context(), Options{Paths: []string{filepath.Join(logs, "havana")}})
	require.NoError(t, err)
	var traces []byte
	for tr, err := range first.Traces() {
		require.NoError(t, err)
		traces = append(tracejson.Append(traces, tr), '\n')
	}
	spans := ledger(t, first).Spans
	require.NoError(t, first.Close())
	log, err := os.ReadFile(filepath.Join(logs, "basic-a8d619c/basic-a8d619c.log"))
	require.NoError(t, err)
	for _, stream := range [][]byte{slices.Concat(traces, log), slices.Concat(log, traces), slices.Concat(log, traces, log)} {
		result, err := Run(t.Context(), Options{Paths: []string{"-"}, Source: source.Options{Stdin: bytes.NewReader(stream)}})
		require.NoError(t, err)
		require.Equal(t, spans+4, ledger(t, result).Spans)
		require.Zero(t, ledger(t, result).Rejected+ledger(t, result).Mentions)
		require.Empty(t, ledger(t, result).Unreadable)
		requireBalance(t, ledger(t, result))
		require.NoError(t, result.Close())
	}
	// A damaged document costs itself, and its place is that in the stream.
	broken := slices.Concat(log, traces[:bytes.IndexByte(traces, '\n')-40], []byte("\n"), log)
	var complaints []trace.Complaint
	result, err := Run(t.Context(), Options{Paths: []string{"-"}, Source: source.Options{Stdin: bytes.NewReader(broken)},
		Complain: func(c *trace.Complaint) error { complaints = append(complaints, *c); return nil }})
	require.NoError(t, err)
	require.Len(t, complaints, 1)
	require.EqualValues(t, bytes.Count(log, []byte("\n"))+1, complaints[0].Line)
	require.EqualValues(t, 1, ledger(t, result).Rejected)
	require.NoError(t, result.Close())
}
