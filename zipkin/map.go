package zipkin

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openzipkin/zipkin-go/model"

	"github.com/tomoscrape/tomoscrape/trace"
)

// Options change the mapping; the zero value is the default.
type Options struct {
	// NoSplit keeps the notes of all services on one v2 span, written as
	// "value @service". For Jaeger and OpenTelemetry, which warn of two spans
	// with one id.
	NoSplit bool
	// Foreign writes for a receiver that is not Zipkin's own, above all that of
	// the OpenTelemetry Collector, which takes more than text from texts: see
	// foreign.go.
	Foreign bool
	// Compact leaves out the annotations start and stop where they say no more
	// than timestamp and duration do.
	Compact bool
	// NoInfer leaves out what is concluded from names and texts: the kind, the
	// remote endpoint of a database call, the tag error.
	NoInfer bool
	// MaxValue cuts what annotations and tags have from the log's notes,
	// dimensions and unknown fields to so many bytes and says so in a tag; 0
	// keeps it whole. Tags of our own are never cut.
	MaxValue int
	// Hosts gives host names the address to write for them. Names are never
	// looked up anywhere else.
	Hosts Hosts
	// Shift is added to all times and said in tags; whole microseconds.
	Shift time.Duration
}

// Error says why a span cannot be written in Zipkin's model.
type Error struct {
	Reason string // a clause about the span: "its id is 0, …"
}

func (e *Error) Error() string { return "not exportable to Zipkin: " + e.Reason }

// The times that can be written, in microseconds: zipkin-go refuses what is
// before 1970-01-01T00:00:01, and counts nanoseconds in 64 bits.
const (
	minTime = int64(time.Second / time.Microsecond)
	maxTime = math.MaxInt64 / int64(time.Microsecond)
)

// Map gives the v2 spans of one span: the span itself, then one with
// shared=true for each further service, in the order of their first notes. Times
// are whole microseconds. A node that did not come out of an assembled trace
// needs only its Span. The error is an [*Error].
func Map(node *trace.Node, opt Options) ([]*model.SpanModel, error) {
	span := &node.Span
	ctx, parentTag, err := identity(node)
	if err != nil {
		return nil, err
	}
	start, end, timed := span.Extent()
	fromLog := timed == 0
	if fromLog {
		if start = logTime(span); start == 0 {
			return nil, &Error{"no note has a time, and its log line gives none with a time zone"}
		}
		end = start
	}
	shift := opt.Shift.Microseconds()
	for _, t := range []int64{start, end} {
		if err := checkTime(t, shift); err != nil {
			return nil, err
		}
	}

	name := clean(span.Name.String)
	lowName := strings.ToLower(name)
	parts := split(span, opt.NoSplit)
	models := make([]*model.SpanModel, len(parts))
	for i, p := range parts {
		m := &model.SpanModel{SpanContext: ctx, Name: lowName, Shared: i > 0}
		tags := &tagList{foreign: opt.Foreign}
		for _, d := range p.dimensions {
			tags.dimension(d, &span.Dimensions[d], p)
		}
		if i == 0 {
			m.Kind = inferKind(name, p.service, opt.NoInfer)
			tags.own("tomograph.parent_id", parentTag)
			tags.spanFacts(span, timed)
		}
		if lowName != name {
			tags.own("tomograph.name", name)
		}
		for _, n := range p.notes {
			tags.note(n, &span.Notes[n], p)
		}
		m.LocalEndpoint = p.endpoint(opt.Hosts, tags)
		if i == 0 && !opt.NoInfer && isDatabaseCall(name, p.service) {
			m.LocalEndpoint, m.RemoteEndpoint = databaseEndpoints(m.LocalEndpoint)
		}

		first, last := start, end
		if i > 0 {
			first, last = p.first, p.last
		}
		m.Timestamp = time.UnixMicro(first + shift).UTC()
		switch {
		case i > 0 || timed > 1:
			m.Duration = time.Duration(max(1, last-first)) * time.Microsecond
		case fromLog:
			tags.own("tomograph.timestamp", "logline")
		default:
			tags.own("tomograph.incomplete", "true")
		}
		if span.Moved != 0 {
			tags.own("tomograph.moved", strconv.FormatInt(span.Moved, 10))
		}
		if shift != 0 {
			tags.own("tomograph.shifted", shiftText(shift))
			tags.own("tomograph.original_start", timeText(first))
		}

		cut := &cutter{limit: opt.MaxValue}
		annotate(m, span, p, opt, cut, first, last)
		if kind := coreKind(span, p); kind != "" {
			m.Kind = kind
		}
		if m.Shared && m.Kind == model.Client {
			m.Kind = "" // Zipkin drops shared from a CLIENT, and then one span hides the other
		}
		if !opt.NoInfer {
			tags.exception(span, p)
		}
		m.Tags = tags.finish(cut)
		models[i] = m
	}
	return models, nil
}

// identity gives the ids, and the parent's number for a tag if it was there but
// could not become parentId.
func identity(node *trace.Node) (ctx model.SpanContext, parentTag string, err error) {
	span := &node.Span
	switch {
	case !span.TraceID.Fits128():
		return ctx, "", &Error{"its trace id has more than 128 bits"}
	case span.TraceID.Hi|span.TraceID.Lo == 0:
		return ctx, "", &Error{"its trace id is 0, which Zipkin refuses"}
	case !fits64(span.ID):
		return ctx, "", &Error{"its id has more than 64 bits"}
	case span.ID.Lo == 0:
		return ctx, "", &Error{"its id is 0, which Zipkin refuses"}
	}
	ctx.TraceID = model.TraceID{High: span.TraceID.Hi, Low: span.TraceID.Lo}
	ctx.ID = model.ID(span.ID.Lo)
	switch parent := span.ParentID; {
	case !span.HasParent || parent.IsZero():
	case !fits64(parent) || parent.Lo == span.ID.Lo || cutFromCycle(node):
		parentTag = parent.Decimal()
	default:
		id := model.ID(parent.Lo)
		ctx.ParentID = &id
	}
	return ctx, parentTag, nil
}

func fits64(id trace.ID) bool { return id.Fits128() && id.Hi == 0 }

// cutFromCycle says whether the node was made a root because its parents run in
// a circle; Zipkin shows nothing at all of a trace that has one.
func cutFromCycle(node *trace.Node) bool {
	return node.Parent < 0 && slices.ContainsFunc(node.Problems, func(p trace.Problem) bool {
		return p.Code == trace.Cycle
	})
}

// logTime is the earliest absolute time of the lines the span was read from, 0
// if none has one.
func logTime(span *trace.Span) int64 {
	var earliest int64
	for i := range span.Origin {
		if t := span.Origin[i].LogTime; t != 0 && (earliest == 0 || t < earliest) {
			earliest = t
		}
	}
	return earliest
}

func checkTime(t, shift int64) error {
	switch {
	case t > maxTime-max(shift, 0) || t+shift > maxTime:
		return &Error{"it has the time " + timeText(t) + shiftNote(shift) +
			", but only times until the year 2262 can be written"}
	case t < minTime-min(shift, 0) || t+shift < minTime:
		return &Error{"it has the time " + timeText(t) + shiftNote(shift) +
			", but only times from 1970-01-01T00:00:01Z on can be written"}
	}
	return nil
}

func timeText(t int64) string {
	return time.UnixMicro(t).UTC().Format("2006-01-02T15:04:05.000000Z")
}

func shiftText(shift int64) string {
	text := (time.Duration(shift) * time.Microsecond).String()
	if shift > 0 {
		text = "+" + text
	}
	return text
}

func shiftNote(shift int64) string {
	if shift == 0 {
		return ""
	}
	return " (to be shifted by " + shiftText(shift) + ")"
}

// annotate gives the model the part's timed notes, sorted by time and value,
// each once; first and last are the part's bounds, not yet shifted.
func annotate(m *model.SpanModel, span *trace.Span, p *part, opt Options, cut *cutter, first, last int64) {
	if len(p.notes) == 0 {
		return
	}
	m.Annotations = make([]model.Annotation, 0, len(p.notes))
	for _, i := range p.notes {
		n := &span.Notes[i]
		if !n.HasTime {
			continue
		}
		value := text(n.Value)
		if opt.Compact && (value == "start" && n.Time == first || value == "stop" && n.Time == last) {
			continue
		}
		if opt.Foreign && needsTag(value) {
			value, _ = cut.shorten(cmp.Or(value, emptyAnnotation)) // the tag is counted
		} else {
			value = cut.cut(value)
		}
		if service := strings.ToLower(clean(n.Service.String)); opt.NoSplit && service != "" && service != p.key {
			value += " @" + service
		}
		if opt.Foreign {
			value = foreignAnnotation(value)
		}
		m.Annotations = append(m.Annotations, model.Annotation{
			Timestamp: time.UnixMicro(n.Time + opt.Shift.Microseconds()).UTC(),
			Value:     value,
		})
	}
	slices.SortFunc(m.Annotations, func(a, b model.Annotation) int {
		if c := a.Timestamp.Compare(b.Timestamp); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	m.Annotations = slices.CompactFunc(m.Annotations, func(a, b model.Annotation) bool {
		return a.Value == b.Value && a.Timestamp.Equal(b.Timestamp)
	})
}

// cutter shortens values to a limit in bytes, never inside a character, and
// counts them.
type cutter struct {
	limit int // 0 for none
	count int
}

func (c *cutter) cut(s string) string {
	s, shorter := c.shorten(s)
	if shorter {
		c.count++
	}
	return s
}

// shorten is cut without counting.
func (c *cutter) shorten(s string) (short string, shorter bool) {
	if c.limit <= 0 || len(s) <= c.limit {
		return s, false
	}
	end := c.limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end], true
}

func (c *cutter) String() string {
	noun := "values"
	if c.count == 1 {
		noun = "value"
	}
	return fmt.Sprintf("%d %s cut to %d bytes", c.count, noun, c.limit)
}

// clean makes text valid UTF-8, as every encoding of Zipkin's needs it, and
// writes the Unicode line and paragraph separators as Python's repr does: where
// they stand beside other non-ASCII text, Zipkin 3.6.1 stores them but answers
// with broken JSON, for the trace and for every search that finds it.
func clean(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.Contains(s, "\u2028") || strings.Contains(s, "\u2029") {
		return separators.Replace(s)
	}
	return s
}

var separators = strings.NewReplacer("\u2028", `\u2028`, "\u2029", `\u2029`)

// text is a value as an annotation or tag shows it.
func text(v trace.Value) string {
	if v.Kind == trace.None {
		return "None"
	}
	return clean(v.Text)
}

func index(prefix string, i int, suffix string) string {
	return prefix + strconv.Itoa(i) + suffix
}
