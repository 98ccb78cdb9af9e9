package assemble

import (
	"net/netip"
	"strings"
)

// skew is what the clocks of two hosts make of a child that seems to start
// before its parent, in microseconds.
type skew struct {
	early int64 // by how much it starts before its parent, once that was moved; 0 if it does not
	moved int64 // by how much later it was put
	leads bool  // it moved because it was early, not because its parent moved
	top   int   // the vertex that led the move; valid if moved
	below int   // how many spans below it followed, if it leads
}

// safeTime is the range in which times are moved: far beyond any date, and no sum
// or difference of two such times overflows.
const safeTime = 1 << 61

// measureSkew notes which spans start before their parent and, if asked to,
// moves them.
//
// Zipkin moves a server span that starts before the client span above it, if
// their addresses differ: into the middle of the client's span, taking half the
// difference of the two durations for the way there, or 1 µs behind the client's
// start where it is no shorter or a duration is not known; and with it what lies
// below it on the same address. A tomograph span has no kind, and its address is
// mostly a host name, so here any two spans count, parent and child, whose first
// notes name different hosts. What lies below moves along as far as it names the
// same host, or none that could be told from it (no address, loopback,
// "unknown"). Parent and child of one host are never moved against each other.
//
// What was moved says so in [trace.Span.Moved], so that it can be undone.
func (r *scratch) measureSkew(adjust bool) {
	vertices := r.vertices
	for _, i := range r.order {
		v := &vertices[i]
		if v.parent < 0 {
			continue
		}
		p := &vertices[v.parent]
		if adjust && p.skew.moved != 0 && !differ(&vertices[p.skew.top], v) && v.canMove(p.skew.moved) {
			v.skew.top = p.skew.top
			vertices[v.skew.top].skew.below++
			v.move(p.skew.moved)
		}
		if !p.hasStart() || !v.hasStart() || v.start >= p.start {
			continue
		}
		if v.skew.early = saturatingSub(p.start, v.start); !adjust || v.skew.moved != 0 || !differ(p, v) {
			continue
		}
		if by, ok := shift(p, v); ok {
			v.skew.leads, v.skew.top = true, i
			v.move(by)
		}
	}
}

// shift is by how much later a child is to be put so that it fits its parent.
func shift(parent, child *vertex) (by int64, ok bool) {
	if !parent.safe() || !child.safe() {
		return 0, false
	}
	latency := int64(1)
	if spare := (parent.end - parent.start) - (child.end - child.start); spare > 0 && parent.timed > 1 &&
		child.timed > 1 {
		latency = spare / 2
	}
	return parent.start + latency - child.start, true
}

// safe says whether all times of a span are within safeTime.
func (v *vertex) safe() bool { return v.start >= -safeTime && v.end <= safeTime }

// canMove says whether the times of a span can be put later, and back again.
func (v *vertex) canMove(by int64) bool {
	return !v.hasStart() || v.safe() && by <= 2*safeTime
}

// move puts the notes of a span later. The caller's span stays as it was.
func (v *vertex) move(by int64) {
	v.skew.moved = by
	if !v.hasStart() {
		return
	}
	moved := *v.span
	moved.Notes = later(moved.Notes, by)
	moved.Moved = by
	v.span = &moved
	v.start += by
	v.end += by
}

// differ says whether two spans certainly come from different hosts.
func differ(a, b *vertex) bool {
	x, y := a.span.Host().String, b.span.Host().String
	return namesHost(x) && namesHost(y) && !strings.EqualFold(x, y)
}

// namesHost says whether an address tells one machine from another.
func namesHost(address string) bool {
	switch strings.ToLower(address) {
	case "", "unknown", "localhost":
		return false
	}
	ip, err := netip.ParseAddr(address)
	return err != nil || !ip.IsLoopback() && !ip.IsUnspecified()
}

// saturatingSub is a - b for a >= b.
func saturatingSub(a, b int64) int64 {
	if d := a - b; d >= 0 {
		return d
	}
	return 1<<63 - 1
}
