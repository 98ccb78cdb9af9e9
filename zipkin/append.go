package zipkin

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/openzipkin/zipkin-go/model"
)

// appendJSON writes a v2 span as zipkin-go's serializer does, byte for byte, but
// without reflection; the span is one that [Map] gave.
func appendJSON(b []byte, s *model.SpanModel) []byte {
	b = append(b, `{"timestamp":`...)
	b = strconv.AppendInt(b, s.Timestamp.UnixMicro(), 10)
	if s.Duration > 0 {
		b = append(b, `,"duration":`...)
		b = strconv.AppendInt(b, int64(s.Duration/time.Microsecond), 10)
	}
	b = append(b, `,"traceId":"`...)
	if s.TraceID.High != 0 {
		b = appendHex(b, s.TraceID.High)
	}
	b = appendHex(b, s.TraceID.Low)
	b = append(b, `","id":"`...)
	b = append(appendHex(b, uint64(s.ID)), '"')
	if s.ParentID != nil {
		b = append(b, `,"parentId":"`...)
		b = append(appendHex(b, uint64(*s.ParentID)), '"')
	}
	if s.Name != "" {
		b = appendString(append(b, `,"name":`...), s.Name)
	}
	if s.Kind != "" {
		b = appendString(append(b, `,"kind":`...), string(s.Kind))
	}
	if s.Shared {
		b = append(b, `,"shared":true`...)
	}
	b = appendEndpoint(b, `,"localEndpoint":`, s.LocalEndpoint)
	b = appendEndpoint(b, `,"remoteEndpoint":`, s.RemoteEndpoint)
	for i := range s.Annotations {
		before := `},{"timestamp":`
		if i == 0 {
			before = `,"annotations":[{"timestamp":`
		}
		b = append(b, before...)
		b = strconv.AppendInt(b, s.Annotations[i].Timestamp.UnixMicro(), 10)
		b = appendString(append(b, `,"value":`...), s.Annotations[i].Value)
	}
	if len(s.Annotations) > 0 {
		b = append(b, `}]`...)
	}
	if len(s.Tags) > 0 {
		before := `,"tags":{`
		for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
			b = appendString(append(b, before...), key)
			b = appendString(append(b, ':'), s.Tags[key])
			before = `,`
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendEndpoint(b []byte, before string, e *model.Endpoint) []byte {
	if e.Empty() {
		return b
	}
	b = append(append(b, before...), '{')
	start := len(b)
	if e.ServiceName != "" {
		b = appendString(append(b, `,"serviceName":`...), e.ServiceName)
	}
	if len(e.IPv4) > 0 {
		b = appendString(append(b, `,"ipv4":`...), e.IPv4.String())
	}
	if len(e.IPv6) > 0 {
		b = appendString(append(b, `,"ipv6":`...), e.IPv6.String())
	}
	if e.Port != 0 {
		b = append(b, `,"port":`...)
		b = strconv.AppendUint(b, uint64(e.Port), 10)
	}
	return append(slices.Delete(b, start, start+1), '}') // the first comma
}

// appendString writes a JSON string. Text that needs any escaping is left to
// package json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= 0x80, c == '"', c == '\\', c == '<', c == '>', c == '&':
			text, _ := json.Marshal(s) // a string cannot fail
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendHex writes 16 hexadecimal digits.
func appendHex(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}
