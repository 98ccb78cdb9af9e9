package zipkin

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/openzipkin/zipkin-go/model"

	"github.com/tomoscrape/tomoscrape/trace"
)

// part is what one service left on a span; each becomes a v2 span. The first is
// the span itself, with the service of its first note.
type part struct {
	key        string // lower-case service, by which Zipkin tells services apart
	service    string // service, address and port as in the part's first note
	address    string
	port       trace.Value
	notes      []int // indices in Span.Notes
	dimensions []int // indices in Span.Dimensions
	// The earliest and latest of the part's notes, in microseconds; only for a
	// further part, which has timed notes alone.
	first, last int64
}

// split deals out the notes and dimensions of a span. A note without service or
// time, and a dimension of a service without notes, stay with the first part.
func split(span *trace.Span, noSplit bool) []*part {
	main := &part{}
	if len(span.Notes) > 0 {
		main.describe(&span.Notes[0])
	}
	parts := []*part{main}
	byKey := map[string]*part(nil)
	for i := range span.Notes {
		n := &span.Notes[i]
		p := main
		key := strings.ToLower(clean(n.Service.String))
		if !noSplit && n.HasTime && key != "" && key != main.key {
			if p = byKey[key]; p == nil {
				p = &part{first: n.Time, last: n.Time}
				p.describe(n)
				if byKey == nil {
					byKey = map[string]*part{}
				}
				byKey[key] = p
				parts = append(parts, p)
			}
			p.first, p.last = min(p.first, n.Time), max(p.last, n.Time)
		}
		p.notes = append(p.notes, i)
	}
	for i := range span.Dimensions {
		p := byKey[strings.ToLower(clean(span.Dimensions[i].Service.String))]
		if p == nil {
			p = main
		}
		p.dimensions = append(p.dimensions, i)
	}
	return parts
}

func (p *part) describe(n *trace.Note) {
	p.service, p.address, p.port = clean(n.Service.String), clean(n.Address.String), n.Port
	p.key = strings.ToLower(p.service)
}

// endpoint is the part's local endpoint, nil if there is nothing to say; what
// does not fit in becomes a tag.
func (p *part) endpoint(hosts Hosts, tags *tagList) *model.Endpoint {
	e := &model.Endpoint{ServiceName: p.key}
	if p.key != p.service {
		tags.own("tomograph.service", p.service)
	}
	addr, literal := parseAddress(p.address)
	if !literal && p.address != "" {
		tags.own("tomograph.host", p.address)
		addr = hosts[strings.ToLower(p.address)]
	}
	switch {
	case !addr.IsValid() || addr.IsUnspecified():
	case addr.Is4():
		e.IPv4 = net.IP(addr.AsSlice())
	default:
		e.IPv6 = net.IP(addr.AsSlice())
	}
	port, ok := parsePort(p.port)
	if !ok {
		tags.own("tomograph.port", text(p.port))
	}
	e.Port = port
	if e.Empty() {
		return nil
	}
	return e
}

// parseAddress reads an IP literal; an IPv4 address inside IPv6 is IPv4. One
// with a zone is none, for Zipkin has no place for the zone.
func parseAddress(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// parsePort reads a port, 0 for none; false if something is there that is no
// port.
func parsePort(v trace.Value) (uint16, bool) {
	switch v.Kind {
	case trace.Absent, trace.None:
		return 0, true
	case trace.Int, trace.String:
		if v.Text == "" {
			return 0, true
		}
		if port, err := strconv.ParseUint(v.Text, 10, 16); err == nil {
			return uint16(port), true
		}
	}
	return 0, false
}
