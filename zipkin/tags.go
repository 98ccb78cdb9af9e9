package zipkin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tomoscrape/tomoscrape/trace"
)

// tagList collects tags in order; a key may come several times.
type tagList struct {
	list    []tag
	foreign bool // see Options.Foreign
}

type tag struct {
	key, value string
	logged     bool // the value is the log's, and may be cut
}

// logged adds a tag whose value is one of the log.
func (t *tagList) logged(key string, value trace.Value) {
	t.list = append(t.list, tag{key, text(value), true})
}

// own adds a tag of ours, unless there is nothing to say.
func (t *tagList) own(key, value string) {
	if value != "" {
		t.list = append(t.list, tag{key, value, false})
	}
}

// finish gives the tags as a map, values of the log cut to the limit. The last
// value of a key keeps it; earlier ones that differ get key.1, key.2 and so on,
// past what is taken.
func (t *tagList) finish(cut *cutter) map[string]string {
	last := make(map[string]tag, len(t.list))
	for _, e := range t.list {
		last[e.key] = e
	}
	if len(last) < len(t.list) {
		t.number(last)
	}
	tags := make(map[string]string, len(last)+1)
	for key, e := range last {
		if tags[key] = e.value; e.logged {
			tags[key] = cut.cut(e.value)
		}
	}
	if cut.count > 0 {
		tags["tomograph.values_cut"] = cut.String()
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

func (t *tagList) number(tags map[string]tag) {
	type pair struct{ key, value string }
	next := map[string]int{} // by key, the last number given
	seen := map[pair]bool{}
	for _, e := range t.list {
		if seen[pair{e.key, e.value}] || tags[e.key].value == e.value {
			continue
		}
		seen[pair{e.key, e.value}] = true
		for taken := true; taken; {
			next[e.key]++
			_, taken = tags[e.key+"."+strconv.Itoa(next[e.key])]
		}
		tags[e.key+"."+strconv.Itoa(next[e.key])] = e
	}
}

// dimension adds dimension i, and what of it the part's endpoint does not say.
func (t *tagList) dimension(i int, d *trace.Dimension, p *part) {
	prefix := index("tomograph.dimension.", i, "")
	key := clean(d.Key.String)
	if key == "" {
		key = prefix // Zipkin loses an empty key in proto3
	}
	if t.foreign && isClaimed(key) {
		key = foreignPrefix + key
	}
	t.logged(key, d.Value)
	t.place(prefix, d.Service, d.Address, d.Port, p)
	t.extra(prefix, d.Extra)
}

// note adds what an annotation cannot hold of note i.
func (t *tagList) note(i int, n *trace.Note, p *part) {
	prefix := index("tomograph.note.", i, "")
	if !n.HasTime || t.foreign && needsTag(text(n.Value)) {
		t.logged(prefix+".value", n.Value)
	}
	if !isZero(n.Duration) {
		t.own(prefix+".duration", text(n.Duration))
	}
	t.place(prefix, n.Service, n.Address, n.Port, p)
	t.extra(prefix, n.Extra)
}

// place adds what differs from the service, address and port of the part.
func (t *tagList) place(prefix string, service, address trace.Text, port trace.Value, p *part) {
	if s := clean(service.String); s != p.service {
		t.own(prefix+".service", s)
	}
	if s := clean(address.String); s != p.address {
		t.own(prefix+".host", s)
	}
	if port.Kind != trace.None && text(port) != text(p.port) {
		t.own(prefix+".port", text(port))
	}
}

func (t *tagList) extra(prefix string, fields []trace.Field) {
	for _, f := range fields {
		t.logged(prefix+".extra."+clean(f.Name), f.Value)
	}
}

// spanFacts adds what is known of the span as a whole; timed is the number of
// its notes that have a time.
func (t *tagList) spanFacts(span *trace.Span, timed int) {
	for _, f := range span.Extra {
		t.logged("tomograph.extra."+clean(f.Name), f.Value)
	}
	for _, d := range []struct {
		bit trace.Damage
		key string
	}{
		{trace.Truncated, "tomograph.truncated"},
		{trace.Torn, "tomograph.torn"},
		{trace.InvalidUTF8, "tomograph.invalid_utf8"},
		{trace.BadTime, "tomograph.bad_time"},
	} {
		if span.Damage&d.bit != 0 {
			t.own(d.key, "true")
		}
	}
	if timed < 2 {
		return
	}
	var before int64
	backwards, coarse, distinct := false, true, false
	for i, seen := 0, false; i < len(span.Notes); i++ {
		n := &span.Notes[i]
		if !n.HasTime {
			continue
		}
		backwards = backwards || seen && n.Time < before
		distinct = distinct || seen && n.Time != before
		coarse = coarse && n.Time%10_000 == 0
		before, seen = n.Time, true
	}
	if backwards {
		t.own("tomograph.clock", "backwards")
	}
	// Python 2's str() of a time leaves two digits behind the point. That all
	// of several times end in four zeros by chance is one case in 10^8.
	if coarse && distinct {
		t.own("tomograph.time.precision", "10ms")
	}
}

// exception marks the span as failed if tomograph's hook for database errors
// left a note on it. Tags of the log's own come first.
func (t *tagList) exception(span *trace.Span, p *part) {
	for _, i := range p.notes {
		v := span.Notes[i].Value
		if v.Kind != trace.String || !strings.HasPrefix(v.Text, "database exception ") {
			continue
		}
		for _, key := range []string{"error", "error.message"} {
			if !slices.ContainsFunc(t.list, func(e tag) bool { return e.key == key }) {
				t.own(key, text(v))
			}
		}
		return
	}
}

// isZero says whether a duration says nothing: 0, None or absent.
func isZero(v trace.Value) bool {
	switch v.Kind {
	case trace.Absent, trace.None:
		return true
	case trace.Int, trace.Float:
		f, err := strconv.ParseFloat(v.Text, 64)
		return err == nil && f == 0
	}
	return false
}
