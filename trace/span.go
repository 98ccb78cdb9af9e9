package trace

import (
	"slices"
	"strings"
)

// Span is one span as tomograph logged it, decoded. Which fields a line carries
// depends on the version of tomograph (its "era"); what a line did not have, or
// had as None, is absent here.
type Span struct {
	TraceID   ID
	ID        ID
	ParentID  ID   // valid if HasParent; a logged 0 is kept as 0
	HasParent bool // false for None and for a field that is not there
	Name      Text
	Notes     []Note
	// Dimensions is nil when the line has no such field (eras E1 and E2, or a
	// line cut before it), and empty but not nil for an empty list.
	Dimensions []Dimension
	Extra      []Field  // fields tomograph never had, in the order of the line
	Origin     []Origin // where the span was read, at least one for a span from a log
	Damage     Damage
	// Moved is by how many microseconds the times here are later than those in
	// the log, 0 normally: what --skew adjust did to the span. Package assemble
	// sets it, and undoes it in the spans that it is given.
	Moved int64
}

// Damage says what was wrong with the text of a span that is worth having all
// the same. Each bit becomes a [Problem].
type Damage uint8

const (
	// Truncated: only what stood whole before a cut or other damage was kept.
	Truncated Damage = 1 << iota
	// Torn: a string holds a log header, so two writers' lines probably are in one.
	Torn
	// InvalidUTF8: bytes that are no UTF-8, or unpaired surrogates, became U+FFFD.
	InvalidUTF8
	// BadTime: a note's time is nan, infinite, None or out of range; it has none.
	BadTime
)

// Note is a timed event of a span (a Zipkin annotation). Duration is what the
// log says; its unit is not fixed: tomograph writes 0, or for SQL the seconds
// since the span began.
type Note struct {
	Time     int64 // microseconds since the epoch, valid if HasTime
	HasTime  bool
	Value    Value
	Service  Text // service_name
	Address  Text // often a host name
	Port     Value
	Duration Value
	Extra    []Field
}

// Dimension is a key with a value (tomograph's Tag, a Zipkin tag).
type Dimension struct {
	Key     Text
	Value   Value
	Service Text // service_name
	Address Text
	Port    Value
	Extra   []Field
}

// Field is a field that tomograph never had, kept as the line has it.
type Field struct {
	Name  string
	Value Value
}

// Text is a string that may be absent (None, or a field that is not there).
// Literals that are no strings stand here as their source text.
type Text struct {
	String string
	Set    bool
}

// NewText is a Text that is there.
func NewText(s string) Text { return Text{String: s, Set: true} }

// Origin is a place where a span was read. Zero fields are absent.
type Origin struct {
	File            string // as the user can open it; members of archives after "!"
	Line            int64  // from 1, the first line of the record
	RequestID       string
	GlobalRequestID string
	PID             int64
	LogHost         string
	LogTime         int64 // microseconds, only if the line's frame gives an absolute time
}

// Kind is the type of a [Value].
type Kind uint8

const (
	Absent Kind = iota // not there
	None               // Python's None
	String             // Text is the decoded string, valid UTF-8
	Int                // Text is the decimal number, without a Python L
	Float              // Text is the number with a point or an exponent, or nan, inf, -inf
	Bool               // Text is True or False
	Repr               // Text is the source text of any other Python value, valid UTF-8
)

// Value is a Python value that keeps its type.
type Value struct {
	Kind Kind
	Text string
}

// Clone is a copy that shares no memory with the span.
func (s *Span) Clone() Span {
	c := *s
	c.TraceID, c.ID, c.ParentID, c.Name = s.TraceID.Clone(), s.ID.Clone(), s.ParentID.Clone(), s.Name.clone()
	c.Notes = slices.Clone(s.Notes)
	for i := range c.Notes {
		n := &c.Notes[i]
		n.Value, n.Service, n.Address = n.Value.clone(), n.Service.clone(), n.Address.clone()
		n.Port, n.Duration, n.Extra = n.Port.clone(), n.Duration.clone(), cloneFields(n.Extra)
	}
	c.Dimensions = slices.Clone(s.Dimensions)
	for i := range c.Dimensions {
		d := &c.Dimensions[i]
		d.Key, d.Value, d.Service = d.Key.clone(), d.Value.clone(), d.Service.clone()
		d.Address, d.Port, d.Extra = d.Address.clone(), d.Port.clone(), cloneFields(d.Extra)
	}
	c.Extra = cloneFields(s.Extra)
	c.Origin = slices.Clone(s.Origin)
	for i := range c.Origin {
		o := &c.Origin[i]
		o.File, o.LogHost = strings.Clone(o.File), strings.Clone(o.LogHost)
		o.RequestID, o.GlobalRequestID = strings.Clone(o.RequestID), strings.Clone(o.GlobalRequestID)
	}
	return c
}

func (t Text) clone() Text { return Text{strings.Clone(t.String), t.Set} }

func (v Value) clone() Value { return Value{v.Kind, strings.Clone(v.Text)} }

func cloneFields(fields []Field) []Field {
	fields = slices.Clone(fields)
	for i := range fields {
		fields[i] = Field{strings.Clone(fields[i].Name), fields[i].Value.clone()}
	}
	return fields
}

// Extent is the earliest and latest note time in microseconds; timed is the
// number of notes that have a time.
func (s *Span) Extent() (first, last int64, timed int) {
	for i := range s.Notes {
		if n := &s.Notes[i]; n.HasTime {
			if timed == 0 || n.Time < first {
				first = n.Time
			}
			if timed == 0 || n.Time > last {
				last = n.Time
			}
			timed++
		}
	}
	return first, last, timed
}

// Service is the service of the first note as written, absent without one.
func (s *Span) Service() Text {
	if len(s.Notes) == 0 {
		return Text{}
	}
	return s.Notes[0].Service
}

// Host is the address of the first note as written, absent without one.
func (s *Span) Host() Text {
	if len(s.Notes) == 0 {
		return Text{}
	}
	return s.Notes[0].Address
}
