package terminal

import (
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// axis is a stretch of time that bars are drawn on.
type axis struct {
	first, last int64 // microseconds
	timed       bool
}

func (a *axis) include(s *trace.Span) {
	first, last, timed := s.Extent()
	if timed == 0 {
		return
	}
	if !a.timed || first < a.first {
		a.first = first
	}
	if !a.timed || last > a.last {
		a.last = last
	}
	a.timed = true
}

func (a axis) length() uint64 { return uint64(a.last) - uint64(a.first) }

// apart is how many times longer than its longest tree a trace must be to have
// a time line for each of its roots: on one for all, hardly a bar could be told
// from a dot.
const apart = 10

// settleAxes finds the time line of the trace, or one for each root where these
// are far apart (a server that went on under one trace id for minutes).
func (d *drawing) settleAxes() {
	axes := map[int]axis{}
	top, longest := -1, uint64(0)
	for i := range d.spans() {
		n := d.t.Node(i)
		d.axis.include(&n.Span)
		if n.Parent < 0 {
			top = i
		}
		a := axes[top]
		a.include(&n.Span)
		axes[top] = a
		longest = max(longest, a.length())
	}
	if len(axes) > 1 && d.axis.length()/apart > longest {
		d.axes = axes
	}
}

// cell is the half column that a time falls into, of n half columns.
func (a axis) cell(us int64, n int) int {
	if a.length() == 0 {
		return 0
	}
	return min(int(float64(uint64(us)-uint64(a.first))/float64(a.length())*float64(n)), n-1)
}

// bar draws a span in so many columns, in halves of a column, never thinner
// than half a column; what has no length is a dot, what has no time is nothing.
func (a axis) bar(s *trace.Span, width int) string {
	first, last, timed := s.Extent()
	if timed == 0 {
		return pad(width)
	}
	from, to := a.cell(first, 2*width), a.cell(last, 2*width)
	if first == last {
		return pad(from/2) + "•" + pad(width-from/2-1)
	}
	var b strings.Builder
	b.WriteString(pad(from / 2))
	for col := from / 2; col <= to/2; col++ {
		switch {
		case 2*col < from:
			b.WriteString("╺")
		case 2*col+1 > to:
			b.WriteString("╸")
		default:
			b.WriteString("━")
		}
	}
	b.WriteString(pad(width - to/2 - 1))
	return b.String()
}

// ruler writes the line above the bars, which says what their left and right
// ends are as offsets from the start of the trace.
func (d *drawing) ruler(a axis) {
	if d.barTo == 0 || !a.timed {
		d.out.WriteByte('\n')
		return
	}
	left, right := offset(a.first, d.t.Start), offset(a.last, d.t.Start)
	_, leftTo := safetext.FitAll(left)
	_, rightTo := safetext.FitAll(right)
	line := strings.Repeat("─", max(d.barTo-leftTo-rightTo-2, 0))
	if line == "" {
		left, leftTo = safetext.Clip(left, d.barTo)
		right, rightTo = safetext.Clip(right, d.barTo-leftTo-1)
		line = pad(d.barTo - leftTo - rightTo)
	} else {
		line = " " + line + " "
	}
	d.out.WriteString(pad(d.labelTo+gap) + d.paint(faint, left+line+right) + "\n")
}
