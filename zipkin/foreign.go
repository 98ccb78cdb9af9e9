package zipkin

import "strings"

// The Zipkin receiver of the OpenTelemetry Collector, which is in Jaeger and many
// others, too, reads more than text out of a span's texts (read in its
// pkg/translator/zipkin/zipkinv2/to_translator.go, 0.140 and 0.165):
//
//   - An annotation is NAME|ATTRIBUTES IN JSON|NUMBER. Of "SELECT 1 | 2" it keeps
//     "SELECT 1 ", and it refuses a request with "SELECT a || b" in it.
//   - Tags whose keys OpenTelemetry has given a meaning are taken for facts about
//     the service, a link, a state; where a batch has several spans of a service,
//     it keeps those of the first.
//
// So annotations go without the sign, with the value as it was in a tag
// tomograph.note.N.value beside it, and such keys get a prefix.

// annotationSign ends the name of an annotation; the other looks much like it
// and means nothing.
const (
	annotationSign  = "|"
	harmlessSign    = "¦"
	emptyAnnotation = "''" // Python's empty string
)

// needsTag says whether an annotation cannot hold a note's value as it is; Jaeger
// shows nothing of one without text.
func needsTag(value string) bool {
	return value == "" || strings.Contains(value, annotationSign)
}

// foreignAnnotation is an annotation's text that means nothing but itself.
func foreignAnnotation(text string) string {
	return strings.ReplaceAll(text, annotationSign, harmlessSign)
}

// foreignPrefix goes before a claimed key.
const foreignPrefix = "tomograph.dimension."

// claimed are the first words of the keys that OpenTelemetry's conventions, or
// the receiver, give a meaning of their own, before a dot.
var claimed = map[string]bool{
	"aws": true, "cloud": true, "container": true, "deployment": true, "device": true, "faas": true, "heroku": true,
	"host": true, "internal": true, "k8s": true, "net": true, "network": true, "opencensus": true, "os": true,
	"otel": true, "otlp": true, "peer": true, "process": true, "service": true, "span": true, "telemetry": true,
	"w3c": true, "webengine": true,
}

// isClaimed says whether a tag with this key may be taken for something else.
func isClaimed(key string) bool {
	first, _, dotted := strings.Cut(key, ".")
	return dotted && claimed[first]
}
