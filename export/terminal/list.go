package terminal

import (
	"bufio"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/internal/safetext"
	"github.com/tomoscrape/tomoscrape/trace"
)

// List writes a header and one line per trace: id, start in UTC, duration, root
// service and span, number of spans, services, verdict. For a terminal the
// columns shrink to its width (of 60 or more): first the times lose decimals, then services are
// counted instead of named, then columns go. Problems are not listed here; the
// verdict says that there are some. The traces are gone through twice: first for
// the widths of the columns. An error among them ends the list and is returned.
func List(w io.Writer, traces iter.Seq2[*trace.Trace, error], v View) error {
	t, err := newTable(traces, v)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	t.line(out, t.header(), nil)
	for tr, err := range traces {
		if err != nil {
			return err
		}
		t.line(out, t.row(tr), tr)
	}
	return out.Flush()
}

// table is the layout of a list: which columns there are and how wide.
type table struct {
	View
	detail   detail
	id       int // columns of the id
	took     int // of the duration
	root     int // of the root, elastic
	spans    int // of the number of spans
	services int // of the services, elastic
}

// detail is how much a list tells, from all to what fits a narrow terminal.
type detail struct {
	start    func(*trace.Trace) string
	startTo  int // columns of start
	services servicesAs
	spans    bool
	short    bool // the verdict as yes or no under "OK"
	root     int  // columns that the root should have for so much to be told
}

type servicesAs int

const (
	named servicesAs = iota
	numbered
	leftOut
)

// details are tried in turn until the root has room enough.
var details = []detail{
	{start: startWith(6), startTo: 27, services: named, spans: true, root: 22},
	{start: startWith(3), startTo: 24, services: named, spans: true, root: 22},
	{start: startWith(3), startTo: 24, services: numbered, spans: true, root: 22},
	{start: startWith(0), startTo: 20, services: numbered, spans: true, root: 18},
	{start: startWith(0), startTo: 20, services: leftOut, spans: true, short: true, root: 14},
	{start: clock, startTo: 14, services: leftOut, short: true},
}

func startWith(decimals int) func(*trace.Trace) string {
	return func(t *trace.Trace) string {
		if !t.HasStart {
			return "-"
		}
		return safetext.Time(t.Start, decimals)
	}
}

// clock is month, day and time, where there is no room for more.
func clock(t *trace.Trace) string {
	if !t.HasStart {
		return "-"
	}
	day, time, _ := strings.Cut(safetext.Time(t.Start, 0), "T")
	return day[len(day)-5:] + " " + strings.TrimSuffix(time, "Z")
}

const (
	gap          = 2  // between columns
	enoughNames  = 16 // columns that the names of services should have
	servicesHead = "SERVICES"
)

func newTable(traces iter.Seq2[*trace.Trace, error], v View) (*table, error) {
	idTo := 32
	if v.Width > 0 {
		idTo = min(idTo, v.Width/3)
	}
	t := &table{View: v, id: len("TRACE"), took: len("DURATION"), root: len("ROOT"), spans: len("SPANS"),
		services: len(servicesHead)}
	for tr, err := range traces {
		if err != nil {
			return nil, err
		}
		_, cols := safetext.Clip(tr.ID.Hex(), idTo)
		t.id = max(t.id, cols)
		_, cols = safetext.Clip(duration(tr), 20)
		t.took = max(t.took, cols)
		_, cols = safetext.Clip(rootLabel(tr), t.limit(80))
		t.root = max(t.root, cols)
		t.spans = max(t.spans, len(strconv.Itoa(tr.Len())))
		_, cols = joined(tr.Services)
		cols = min(cols, t.limit(120))
		t.services = max(t.services, cols)
	}
	if v.Width <= 0 {
		t.detail = details[0]
		return t, nil
	}
	wanted := *t
	for _, d := range details {
		*t = wanted
		t.detail = d
		if t.share() {
			break
		}
	}
	return t, nil
}

// limit keeps one long value from padding all lines of a pipe.
func (t *table) limit(n int) int {
	if t.Width > 0 {
		return t.Width
	}
	return n
}

// share gives the elastic columns what the others leave of the width, and says
// whether that is enough.
func (t *table) share() bool {
	rest := t.Width - t.id - gap - t.detail.startTo - gap - t.took - gap
	if t.detail.spans {
		rest -= gap + t.spans
	}
	if t.detail.short {
		rest -= gap + len("yes")
	} else {
		rest -= gap + len("incomplete")
	}
	if t.detail.services == numbered {
		rest -= gap + len(servicesHead)
	}
	if t.detail.services != named {
		wanted := t.root
		t.root = max(min(wanted, rest), 0)
		return rest >= min(wanted, t.detail.root)
	}
	rest -= gap
	if t.root+t.services <= rest {
		return true
	}
	if rest < min(t.root, t.detail.root)+min(t.services, enoughNames) {
		return false
	}
	// Each has its least; what is left goes to the root first.
	services := min(t.services, max(enoughNames, rest-t.root))
	t.root = min(t.root, rest-services)
	t.services = min(t.services, rest-t.root)
	return true
}

// cells are the texts of a line, still unescaped.
type cells struct {
	id, start, took, root, spans, verdict string
	services                              []string
}

func (t *table) header() cells {
	c := cells{id: "TRACE", start: "START", took: "DURATION", root: "ROOT", spans: "SPANS", verdict: "VERDICT",
		services: []string{servicesHead}}
	if t.detail.short {
		c.verdict = "OK"
	}
	return c
}

func (t *table) row(tr *trace.Trace) cells {
	c := cells{id: tr.ID.Hex(), start: t.detail.start(tr), took: duration(tr), root: rootLabel(tr),
		spans: strconv.Itoa(tr.Len()), verdict: verdict(tr), services: tr.Services}
	if t.detail.short {
		c.verdict = "yes"
		if !tr.Complete() {
			c.verdict = "no"
		}
	}
	return c
}

func rootLabel(t *trace.Trace) string {
	if r := root(t); r != nil {
		return label(&r.Span)
	}
	return "-"
}

// line writes the cells of a header (tr is nil) or a trace.
func (t *table) line(out *bufio.Writer, c cells, tr *trace.Trace) {
	style := func(sgr, text string) string {
		if tr == nil {
			sgr = bold
		}
		if sgr == "" {
			return text
		}
		return t.paint(sgr, text)
	}
	var b strings.Builder
	text, cols := t.clip(c.id, t.id)
	b.WriteString(style(bold, text) + pad(t.id-cols+gap))
	text, cols = t.clip(c.start, t.detail.startTo)
	b.WriteString(style(faint, text) + pad(t.detail.startTo-cols+gap))
	text, cols = t.clip(c.took, t.took)
	b.WriteString(pad(t.took-cols) + style("", text) + pad(gap))
	text, cols = t.clip(c.root, t.root)
	b.WriteString(style("", text) + pad(t.root-cols))
	if t.detail.spans {
		b.WriteString(pad(gap+t.spans-len(c.spans)) + style("", c.spans))
	}
	switch t.detail.services {
	case named:
		text, cols = t.names(c.services)
		b.WriteString(pad(gap) + style("", text) + pad(t.services-cols))
	case numbered:
		text = servicesHead
		if tr != nil {
			text = strconv.Itoa(len(c.services))
		}
		b.WriteString(pad(gap+len(servicesHead)-len(text)) + style("", text))
	}
	sgr := green
	if tr != nil && !tr.Complete() {
		sgr = yellow
	}
	b.WriteString(pad(gap) + style(sgr, c.verdict))
	out.WriteString(strings.TrimRight(b.String(), " "))
	out.WriteByte('\n')
}

// clip cuts only for a terminal.
func (t *table) clip(s string, width int) (string, int) {
	if t.Width <= 0 {
		return safetext.FitAll(s)
	}
	return safetext.Clip(s, width)
}

// joined is the names of services, escaped, and the columns they take.
func joined(services []string) (string, int) {
	texts := make([]string, len(services))
	for i, s := range services {
		texts[i] = visible(s)
	}
	return safetext.FitAll(strings.Join(texts, ", "))
}

// names is the services that fit, and how many more there are.
func (t *table) names(services []string) (string, int) {
	text, cols := joined(services)
	if t.Width <= 0 || cols <= t.services {
		return text, cols
	}
	for n := min(len(services)-1, t.services); n > 0; n-- {
		more := " +" + strconv.Itoa(len(services)-n)
		text, cols = joined(services[:n])
		if cols+len(more) <= t.services {
			return text + more, cols + len(more)
		}
	}
	more := " +" + strconv.Itoa(len(services)-1)
	if len(services) == 1 {
		more = ""
	}
	text, cols = safetext.Clip(visible(services[0]), t.services-len(more))
	return text + more, cols + len(more)
}
