package parser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// spanText is a whole span of era E3; n tells spans apart.
func spanText(n int) string {
	return fmt.Sprintf("Span(trace_id=7, parent_id=None, id=%d, name='WSGI', notes=[Note(time=1.5, value='start', service_name='s', address='h', port=80, duration=0)], dimensions=[])", n)
}

func ids(spans []trace.Span) (ids []string) {
	for _, s := range spans {
		ids = append(ids, s.ID.Decimal())
	}
	return ids
}

// quoteJSON is s as a JSON string.
func quoteJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Every header and frame a span can stand behind, with what goes into its origin.
func TestFormats(t *testing.T) {
	span := spanText(1)
	byteArray := func(s string) string {
		b, _ := json.Marshal([]int8{}) // [] for no bytes
		if s != "" {
			numbers := make([]int, len(s))
			for i := range numbers {
				numbers[i] = int(s[i])
			}
			b, _ = json.Marshal(numbers)
		}
		return string(b)
	}
	const zoned = 1772351999618516 // 2026-03-01T07:59:59.618516Z
	for name, c := range map[string]struct {
		line string
		want trace.Origin
	}{
		"plain":               {"2013-04-18 02:02:08,797 INFO tomograph.backends.log " + span, trace.Origin{}},
		"nova Folsom":         {"2012-12-06 01:58:42 INFO tomograph.backends.log [-]  " + span, trace.Origin{}},
		"glance Folsom":       {"2012-12-06 01:58:42 2148 INFO tomograph.backends.log [-] " + span, trace.Origin{PID: 2148}},
		"nova Grizzly":        {"2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] " + span, trace.Origin{PID: 1234}},
		"Grizzly context":     {"2013-04-18 02:02:08.797 INFO tomograph.backends.log [req-a user tenant] " + span, trace.Origin{RequestID: "req-a"}},
		"instance":            {"2013-04-18 02:02:08.797 12 INFO tomograph.backends.log [req-a u t] [instance: d249] " + span, trace.Origin{PID: 12, RequestID: "req-a"}},
		"oslo.log None":       {"2026-03-01 08:00:02.015 2074 INFO tomograph.backends.log [None req-b user project - - default default] " + span, trace.Origin{PID: 2074, RequestID: "req-b"}},
		"oslo.log global":     {"2026-03-01 08:00:02.015 2074 INFO tomograph.backends.log [req-g req-b user project] " + span, trace.Origin{PID: 2074, RequestID: "req-b", GlobalRequestID: "req-g"}},
		"keystone":            {"2012-12-06 01:58:42     INFO [tomograph.backends.log] " + span, trace.Origin{}},
		"logging.conf":        {"(tomograph.backends.log): 2013-07-10 09:00:00,123 INFO " + span, trace.Origin{}},
		"logging.conf module": {"(tomograph.backends.log): 2013-07-10 09:00:00,123 INFO __init__ send " + span, trace.Origin{}},
		"message only":        {span, trace.Origin{}},
		"no logger name":      {"2013-04-18 02:02:08,797 INFO " + span, trace.Origin{}},
		"Python's default":    {"INFO:tomograph.backends.log:" + span, trace.Origin{}},
		"devstack":            {"2013-05-20 16:45:00.000 \x1b[00;36mINFO tomograph.backends.log [\x1b[01;36mreq-c \x1b[00;36mu t\x1b[00;36m] \x1b[01;35m\x1b[00;36m" + span + "\x1b[00m", trace.Origin{RequestID: "req-c"}},
		"devstack, no time":   {"\x1b[00;36mINFO tomograph.backends.log [\x1b[00;36m-\x1b[00;36m] \x1b[01;35m\x1b[00;36m" + span + "\x1b[00m", trace.Origin{}},
		"syslog":              {"Apr 18 02:02:08 ctl1 2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] " + span, trace.Origin{PID: 1234, LogHost: "ctl1"}},
		"syslog binary":       {"<134>Apr  8 02:02:08 ctl1 nova-compute: 2013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] " + span + "#000", trace.Origin{PID: 1234, LogHost: "ctl1"}},
		"syslog RFC 3339":     {"2026-03-01T08:59:59.618516+01:00 ctl1 nova-compute: 2026-03-01 07:59:59.618 1234 INFO tomograph.backends.log [-] " + span, trace.Origin{PID: 1234, LogHost: "ctl1", LogTime: zoned}},
		"syslog colours":      {"Apr 18 02:02:08 ctl1 2013-05-20 16:45:00.000 #033[00;36mINFO tomograph.backends.log [#033[00;36m-#033[00;36m] #033[01;35m#033[00;36m" + span + "#033[00m", trace.Origin{LogHost: "ctl1"}},
		"journal short":       {"Feb 29 08:00:02 ctl1 nova-api[2037]: INFO tomograph.backends.log [-] " + span, trace.Origin{PID: 2037, LogHost: "ctl1"}},
		"journal JSON":        {`{ "_PID" : "2037", "MESSAGE" : ` + quoteJSON(plainHeader+span) + `, "_HOSTNAME" : "ctl1", "__REALTIME_TIMESTAMP":"1772351999618516" }`, trace.Origin{PID: 1234, LogHost: "ctl1", LogTime: zoned}},
		"journal JSON bytes":  {`{"MESSAGE":` + byteArray("\x1b[00;36mINFO tomograph.backends.log [-] "+span) + `,"_PID":"2037"}`, trace.Origin{PID: 2037}},
		"journal, bare":       {`{"MESSAGE":` + quoteJSON(span) + `,"LOGGER_NAME":"tomograph.backends.log"}`, trace.Origin{}},
		"docker":              {`{"log":` + quoteJSON(plainHeader+span+"\n") + `,"stream":"stdout","time":"2026-03-01T07:59:59.618516836Z"}`, trace.Origin{PID: 1234, LogTime: zoned}},
		"CRI":                 {"2026-03-01T07:59:59.618516836Z stdout F " + plainHeader + span, trace.Origin{PID: 1234, LogTime: zoned}},
		"JSONFormatter":       {`{"message":` + quoteJSON(span) + `,"asctime":"2013-08-01 10:00:00,505","name":"tomograph.backends.log","msg":[1],"process":2000,"created":1772351999.618516,"hostname":"ctl1","context":{"request_id":"req-d","global_request_id":null}}`, trace.Origin{PID: 2000, LogHost: "ctl1", RequestID: "req-d", LogTime: zoned}},
		"JSONFormatter, CRI":  {"2026-03-01T07:59:59.618516836Z stdout F " + `{"message":` + quoteJSON(span) + `,"name":"tomograph.backends.log","process":2000}`, trace.Origin{PID: 2000, LogTime: zoned}},
		"JSON, formatted":     {`{"name":"tomograph.backends.log","msg":` + quoteJSON(plainHeader+span) + `}`, trace.Origin{PID: 1234}},
		"CRLF":                {plainHeader + span + "\r", trace.Origin{PID: 1234}},
		"byte order mark":     {"\uFEFF" + plainHeader + span, trace.Origin{PID: 1234}},
		"NULs":                {strings.Repeat("\x00", 4096) + plainHeader + span + "\x00", trace.Origin{PID: 1234}},
		"mid-line":            {"the torn end of another line" + plainHeader + span, trace.Origin{PID: 1234}},
		"text behind it":      {plainHeader + span + " from (pid=2000) _safe_log /usr/lib", trace.Origin{PID: 1234}},
	} {
		t.Run(name, func(t *testing.T) {
			results, counts := readResults(t, c.line)
			require.Equal(t, Counts{Lines: 1, Parsed: 1}, counts)
			require.Len(t, results, 1)
			c.want.File, c.want.Line = "nova.log", 1
			require.Equal(t, []trace.Origin{c.want}, results[0].Span.Origin)
			require.Equal(t, "1", results[0].Span.ID.Decimal())
			require.Len(t, results[0].Span.Notes, 1)
			require.NotNil(t, results[0].Span.Dimensions)
		})
	}
}

// Lines that only mention a span are counted and give none.
func TestMentions(t *testing.T) {
	for _, line := range []string{
		`2013-04-18 02:02:08.797 1 DEBUG nova.tests [-] grep -c "tomograph.backends.log Span(" nova-api.log`,
		"2013-04-18 02:02:08.797 1 DEBUG nova.tests [-] " + spanText(1),
		"2013-04-18 02:02:08.797 1 DEBUG nova.tests [-] expected " + spanText(1),
		"2012-12-06 01:58:42    DEBUG [nova.tests.trace] " + spanText(1),
		"(keystone.tests): 2013-07-10 09:00:09,123 DEBUG " + spanText(1),
		"2013-04-18 02:02:08.797 1 DEBUG nova.tests [-] got '" + plainHeader + spanText(1) + "'",
		"2013-04-18 02:02:08.797 1 INFO tomograph.backends.logger [-] " + spanText(1),
		"2013-04-18 02:02:08.797 1 INFO my.tomograph.backends.log [-] " + spanText(1),
		"2013-04-18 02:02:08.797 1 INFO tomograph.backends.log [-] sent " + spanText(1),
		"2013-04-18 02:02:08.797 1 INFO tomograph.backends.log [-] MySpan(trace_id=1)",
		"TypeError: __new__() got Span(trace_id= twice",
		"2013-04-18 02:02:08.797 1 INFO tomograph.backends.log [-] span(trace_id=1)",
		"    " + spanText(1),
		"Span(name='x') is not how tomograph prints it",
		`{"message":` + quoteJSON(spanText(1)) + `,"name":"nova.tests"}`,
		`{"log":` + quoteJSON("2013-04-18 02:02:08.797 1 DEBUG nova.tests [-] "+spanText(1)+"\n") + `,"stream":"stdout"}`,
	} {
		_, _, counts := read(t, line)
		require.Equal(t, Counts{Lines: 1, Mentions: 1}, counts, line)
	}
	for _, line := range []string{"", "2013-04-18 02:02:08.797 1 INFO tomograph.backends.log [-] Span", "\x00\x00", "{", `{"message":`} {
		_, _, counts := read(t, line)
		require.Equal(t, Counts{Lines: 1}, counts, line)
	}
}

// Pieces and values over several lines are joined per stream, others in between.
func TestJoins(t *testing.T) {
	long := plainHeader + spanText(1)
	object := plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='x', notes=[Note(time=1.5, value=<Image \n  {'id': 7,\n   'tags': [1, 2]}>, service_name='s', address='h', port=80)])"
	objectLines := strings.Split(object, "\n")
	value := trace.Value{Kind: trace.Repr, Text: "<Image \n  {'id': 7,\n   'tags': [1, 2]}>"}
	docker := func(text string) string { return `{"log":` + quoteJSON(text) + `,"stream":"stdout"}` }
	journal := func(pid int, text string) string {
		return fmt.Sprintf(`{"_HOSTNAME":"h","_PID":"%d","SYSLOG_IDENTIFIER":"nova","MESSAGE":%s}`, pid, quoteJSON(text))
	}
	wide := plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='" + strings.Repeat("x", 5000) + "', notes=[], dimensions=[])"

	for name, lines := range map[string][]string{
		"docker":          {docker(long[:100]), docker(long[100:150]), docker(long[150:] + "\n")},
		"docker streams":  {docker(long[:100]), `{"log":"other\n","stream":"stderr"}`, docker(long[100:] + "\n")},
		"CRI":             {"2026-03-01T07:59:59.6Z stdout P " + long[:100], "2026-03-01T07:59:59.6Z stderr F x", "2026-03-01T07:59:59.6Z stdout F " + long[100:]},
		"journal, 2,048":  {journal(1, wide[:2048]), journal(2, "2013-04-18 02:02:08.797 2 INFO other [-] x"), journal(1, wide[2048:4096]), journal(1, wide[4096:])},
		"journal, 48 KiB": {journal(1, plainHeader+"Span(trace_id=7, parent_id=None, id=1, name='"+strings.Repeat("y", 48<<10-len(plainHeader)-45)), journal(1, "', notes=[])")},
		"journal short":   {"Mar  1 08:00:00 h nova[7]: " + wide[:2048], "Mar  1 08:00:00 h nova[7]: " + wide[2048:4096], "Mar  1 08:00:00 h nova[7]: " + wide[4096:]},
		"line break":      {`{"MESSAGE":` + quoteJSON(wide[:100]) + `,"_LINE_BREAK":"line-max"}`, `{"MESSAGE":` + quoteJSON(wide[100:]) + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			spans, complaints, counts := read(t, lines...)
			require.Empty(t, complaints)
			require.Equal(t, Counts{Lines: int64(len(lines)), Parsed: 1}, counts)
			require.Equal(t, []string{"1"}, ids(spans))
		})
	}
	prefix := "Mar  1 08:00:00 h nova[7]: "
	indent := strings.Repeat(" ", len(prefix))
	for name, lines := range map[string][]string{
		"plain":             objectLines,
		"another process":   {objectLines[0], "2013-04-18 02:02:08.797 999 INFO nova.other [-] x", objectLines[1], objectLines[2]},
		"journal's message": {prefix + objectLines[0], indent + objectLines[1], indent + objectLines[2]},
		"journal's lines":   {prefix + objectLines[0], prefix + objectLines[1], "Mar  1 08:00:00 h nova[8]: x", prefix + objectLines[2]},
		"journal JSON":      {journal(7, object)},
		"docker":            {docker(objectLines[0] + "\n"), docker(objectLines[1] + "\n"), docker(objectLines[2] + "\n")},
		"CRI":               {"2026-03-01T07:59:59.6Z stdout F " + objectLines[0], "2026-03-01T07:59:59.6Z stdout F " + objectLines[1], "2026-03-01T07:59:59.6Z stdout F " + objectLines[2]},
		"syslog":            {"Mar  1 08:00:00 h " + strings.ReplaceAll(object, "\n", "#012")},
	} {
		t.Run("value, "+name, func(t *testing.T) {
			spans, complaints, counts := read(t, append(lines, "2013-04-18 02:02:08.797 1234 INFO nova [-] next")...)
			require.Empty(t, complaints)
			require.EqualValues(t, 1, counts.Parsed)
			require.Equal(t, []string{"1"}, ids(spans))
			require.Equal(t, value, spans[0].Notes[0].Value)
		})
	}
}

// A value that never ends takes nothing with it.
func TestValueThatNeverEnds(t *testing.T) {
	spans, complaints, counts := read(t,
		plainHeader+"Span(trace_id=7, parent_id=None, id=1, name='x', notes=[Note(time=1.5, value=<Image",
		"  some line) that is not the value's",
		"a mention of Span( here",
		"torn end"+plainHeader+spanText(2),
		plainHeader+spanText(3))
	require.ElementsMatch(t, []string{"1", "2", "3"}, ids(spans))
	require.Len(t, complaints, 1)
	require.EqualValues(t, 1, complaints[0].Line)
	require.Equal(t, Counts{Lines: 5, Parsed: 2, Salvaged: 1, Mentions: 1}, counts)
}

// What is lost in the journal is named.
func TestLost(t *testing.T) {
	results, _ := readResults(t, `{"MESSAGE":null,"_HOSTNAME":"h"}`, "Mar  1 08:00:00 h nova[7]: [2.5K blob data]", plainHeader+spanText(1))
	require.Len(t, results, 3)
	require.Contains(t, results[0].Complaint.Reason, "journalctl -a")
	require.Contains(t, results[1].Complaint.Reason, "[2.5K blob data]")
	require.True(t, results[2].HasSpan)
}

// Two writers' lines in one: each keeps what is its own.
func TestTornLines(t *testing.T) {
	first, second := plainHeader+spanText(1), plainHeader+spanText(2)
	jsonLine := func(n int) string {
		return `{"message":` + quoteJSON(spanText(n)) + `,"name":"tomograph.backends.log"}`
	}
	dockerLine := func(n int) string {
		return `{"log":` + quoteJSON(plainHeader+spanText(n)+"\n") + `,"stream":"stdout"}`
	}
	for cut := len(plainHeader) + len("Span(trace_id=7, parent_id=None, id=1,"); cut < len(first); cut++ {
		spans, complaints, _ := read(t, first[:cut]+second, first[cut:])
		if first[cut-1] == '\'' && strings.Count(first[:cut], "'")%2 == 1 { // what follows an opening quote is taken for its text
			require.Equal(t, []string{"1"}, ids(spans), first[:cut])
			continue
		}
		require.Equal(t, []string{"1", "2"}, ids(spans), first[:cut])
		require.Len(t, complaints, 1, first[:cut])
		require.Equal(t, trace.Truncated, spans[0].Damage)
		require.Zero(t, spans[1].Damage)
		require.LessOrEqual(t, len(spans[0].Notes), 1)
	}
	for _, line := range []func(int) string{jsonLine, dockerLine} {
		torn := line(1)[:strings.Index(line(1), "WSGI")] + line(2)
		spans, complaints, _ := read(t, torn)
		require.Equal(t, []string{"1", "2"}, ids(spans), torn)
		require.Len(t, complaints, 1)
		require.False(t, spans[0].Name.Set)
		require.True(t, spans[1].Name.Set)
	}
}

// A header in a string of a whole span is no damage, but looks like it.
func TestHeaderInString(t *testing.T) {
	text := strings.Replace(spanText(1), "'start'", "'saw 2013-07-10 09:00:05.185 2148 INFO nova.foo [-] x'", 1)
	spans, complaints, _ := read(t, plainHeader+text)
	require.Empty(t, complaints)
	require.Equal(t, trace.Torn, spans[0].Damage)
}

// A complaint points at the byte where the damage is, in whatever frame.
func TestComplaintsPointAtTheDamage(t *testing.T) {
	bad := strings.Replace(spanText(1), "port=80", "port:80", 1)
	escaped := strings.Replace(bad, "'start'", `'a\nb "c"'`, 1)
	for name, line := range map[string]string{
		"plain":         plainHeader + bad,
		"syslog":        "Apr 18 02:02:08 ctl1 " + plainHeader + bad,
		"CRI":           "2026-03-01T07:59:59.6Z stdout F " + plainHeader + bad,
		"docker":        `{"log":` + quoteJSON(plainHeader+escaped+"\n") + `,"stream":"stdout"}`,
		"JSONFormatter": `{"name":"tomograph.backends.log","message":` + quoteJSON(escaped) + `}`,
		"NULs in front": "\x00\x00\x00" + plainHeader + bad,
	} {
		t.Run(name, func(t *testing.T) {
			_, complaints, _ := read(t, "first line", line)
			require.Len(t, complaints, 1)
			c := complaints[0]
			require.EqualValues(t, 2, c.Line)
			require.Equal(t, strings.Index(line, ":80, dur")+1, c.Column)
			require.EqualValues(t, len("first line\n")+c.Column-1, c.Offset)
			require.Equal(t, line, string(c.Text))
			require.Contains(t, c.Reason, "unexpected")
			require.Equal(t, `"="`, c.Expected)
		})
	}
}

func TestExpectations(t *testing.T) {
	for text, want := range map[string]string{
		"Span(foo":                                                 "a field of Span, as trace_id=…",
		"Span(trace_id='1', id=2)":                                 "a whole number",
		"Span(parent_id=x, id=2)":                                  "a whole number",
		"Span(trace_id=1, id=2, notes=3)":                          `"["`,
		"Span(trace_id=1, id=2, notes=[3])":                        `an element of the list or "]"`,
		"Span(trace_id=1, id=2, notes=[Note(time='x')])":           "a time in seconds",
		"Span(trace_id=1, id=2, name='x' notes=[])":                `"," or ")"`,
		"Span(trace_id=1, id=2, dimensions=[Tag(key='x', value=1]": "the end of the value",
		"Span(trace_id=1, id=2, dimensions=[Tag(key='x')":          `"," or "]"`,
		"Span(trace_id=1, id=2, name='x":                           "the closing quote",
		"Span(trace_id=1, id=2, name=":                             "a value",
		"Span(trace_id=1, name='x')":                               "both fields",
	} {
		_, complaints, _ := read(t, plainHeader+text)
		require.Len(t, complaints, 1, text)
		require.Equal(t, want, complaints[0].Expected, "%s: %s", text, complaints[0].Reason)
	}
}

// A record goes on in the next file of a rotation.
func TestRecordOverRotation(t *testing.T) {
	whole := plainHeader + spanText(1)
	value := plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='x', notes=[Note(time=1.5, value=<a\n b>, service_name='s', address='h', port=80)])"
	for name, lines := range map[string][2]string{
		"CRI":    {"2026-03-01T07:59:59.6Z stdout P " + whole[:100], "2026-03-01T07:59:59.6Z stdout F " + whole[100:]},
		"docker": {`{"log":` + quoteJSON(whole[:100]) + `,"stream":"stdout"}`, `{"log":` + quoteJSON(whole[100:]+"\n") + `,"stream":"stdout"}`},
		"value":  {strings.Split(value, "\n")[0], strings.Split(value, "\n")[1]},
	} {
		t.Run(name, func(t *testing.T) {
			var results []Result
			r := NewReader("x.log.1", Options{}, Output{Record: func(r *Result) { results = append(results, r.clone()) }})
			r.Feed(Line{Text: []byte(lines[0]), Number: 500, Offset: 9000})
			first, holding := r.Pending()
			require.True(t, holding)
			require.Equal(t, Place{"x.log.1", 500, 9000}, first)
			r.Continue("x.log")
			r.Feed(Line{Text: []byte(lines[1]), Number: 1})
			r.Flush()
			require.Len(t, results, 1)
			require.Nil(t, results[0].Complaint)
			require.Equal(t, []Place{{"x.log.1", 500, 9000}, {"x.log", 1, 0}}, results[0].Places)
			require.Equal(t, "x.log.1", results[0].Span.Origin[0].File)
			require.EqualValues(t, 500, results[0].Span.Origin[0].Line)
		})
	}
}

// The cases that once went wrong; each says what must come of it.
func TestOnceWrong(t *testing.T) {
	docker := func(text string) string { return `{"log":` + quoteJSON(text+"\n") + `,"stream":"stdout"}` }
	object := func(n int) string {
		return `{"name":"tomograph.backends.log","message":` + quoteJSON(spanText(n)) + `}`
	}
	e1 := func(values ...string) string {
		var notes []string
		for _, v := range values {
			notes = append(notes, "Note(time=1.5, value="+v+", service_name='s', address='h', port=80)")
		}
		return plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='x', notes=[" + strings.Join(notes, ", ") + "])"
	}
	for name, c := range map[string]struct {
		lines  string
		ids    []string
		values []string // of the first span's notes
	}{
		"two docker objects in a line":     {docker(plainHeader+spanText(1)) + docker(plainHeader+spanText(2)), []string{"1", "2"}, nil},
		"two objects in a line":            {object(1) + " " + object(2), []string{"1", "2"}, nil},
		"an object behind another's":       {docker("x") + docker(plainHeader+spanText(2)), []string{"2"}, nil},
		"an object behind a torn one":      {`{"lo` + docker(plainHeader+spanText(2)), []string{"2"}, nil},
		"an object behind a torn line":     {"p', address='a')])" + docker(plainHeader+spanText(2)), []string{"2"}, nil},
		"an object behind a span":          {plainHeader + spanText(1) + docker(plainHeader+spanText(2)), []string{"1", "2"}, nil},
		"an object in a span":              {(plainHeader + spanText(1))[:150] + docker(plainHeader+spanText(2)), []string{"1", "2"}, nil},
		"logging.conf in syslog":           {"2013-07-10T09:00:00.5Z h (tomograph.backends.log): 2013-07-10 09:00:00,123 INFO __init__ send " + spanText(1), []string{"1"}, nil},
		"an empty line in a value":         {e1("<a\n\nb>"), []string{"1"}, []string{"<a\n\nb>"}},
		"no time, behind a span":           {"INFO tomograph.backends.log [-] " + spanText(1) + "INFO tomograph.backends.log [-] " + spanText(2), []string{"1", "2"}, nil},
		"half a time":                      {"013-04-18 02:02:08.797 1234 INFO tomograph.backends.log [-] " + spanText(1), []string{"1"}, nil},
		"a host of digits":                 {"Apr 18 02:02:08 10 nova[12]: " + spanText(1), []string{"1"}, nil},
		"an ident without colon":           {"Apr 18 02:02:08 h nova-compute INFO tomograph.backends.log [-] " + spanText(1), []string{"1"}, nil},
		"tags of CRI":                      {"2026-03-01T07:59:59Z stdout P:x " + plainHeader + spanText(1)[:9] + "\n2026-03-01T07:59:59Z stdout F:x " + spanText(1)[9:], []string{"1"}, nil},
		"another logger of the journal":    {`{"MESSAGE":` + quoteJSON(spanText(1)) + `,"LOGGER_NAME":"nova.foo"}`, nil, nil},
		"a record in a string, later cut":  {plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='log: " + plainHeader + "Span(trace_id=7, id=2)', notes=[", []string{"1"}, nil},
		"a number of two records":          {plainHeader + "Span(trace_id=7, parent_id=None, id=57" + plainHeader + spanText(2), []string{"2"}, nil},
		"an empty value":                   {e1("", "'stop'"), []string{"1"}, []string{"", "stop"}},
		"brackets of two kinds":            {e1("<a [>", "<b )>"), []string{"1"}, []string{"<a [>", "<b )>"}},
		"sad and glad":                     {e1("<x :(>", "<x :)>"), []string{"1"}, []string{"<x :(>", "<x :)>"}},
		"many sad ones":                    {e1(strings.Split(strings.Repeat("<:(>,", 1999)+"<:(>", ",")...), []string{"1"}, nil},
		"a service name in a value":        {e1("<a, service_name=b>"), []string{"1"}, []string{"<a, service_name=b>"}},
		"a list of notes":                  {e1("[Note(time=1, value=2, service_name='s', address='h', port=80), Note(time=1, value=2, service_name='s', address='h', port=80)]"), []string{"1"}, []string{"[Note(time=1, value=2, service_name='s', address='h', port=80), Note(time=1, value=2, service_name='s', address='h', port=80)]"}},
		"a value that begins as a number":  {e1("1, 2"), []string{"1"}, []string{"1, 2"}},
		"a number over two lines":          {e1("5\n6"), []string{"1"}, []string{"5\n6"}},
		"a value that begins with newline": {e1("\n<a>"), []string{"1"}, []string{"\n<a>"}},
		"a time in a value":                {e1("<a\n2013-04-18 02:02:08 x>"), []string{"1"}, []string{"<a\n2013-04-18 02:02:08 x>"}},
		"a level in a value":               {e1("<a\nERROR x\n>"), []string{"1"}, []string{"<a\nERROR x\n>"}},
		"a record below an open one":       {e1("[1,")[:100] + "[1\ntorn end " + strings.Replace(e1("[1,\n2]"), "id=1,", "id=2,", 1), []string{"1", "2"}, nil},
		"surrogates in an array":           {`{"name":"tomograph.backends.log","msg":[7,null,1,"x\udcff\udcfey",[],[]]}`, []string{"1"}, nil},
		"an array cut in a note":           {`{"name":"tomograph.backends.log","msg":[7,null,1,"x",[[1.5,"a","s","h",0,0],[2.5,"b`, []string{"1"}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			spans, _, counts := read(t, strings.Split(c.lines, "\n")...)
			require.ElementsMatch(t, c.ids, ids(spans))
			require.EqualValues(t, len(c.ids), counts.Parsed+counts.Salvaged)
			if c.values == nil {
				return
			}
			var values []string
			for _, n := range spans[0].Notes {
				values = append(values, n.Value.Text)
			}
			require.Equal(t, c.values, values)
		})
	}
}

// The end of a record in pieces is the end: no line behind it is glued on.
func TestPiecesEnd(t *testing.T) {
	prefix := "Apr 18 02:02:08 host nova[12]: "
	text := plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='" + strings.Repeat("q", 3000)
	spans, complaints, _ := read(t, prefix+text[:2048], prefix+text[2048:2200], prefix+"raise Foo, 'bar', notes=[]", prefix+"File x, line 'y' in (z)")
	require.Len(t, spans, 1)
	require.False(t, spans[0].Name.Set)
	require.EqualValues(t, 2, complaints[0].Line)

	// A piece that is cut leaves a gap, and the record with it.
	results := []Result{}
	r := NewReader("x.log", Options{}, Output{Record: func(r *Result) { results = append(results, r.clone()) }})
	line := "2026-03-01T07:59:59Z stdout P " + plainHeader + "Span(trace_id=7, parent_id=None, id=1, name='abc"
	r.Feed(Line{Text: []byte(line), Number: 1, Cut: true})
	r.Feed(Line{Text: []byte("2026-03-01T07:59:59Z stdout F def', notes=[])"), Number: 2})
	r.Flush()
	require.Len(t, results, 1)
	require.NotNil(t, results[0].Complaint)
	require.False(t, results[0].Span.Name.Set)
}

// JSONFormatter's lines are joined from the journal's pieces, too.
func TestObjectInPieces(t *testing.T) {
	prefix := "Apr 18 02:02:08 host nova[12]: "
	object := `{"name":"tomograph.backends.log","message":` + quoteJSON("Span(trace_id=7, parent_id=None, id=1, name='"+strings.Repeat("q", 60<<10)+"', notes=[])") + `}`
	spans, complaints, _ := read(t, prefix+object[:48<<10], prefix+object[48<<10:], prefix+"next")
	require.Empty(t, complaints)
	require.Equal(t, []string{"1"}, ids(spans))
	spans, complaints, _ = read(t, prefix+object[:48<<10], prefix+plainHeader+spanText(2))
	require.Len(t, complaints, 1)
	require.ElementsMatch(t, []string{"1", "2"}, ids(spans))
}
