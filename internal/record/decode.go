package record

import (
	"encoding/binary"

	"github.com/tomoscrape/tomoscrape/internal/poison"
	"github.com/tomoscrape/tomoscrape/trace"
)

// decoder reads records. The strings that it gives are parts of the record's text,
// its lists are parts of a common room. After bad all that it gives is worthless.
type decoder struct {
	names *Names
	text  string
	at    int
	bad   bool

	notes      arena[trace.Note]
	dimensions arena[trace.Dimension]
	origins    arena[trace.Origin]
}

// begin begins to read a text.
func (d *decoder) begin(text string) { d.text, d.at, d.bad = text, 0, false }

// end says whether everything was read, and read well.
func (d *decoder) end() error {
	if d.bad || d.at != len(d.text) {
		return ErrDamaged
	}
	return nil
}

// reuse makes room of what the lists took that were given so far.
func (d *decoder) reuse() {
	d.notes.reuse()
	d.dimensions.reuse()
	d.origins.reuse()
}

// forget leaves what the lists took to those who have them.
func (d *decoder) forget() {
	d.notes, d.dimensions, d.origins = arena[trace.Note]{}, arena[trace.Dimension]{}, arena[trace.Origin]{}
}

// keyOf reads the key of a record.
func (d *decoder) keyOf(record string) (Key, error) {
	d.begin(record)
	d.part(headSize)
	k := d.key()
	if d.bad {
		return k, ErrDamaged
	}
	return k, nil
}

func (d *decoder) key() (k Key) {
	flags := d.byte()
	k.Cost = int64(d.uvarint())
	k.ID = d.id()
	if k.HasStart = flags&keyHasStart != 0; k.HasStart {
		k.Start = d.varint()
	}
	k.Moved = flags&keyMoved != 0
	return k
}

// record reads a record into s.
func (d *decoder) record(record string, s *trace.Span) error {
	d.begin(record)
	line := d.fixed()
	d.part(headSize - lineSize)
	*s = trace.Span{TraceID: d.key().ID}
	d.span(s, int64(line))
	return d.end()
}

// ids reads the ids of a record: of its trace, its span and, unless it is none, its
// parent.
func (d *decoder) ids(record string) (id, span, parent trace.ID, err error) {
	d.begin(record)
	d.part(headSize)
	id = d.key().ID
	flags := d.byte()
	span = d.id()
	if flags&hasParent != 0 {
		parent = d.id()
	}
	if d.bad {
		err = ErrDamaged
	}
	return id, span, parent, err
}

// span reads what appendSpan appended; line is that of its first origin.
func (d *decoder) span(s *trace.Span, line int64) {
	flags := d.byte()
	s.ID = d.id()
	if s.HasParent = flags&hasParent != 0; s.HasParent {
		s.ParentID = d.id()
	}
	if flags&hasName != 0 {
		s.Name = trace.NewText(d.string())
	}
	if flags&noNotes == 0 {
		s.Notes = d.notes.alloc(d.length())
	}
	var last shared
	time := int64(0)
	for i := range s.Notes {
		n := &s.Notes[i]
		flags := d.byte()
		if n.HasTime = flags&hasTime != 0; n.HasTime {
			time += d.varint()
			n.Time = time
		} else {
			n.Time = 0
		}
		n.Value = d.value()
		last.read(d, flags)
		if flags&sameDuration == 0 {
			last.duration = d.value()
		}
		n.Service, n.Address, n.Port, n.Duration = last.service, last.address, last.port, last.duration
		n.Extra = d.fields(flags & hasItemExtra)
	}
	if flags&noTags == 0 {
		s.Dimensions = d.dimensions.alloc(d.length())
	}
	for i := range s.Dimensions {
		t := &s.Dimensions[i]
		flags := d.byte()
		t.Key = trace.Text{}
		if flags&hasKey != 0 {
			t.Key = trace.NewText(d.string())
		}
		t.Value = d.value()
		last.read(d, flags)
		t.Service, t.Address, t.Port = last.service, last.address, last.port
		t.Extra = d.fields(flags & hasItemExtra)
	}
	s.Extra = d.fields(flags & hasExtra)
	origins, some := 1, true
	if flags&oneOrigin == 0 {
		n := d.length() // one more than there are
		origins, some = max(0, n-1), n > 0
	}
	if some {
		s.Origin = d.origins.alloc(origins)
	}
	for i := range s.Origin {
		if i > 0 {
			line = d.varint()
		}
		d.origin(&s.Origin[i])
		s.Origin[i].Line = line
	}
	if flags&isDamaged != 0 {
		s.Damage = trace.Damage(d.byte())
	}
	if flags&hasMoved != 0 {
		s.Moved = d.varint()
	}
}

// read reads what is not the same as before.
func (last *shared) read(d *decoder, flags byte) {
	if flags&sameService == 0 {
		last.service = d.getText()
	}
	if flags&sameAddress == 0 {
		last.address = d.getText()
	}
	if flags&samePort == 0 {
		last.port = d.value()
	}
}

func (d *decoder) origin(o *trace.Origin) {
	if number := d.uvarint(); number > 0 {
		o.File = d.name(number)
	} else {
		o.File = d.string()
	}
	o.RequestID = d.string()
	o.GlobalRequestID = d.string()
	o.PID = d.varint()
	o.LogHost = d.string()
	o.LogTime = d.varint()
}

// name is the name of a number.
func (d *decoder) name(number uint64) string {
	if number-1 >= uint64(len(d.names.list)) {
		d.spoil()
		return ""
	}
	return d.names.list[number-1]
}

// fields reads a list of fields, nil without the flag.
func (d *decoder) fields(flag byte) []trace.Field {
	if flag == 0 {
		return nil
	}
	fields := make([]trace.Field, d.length())
	for i := range fields {
		fields[i] = trace.Field{Name: d.string(), Value: d.value()}
	}
	return fields
}

func (d *decoder) id() (id trace.ID) {
	parts := d.byte()
	id.Lo = d.fixed()
	if parts > 0 {
		id.Hi = d.fixed()
	}
	if parts > 1 {
		id.Odd = d.string()
	}
	return id
}

func (d *decoder) value() trace.Value {
	n := d.uvarint()
	kind := n & (1<<kindBits - 1)
	if kind == kindNumbered {
		return trace.Value{Kind: trace.String, Text: d.name(n >> kindBits)}
	}
	return trace.Value{Kind: trace.Kind(kind), Text: d.part(n >> kindBits)}
}

func (d *decoder) getText() trace.Text {
	n := d.uvarint()
	if n == 0 {
		return trace.Text{}
	}
	return trace.NewText(d.part(n - 1))
}

func (d *decoder) string() string { return d.part(d.uvarint()) }

func (d *decoder) part(n uint64) string {
	if n > uint64(len(d.text)-d.at) {
		d.spoil()
		return ""
	}
	part := d.text[d.at : d.at+int(n)]
	d.at += int(n)
	return part
}

// spoil ends the reading of a text that does not hold what it should.
func (d *decoder) spoil() { d.bad, d.at = true, len(d.text) }

// length is that of a list; each element takes a byte at least.
func (d *decoder) length() int {
	n := d.uvarint()
	if n > uint64(len(d.text)-d.at)+1 {
		d.spoil()
		return 0
	}
	return int(n)
}

// fixed reads 8 bytes.
func (d *decoder) fixed() (n uint64) {
	part := d.part(8)
	if len(part) < 8 {
		return 0
	}
	return uint64(part[0]) | uint64(part[1])<<8 | uint64(part[2])<<16 | uint64(part[3])<<24 |
		uint64(part[4])<<32 | uint64(part[5])<<40 | uint64(part[6])<<48 | uint64(part[7])<<56
}

func (d *decoder) byte() byte {
	if d.at == len(d.text) {
		d.bad = true
		return 0
	}
	b := d.text[d.at]
	d.at++
	return b
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) uvarint() (n uint64) {
	text := d.text[d.at:]
	for i := 0; i < len(text) && i < binary.MaxVarintLen64; i++ {
		b := text[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.at += i + 1
			return n
		}
	}
	d.spoil()
	return 0
}

// arena is where lists are made, so that not each one is allocated by itself.
type arena[T any] struct {
	all  []T
	used int
}

// reuse makes room of what was given so far.
func (r *arena[T]) reuse() {
	poison.List(r.all[:r.used])
	r.used = 0
}

// alloc gives room for n elements, which may hold what was there before, and makes
// new room when there is none left.
func (r *arena[T]) alloc(n int) []T {
	if n == 0 {
		return []T{}
	}
	if n > len(r.all)-r.used {
		r.all, r.used = make([]T, max(n, min(2*len(r.all), 4096), 64)), 0
	}
	part := r.all[r.used : r.used+n : r.used+n]
	r.used += n
	return part
}
