package zipkin

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Hosts gives lower-case host names their IP address.
type Hosts map[string]netip.Addr

// ParseHosts reads a file in the form of /etc/hosts: an IP address and its names
// on each line, # begins a comment. Of several addresses for a name the first
// counts. The error tells the line.
func ParseHosts(r io.Reader) (Hosts, error) {
	hosts := Hosts{}
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			return nil, fmt.Errorf("line %d: %.60q is no IP address; expected an address and its names", number,
				fields[0])
		}
		if len(fields) == 1 {
			return nil, fmt.Errorf("line %d: the address %s has no name; expected an address and its names", number,
				addr)
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(name)
			if _, taken := hosts[name]; !taken {
				hosts[name] = addr.WithZone("").Unmap()
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return hosts, nil
}
