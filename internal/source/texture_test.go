package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/internal/packtest"
)

// findNothing walks as a visitor that finds no span; logs are the members that
// are logs all the same.
func findNothing(t testing.TB, opt Options, paths ...string) (logs []string, report *Report) {
	t.Helper()
	report, err := Walk(context.Background(), paths, opt, func(m *Member) error {
		_, err := io.Copy(io.Discard, m.Reader)
		require.NoError(t, err)
		if m.FoundNothing() {
			logs = append(logs, m.Name)
		}
		return nil
	})
	require.NoError(t, err)
	return logs, report
}

var (
	randomBytes, lastlog, record = packtest.Random, packtest.Lastlog, packtest.Record
	padded, wide                 = packtest.Padded, packtest.Wide
)

func utmp(kind int16, terminal, user string, seconds int32) string {
	return record(kind, int16(0), int32(77), [32]byte(padded(terminal, 32)), [4]byte{}, [32]byte(padded(user, 32)),
		[256]byte(padded("10.0.0.1", 256)), int32(0), int32(0), seconds, int32(999_999), [36]byte{})
}

// utmp64 has times of 64 bits, as on arm64.
func utmp64(kind int16, terminal, user string, seconds int64) string {
	return record(kind, int16(0), int32(77), [32]byte(padded(terminal, 32)), [4]byte{}, [32]byte(padded(user, 32)),
		[256]byte(padded("10.0.0.1", 256)), int32(0), int64(0), seconds, int64(5), [40]byte{})
}

// utmpOf and lastlogOf have times of 32 bits or 64, in either order of bytes.
func utmpOf[T int32 | int64](order binary.ByteOrder, seconds T) string {
	unused := 36
	if binary.Size(seconds) == 8 {
		unused = 40
	}
	return recordOf(order, int16(7), int16(0), int32(77), [32]byte(padded("pts/0", 32)), [4]byte{}, [32]byte(padded("root", 32)),
		[256]byte(padded("10.0.0.1", 256)), int32(0), T(0), seconds, T(5), make([]byte, unused))
}

func lastlogOf[T int32 | int64](order binary.ByteOrder, seconds T) string {
	return recordOf(order, seconds, [32]byte(padded("pts/0", 32)), [256]byte(padded("ctl-1", 256)))
}

func recordOf(order binary.ByteOrder, fields ...any) string {
	var b bytes.Buffer
	for _, f := range fields {
		if err := binary.Write(&b, order, f); err != nil {
			panic(err)
		}
	}
	return b.String()
}

const (
	when = 1700000000
	nul  = "\x00"
)

// What is no log, by what it is; none has a span in it.
func TestWhatIsNeitherTextNorRead(t *testing.T) {
	const neither = "neither text nor a form that is read here"
	holes := strings.Repeat(nul, 15<<20)
	for _, c := range []struct {
		name, content, skipped, unreadable string
	}{
		{name: "wtmp", content: utmp(2, "~", "reboot", when) + utmp(7, "pts/0", "root", when), skipped: "logins (utmp records)"},
		{name: "wtmp.1", content: utmp64(2, "~", "reboot", when) + utmp64(7, "pts/0", "root", when), skipped: "logins (utmp records)"},
		{name: "btmp", content: strings.Repeat(utmp(6, "ssh:notty", "\xff\x01", when), 30_000), skipped: "logins (utmp records)"},
		{name: "utmp", content: strings.Repeat(nul, 384*3) + utmp(7, "pts/0", "root", when), skipped: "logins (utmp records)"},
		{name: "lastlog", content: holes[:292*30_000] + lastlog(when) + holes[:292*7] + lastlog(0x60000000), skipped: "last logins (lastlog records)"},
		{name: "lastlog-root", content: lastlog(when) + holes[:292*50_000], skipped: "last logins (lastlog records)"},
		{name: "faillog", content: holes[:32*300_000] + record(int16(3), int16(0), [12]byte(padded("tty1", 12)), int64(when), int64(0)) + holes[:32],
			skipped: "failed logins (faillog records)"},
		{name: "tallylog", content: holes[:64*200_000] + record([52]byte(padded("10.0.0.1", 52)), int16(0), int16(3), int64(when)),
			skipped: "failed logins (tallylog records)"},
		{name: "zeros", content: holes, skipped: "nothing but NUL bytes"},

		{name: "blob", content: randomBytes(100_000), skipped: neither},
		{name: "small", content: randomBytes(60), skipped: neither},
		{name: "trusted.gpg", content: "\x99\x01\x0d\x04" + randomBytes(3000), skipped: neither},
		{name: "setup.run", content: "#!/bin/sh\n" + strings.Repeat("echo installing\n", 1200) + randomBytes(30_000),
			skipped: neither + ": a script with something packed behind it"},
		{name: "disk", content: strings.Repeat(nul, 32768) + "\x01CD001\x01\x00" + randomBytes(9000), skipped: neither + "; it may be: ISO 9660 image"},
		{name: "fs.img", content: strings.Repeat(nul, 1025) + strings.Repeat("\x04", 55) + "\x53\xef" + randomBytes(9000),
			skipped: neither + "; it may be: ext file system image"},

		{name: "nova-api.log.br", content: randomBytes(5000), unreadable: neither + "; its name says brotli data (brotli -dc)"},
		{name: "nova-api.log.1.lz4", content: randomBytes(5000), unreadable: neither +
			"; its name says lz4 data, of which the beginning is not there: what is left cannot be unpacked"},
		{name: "nova-api.log.7z.002", content: randomBytes(5000),
			unreadable: neither + "; its name says that it is one part of a split archive: join the parts first"},
		{name: "logs.z02", content: randomBytes(5000), unreadable: neither + "; its name says that it is one part of a split archive: join the parts first"},
		{name: "var.log.messages.gz.tailed", content: randomBytes(5000),
			unreadable: neither + "; its name says gzip data, of which the beginning is not there: what is left cannot be unpacked"},
		{name: "nova-api.log.gpg", content: randomBytes(5000), unreadable: neither + "; its name says that it is encrypted, decrypt it first"},
		{name: "wide.log", content: wide(binary.LittleEndian), unreadable: "UTF-16 text; convert it first: iconv -f UTF-16LE -t UTF-8"},
		{name: "big-wide.log", content: wide(binary.BigEndian), unreadable: "UTF-16 text; convert it first: iconv -f UTF-16BE -t UTF-8"},
		{name: "wider.log", content: strings.Repeat("2\x00\x00\x000\x00\x00\x00", 99),
			unreadable: "UTF-32 text; convert it first: iconv -f UTF-32LE -t UTF-8"},
		{name: "big-wider.log", content: strings.Repeat("\x00\x00\x002\x00\x00\x000", 99),
			unreadable: "UTF-32 text; convert it first: iconv -f UTF-32BE -t UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := func(name string, named bool) *Report {
				r := &Report{Files: 1}
				switch {
				case c.unreadable != "":
					r.Unreadable = []Unreadable{{Name: name, Reason: c.unreadable}}
				case named && strings.HasPrefix(c.skipped, neither):
					r.Unreadable = []Unreadable{{Name: name, Reason: c.skipped}}
				default:
					r.Skipped = []Skipped{{name, c.skipped}}
				}
				return r
			}
			inDir(t, map[string]string{"d/" + c.name: c.content, "a.tar": tarred(c.name, c.content)})
			logs, report := findNothing(t, Options{}, "d")
			require.Empty(t, logs)
			require.Equal(t, want("d/"+c.name, false), report)

			logs, report = findNothing(t, Options{}, "d/"+c.name)
			require.Empty(t, logs)
			require.Equal(t, want("d/"+c.name, true), report, "the user named it")

			inside := want("a.tar!"+c.name, false)
			inside.Members = 1
			_, report = findNothing(t, Options{}, "a.tar")
			require.Equal(t, inside, report)
			inside = want("a.tar!"+c.name, true)
			inside.Members = 1
			_, report = findNothing(t, Options{}, "a.tar!"+c.name)
			require.Equal(t, inside, report, "the user named the member")
		})
	}
}

// What is a log, or text that is none, whatever bytes stand in it.
func TestWhatIsText(t *testing.T) {
	binaryLine := func(begin string) string {
		var b strings.Builder
		for range 100 {
			b.WriteString(begin + randomBytes(400) + "\n")
		}
		return b.String()
	}
	for name, content := range map[string]string{
		"latin-1":          strings.Repeat("Stra\xdfe \xfcber H\xf6he\n", 500),
		"GB18030":          strings.Repeat("\xb7\xa2\xc9\xfa\xb4\xed\xce\xf3\xa3\xac\x81\x30\x81\x30\n", 500),
		"Shift-JIS":        strings.Repeat("\x83G\x83\x89\x81[\x82\xaa\x94\xad\x90\xb6\n", 500),
		"ISO-2022-JP":      strings.Repeat("\x1b$B%(%i!<\x1b(B\n", 500),
		"colours":          strings.Repeat("\x1b[31mERROR\x1b[0m bad\n", 500),
		"terminal":         strings.Repeat("(Reading ... 5%\r\b\b\a10%\r\n", 500),
		"man page":         strings.Repeat("N\bNA\bAM\bME\bE\n", 500),
		"hole before":      strings.Repeat(nul, 9<<20) + "no time in this line\n",
		"holes":            strings.Repeat(nul, 100_001) + strings.Repeat("text\n", 99) + strings.Repeat(nul, 9001) + "text\n" + strings.Repeat(nul, 999),
		"written in place": strings.Repeat("text\n", 99) + strings.Repeat(nul, 1<<20),
		"binary messages":  binaryLine("2013-04-18 02:02:08.797 1234 INFO recv "),
		"kernel":           binaryLine("[    5.123456] dump: "),
		"squid":            binaryLine("1366250528.495 "),
		"journal export":   binaryLine("__REALTIME_TIMESTAMP=1366250528495435\nMESSAGE\n"),
		"JSON":             binaryLine(`{"log":"`),
		"separators":       strings.Repeat("a\x01bc\x01de\x02fgh\n", 500),
		"FIX":              strings.Repeat("8=FIX.4.2\x019=65\x0135=A\x0152=20130418-02:02:08\x0110=062\x01\n", 100),
		"late":             strings.Repeat("a\x01\x02\x03\n", 1000) + strings.Repeat("2013-04-18 02:02:08 x\n", 10_000),
		"NULs between":     strings.Repeat("PATH=/bin\x00HOME=/\x00", 500),
		"NULs in lines":    "a\n\x00\x00\x00\nb\n",
		"one control":      "a\x01b",
		"cut lastlog":      "<14>app" + strings.Repeat(nul, 500) + "more text\n",
		"named wtmp":       "Apr 18 02:02:08 host login: pts/0\n",
		"empty":            "",
	} {
		t.Run(name, func(t *testing.T) {
			inDir(t, map[string]string{"wtmp": content})
			logs, report := findNothing(t, Options{}, "wtmp")
			require.Equal(t, []string{"wtmp"}, logs)
			require.Equal(t, &Report{Files: 1, Bytes: int64(len(content))}, report)
		})
	}
}

// Nothing is left out before all of it was handed to the visitor.
func TestNoiseIsReadToItsEnd(t *testing.T) {
	content := randomBytes(300_000) + "2013-04-18 02:02:08 a span, maybe"
	inDir(t, map[string]string{"x.log.br": content})
	list, report := read(t, Options{}, ".")
	require.Equal(t, []got{{"x.log.br", content}}, list)
	require.Equal(t, &Report{Files: 1, Bytes: int64(len(content))}, report)
}

// A program is no log, its text is.
func TestFilesOfThisMachine(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	logs, _ := findNothing(t, Options{}, sources...)
	require.Equal(t, sources, logs)

	exe, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(exe)
	require.NoError(t, err)
	inDir(t, map[string]string{"program": nul + string(content[1:])}) // without its magic
	logs, report := findNothing(t, Options{}, ".")
	require.Empty(t, logs)
	require.Len(t, report.Skipped, 1)
}

// Records of logins are known whatever machine wrote them.
func TestLoginsOfOtherMachines(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, seconds := range []int32{when, 0x60000000, 0x70717200} {
			for _, c := range []struct{ content, skipped string }{
				{utmpOf(order, seconds), "logins (utmp records)"},
				{utmpOf(order, int64(seconds)), "logins (utmp records)"},
				{lastlogOf(order, seconds|0x80), "last logins (lastlog records)"},
				{lastlogOf(order, int64(seconds|0x80)), "last logins (lastlog records)"},
			} {
				for _, before := range []int{0, len(c.content), 40_000 * len(c.content)} {
					inDir(t, map[string]string{"x": strings.Repeat(nul, before) + c.content + c.content})
					_, report := findNothing(t, Options{}, ".")
					require.Equal(t, []Skipped{{"x", c.skipped}}, report.Skipped, "%v %x %d %d", order, seconds, len(c.content), before)
					require.Empty(t, report.Unreadable)
				}
			}
		}
	}
}
