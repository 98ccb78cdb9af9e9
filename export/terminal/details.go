package terminal

import (
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// fact is a short text beside others on a line.
type fact struct {
	text string // not escaped yet
	sgr  string // its colour, "" for none
}

// between separates the facts of a line.
const between = "  ·  "

const betweenTo = 5 // its columns

// flow writes facts one beside the other on as many lines as they take, each
// line behind the prefix, which holds guides and takes prefixTo columns.
func (d *drawing) flow(prefix string, prefixTo int, facts []fact) {
	room := d.flowTo - prefixTo
	col := 0
	for _, f := range facts {
		text, cols := safetext.FitAll(f.text)
		if d.Width > 0 {
			text, cols = safetext.Clip(f.text, room)
		}
		switch {
		case col == 0:
			d.out.WriteString(prefix)
		case col+betweenTo+cols > room:
			d.out.WriteString("\n" + prefix)
			col = 0
		default:
			d.out.WriteString(d.paint(faint, between))
			col += betweenTo
		}
		d.out.WriteString(d.paint(f.sgr, text))
		col += cols
	}
	if len(facts) > 0 {
		d.out.WriteByte('\n')
	}
}

// problem writes a problem on lines of its own.
func (d *drawing) problem(prefix string, prefixTo int, text string) {
	const mark = "! "
	lines := []string{safetext.Escape(text)}
	if d.Width > 0 {
		lines = safetext.Wrap(text, d.Width-prefixTo-len(mark))
	}
	for i, line := range lines {
		lead := mark
		if i > 0 {
			lead = "  "
		}
		d.out.WriteString(prefix + d.paint(red, lead+line) + "\n")
	}
}

// below writes what belongs to a span under its row.
func (d *drawing) below(i int, n *trace.Node) {
	prefix, cols := d.guides(n.Depth, false)
	if d.parent[i] && n.Depth < d.levels {
		prefix += d.paint(faint, "│ ")
	} else {
		prefix += "  "
	}
	prefix += "  "
	cols += step + 2
	for _, p := range n.Problems {
		d.problem(prefix, cols, string(p.Code)+": "+p.Text)
	}
	var facts []fact
	for j := range n.Notes {
		facts = append(facts, fact{text: d.note(&n.Notes[j], &n.Span)})
	}
	for j := range n.Dimensions {
		dim := &n.Dimensions[j]
		facts = append(facts, fact{text: textOf(dim.Key) + " = " + valueOf(dim.Value)})
	}
	for _, f := range n.Extra {
		facts = append(facts, fact{text: f.Name + " = " + valueOf(f.Value)})
	}
	d.flow(prefix, cols, append(facts, d.origins(&n.Span)...))
}

// note is a note's offset, value, and where it was taken if that is not where
// the span is.
func (d *drawing) note(n *trace.Note, s *trace.Span) string {
	text := "(no time) "
	if n.HasTime {
		text = offset(n.Time, d.t.Start) + " "
	}
	text += valueOf(n.Value)
	if n.Service != s.Service() || n.Address != s.Host() {
		text += " (" + textOf(n.Service) + " on " + textOf(n.Address) + ")"
	}
	return text
}

// valueOf is a value as the log has it, a string without its quotes unless it is
// empty or reads None.
func valueOf(v trace.Value) string {
	switch {
	case v.Kind == trace.Absent:
		return "-"
	case v.Kind == trace.None:
		return "None"
	case v.Kind == trace.String && v.Text == "None":
		return `"None"`
	}
	return visible(v.Text)
}

func textOf(t trace.Text) string {
	if !t.Set {
		return "-"
	}
	return t.String
}

// origins is where the span was read and where it ran.
func (d *drawing) origins(s *trace.Span) []fact {
	var facts []fact
	if host := s.Host(); host.Set {
		text := "on " + host.String
		if port := s.Notes[0].Port; port.Kind == trace.Int && port.Text != "0" {
			text += ":" + port.Text
		}
		facts = append(facts, fact{text: text, sgr: faint})
	}
	for _, o := range s.Origin {
		if o.File == "" {
			continue
		}
		text := o.File
		if o.Line > 0 {
			text += ":" + strconv.FormatInt(o.Line, 10)
		}
		if d.Width > 0 { // the end of a path tells more than its head
			text = tail(text, d.Width/2)
		}
		facts = append(facts, fact{text: text, sgr: faint})
	}
	return facts
}

// tail is the last bytes of a path, from a slash on where that fits.
func tail(path string, width int) string {
	if len(path) <= width {
		return path
	}
	cut := len(path) - width + 1
	if slash := strings.IndexByte(path[cut:], '/'); slash >= 0 && slash < width/2 {
		cut += slash
	}
	return safetext.Ellipsis + path[cut:]
}
