package main

import (
	"container/heap"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// generatorVersion changes with whatever changes the bytes of a made log, so that
// older data is not taken for it.
const generatorVersion = 1

// Generate writes a log of about size bytes (as many more as it takes to end the
// traces that have begun) and says what it holds. The same seed and size give the
// same bytes. It is what several services of an OpenStack write into one file:
// spans of many traces at a time, each when it stops, so children before parents,
// between four times as many other lines. All span lines are well-formed; one in
// a hundred is there twice, and one in fifty traces of three spans or more lacks
// a parent.
func Generate(w io.Writer, seed uint64, size int64) (Truth, error) {
	g := &generator{w: w, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), clock: 1_384_168_262_000_000}
	g.truth = Truth{Generator: generatorVersion, Seed: seed}
	for g.err == nil {
		for len(g.open) < concurrent && g.truth.Bytes+int64(len(g.out)) < size {
			g.trace()
		}
		if len(g.open) == 0 {
			break
		}
		s := heap.Pop(&g.open).(*span)
		g.chatter(s.stop)
		g.span(s)
	}
	g.flush()
	return g.truth, g.err
}

// concurrent is how many spans are under way at any time, at least.
const concurrent = 60

type generator struct {
	w     io.Writer
	out   []byte // to be written
	err   error
	seed  uint64
	rng   *rand.Rand
	ids   uint64 // how many were given out
	clock int64  // microseconds; no line is older than the one above
	open  byStop
	truth Truth
}

// span is one that has begun. Times are microseconds.
type span struct {
	trace, id, parent uint64 // parent is 0 for none
	kind              *kind
	start, stop       int64
	request           *request
	children          int
}

// request is what a log's header says of the request that a trace came from.
type request struct{ id, user, project [2]uint64 }

// byStop is a heap of spans.
type byStop []*span

func (h byStop) Len() int           { return len(h) }
func (h byStop) Less(i, j int) bool { return h[i].stop < h[j].stop }
func (h byStop) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byStop) Push(s any)        { *h = append(*h, s.(*span)) }
func (h *byStop) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	*h = (*h)[:last]
	return s
}

// id gives out numbers from 1 to 2^53-1 as tomograph draws them, but each once:
// its steps are bijections of 53 bits that keep 0.
func (g *generator) id() uint64 {
	const mask = 1<<53 - 1
	g.ids++
	x := g.ids
	x = x * (g.seed<<1 | 1) & mask
	for range 2 {
		x ^= x >> 27
		x = x * 0x9e3779b97f4a7c15 & mask
	}
	return x ^ x>>27
}

// trace begins a trace of 1 to 40 spans.
func (g *generator) trace() {
	size := 1
	switch n := g.rng.IntN(100); {
	case n < 25:
	case n < 65:
		size = 2 + g.rng.IntN(4)
	case n < 90:
		size = 6 + g.rng.IntN(10)
	default:
		size = 16 + g.rng.IntN(25)
	}
	spans := make([]span, size)
	id, request := g.id(), &request{}
	for _, half := range []*[2]uint64{&request.id, &request.user, &request.project} {
		half[0], half[1] = g.rng.Uint64(), g.rng.Uint64()
	}
	for i := range spans {
		s := &spans[i]
		s.trace, s.id, s.request = id, g.id(), request
		if i == 0 {
			s.kind = &kinds[g.rng.IntN(roots)]
			s.start = g.clock + g.rng.Int64N(20_000)
			s.stop = s.start + int64(size)*(1_000+g.rng.Int64N(15_000))
			continue
		}
		s.kind = &kinds[roots+g.rng.IntN(len(kinds)-roots)]
		parent := &spans[max(0, i-1-g.rng.IntN(5))]
		parent.children++
		s.parent = parent.id
		length := parent.stop - parent.start
		s.start = parent.start + 2 + g.rng.Int64N(length/2+1)
		s.stop = s.start + 50 + g.rng.Int64N(max(1, parent.stop-s.start))
		if g.rng.IntN(30) == 0 { // a cast
			s.stop += length
		}
	}
	lost := -1
	if size >= 3 && g.rng.IntN(50) == 0 {
		lost = slices.IndexFunc(spans, func(s span) bool { return s.children > 0 })
	}
	g.truth.Traces++
	if lost < 0 {
		g.truth.Complete++
	} else {
		g.truth.Incomplete++
	}
	for i := range spans {
		if i != lost {
			heap.Push(&g.open, &spans[i])
		}
	}
}

// span writes what is logged when a span stops.
func (g *generator) span(s *span) {
	g.truth.Spans++
	g.truth.Checksum.add(s.trace, s.id, s.parent)
	g.time(g.clock, '.')
	g.text(" ")
	g.number(int64(s.kind.pid))
	g.text(" INFO tomograph.backends.log [")
	if s.kind.context {
		g.text("req-")
		g.uuid(s.request.id)
		g.text(" ")
		g.hex(s.request.user)
		g.text(" ")
		g.hex(s.request.project)
		g.text(" - - default default] ")
	} else {
		g.text("-] ")
	}
	at := len(g.out)
	g.repr(s)
	length := len(g.out) - at
	g.spanLine(length)
	if g.rng.IntN(100) == 0 { // the library's own handler prints it, too
		g.truth.Duplicates++
		copied := string(g.out[at : at+length]) // the buffer may move
		g.time(g.clock, ',')
		g.text(" INFO tomograph.backends.log ")
		g.text(copied)
		g.spanLine(length)
	}
}

// spanLine ends a line whose text of a span has so many bytes.
func (g *generator) spanLine(length int) {
	g.truth.SpanLines++
	g.truth.SpanBytes += int64(length)
	g.endLine()
}

// repr is the span as Python prints it.
func (g *generator) repr(s *span) {
	k := s.kind
	g.text("Span(trace_id=")
	g.number(int64(s.trace))
	g.text(", parent_id=")
	if s.parent == 0 {
		g.text("None")
	} else {
		g.number(int64(s.parent))
	}
	g.text(", id=")
	g.number(int64(s.id))
	g.text(", name='")
	g.text(k.name)
	g.text("', notes=[")
	g.note(k, s.start, "'start'", 0)
	g.text(", ")
	if k.statements > 0 && g.rng.IntN(10) < 8 {
		n := 1 + g.rng.IntN(k.statements+1)
		step := max(1, (s.stop-s.start)/int64(2*n+1))
		for i := range n {
			statement := statements[g.rng.IntN(len(statements))]
			at := min(s.stop, s.start+step*int64(2*i+1))
			g.note(k, at, statement, 0)
			g.text(", ")
			if k.twice {
				at = min(s.stop, at+step/2)
				g.note(k, at, statement, float64(at)/1e6-float64(s.start)/1e6)
				g.text(", ")
			}
		}
	} else if g.rng.IntN(20) == 0 {
		g.note(k, (s.start+s.stop)/2, remarks[g.rng.IntN(len(remarks))], 0)
		g.text(", ")
	}
	g.note(k, s.stop, "'stop'", 0)
	g.text("], dimensions=[")
	if g.rng.IntN(6) == 0 {
		g.text("Tag(")
		g.text(tags[g.rng.IntN(len(tags))])
		g.endpoint(k)
		g.text(")")
	}
	g.text("])")
}

func (g *generator) note(k *kind, at int64, value string, duration float64) {
	g.text("Note(time=")
	g.number(at / 1_000_000)
	g.text(".")
	digits, fraction := 6, at%1_000_000
	if k.digits == 7 {
		digits, fraction = 7, fraction*10+g.rng.Int64N(5) // never rounded up
	}
	for digits > 1 && fraction%10 == 0 { // repr ends with the last digit that says something
		digits, fraction = digits-1, fraction/10
	}
	g.digits(fraction, digits)
	g.text(", value=")
	g.text(value)
	g.endpoint(k)
	g.text(", duration=")
	if duration == 0 {
		g.text("0)")
		return
	}
	format := byte('f')
	if duration < 1e-4 {
		format = 'e'
	}
	g.out = strconv.AppendFloat(g.out, duration, format, -1, 64)
	g.text(")")
}

func (g *generator) endpoint(k *kind) {
	g.text(", service_name='")
	g.text(k.service)
	g.text("', address='")
	g.text(k.address)
	g.text("', port=")
	g.number(int64(k.port))
}

// chatter writes other lines, and moves the clock on to the time given.
func (g *generator) chatter(until int64) {
	n := 2 + g.rng.IntN(5)
	for i := range n {
		g.clock += max(0, (until-g.clock)/int64(n+1-i))
		g.time(g.clock, '.')
		g.text(" ")
		g.number(int64(kinds[g.rng.IntN(len(kinds))].pid))
		g.text(" ")
		t := &chatter[g.rng.IntN(len(chatter))]
		switch g.rng.IntN(2000) {
		case 0:
			t = &mention
			g.truth.Mentions++
		case 1, 2, 3:
			t = &traceback
			g.truth.Lines += 4
		}
		g.fill(t)
		g.endLine()
	}
	g.clock = max(g.clock, until)
}

func (g *generator) fill(t *template) {
	for i, text := range t.texts {
		g.text(text)
		if i == len(t.gaps) {
			return
		}
		switch t.gaps[i] {
		case 'u':
			g.uuid([2]uint64{g.rng.Uint64(), g.rng.Uint64()})
		case 'h':
			g.hex([2]uint64{g.rng.Uint64(), g.rng.Uint64()})
		case 'n':
			g.number(g.rng.Int64N(10_000))
		case 'b':
			g.number(g.rng.Int64N(256))
		}
	}
}

func (g *generator) text(s string) { g.out = append(g.out, s...) }

func (g *generator) number(n int64) { g.out = strconv.AppendInt(g.out, n, 10) }

// digits writes a number in so many digits.
func (g *generator) digits(n int64, width int) {
	g.text("0000000"[:width])
	for i := len(g.out) - 1; n > 0; i, n = i-1, n/10 {
		g.out[i] = byte('0' + n%10)
	}
}

// time writes a log's time, in UTC, with milliseconds.
func (g *generator) time(at int64, point byte) {
	g.out = time.UnixMicro(at).UTC().AppendFormat(g.out, "2006-01-02 15:04:05")
	g.out = append(g.out, point)
	g.digits(at/1000%1000, 3)
}

func (g *generator) hex(n [2]uint64) { g.nibbles(n, false) }

func (g *generator) uuid(n [2]uint64) { g.nibbles(n, true) }

func (g *generator) nibbles(n [2]uint64, dashes bool) {
	for i := range 32 {
		if dashes && (i == 8 || i == 12 || i == 16 || i == 20) {
			g.out = append(g.out, '-')
		}
		g.out = append(g.out, "0123456789abcdef"[n[i/16]>>(60-4*(i%16))&15])
	}
}

func (g *generator) endLine() {
	g.out = append(g.out, '\n')
	g.truth.Lines++
	if len(g.out) >= 256<<10 {
		g.flush()
	}
}

func (g *generator) flush() {
	if g.err == nil {
		_, g.err = g.w.Write(g.out)
	}
	g.truth.Bytes += int64(len(g.out))
	g.out = g.out[:0]
}
