package zipkin

import (
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tomoscrape/tomoscrape/trace"
)

// t0 is 2013-03-11T23:59:51.123456Z.
const t0 = int64(1363046391123456)

func str(s string) trace.Value           { return trace.Value{Kind: trace.String, Text: s} }
func num(s string) trace.Value           { return trace.Value{Kind: trace.Int, Text: s} }
func flt(s string) trace.Value           { return trace.Value{Kind: trace.Float, Text: s} }
func txt(s string) trace.Text            { return trace.NewText(s) }
func id(n uint64) trace.ID               { return trace.IDFromUint64(n) }
func notes(n ...trace.Note) []trace.Note { return n }

func decimal(t testing.TB, s string) trace.ID {
	n, err := trace.ParseID(s)
	require.NoError(t, err)
	return n
}

// at is a note of the service nova-api on ctl1.
func at(µs int64, value string) trace.Note {
	return trace.Note{Time: t0 + µs, HasTime: true, Value: str(value), Service: txt("nova-api"), Address: txt("ctl1"), Port: num("8774")}
}

// of is a note of another service.
func of(service string, µs int64, value string) trace.Note {
	n := at(µs, value)
	n.Service, n.Address, n.Port = txt(service), txt("cmp1"), num("0")
	return n
}

// basic is a span with a start and a stop 5 µs later.
func basic(change func(*trace.Span)) trace.Node {
	s := trace.Span{TraceID: id(0x15be), ID: id(2), Name: txt("request"), Notes: notes(at(0, "start"), at(5, "stop"))}
	if change != nil {
		change(&s)
	}
	return trace.Node{Span: s}
}

// encoded is the JSON of a span's v2 spans as a list.
func encoded(t testing.TB, node trace.Node, opt Options) string {
	models, err := Map(&node, opt)
	require.NoError(t, err)
	list, err := json.Marshal(models)
	require.NoError(t, err)
	return string(list)
}

const (
	ids      = `"traceId":"00000000000015be","id":"0000000000000002"`
	times    = `"timestamp":1363046391123456,"duration":5`
	endpoint = `"localEndpoint":{"serviceName":"nova-api","port":8774}`
	events   = `"annotations":[{"timestamp":1363046391123456,"value":"start"},{"timestamp":1363046391123461,"value":"stop"}]`
	host     = `"tomograph.host":"ctl1"`
)

// span is the JSON of a v2 span with all that basic has, and more tags.
func span(more ...string) string {
	return `{` + ids + `,"name":"request",` + times + `,` + endpoint + `,` + events + `,"tags":{` + strings.Join(append(more, host), ",") + `}}`
}

// TestMap goes through the mapping: what is logged, and the v2 spans it becomes.
func TestMap(t *testing.T) {
	tests := map[string]struct {
		node trace.Node
		opt  Options
		want string // JSON without the brackets of the list
	}{
		"a plain span": {basic(nil), Options{}, span()},

		"trace id negative is two's complement": {
			basic(func(s *trace.Span) { s.TraceID = decimal(t, "-2") }), Options{},
			strings.Replace(span(), "00000000000015be", "fffffffffffffffe", 1)},
		"trace id of 128 bits": {
			basic(func(s *trace.Span) { s.TraceID = decimal(t, "18446744073709551617") }), Options{},
			strings.Replace(span(), "00000000000015be", "00000000000000010000000000000001", 1)},
		"id negative": {
			basic(func(s *trace.Span) { s.ID = decimal(t, "-1") }), Options{},
			strings.Replace(span(), "0000000000000002", "ffffffffffffffff", 1)},

		"parent": {
			basic(func(s *trace.Span) { s.ParentID, s.HasParent = id(10), true }), Options{},
			strings.Replace(span(), `2","name"`, `2","parentId":"000000000000000a","name"`, 1)},
		"parent 0 is none": {
			basic(func(s *trace.Span) { s.HasParent = true }), Options{}, span()},
		"parent is the span itself": {
			basic(func(s *trace.Span) { s.ParentID, s.HasParent = id(2), true }), Options{},
			span(host, `"tomograph.parent_id":"2"`)},
		"parent of more than 64 bits": {
			basic(func(s *trace.Span) { s.ParentID, s.HasParent = decimal(t, "18446744073709551616"), true }), Options{},
			span(host, `"tomograph.parent_id":"18446744073709551616"`)},
		"parent cut off because of a cycle": {
			func() trace.Node {
				n := basic(func(s *trace.Span) { s.ParentID, s.HasParent = id(3), true })
				n.Parent, n.Problems = -1, []trace.Problem{{Code: trace.Cycle}}
				return n
			}(), Options{}, span(host, `"tomograph.parent_id":"3"`)},

		"name in upper case": {
			basic(func(s *trace.Span) { s.Name = txt("Request") }), Options{}, span(host, `"tomograph.name":"Request"`)},
		"name empty": {
			basic(func(s *trace.Span) { s.Name = txt("") }), Options{}, strings.Replace(span(), `"name":"request",`, "", 1)},

		"notes out of order": {
			basic(func(s *trace.Span) { s.Notes = notes(at(5, "stop"), at(0, "start")) }), Options{},
			span(`"tomograph.clock":"backwards"`)},
		"times with two digits": {
			basic(func(s *trace.Span) {
				s.Notes = notes(at(4, "start"), at(4, "start"))
				s.Notes[0].Time, s.Notes[1].Time = 1363046391120000, 1363046391130000
			}), Options{},
			`{` + ids + `,"name":"request","timestamp":1363046391120000,"duration":10000,` + endpoint +
				`,"annotations":[{"timestamp":1363046391120000,"value":"start"},{"timestamp":1363046391130000,"value":"start"}]` +
				`,"tags":{` + host + `,"tomograph.time.precision":"10ms"}}`},
		"all notes at once": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "start"), at(0, "stop")) }), Options{},
			strings.NewReplacer(`"duration":5`, `"duration":1`, "461", "456").Replace(span())},
		"one note": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "start")) }), Options{},
			`{` + ids + `,"name":"request","timestamp":1363046391123456,` + endpoint +
				`,"annotations":[{"timestamp":1363046391123456,"value":"start"}],"tags":{` + host + `,"tomograph.incomplete":"true"}}`},
		"no notes, but log lines with a time": {
			basic(func(s *trace.Span) {
				s.Notes = nil
				s.Origin = []trace.Origin{{}, {LogTime: t0 + 1}, {LogTime: t0}}
			}), Options{},
			`{` + ids + `,"name":"request","timestamp":1363046391123456,"tags":{"tomograph.timestamp":"logline"}}`},
		"a note without time": {
			basic(func(s *trace.Span) {
				s.Damage = trace.BadTime
				s.Notes = notes(at(0, "start"), trace.Note{Value: str("ping"), Service: txt("Other")}, at(5, "stop"))
			}), Options{},
			span(`"tomograph.bad_time":"true"`, host, `"tomograph.note.1.service":"Other"`, `"tomograph.note.1.value":"ping"`)},

		"annotations sorted, each once": {
			basic(func(s *trace.Span) {
				s.Notes = notes(at(0, "start"), at(1, "b"), at(1, "a"), at(1, "b"), at(5, "stop"))
			}), Options{},
			strings.Replace(span(), `},{`, `},{"timestamp":1363046391123457,"value":"a"},{"timestamp":1363046391123457,"value":"b"},{`, 1)},
		"compact": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "start"), at(1, "start"), at(2, "stop"), at(5, "stop")) }), Options{Compact: true},
			strings.NewReplacer("456,\"value", "457,\"value", "461,\"value", "458,\"value").Replace(span())},
		"core annotations give the kind": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "ws"), at(1, "sr"), at(5, "cs")) }), Options{NoInfer: true},
			`{` + ids + `,"kind":"SERVER","name":"request",` + times + `,` + endpoint +
				`,"annotations":[{"timestamp":1363046391123456,"value":"ws"},{"timestamp":1363046391123457,"value":"sr"},{"timestamp":1363046391123461,"value":"cs"}],"tags":{` + host + `}}`},
		"durations of notes": {
			basic(func(s *trace.Span) { s.Notes[0].Duration, s.Notes[1].Duration = flt("0.0"), flt("0.42059564") }), Options{},
			span(host, `"tomograph.note.1.duration":"0.42059564"`)},

		"service in upper case": {
			basic(func(s *trace.Span) { s.Notes = notes(of("FaultWrapper", 0, "start"), of("FaultWrapper", 5, "stop")) }), Options{},
			`{` + ids + `,"name":"request",` + times + `,"localEndpoint":{"serviceName":"faultwrapper"},` + events +
				`,"tags":{"tomograph.host":"cmp1","tomograph.service":"FaultWrapper"}}`},
		"notes of further services": {
			basic(func(s *trace.Span) {
				s.ParentID, s.HasParent = id(10), true
				s.Notes = notes(at(0, "start"), of("Wrap", 1, "ping"), of("once", 2, "cs"), of("wrap", 3, "pong"), at(5, "stop"))
				s.Dimensions = []trace.Dimension{
					{Key: txt("k"), Value: num("1"), Service: txt("Wrap"), Address: txt("cmp1"), Port: num("0")},
					{Key: txt("k"), Value: num("2"), Service: txt("absent")},
				}
			}), Options{},
			strings.Replace(span(`"k":"2"`, `"tomograph.dimension.1.service":"absent"`), `2","name"`, `2","parentId":"000000000000000a","name"`, 1) +
				`,{` + ids + `,"parentId":"000000000000000a","name":"request","shared":true,"timestamp":1363046391123457,"duration":2,"localEndpoint":{"serviceName":"wrap"}` +
				`,"annotations":[{"timestamp":1363046391123457,"value":"ping"},{"timestamp":1363046391123459,"value":"pong"}]` +
				`,"tags":{"k":"1","tomograph.host":"cmp1","tomograph.note.3.service":"wrap","tomograph.service":"Wrap"}}` +
				`,{` + ids + `,"parentId":"000000000000000a","name":"request","shared":true,"timestamp":1363046391123458,"duration":1,"localEndpoint":{"serviceName":"once"}` +
				`,"annotations":[{"timestamp":1363046391123458,"value":"cs"}],"tags":{"tomograph.host":"cmp1"}}`},
		"notes of further services on one span": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "start"), of("Wrap", 1, "ping"), at(5, "stop")) }), Options{NoSplit: true},
			strings.Replace(span(host, `"tomograph.note.1.host":"cmp1"`, `"tomograph.note.1.port":"0"`, `"tomograph.note.1.service":"Wrap"`),
				`},{`, `},{"timestamp":1363046391123457,"value":"ping @wrap"},{`, 1)},

		"dimensions of all types": {
			basic(func(s *trace.Span) {
				for _, d := range []struct {
					key   string
					value trace.Value
				}{{"s", str("x")}, {"i", num("42")}, {"f", flt("1.5")}, {"nan", flt("nan")}, {"b", trace.Value{Kind: trace.Bool, Text: "True"}},
					{"n", trace.Value{Kind: trace.None}}, {"r", trace.Value{Kind: trace.Repr, Text: "[1, 2]"}}, {"", str("")}} {
					s.Dimensions = append(s.Dimensions, trace.Dimension{Key: txt(d.key), Value: d.value})
				}
				s.Dimensions = append(s.Dimensions, trace.Dimension{Value: num("7")})
			}), Options{},
			span(`"b":"True"`, `"f":"1.5"`, `"i":"42"`, `"n":"None"`, `"nan":"nan"`, `"r":"[1, 2]"`, `"s":"x"`, `"tomograph.dimension.7":""`, `"tomograph.dimension.8":"7"`)},
		"a key several times": {
			basic(func(s *trace.Span) {
				for _, v := range []string{"a", "b", "a", "c", "b", "c"} {
					s.Dimensions = append(s.Dimensions, trace.Dimension{Key: txt("k"), Value: str(v)})
				}
				s.Dimensions = append(s.Dimensions, trace.Dimension{Key: txt("k.2"), Value: str("own")})
			}), Options{},
			span(`"k":"c"`, `"k.1":"a"`, `"k.2":"own"`, `"k.3":"b"`)},

		"database exception": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "start"), at(5, "database exception (E) x")) }), Options{},
			strings.Replace(span(`"error":"database exception (E) x"`, `"error.message":"database exception (E) x"`), `"value":"stop"`, `"value":"database exception (E) x"`, 1)},
		"database exception not inferred": {
			basic(func(s *trace.Span) { s.Notes = notes(at(0, "start"), at(5, "database exception (E) x")) }), Options{NoInfer: true},
			strings.Replace(span(), `"value":"stop"`, `"value":"database exception (E) x"`, 1)},
		"a dimension error stays": {
			basic(func(s *trace.Span) {
				s.Notes = notes(at(0, "start"), at(5, "database exception x"))
				s.Dimensions = []trace.Dimension{{Key: txt("error"), Value: str("mine")}}
			}), Options{},
			strings.Replace(span(`"error":"mine"`, `"error.message":"database exception x"`), `"value":"stop"`, `"value":"database exception x"`, 1)},
		"database call": {
			basic(func(s *trace.Span) {
				s.Name = txt("execute")
				for i := range s.Notes {
					s.Notes[i].Service, s.Notes[i].Address, s.Notes[i].Port = txt("nova-computeDB client"), txt("10.0.0.11"), num("3306")
				}
			}), Options{},
			`{` + ids + `,"name":"execute","kind":"CLIENT",` + times + `,"localEndpoint":{"serviceName":"nova-computedb client"}` +
				`,"remoteEndpoint":{"serviceName":"db","ipv4":"10.0.0.11","port":3306},` + events + `,"tags":{"tomograph.service":"nova-computeDB client"}}`},

		"extra fields": {
			basic(func(s *trace.Span) {
				s.Extra = []trace.Field{{Name: "x", Value: num("1")}}
				s.Notes[1].Extra = []trace.Field{{Name: "y", Value: num("2")}}
				s.Dimensions = []trace.Dimension{{Key: txt("k"), Value: num("0"), Extra: []trace.Field{{Name: "z", Value: num("3")}}}}
			}), Options{},
			span(`"k":"0"`, `"tomograph.dimension.0.extra.z":"3"`, `"tomograph.extra.x":"1"`, host, `"tomograph.note.1.extra.y":"2"`)},
		"damage": {
			basic(func(s *trace.Span) { s.Damage = trace.Truncated | trace.Torn | trace.InvalidUTF8 }), Options{},
			span(host, `"tomograph.invalid_utf8":"true"`, `"tomograph.torn":"true"`, `"tomograph.truncated":"true"`)},
		"what differs in a note": {
			basic(func(s *trace.Span) { s.Notes[1].Address, s.Notes[1].Port = txt("ctl2"), num("1") }), Options{},
			span(host, `"tomograph.note.1.host":"ctl2"`, `"tomograph.note.1.port":"1"`)},

		"values cut": {
			basic(func(s *trace.Span) {
				s.Dimensions = []trace.Dimension{{Key: txt("k"), Value: str("ééé")}, {Key: txt("whole"), Value: str("ééx")}}
			}), Options{MaxValue: 5},
			span(`"k":"éé"`, host, `"tomograph.values_cut":"1 value cut to 5 bytes","whole":"ééx"`)},
		"tags of our own are not cut": {
			basic(func(s *trace.Span) {
				s.Damage = trace.Truncated
				s.Notes = append(s.Notes, trace.Note{Value: str("no time")})
				s.Extra = []trace.Field{{Name: "colour", Value: str("green")}}
				s.Dimensions = []trace.Dimension{{Key: txt("error"), Value: str("lost")}}
			}), Options{MaxValue: 2},
			strings.NewReplacer(`"start"`, `"st"`, `"stop"`, `"st"`).Replace(span(`"error":"lo"`, `"tomograph.extra.colour":"gr"`, host,
				`"tomograph.note.2.value":"no","tomograph.truncated":"true"`, `"tomograph.values_cut":"5 values cut to 2 bytes"`))},
		"moved": {
			basic(func(s *trace.Span) { s.Moved = 1150 }), Options{},
			span(host, `"tomograph.moved":"1150"`)},
		"shifted": {
			basic(nil), Options{Shift: 3600*time.Second + 10*time.Microsecond},
			strings.NewReplacer("1363046391123456", "1363049991123466", "1363046391123461", "1363049991123471").
				Replace(span(host, `"tomograph.original_start":"2013-03-11T23:59:51.123456Z"`, `"tomograph.shifted":"+1h0m0.00001s"`))},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.JSONEq(t, "["+test.want+"]", encoded(t, test.node, test.opt))
		})
	}
}

// What the receiver of the OpenTelemetry Collector would take apart is whole in a
// tag; a value that is cut is counted once.
func TestMapForeign(t *testing.T) {
	node := basic(func(s *trace.Span) {
		s.Notes = append(s.Notes, at(1, "SELECT 1 | 2"), of("db|x", 2, "a||b"), at(3, "binaryAnnotations"), at(4, "{"), at(5, ""))
		s.Dimensions = []trace.Dimension{{Key: txt("host.name"), Value: str("h")}, {Key: txt("otlp.link.0"), Value: str("a|b")},
			{Key: txt("hostname"), Value: str("a|b")}, {Key: txt("host.name"), Value: str("i")}}
	})
	opt := Options{Foreign: true, NoSplit: true, NoInfer: true}
	models, err := Map(&node, opt)
	require.NoError(t, err)
	require.Len(t, models, 1)
	var annotations []string
	for _, a := range models[0].Annotations {
		annotations = append(annotations, a.Value)
	}
	require.Equal(t, []string{"start", "SELECT 1 ¦ 2", "a¦¦b @db¦x", "binaryAnnotations", "{", "''", "stop"}, annotations)
	tags := models[0].Tags
	require.Equal(t, "SELECT 1 | 2", tags["tomograph.note.2.value"])
	require.Equal(t, "a||b", tags["tomograph.note.3.value"])
	require.Equal(t, "db|x", tags["tomograph.note.3.service"])
	require.Equal(t, "i", tags["tomograph.dimension.host.name"])
	require.Equal(t, "h", tags["tomograph.dimension.host.name.1"])
	require.Equal(t, "a|b", tags["tomograph.dimension.otlp.link.0"])
	require.Equal(t, "a|b", tags["hostname"])
	require.NotContains(t, tags, "tomograph.note.4.value")
	require.Contains(t, tags, "tomograph.note.6.value")
	wire, _, err := Encode(models, opt)
	require.NoError(t, err)
	require.Equal(t, JSON, wire, "only Zipkin refuses that text in JSON")

	opt.MaxValue = 10
	models, err = Map(&node, opt)
	require.NoError(t, err)
	require.Equal(t, "SELECT 1 ¦", models[0].Annotations[1].Value)
	require.Equal(t, "SELECT 1 |", models[0].Tags["tomograph.note.2.value"])
	require.Equal(t, "2 values cut to 10 bytes", models[0].Tags["tomograph.values_cut"])
}

func TestMapKind(t *testing.T) {
	tests := []struct{ name, service, kind string }{
		{"WSGI", "nova-api", "SERVER"},
		{"wsgi", "nova-api", ""},
		{"proxy", "rpcrun_instance", "SERVER"},
		{"proxy", "nova", ""},
		{"http", "glanceclient", "CLIENT"},
		{"execute", "keystonedb client", "CLIENT"},
		{"execute", "keystone", ""},
		{"middleware", "FaultWrapper", ""},
	}
	for _, test := range tests {
		node := basic(func(s *trace.Span) { s.Name, s.Notes[0].Service = txt(test.name), txt(test.service) })
		models, err := Map(&node, Options{})
		require.NoError(t, err)
		require.Equal(t, test.kind, string(models[0].Kind), test)
		models, err = Map(&node, Options{NoInfer: true})
		require.NoError(t, err)
		require.Empty(t, models[0].Kind)
		require.Nil(t, models[0].RemoteEndpoint)
	}
}

func TestMapEndpoint(t *testing.T) {
	hosts, err := ParseHosts(strings.NewReader("10.0.0.1 CTL1 alias # the controller\n\n::2 six\n10.9.9.9 ctl1\n"))
	require.NoError(t, err)
	tests := []struct {
		address string
		port    trace.Value
		want    string // of the endpoint beside the service
		tags    string
	}{
		{"10.1.2.3", num("80"), `,"ipv4":"10.1.2.3","port":80`, ``},
		{"::ffff:10.1.2.3", num("65535"), `,"ipv4":"10.1.2.3","port":65535`, ``},
		{"2001:DB8::0:1", str("8774"), `,"ipv6":"2001:db8::1","port":8774`, ``},
		{"0.0.0.0", num("0"), ``, ``},
		{"::", trace.Value{Kind: trace.None}, ``, ``},
		{"", trace.Value{}, ``, ``},
		{"ctl1", num("1"), `,"ipv4":"10.0.0.1","port":1`, `"tomograph.host":"ctl1"`},
		{"Six", num("1"), `,"ipv6":"::2","port":1`, `"tomograph.host":"Six"`},
		{"elsewhere", num("65536"), ``, `"tomograph.host":"elsewhere","tomograph.port":"65536"`},
		{"fe80::1%eth0", num("-1"), ``, `"tomograph.host":"fe80::1%eth0","tomograph.port":"-1"`},
		{"010.0.0.1", flt("80.0"), ``, `"tomograph.host":"010.0.0.1","tomograph.port":"80.0"`},
		{"10.0.0.1:80", str("http"), ``, `"tomograph.host":"10.0.0.1:80","tomograph.port":"http"`},
	}
	for _, test := range tests {
		node := basic(func(s *trace.Span) {
			for i := range s.Notes {
				s.Notes[i].Address, s.Notes[i].Port = txt(test.address), test.port
			}
		})
		want := strings.Replace(span(), endpoint, `"localEndpoint":{"serviceName":"nova-api"`+test.want+`}`, 1)
		want = strings.Replace(want, host, test.tags, 1)
		if test.tags == "" {
			want = strings.Replace(want, `,"tags":{}`, "", 1)
		}
		require.JSONEq(t, "["+want+"]", encoded(t, node, Options{Hosts: hosts}), test)
	}
}

func TestMapRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*trace.Span)
		opt    Options
		want   string
	}{
		"trace id 0":        {func(s *trace.Span) { s.TraceID = id(0) }, Options{}, "its trace id is 0, which Zipkin refuses"},
		"trace id too long": {func(s *trace.Span) { s.TraceID = decimal(t, "340282366920938463463374607431768211456") }, Options{}, "its trace id has more than 128 bits"},
		"id 0":              {func(s *trace.Span) { s.ID = id(0) }, Options{}, "its id is 0, which Zipkin refuses"},
		"id too long":       {func(s *trace.Span) { s.ID = decimal(t, "18446744073709551616") }, Options{}, "its id has more than 64 bits"},
		"id too small":      {func(s *trace.Span) { s.ID = decimal(t, "-9223372036854775809") }, Options{}, "its id has more than 64 bits"},
		"no time at all":    {func(s *trace.Span) { s.Notes = nil }, Options{}, "no note has a time, and its log line gives none with a time zone"},
		"notes without time": {func(s *trace.Span) { s.Notes = notes(trace.Note{Value: str("x")}) }, Options{},
			"no note has a time, and its log line gives none with a time zone"},
		"before the epoch": {func(s *trace.Span) { s.Notes[0].Time = 999_999 }, Options{},
			"it has the time 1970-01-01T00:00:00.999999Z, but only times from 1970-01-01T00:00:01Z on can be written"},
		"after 2262": {func(s *trace.Span) { s.Notes[1].Time = math.MaxInt64 }, Options{Shift: time.Hour},
			"it has the time 294247-01-10T04:00:54.775807Z (to be shifted by +1h0m0s), but only times until the year 2262 can be written"},
		"shifted too far back": {nil, Options{Shift: -500000 * time.Hour},
			"it has the time 2013-03-11T23:59:51.123456Z (to be shifted by -500000h0m0s), but only times from 1970-01-01T00:00:01Z on can be written"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			node := basic(test.change)
			_, err := Map(&node, test.opt)
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.want, refused.Reason)
		})
	}
}

func TestParseHosts(t *testing.T) {
	hosts, err := ParseHosts(strings.NewReader("\ufeff127.0.0.1\tlocalhost\r\n# none\nfe80::1%lo0 Link\n"))
	require.NoError(t, err)
	require.Equal(t, Hosts{"localhost": netip.MustParseAddr("127.0.0.1"), "link": netip.MustParseAddr("fe80::1")}, hosts)

	_, err = ParseHosts(strings.NewReader("\nctl1 10.0.0.1\n"))
	require.EqualError(t, err, `line 2: "ctl1" is no IP address; expected an address and its names`)
	_, err = ParseHosts(strings.NewReader("10.0.0.1 # ctl1\n"))
	require.EqualError(t, err, "line 1: the address 10.0.0.1 has no name; expected an address and its names")
	_, err = ParseHosts(strings.NewReader("10.0.0.1 " + strings.Repeat("x", 1<<20)))
	require.Error(t, err)
}
