package zipkin

import (
	"strings"

	"github.com/openzipkin/zipkin-go/model"

	"github.com/tomoscrape/tomoscrape/trace"
)

// inferKind concludes from the names that tomograph's helpers and its patches of
// OpenStack give their spans, which side of a call a span is.
func inferKind(name, service string, noInfer bool) model.Kind {
	switch {
	case noInfer:
		return ""
	case name == "WSGI", name == "proxy" && strings.HasPrefix(service, "rpc"):
		return model.Server
	case name == "http", isDatabaseCall(name, service):
		return model.Client
	}
	return ""
}

// isDatabaseCall says whether a span is one of tomograph's SQL spans. Their
// address and port are the database's.
func isDatabaseCall(name, service string) bool {
	return name == "execute" && strings.HasSuffix(strings.ToLower(service), "db client")
}

// databaseEndpoints gives the database's address to the remote side.
func databaseEndpoints(local *model.Endpoint) (*model.Endpoint, *model.Endpoint) {
	remote := &model.Endpoint{ServiceName: "db", IPv4: local.IPv4, IPv6: local.IPv6, Port: local.Port}
	return &model.Endpoint{ServiceName: local.ServiceName}, remote
}

// coreKinds are the kinds of Zipkin v1's core annotations. Its ws and wr (on the
// wire) say nothing about the kind.
var coreKinds = map[string]model.Kind{
	"cs": model.Client, "cr": model.Client,
	"sr": model.Server, "ss": model.Server,
	"ms": model.Producer, "mr": model.Consumer,
}

// coreKind is the kind by the first core annotation among the part's notes, ""
// without one.
func coreKind(span *trace.Span, p *part) model.Kind {
	for _, i := range p.notes {
		if n := &span.Notes[i]; n.Value.Kind == trace.String && len(n.Value.Text) == 2 {
			if kind, ok := coreKinds[n.Value.Text]; ok {
				return kind
			}
		}
	}
	return ""
}
