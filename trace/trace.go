package trace

// Trace is all spans of one trace id as a tree. The tree is flat: Spans is in
// depth-first order, and a span's parent stands at a lower index.
type Trace struct {
	ID       ID
	Start    int64 // earliest note time, microseconds; valid if HasStart
	End      int64 // latest note time, microseconds; valid if HasStart
	HasStart bool
	Services []string // of all notes, sorted, each once
	Spans    []Node
	Problems []Problem
	Large    *Large // what stands for Spans where these are too many, else nil
}

// Large is the spans of a trace that do not stand in memory all at once.
type Large struct {
	Count int // of the spans
	Roots int // of them, at depth 0
	// Make makes the node with an index. It belongs to the caller. One goroutine
	// at a time may call it.
	Make func(i int) *Node
}

// Len is the number of spans.
func (t *Trace) Len() int {
	if t.Large != nil {
		return t.Large.Count
	}
	return len(t.Spans)
}

// Node is the span with an index, which must not be changed.
func (t *Trace) Node(i int) *Node {
	if t.Large != nil {
		return t.Large.Make(i)
	}
	return &t.Spans[i]
}

// Node is a span in its place in the tree.
type Node struct {
	Span
	Depth    int
	Parent   int       // index in Trace.Spans, -1 for what stands at depth 0
	Problems []Problem // those of this span; they also stand in Trace.Problems
}

// Code names a kind of problem; the codes are part of the trace JSON.
type Code string

// The problems a trace or span can have.
const (
	MissingParent   Code = "missing-parent"
	SelfParent      Code = "self-parent"
	Cycle           Code = "cycle"
	ConflictingTwin Code = "conflicting-twin"
	SeveralRoots    Code = "several-roots"
	CodeTruncated   Code = "truncated"
	CodeTorn        Code = "torn"
	Open            Code = "open"
	CodeBadTime     Code = "bad-time"
	CodeInvalidUTF8 Code = "invalid-utf8"
	ClockSkew       Code = "clock-skew"
)

// Problem is something wrong with a trace, in words a person understands.
type Problem struct {
	Code    Code
	Span    ID   // the span it is about
	HasSpan bool // false for a problem of the trace as a whole
	Text    string
}

// Harmless says whether a trace with no other problem is complete all the same.
func (c Code) Harmless() bool {
	return c == ClockSkew || c == CodeInvalidUTF8 || c == CodeBadTime
}

// Complete is the verdict: exactly one root, and no problem but harmless ones.
func (t *Trace) Complete() bool {
	for _, p := range t.Problems {
		if !p.Code.Harmless() {
			return false
		}
	}
	if t.Large != nil {
		return t.Large.Roots == 1
	}
	roots := 0
	for i := range t.Spans {
		if t.Spans[i].Parent < 0 {
			roots++
		}
	}
	return roots == 1
}

// Duration is End - Start in microseconds; false without any timed note.
func (t *Trace) Duration() (int64, bool) { return t.End - t.Start, t.HasStart }
