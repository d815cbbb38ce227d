package gateway

import (
	"net"
	"net/netip"
)

// internal lists the networks that are not the public's, by what they are. The
// source is the IANA registry of special-purpose addresses (RFC 6890). The
// networks for documentation are not here: nobody is there, and where somebody
// is, it is a mirror that the operator of the network has put there.
var internal = []struct {
	what     string
	networks []netip.Prefix
}{
	{"this host", prefixes("0.0.0.0/8", "127.0.0.0/8")},
	{"a private network", prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15")},
	{"the link, or a cloud's metadata", prefixes("169.254.0.0/16", "192.0.0.0/24", "168.63.129.16/32", "100.100.100.200/32")},
	{"a relay into IPv6", prefixes("192.88.99.0/24")},
	{"more than one host", prefixes("224.0.0.0/4", "240.0.0.0/4")},
	// What of IPv6 is not 2000::/3 is not public: loopback, fc00::/7, fe80::/10,
	// fd00:ec2::254, and IPv4 in 64:ff9b::/96 and its like.
	{"an IPv4 address in IPv6", prefixes("2001::/32", "2002::/16")},
	{"a protocol, not a host", prefixes("2001:1::/32", "2001:2::/32", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28")},
}

// public is where the hosts of IPv6 are.
var public = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// notPublic says what an address is that a box must not reach; empty where it
// is one of the public's hosts.
func notPublic(a netip.Addr) string {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return "the link"
	}
	for _, n := range internal {
		for _, p := range n.networks {
			if p.Contains(a) {
				return n.what
			}
		}
	}
	if a.Is6() && !public.Contains(a) {
		return "a private network"
	}
	if isOwn(a) {
		return "this host"
	}
	return ""
}

// isOwn says whether an address is one of this host's. What cannot be found out
// counts as one.
func isOwn(a netip.Addr) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, o := range own {
		if p, err := netip.ParsePrefix(o.String()); err != nil || p.Addr().Unmap() == a {
			return true
		}
	}
	return false
}
