package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/replay"
)

// randomBytes are like packed data.
func randomBytes(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return string(b)
}

func gzipped(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// login is a utmp record.
func login(kind int16, terminal, user string) string {
	record := make([]byte, 384)
	binary.LittleEndian.PutUint16(record, uint16(kind))
	copy(record[8:], terminal)
	copy(record[44:], user)
	binary.LittleEndian.PutUint32(record[340:], 1_700_000_000)
	return string(record)
}

// varLog is what a machine's /var/log may hold: nothing is wrong with any of it.
func varLog(t *testing.T) map[string]string {
	logs, err := filepath.Glob("../../testdata/logs/real-openstack/nova/*")
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	span, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	last := append(make([]byte, 292*30_000), "\x00\xf1\x53\x65pts/0"...)
	last = append(last, make([]byte, 292-9)...)
	return map[string]string{
		"nova/nova-api.log":       string(span),
		"nova/nova-api.log.1.gz":  gzipped(t, "2013-04-18 02:02:08.797 1234 INFO nova.api started\n"),
		"syslog":                  "Apr 18 02:02:08 ctl-1 cron[12]: (root) CMD\n",
		"dpkg.log":                "2026-11-27 18:52:01 startup archives unpack\n",
		"alternatives.log.1.gz":   gzipped(t, "update-alternatives 2026-01-01 00:00:01: run with --quiet\n"),
		"apt/term.log.1.gz":       gzipped(t, "Log started: 2026-01-01  00:00:01\r\n(Reading ... 5%\r\x1b[1mx\x1b[0m\b\b\a\n"),
		"apt/eipp.log.gz":         gzipped(t, "Request: EIPP 0.1\nArchitecture: amd64\n"),
		"installer/motd.txt":      "Stra\xdfe ohne Zeit\n",
		"wtmp":                    login(2, "~", "reboot") + login(7, "pts/0", "root"),
		"btmp":                    strings.Repeat(login(6, "ssh:notty", "\xffadmin"), 30_000),
		"lastlog":                 string(last),
		"faillog":                 strings.Repeat("\x00", 9<<20),
		"sysstat/sa18":            "\x96\xd5\x71\x25" + randomBytes(5000),
		"munin/a.db":              "SQLite format 3\x00" + randomBytes(5000),
		"installer/screen.png":    "\x89PNG\r\n\x1a\n" + randomBytes(5000),
		"installer/cdebconf.idx":  "#!/bin/sh\nexit 0\n" + randomBytes(50_000),
		"journal/1/system.export": "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1366250528495435\nMESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\n\n",
		"empty":                   "",
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
}

func ledgerOf(t *testing.T, code int, stdin string, args ...string) *replay.Ledger {
	t.Helper()
	summary := filepath.Join(t.TempDir(), "summary.json")
	var out, errs bytes.Buffer
	require.Equal(t, code, run(append(args, "--summary", summary), strings.NewReader(stdin), &out, &errs, nil), errs.String())
	text, err := os.ReadFile(summary)
	require.NoError(t, err)
	var l replay.Ledger
	require.NoError(t, json.Unmarshal(text, &l))
	return &l
}

// A directory of logs with nothing wrong ends with 0, and what was left out of it
// stands there with the reason, on disk as in an archive.
func TestNothingIsWrongWithVarLog(t *testing.T) {
	dir := t.TempDir()
	files := varLog(t)
	write(t, dir, files)
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for name, content := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	archive := filepath.Join(t.TempDir(), "var.tar")
	require.NoError(t, os.WriteFile(archive, packed.Bytes(), 0o600))

	want := map[string]string{
		"wtmp": "logins (utmp records)", "btmp": "logins (utmp records)", "lastlog": "last logins (lastlog records)",
		"faillog": "nothing but NUL bytes", "munin/a.db": "SQLite database", "installer/screen.png": "PNG image",
		"sysstat/sa18":           "neither text nor a form that is read here",
		"installer/cdebconf.idx": "neither text nor a form that is read here: a script with something packed behind it",
	}
	for _, command := range []string{"replay", "list", "check"} {
		for path, prefix := range map[string]string{dir: dir + "/", archive: archive + "!"} {
			l := ledgerOf(t, exitWhole, "", command, path)
			require.NotZero(t, l.Spans)
			require.Empty(t, l.Unreadable)
			got := map[string]string{}
			for _, s := range l.Skipped {
				got[strings.TrimPrefix(s.Name, prefix)] = s.Reason
			}
			require.Equal(t, want, got, "%s %s", command, path)
		}
	}
}

// What is no log, and says so by its name, or was named by the user, could not be
// read; nothing with a span in it is passed over.
func TestBinaryData(t *testing.T) {
	const neither = "neither text nor a form that is read here"
	logs, err := filepath.Glob("../../testdata/logs/real-openstack/nova/*")
	require.NoError(t, err)
	log, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	begin := bytes.LastIndexByte(log[:bytes.Index(log, []byte("Span("))], '\n') + 1
	span, _, _ := bytes.Cut(log[begin:], []byte("\n"))
	blob := randomBytes(3 << 20)
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"blob": blob, "nova.log.br": randomBytes(5000), "nova.log.gz.tailed": gzipped(t, string(log))[100:],
		"dump": blob + "\n" + string(span) + "\n" + blob, "long": strings.Repeat(strings.ReplaceAll(randomBytes(1<<20), "\n", "\t"), 12),
	})
	t.Chdir(dir)

	l := ledgerOf(t, exitPartly, "", "list", ".")
	require.EqualValues(t, 1, l.Spans)
	names := map[string]string{}
	for _, u := range l.Unreadable {
		require.Zero(t, u.Offset)
		names[u.Name] = u.Reason
	}
	for _, s := range l.Skipped {
		names[s.Name] = s.Reason
	}
	require.Equal(t, map[string]string{
		"blob": neither, "long": neither, "nova.log.br": neither + "; its name says brotli data (brotli -dc)",
		"nova.log.gz.tailed": neither + "; its name says gzip data, of which the beginning is not there: what is left cannot be unpacked",
	}, names)
	require.Len(t, l.Skipped, 2)
	dump, err := os.Stat("dump")
	require.NoError(t, err)
	require.Equal(t, dump.Size(), l.Bytes, "of what was read as a log")
	require.EqualValues(t, strings.Count(blob, "\n")*2+2, l.Lines-1)

	require.Equal(t, neither, ledgerOf(t, exitFailed, "", "list", "blob").Unreadable[0].Reason)
	require.Equal(t, neither, ledgerOf(t, exitFailed, blob, "list", "-").Unreadable[0].Reason)
	require.Len(t, ledgerOf(t, exitPartly, "", "list", "blob", "dump").Unreadable, 1)
	require.Empty(t, ledgerOf(t, exitWhole, "", "list", "bl*").Unreadable, "a pattern names nothing itself")
}

// tail says the same of standard input as replay does, and what to do.
func TestTailRefusesPackedInput(t *testing.T) {
	for content, want := range map[string]string{
		gzipped(t, "a\n"):    "tomoscrape: standard input is no log: gzip data; unpack it: gzip -dc FILE | tomoscrape tail -, or read it once: tomoscrape replay -\n",
		randomBytes(100_000): "tomoscrape: standard input is no log: neither text nor a form that is read here\n",
	} {
		var errs bytes.Buffer
		out := filepath.Join(t.TempDir(), "out.jsonl")
		require.Equal(t, exitFailed, run([]string{"tail", "-", "--json", out}, strings.NewReader(content), &errs, &errs, nil))
		require.Contains(t, errs.String(), want)
	}
}
