package zipkin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"github.com/openzipkin/zipkin-go/reporter"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/tomoscrape/tomoscrape/trace"
)

// accepted checks the JSON of one v2 span against the rules of Zipkin, and the
// stricter ones of the OpenTelemetry and Jaeger receivers.
func accepted(raw []byte) error {
	var s struct {
		TraceID, ID                   string
		ParentID                      *string
		Kind                          *string
		Name                          *string
		Timestamp, Duration           *json.Number
		LocalEndpoint, RemoteEndpoint *struct {
			ServiceName, IPv4, IPv6 *string
			Port                    *json.Number
		}
		Annotations []struct {
			Timestamp *json.Number
			Value     *string
		}
		Tags   map[string]*string
		Shared *bool
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return err
	}
	problem := func(format string, args ...any) error { return fmt.Errorf(format+" in %s", append(args, raw)...) }
	hex16, hex32 := regexp.MustCompile(`^[0-9a-f]{16}$`), regexp.MustCompile(`^[0-9a-f]{32}$`)
	zero := strings.Repeat("0", 16)
	switch {
	case !hex16.MatchString(s.TraceID) && !hex32.MatchString(s.TraceID), strings.Trim(s.TraceID, "0") == "",
		len(s.TraceID) == 32 && strings.HasPrefix(s.TraceID, zero):
		return problem("trace id")
	case !hex16.MatchString(s.ID) || s.ID == zero:
		return problem("id")
	case s.ParentID != nil && (!hex16.MatchString(*s.ParentID) || *s.ParentID == zero || *s.ParentID == s.ID):
		return problem("parent id")
	case s.Kind != nil && !slices.Contains([]string{"CLIENT", "SERVER", "PRODUCER", "CONSUMER"}, *s.Kind):
		return problem("kind")
	case s.Name != nil && (*s.Name == "" || strings.ToLower(*s.Name) != *s.Name):
		return problem("name")
	case s.Timestamp == nil || !micros(*s.Timestamp, 1_000_000):
		return problem("timestamp")
	case s.Duration != nil && !micros(*s.Duration, 1):
		return problem("duration")
	case s.Shared != nil && (!*s.Shared || s.Kind != nil && *s.Kind == "CLIENT"):
		return problem("shared")
	}
	for _, e := range []any{s.LocalEndpoint, s.RemoteEndpoint} {
		if text, _ := json.Marshal(e); string(text) == `{"ServiceName":null,"IPv4":null,"IPv6":null,"Port":null}` {
			return problem("empty endpoint")
		}
	}
	if e := s.LocalEndpoint; e != nil {
		if e.ServiceName != nil && (*e.ServiceName == "" || strings.ToLower(*e.ServiceName) != *e.ServiceName) {
			return problem("service")
		}
		if e.IPv4 != nil {
			if a, err := netip.ParseAddr(*e.IPv4); err != nil || !a.Is4() || a.IsUnspecified() {
				return problem("ipv4")
			}
		}
		if e.IPv6 != nil {
			if a, err := netip.ParseAddr(*e.IPv6); err != nil || !a.Is6() || a.Is4In6() || a.IsUnspecified() || a.Zone() != "" {
				return problem("ipv6")
			}
		}
		if e.Port != nil {
			if n, err := e.Port.Int64(); err != nil || n < 1 || n > math.MaxUint16 {
				return problem("port")
			}
		}
	}
	before := ""
	for _, a := range s.Annotations {
		if a.Value == nil || a.Timestamp == nil || !micros(*a.Timestamp, 1_000_000) {
			return problem("annotation")
		}
		now := fmt.Sprintf("%020s %s", *a.Timestamp, *a.Value)
		if now <= before {
			return problem("order of annotations")
		}
		before = now
	}
	// encoding/json writes the separators as six characters; a backslash before
	// that would be ours.
	if regexp.MustCompile(`[^\\]\\u202[89]`).Match(raw) {
		return problem("line separator")
	}
	for key, value := range s.Tags {
		if key == "" || value == nil {
			return problem("tag %q", key)
		}
	}
	return nil
}

func micros(n json.Number, least int64) bool {
	µs, err := n.Int64()
	return err == nil && µs >= least
}

// drawNode draws a span as bad as a log can make it.
func drawNode(t *rapid.T) *trace.Node {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "WSGI", "execute", "proxy", "http", "nova-api", "NOVA-API", "keystoneDB client", "rpcping", "start", "stop", "cs", "sr", "cr",
		"database exception x", "10.0.0.1", "::1", "0.0.0.0", "ctl1", "binaryAnnotations", "\xff\xfe", "İΣ\u2028", "\u2029", "ß", "error", "tomograph.host",
		"|", "a || b", "a|{}|0", "host.name", "otlp.link.0"}))
	text := rapid.Custom(func(t *rapid.T) trace.Text {
		return trace.Text{String: texts.Draw(t, "text"), Set: rapid.Bool().Draw(t, "set")}
	})
	value := rapid.Custom(func(t *rapid.T) trace.Value {
		kind := rapid.SampledFrom([]trace.Kind{trace.Absent, trace.None, trace.String, trace.Int, trace.Float, trace.Bool, trace.Repr}).Draw(t, "kind")
		switch kind {
		case trace.Int:
			return trace.Value{Kind: kind, Text: rapid.StringMatching(`-?[0-9]{1,30}`).Draw(t, "int")}
		case trace.Float:
			return trace.Value{Kind: kind, Text: rapid.SampledFrom([]string{"0.0", "-0.0", "1.5", "nan", "inf", "1e-05"}).Draw(t, "float")}
		case trace.Absent, trace.None:
			return trace.Value{Kind: kind}
		}
		return trace.Value{Kind: kind, Text: texts.Draw(t, "value")}
	})
	number := rapid.Custom(func(t *rapid.T) trace.ID {
		n, err := trace.ParseID(rapid.StringMatching(`-?([0-3]|[1-9][0-9]{14}|[1-9][0-9]{15,40})`).Draw(t, "id"))
		require.NoError(t, err)
		return n
	})
	micros := rapid.OneOf(rapid.Int64Range(t0, t0+20), rapid.Int64(), rapid.SampledFrom([]int64{0, -1, 999_999, 1_000_000}))
	fields := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) trace.Field {
		return trace.Field{Name: texts.Draw(t, "field"), Value: value.Draw(t, "value")}
	}), 0, 2)
	node := &trace.Node{Parent: rapid.IntRange(-1, 1).Draw(t, "parent")}
	node.TraceID, node.ID, node.ParentID = number.Draw(t, "trace"), number.Draw(t, "id"), number.Draw(t, "parent id")
	node.HasParent = rapid.Bool().Draw(t, "has parent")
	node.Name = text.Draw(t, "name")
	node.Damage = trace.Damage(rapid.IntRange(0, 15).Draw(t, "damage"))
	node.Extra = fields.Draw(t, "extra")
	node.Origin = []trace.Origin{{LogTime: micros.Draw(t, "log time")}}
	node.Notes = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) trace.Note {
		return trace.Note{
			Time: micros.Draw(t, "time"), HasTime: rapid.Bool().Draw(t, "timed"), Value: value.Draw(t, "value"), Service: text.Draw(t, "service"),
			Address: text.Draw(t, "address"), Port: value.Draw(t, "port"), Duration: value.Draw(t, "duration"), Extra: fields.Draw(t, "extra"),
		}
	}), 0, 6).Draw(t, "notes")
	node.Dimensions = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) trace.Dimension {
		return trace.Dimension{Key: text.Draw(t, "key"), Value: value.Draw(t, "value"), Service: text.Draw(t, "service"), Address: text.Draw(t, "address"), Port: value.Draw(t, "port")}
	}), 0, 6).Draw(t, "dimensions")
	return node
}

func drawOptions(t *rapid.T) Options {
	return Options{
		NoSplit: rapid.Bool().Draw(t, "no split"), Foreign: rapid.Bool().Draw(t, "foreign"), Compact: rapid.Bool().Draw(t, "compact"), NoInfer: rapid.Bool().Draw(t, "no infer"),
		MaxValue: rapid.IntRange(0, 12).Draw(t, "max value"), Hosts: Hosts{"ctl1": netip.MustParseAddr("10.0.0.9")},
		Shift: time.Duration(rapid.SampledFrom([]int64{0, 1, -1, 3_600_000_000}).Draw(t, "shift")) * time.Microsecond,
	}
}

// TestMapIsAccepted: what is mapped is accepted by every receiver, twice the same
// and with nothing of the span lost; what is not is refused with a reason.
func TestMapIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node, opt := drawNode(t), drawOptions(t)
		models, err := Map(node, opt)
		if err != nil {
			require.Empty(t, models)
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.NotEmpty(t, refused.Reason)
			return
		}
		require.NotEmpty(t, models)
		services := map[string]bool{}
		for i, m := range models {
			raw, err := json.Marshal(m)
			require.NoError(t, err)
			require.NoError(t, accepted(raw))
			require.Equal(t, i > 0, m.Shared)
			if opt.Foreign {
				requireHarmless(t, m)
			}
			if i > 0 {
				require.False(t, services[m.LocalEndpoint.ServiceName], "two parts of one service")
			}
			if m.LocalEndpoint != nil {
				services[m.LocalEndpoint.ServiceName] = true
			}
		}

		wire, piece, err := Encode(models, opt)
		require.NoError(t, err)
		require.False(t, opt.Foreign && wire == Proto3)
		if wire == JSON {
			reference, err := reporter.JSONSerializer{}.Serialize(models)
			require.NoError(t, err)
			require.Equal(t, string(reference), string(JSON.Join([][]byte{piece})))
		}
		again, err := Map(node, opt)
		require.NoError(t, err)
		wire2, piece2, err := Encode(again, opt)
		require.NoError(t, err)
		require.Equal(t, wire, wire2)
		require.Equal(t, piece, piece2)
		require.True(t, wire == Proto3 || utf8.Valid(piece) && (opt.Foreign || !bytes.Contains(piece, []byte(`yAnnotations"`))))

		if opt.MaxValue == 0 && !opt.Compact {
			requireNothingLost(t, &node.Span, models)
		}
	})
}

// requireHarmless wants texts that mean nothing but themselves to the receiver of
// the OpenTelemetry Collector.
func requireHarmless(t require.TestingT, m *model.SpanModel) {
	for _, a := range m.Annotations {
		require.NotContains(t, a.Value, "|")
	}
	for key := range m.Tags {
		require.NotRegexp(t, `^(host|otlp)\.`, key)
	}
}

// requireNothingLost looks up all values of a span in its v2 spans.
func requireNothingLost(t require.TestingT, span *trace.Span, models []*model.SpanModel) {
	said := map[string]bool{}
	for _, m := range models {
		for _, a := range m.Annotations {
			value, _, _ := strings.Cut(a.Value, " @")
			said[a.Value], said[value] = true, true
		}
		for _, value := range m.Tags {
			said[value] = true
		}
	}
	for i := range span.Notes {
		value := text(span.Notes[i].Value)
		short, _, _ := strings.Cut(value, " @")
		require.True(t, said[value] || said[short], "note %d: %q", i, value)
	}
	for i := range span.Dimensions {
		require.True(t, said[text(span.Dimensions[i].Value)], "dimension %d", i)
	}
	for i := range span.Extra {
		require.True(t, said[text(span.Extra[i].Value)], "extra field %d", i)
	}
}

func TestEncode(t *testing.T) {
	pieces := func(values ...string) (out [2][][]byte) {
		for _, value := range values {
			node := basic(func(s *trace.Span) {
				s.ParentID, s.HasParent = id(1), true
				s.Notes = append(s.Notes, at(3, "<&>\u2028\x00"), of("other", 4, "x"))
				s.Dimensions = []trace.Dimension{{Key: txt("k"), Value: str(value)}, {Key: txt("a"), Value: str("b")}}
				s.Notes[1].Value = str("")
			})
			models, err := Map(&node, Options{})
			require.NoError(t, err)
			wire, piece, err := Encode(models, Options{})
			require.NoError(t, err)
			out[wire] = append(out[wire], piece)
		}
		return out
	}
	require.Equal(t, "[]", string(JSON.Join(nil)))
	require.Equal(t, "application/json", JSON.ContentType())
	require.Equal(t, "application/x-protobuf", Proto3.ContentType())

	all := pieces("one", "binaryAnnotations", "binaryAnnotations ", "yAnnotations\"", "yAnnotations")
	require.Len(t, all[JSON], 3, "only text that ends so is refused by Zipkin")
	require.Len(t, all[Proto3], 2)

	var list []*model.SpanModel
	require.NoError(t, json.Unmarshal(JSON.Join(all[JSON]), &list))
	require.Len(t, list, 6)
	require.Equal(t, `<&>\u2028`+"\x00", list[0].Annotations[1].Value)

	var spans zipkin_proto3.ListOfSpans
	require.NoError(t, proto.Unmarshal(Proto3.Join(all[Proto3]), &spans))
	require.Len(t, spans.Spans, 4)
	require.Equal(t, "binaryAnnotations", spans.Spans[0].Tags["k"])
	require.Equal(t, "yAnnotations", spans.Spans[2].Tags["k"])
	require.EqualValues(t, t0, spans.Spans[0].Timestamp)
	require.EqualValues(t, 5, spans.Spans[0].Duration)
	require.Equal(t, "''", spans.Spans[0].Annotations[2].Value)
}
