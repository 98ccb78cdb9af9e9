// Package trace holds the words every other package speaks: a Span with its
// notes and dimensions, the Trace assembled from spans, the Problems found in
// it, and where each span was read (Origin).
//
// The names are tomograph's own where tomograph has one (note, dimension) and
// the tracing field's elsewhere (span, trace, service, origin). Times are whole
// microseconds since the epoch, durations whole microseconds.
//
// The package imports the standard library only, and nothing here does I/O.
package trace
