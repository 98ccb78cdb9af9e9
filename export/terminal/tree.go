package terminal

import (
	"bufio"
	"context"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// Tree draws a trace: what it is, then a row per span with guides, service and
// name, a bar on the time line, and the duration; below the row the span's
// notes (with their offset from the start of the trace), dimensions, where it
// was read, and its problems. For a terminal everything fits its width, cut
// values end in an ellipsis; otherwise nothing is cut.
func Tree(w io.Writer, t *trace.Trace, v View) error {
	out := bufio.NewWriterSize(w, 64<<10)
	d := newDrawing(out, t, v)
	if d.ended() {
		return context.Canceled
	}
	d.head()
	for i := range d.spans() {
		d.span(i)
	}
	if d.ended() {
		return context.Canceled
	}
	return out.Flush()
}

// spans are the indexes of all spans, until nothing more is to be drawn.
func (d *drawing) spans() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range d.t.Len() {
			if d.ended() || !yield(i) {
				return
			}
		}
	}
}

// drawing is a trace on its way to paper.
type drawing struct {
	View
	out      *bufio.Writer
	t        *trace.Trace
	colors   map[string]string // of a service
	more     []bool            // span has a later sibling
	parent   []bool            // span has children
	open     []bool            // of the ancestors at each depth: has a later sibling
	levels   int               // of indentation that are drawn
	labelTo  int               // columns of guides, service and name
	barTo    int               // columns of the bar, 0 without times
	tookTo   int               // columns of the duration
	axis     axis
	axes     map[int]axis // of each root, if each has a time line of its own
	flowTo   int          // columns of a line of notes
	requests []string
}

const (
	pipeLabel = 100 // columns that labels are padded to in a pipe, at most
	pipeBar   = 40
	pipeFlow  = 120
	leastBar  = 10
	step      = 2 // columns of a level of indentation
)

func newDrawing(out *bufio.Writer, t *trace.Trace, v View) *drawing {
	d := &drawing{View: v, out: out, t: t, colors: map[string]string{}, flowTo: v.Width,
		more: make([]bool, t.Len()), parent: make([]bool, t.Len()), levels: 24}
	for i, service := range t.Services {
		d.colors[service] = serviceColors[i%len(serviceColors)]
	}
	if v.Width > 0 {
		d.levels = max(2, min(16, v.Width/4/step))
	} else {
		d.flowTo = pipeFlow
	}
	seen := map[string]bool{}
	lastChild := make(map[int]int)
	for i := range d.spans() {
		n := t.Node(i)
		if before, ok := lastChild[n.Parent]; ok {
			d.more[before] = true
		}
		lastChild[n.Parent] = i
		if n.Parent >= 0 {
			d.parent[n.Parent] = true
		}
		for _, o := range n.Origin {
			if o.RequestID != "" && !seen[o.RequestID] {
				seen[o.RequestID] = true
				d.requests = append(d.requests, o.RequestID)
			}
		}
	}
	d.settleAxes()
	d.settleColumns()
	return d
}

// settleColumns shares the width between label, bar and duration.
func (d *drawing) settleColumns() {
	limit := pipeLabel
	if d.Width > 0 {
		limit = d.Width
	}
	for i := range d.spans() {
		n := d.t.Node(i)
		_, cols := safetext.Clip(label(&n.Span), limit)
		d.labelTo = max(d.labelTo, min(cols+step*min(n.Depth, d.levels), limit))
		if us, ok := length(&n.Span); ok {
			_, cols = safetext.Clip(safetext.Duration(us), limit)
			d.tookTo = max(d.tookTo, cols)
		}
	}
	if d.tookTo == 0 { // no span has a duration
		d.tookTo = 1
	}
	if d.axis.timed {
		d.barTo = pipeBar
	}
	if d.Width <= 0 {
		return
	}
	rest := d.Width - gap - d.tookTo
	if !d.axis.timed {
		d.labelTo = max(min(d.labelTo, rest), 1)
		return
	}
	rest -= gap
	d.labelTo = max(min(d.labelTo, rest*11/20), 1)
	d.barTo = rest - d.labelTo
	if d.barTo < leastBar {
		d.barTo = 0
		d.labelTo = max(rest+gap, 1)
	}
}

// head writes what the trace is.
func (d *drawing) head() {
	t := d.t
	sgr := green
	if !t.Complete() {
		sgr = yellow
	}
	d.flow("", 0, []fact{
		{text: "trace " + t.ID.Hex(), sgr: bold},
		{text: "tomograph " + t.ID.Decimal(), sgr: faint},
		{text: verdict(t), sgr: sgr},
	})
	when := fact{text: "no times"}
	if t.HasStart {
		when.text = safetext.Time(t.Start, 6)
	}
	facts := []fact{when, {text: duration(t), sgr: bold}, {text: safetext.Plural(int64(t.Len()), "span")}}
	if !t.HasStart {
		facts = append(facts[:1], facts[2:]...)
	}
	for _, service := range t.Services {
		facts = append(facts, fact{text: visible(service), sgr: d.colors[service]})
	}
	d.flow("", 0, facts)
	d.flow("", 0, some(d.requests, d.Width > 0))
	for _, f := range tally(t.Problems) {
		d.problem("", 0, f)
	}
	if d.axes == nil {
		d.ruler(d.axis)
	}
}

// some is the first few requests in a terminal, all in a pipe.
func some(requests []string, few bool) []fact {
	const enough = 3
	var facts []fact
	for i, r := range requests {
		if few && i == enough && len(requests) > enough+1 {
			return append(facts, fact{text: safetext.Plural(int64(len(requests)-enough), "more request"), sgr: faint})
		}
		facts = append(facts, fact{text: r, sgr: faint})
	}
	return facts
}

// tally is the problems of the trace as a whole in words, and those of its
// spans, which stand beside them, as a count.
func tally(problems []trace.Problem) []string {
	var lines []string
	var codes []trace.Code
	count := map[trace.Code]int{}
	for _, p := range problems {
		if !p.HasSpan {
			lines = append(lines, string(p.Code)+": "+p.Text)
			continue
		}
		if count[p.Code] == 0 {
			codes = append(codes, p.Code)
		}
		count[p.Code]++
	}
	for i, code := range codes {
		codes[i] = code + trace.Code(" in "+safetext.Plural(int64(count[code]), "span"))
	}
	if len(codes) > 0 {
		var texts []string
		for _, c := range codes {
			texts = append(texts, string(c))
		}
		lines = append(lines, strings.Join(texts, ", "))
	}
	return lines
}

// span writes the row of a span and what belongs below it.
func (d *drawing) span(i int) {
	n := d.t.Node(i)
	for len(d.open) <= n.Depth {
		d.open = append(d.open, false)
	}
	d.open[n.Depth] = d.more[i]
	if a, ok := d.axes[i]; ok {
		d.axis = a
		d.ruler(a)
	}
	guides, cols := d.guides(n.Depth, true)
	text := label(&n.Span)
	room := d.labelTo - cols
	shown, wide := safetext.FitAll(text)
	if d.Width > 0 {
		shown, wide = safetext.Clip(text, room)
	}
	d.out.WriteString(guides)
	service := n.Service()
	sgr := bold
	if head := safetext.Escape(visible(service.String)); service.Set && strings.HasPrefix(shown, head) {
		d.out.WriteString(d.paint(d.colors[service.String], head))
		shown = shown[len(head):]
	}
	if len(n.Problems) > 0 {
		sgr = bold + ";" + red
	}
	d.out.WriteString(d.paint(sgr, shown))
	d.out.WriteString(pad(room - wide))
	if d.barTo > 0 {
		bar := d.axis.bar(&n.Span, d.barTo)
		d.out.WriteString(pad(gap) + d.paint(d.colors[service.String], bar))
	}
	took := "-"
	if us, ok := length(&n.Span); ok {
		took = safetext.Duration(us)
	}
	_, cols = safetext.FitAll(took)
	d.out.WriteString(pad(gap+d.tookTo-cols) + took + "\n")
	d.below(i, n)
}

// guides is the indentation at a depth: the branch itself on the row of a span,
// the lines that pass by on the rows below it. Deeper than the drawing has
// levels, the depth stands as a number instead.
func (d *drawing) guides(depth int, branch bool) (string, int) {
	if depth == 0 {
		return "", 0
	}
	var b strings.Builder
	cols := step * min(depth, d.levels)
	if depth > d.levels {
		mark := safetext.Ellipsis
		if branch {
			mark += strconv.Itoa(depth)
		}
		text, wide := safetext.Clip(mark, cols-step)
		b.WriteString(text + pad(cols-step-wide))
	} else {
		for level := 1; level < depth; level++ {
			if d.open[level] {
				b.WriteString("│ ")
			} else {
				b.WriteString("  ")
			}
		}
	}
	switch {
	case branch && d.open[depth]:
		b.WriteString("├╴")
	case branch:
		b.WriteString("└╴")
	case d.open[depth]:
		b.WriteString("│ ")
	default:
		b.WriteString("  ")
	}
	return d.paint(faint, b.String()), cols
}

// length is the time from a span's first note to its last; false with fewer
// than two timed notes.
func length(s *trace.Span) (uint64, bool) {
	first, last, timed := s.Extent()
	return uint64(last) - uint64(first), timed > 1
}
