package zipkin

import (
	"bytes"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"github.com/openzipkin/zipkin-go/reporter"
	"google.golang.org/protobuf/proto"
)

// Wire is one of the encodings that POST /api/v2/spans takes.
type Wire int

// The encodings.
const (
	JSON Wire = iota
	Proto3
)

// ContentType is the Content-Type header of a body in this encoding.
func (w Wire) ContentType() string {
	if w == Proto3 {
		return zipkin_proto3.SpanSerializer{}.ContentType()
	}
	return reporter.JSONSerializer{}.ContentType()
}

// Join makes one body of what [Encode] gave in this encoding.
func (w Wire) Join(pieces [][]byte) []byte {
	if w == Proto3 {
		return bytes.Join(pieces, nil)
	}
	size := len(pieces) + 2
	for _, p := range pieces {
		size += len(p)
	}
	body := append(make([]byte, 0, size), '[')
	for i, p := range pieces {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, p...)
	}
	return append(body, ']')
}

// refusedInJSON is what Zipkin's collector takes for a sign of v1 JSON, wherever
// it stands in a body of v2 JSON; it then refuses the whole body.
var refusedInJSON = []byte(`yAnnotations"`)

// Encode writes the spans that [Map] gave with the options, at least one, as a
// piece for [Wire.Join]: JSON if the receiver takes it, else proto3. The same
// spans always give the same bytes.
func Encode(spans []*model.SpanModel, opt Options) (Wire, []byte, error) {
	piece := make([]byte, 0, 1024*len(spans))
	for i, span := range spans {
		if i > 0 {
			piece = append(piece, ',')
		}
		piece = appendJSON(piece, span)
	}
	if opt.Foreign || !bytes.Contains(piece, refusedInJSON) {
		return JSON, piece, nil
	}
	piece, err := encodeProto3(spans)
	return Proto3, piece, err
}

// encodeProto3 gives a list of spans; such lists can be written one behind the
// other. The serializer leaves the order of the tags to chance, which is mended
// here. Zipkin loses annotations without text from proto3, so they get that of
// Python's empty string.
func encodeProto3(spans []*model.SpanModel) ([]byte, error) {
	shuffled, err := zipkin_proto3.SpanSerializer{}.Serialize(spans)
	if err != nil {
		return nil, err
	}
	var list zipkin_proto3.ListOfSpans
	if err := proto.Unmarshal(shuffled, &list); err != nil {
		return nil, err
	}
	for _, span := range list.Spans {
		for _, a := range span.Annotations {
			if a.Value == "" {
				a.Value = emptyAnnotation
			}
		}
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&list)
}
