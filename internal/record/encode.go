// Package record keeps spans as bytes without pointers until their traces are made:
//
//	span ─ encode.go ─> record ─ collect.go ─┬─> memory.go: by trace, within a limit ────────────────────────┐
//	                                         └─> spill.go: partitions on disk ─ sort.go ─> runs.go: sorted ───┤
//	                                                                                                          v
//	                                                  trace <─ maker.go ─ decode.go <─ Bundle: the records of a trace
//
// Records hold no pointers, so that the collector of garbage has nothing to do with
// them, and take a tenth to a third of the log's text. They live as long as one run of
// the program and are read by that run alone. parents.go finds the traces that have
// the parents which others miss.
package record

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"strings"
	"sync"

	"github.com/tomoscrape/tomoscrape/assemble"
	"github.com/tomoscrape/tomoscrape/trace"
)

// A record is
//
//	the line of the first origin, 8 bytes, and where the next record of its trace
//	stands in memory, 8 bytes, so that both can be changed in place
//	its key
//	the span: flags, then its fields in the order of the struct
//
// with numbers as varints, strings and lists behind their length, and flags for
// what is absent or the same as in the note or dimension before. File names, and
// values that come again, stand in a table of names and are numbers here.

// ErrDamaged means that a temporary file does not hold what was written to it.
var ErrDamaged = errors.New("it does not hold what was written to it")

// Bounds of a names table; an ordinary run has far fewer files and statements.
const (
	maxNames     = 1 << 16
	maxNameBytes = 8 << 20 // of all of them
)

// Names are strings that stand in records as their number: the names of the files
// that were read, and values such as SQL statements that stand in many spans.
// Several goroutines may use it.
type Names struct {
	mu      sync.Mutex
	numbers map[string]uint64 // from 1
	list    []string          // read without a lock once no more records are made
	size    int               // bytes of them
}

// number gives 0 for a name that has none, and the name as it is kept.
func (n *Names) number(name string) (number uint64, kept string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	number, known := n.numbers[name]
	switch {
	case known:
		kept = n.list[number-1]
	case len(n.list) < maxNames && n.size+len(name) <= maxNameBytes:
		if n.numbers == nil {
			n.numbers = make(map[string]uint64)
		}
		kept = strings.Clone(name)
		n.list = append(n.list, kept)
		n.size += len(kept)
		number = uint64(len(n.list))
		n.numbers[kept] = number
	}
	return number, kept
}

// What a span's flags say.
const (
	hasParent = 1 << iota
	hasName   // Name.Set
	hasMoved  // Moved is not 0
	noNotes   // Notes is nil
	noTags    // Dimensions is nil
	hasExtra  // Extra is not nil
	oneOrigin // the usual number
	isDamaged // Damage is not 0
)

// What the line, and with it the place of the next record, take at the beginning of
// a record.
const (
	lineSize = 8
	headSize = lineSize + 8
)

// What a note's or dimension's flags say.
const (
	hasTime = 1 << iota
	sameService
	sameAddress
	samePort
	sameDuration
	hasItemExtra // Extra is not nil
	hasKey       // of a dimension: Key.Set
)

// shared is what a note or dimension mostly has in common with the one before.
type shared struct {
	service, address trace.Text
	port, duration   trace.Value
}

// Encoder makes records. It is for one goroutine.
type Encoder struct {
	names  *Names
	file   string // the last one, which most often is the next, too
	number uint64

	repeated []repetition // values, by their hashes; nil if they are not looked for
}

// repetition is a value that was seen once, or that has a number because it was
// seen again.
type repetition struct {
	hash   uint64
	text   string // if it has a number
	number uint64
}

// How many values an encoder remembers, and which are long enough.
const (
	repeatedBits = 10
	minRepeated  = 32
	maxRepeated  = 2 << 10
)

// repeatedSeed is that of all hashes of values.
var repeatedSeed = maphash.MakeSeed()

// NewEncoder makes records whose names stand in n. If values are looked for that
// come again, as they do where many spans are of one log, they are written once.
func NewEncoder(n *Names, again bool) *Encoder {
	e := &Encoder{names: n}
	if again {
		e.repeated = make([]repetition, 1<<repeatedBits)
	}
	return e
}

// numberOf is the number of a value that was seen before, or 0.
func (e *Encoder) numberOf(text string) uint64 {
	hash := maphash.String(repeatedSeed, text)
	r := &e.repeated[hash>>(64-repeatedBits)]
	switch {
	case r.hash != hash:
		*r = repetition{hash: hash}
	case r.number == 0:
		r.number, r.text = e.names.number(text)
	case r.text != text:
		return 0
	}
	return r.number
}

// Append appends the record of a span.
func (e *Encoder) Append(dst []byte, s *trace.Span) []byte {
	line := int64(0)
	if len(s.Origin) > 0 {
		line = s.Origin[0].Line
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(line))
	dst = binary.LittleEndian.AppendUint64(dst, 0)
	return e.appendSpan(appendKey(dst, KeyOf(s)), s)
}

// AppendContent appends what makes a span itself: all but where it was read.
func (e *Encoder) AppendContent(dst []byte, s *trace.Span) []byte {
	content := *s
	content.Origin = nil
	return e.appendSpan(appendID(dst, s.TraceID), &content)
}

// KeyOf is the key of a span.
func KeyOf(s *trace.Span) Key {
	k := Key{ID: s.TraceID, Cost: Cost(s), Moved: s.Moved != 0}
	var timed int
	k.Start, _, timed = s.Extent()
	k.HasStart = timed > 0
	return k
}

// Key is what a record's place goes by, without the rest of it: that of one span,
// or that of all spans of a trace.
type Key struct {
	ID       trace.ID
	Cost     int64 // about what the spans take in memory when they are decoded, see cost
	Start    int64 // earliest note time as it stands in the spans, valid if hasStart
	HasStart bool
	Moved    bool // a span has Moved, so its times are not those of the log
}

// What a key's flags say.
const (
	keyHasStart = 1 << iota
	keyMoved
)

func appendKey(dst []byte, k Key) []byte {
	dst = append(dst, flagIf(k.HasStart, keyHasStart)|flagIf(k.Moved, keyMoved))
	dst = appendID(binary.AppendUvarint(dst, uint64(k.Cost)), k.ID)
	if k.HasStart {
		dst = binary.AppendVarint(dst, k.Start)
	}
	return dst
}

// add makes k the key of one more span of the trace.
func (k *Key) add(s Key) {
	k.Cost += s.Cost
	k.Moved = k.Moved || s.Moved
	if s.HasStart && (!k.HasStart || s.Start < k.Start) {
		k.Start, k.HasStart = s.Start, true
	}
}

// compare is the order of traces.
func (k Key) compare(l Key) int {
	return assemble.Order(trace.Trace{ID: k.ID, Start: k.Start, HasStart: k.HasStart},
		trace.Trace{ID: l.ID, Start: l.Start, HasStart: l.HasStart})
}

// MoveLine adds to the line of a record.
func MoveLine(record []byte, lines int64) {
	at := record[:lineSize]
	binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+uint64(lines))
}

// setNext says where the next record of the trace stands.
func setNext(record []byte, next place) {
	binary.LittleEndian.PutUint64(record[lineSize:headSize], uint64(next))
}

// nextOf is what setNext said, or 0.
func nextOf(record []byte) place {
	return place(binary.LittleEndian.Uint64(record[lineSize:headSize]))
}

func flagIf(is bool, bit byte) byte {
	if is {
		return bit
	}
	return 0
}

// appendSpan appends a span without its trace id and the line of its first origin.
func (e *Encoder) appendSpan(dst []byte, s *trace.Span) []byte {
	dst = append(dst, flagIf(s.HasParent, hasParent)|flagIf(s.Name.Set, hasName)|flagIf(s.Moved != 0, hasMoved)|
		flagIf(s.Notes == nil, noNotes)|flagIf(s.Dimensions == nil, noTags)|flagIf(s.Extra != nil, hasExtra)|
		flagIf(len(s.Origin) == 1, oneOrigin)|flagIf(s.Damage != 0, isDamaged))
	dst = appendID(dst, s.ID)
	if s.HasParent {
		dst = appendID(dst, s.ParentID)
	}
	if s.Name.Set {
		dst = appendString(dst, s.Name.String)
	}
	if s.Notes != nil {
		dst = binary.AppendUvarint(dst, uint64(len(s.Notes)))
	}
	var last shared
	time := int64(0) // the times of a span are close to each other
	for i := range s.Notes {
		n := &s.Notes[i]
		flags := flagIf(n.HasTime, hasTime) | flagIf(n.Service == last.service,
			sameService) | flagIf(n.Address == last.address, sameAddress) |
			flagIf(n.Port == last.port, samePort) | flagIf(n.Duration == last.duration,
			sameDuration) | flagIf(n.Extra != nil, hasItemExtra)
		dst = append(dst, flags)
		if n.HasTime {
			dst = binary.AppendVarint(dst, n.Time-time)
			time = n.Time
		}
		dst = e.appendValue(dst, n.Value)
		dst = last.append(dst, flags, n.Service, n.Address, n.Port)
		if flags&sameDuration == 0 {
			dst = appendValue(dst, n.Duration)
			last.duration = n.Duration
		}
		if n.Extra != nil {
			dst = appendFields(dst, n.Extra)
		}
	}
	if s.Dimensions != nil {
		dst = binary.AppendUvarint(dst, uint64(len(s.Dimensions)))
	}
	for i := range s.Dimensions {
		d := &s.Dimensions[i]
		flags := flagIf(d.Key.Set, hasKey) | flagIf(d.Service == last.service,
			sameService) | flagIf(d.Address == last.address, sameAddress) |
			flagIf(d.Port == last.port, samePort) | flagIf(d.Extra != nil, hasItemExtra)
		dst = append(dst, flags)
		if d.Key.Set {
			dst = appendString(dst, d.Key.String)
		}
		dst = e.appendValue(dst, d.Value)
		dst = last.append(dst, flags, d.Service, d.Address, d.Port)
		if d.Extra != nil {
			dst = appendFields(dst, d.Extra)
		}
	}
	if s.Extra != nil {
		dst = appendFields(dst, s.Extra)
	}
	if len(s.Origin) != 1 {
		dst = appendLength(dst, s.Origin)
	}
	for i := range s.Origin {
		if i > 0 {
			dst = binary.AppendVarint(dst, s.Origin[i].Line)
		}
		dst = e.appendOrigin(dst, &s.Origin[i])
	}
	if s.Damage != 0 {
		dst = append(dst, byte(s.Damage))
	}
	if s.Moved != 0 {
		dst = binary.AppendVarint(dst, s.Moved)
	}
	return dst
}

// append appends what is not the same as before.
func (last *shared) append(dst []byte, flags byte, service, address trace.Text, port trace.Value) []byte {
	if flags&sameService == 0 {
		dst = appendText(dst, service)
		last.service = service
	}
	if flags&sameAddress == 0 {
		dst = appendText(dst, address)
		last.address = address
	}
	if flags&samePort == 0 {
		dst = appendValue(dst, port)
		last.port = port
	}
	return dst
}

// appendOrigin appends an origin without its line.
func (e *Encoder) appendOrigin(dst []byte, o *trace.Origin) []byte {
	if e.number == 0 || o.File != e.file {
		e.number, _ = e.names.number(o.File)
		e.file = o.File
	}
	if dst = binary.AppendUvarint(dst, e.number); e.number == 0 {
		dst = appendString(dst, o.File)
	}
	dst = appendString(dst, o.RequestID)
	dst = appendString(dst, o.GlobalRequestID)
	dst = binary.AppendVarint(dst, o.PID)
	dst = appendString(dst, o.LogHost)
	return binary.AppendVarint(dst, o.LogTime)
}

func appendFields(dst []byte, fields []trace.Field) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(fields)))
	for i := range fields {
		dst = appendValue(appendString(dst, fields[i].Name), fields[i].Value)
	}
	return dst
}

// appendID appends how many of its parts an ID has, and these.
func appendID(dst []byte, id trace.ID) []byte {
	switch {
	case id.Odd != "":
		dst = binary.LittleEndian.AppendUint64(append(dst, 2), id.Lo)
		dst = binary.LittleEndian.AppendUint64(dst, id.Hi)
		return appendString(dst, id.Odd)
	case id.Hi != 0:
		dst = binary.LittleEndian.AppendUint64(append(dst, 1), id.Lo)
		return binary.LittleEndian.AppendUint64(dst, id.Hi)
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0), id.Lo)
}

// A value is its length and kind, and its text; or its number and kindNumbered, if it
// is a string that has one.
const (
	kindBits     = 3
	kindNumbered = 1<<kindBits - 1
)

// appendValue appends a value that may stand in many spans.
func (e *Encoder) appendValue(dst []byte, v trace.Value) []byte {
	if v.Kind == trace.String && len(v.Text) >= minRepeated && len(v.Text) <= maxRepeated && e.repeated != nil {
		if number := e.numberOf(v.Text); number > 0 {
			return binary.AppendUvarint(dst, number<<kindBits|kindNumbered)
		}
	}
	return appendValue(dst, v)
}

func appendValue(dst []byte, v trace.Value) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(v.Text))<<kindBits|uint64(v.Kind)), v.Text...)
}

func appendText(dst []byte, t trace.Text) []byte {
	if !t.Set {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(t.String))+1), t.String...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendLength appends one more than the length of a list, and 0 for nil.
func appendLength[T any](dst []byte, list []T) []byte {
	if list == nil {
		return append(dst, 0)
	}
	return binary.AppendUvarint(dst, uint64(len(list))+1)
}
