// Package zipkin maps spans to Zipkin's v2 model and encodes them for the wire.
//
// [Map] turns one span into one v2 span, and into one more for every further
// service that left notes on it. What v2 has no field for becomes a tag that
// begins with "tomograph."; nothing is dropped silently. What Zipkin's model
// cannot hold at all, such as an id of 0, is an [*Error].
//
// [Encode] writes the result as JSON, or as proto3 where Zipkin would refuse the
// JSON. The same span always gives the same bytes, so sending it twice is
// harmless.
//
// The rules of the model are those of Zipkin 3.6.1 (zipkin2.Span and its
// readers) and of the OpenTelemetry and Jaeger receivers, which are stricter.
package zipkin
