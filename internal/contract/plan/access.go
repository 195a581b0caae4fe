package plan

import (
	"net/netip"
	"net/url"
	"strings"
)

// RefererNone in a list of referers allows requests without the header.
const RefererNone = "none"

// AllowsReferer reports whether a list of hosts allows the value of a Referer header. An empty list allows all. An
// entry is a host, a wildcard such as "*.example.com" (subdomains, not example.com itself), or RefererNone for a
// missing header.
func AllowsReferer(list []string, referer string) bool {
	if len(list) == 0 {
		return true
	}
	host := refererHost(referer)
	for _, entry := range list {
		suffix, wildcard := strings.CutPrefix(entry, "*")
		switch {
		case entry == RefererNone:
			if referer == "" {
				return true
			}
		case host == "":
		case wildcard:
			if strings.HasPrefix(suffix, ".") && len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
				return true
			}
		case entry == host:
			return true
		}
	}
	return false
}

// refererHost is the host of an absolute URL, in lower case and without port; "" when there is none.
func refererHost(referer string) string {
	u, err := url.Parse(referer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// AllowsIP reports whether a list of addresses and CIDR ranges allows an address. An empty list allows all; an entry
// that is neither allows nothing. An IPv4 address in IPv6 form is taken as IPv4.
func AllowsIP(list []string, addr netip.Addr) bool {
	if len(list) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	for _, entry := range list {
		if prefix, err := parseRange(entry); err == nil && prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// parseRange reads an address or a CIDR range.
func parseRange(entry string) (netip.Prefix, error) {
	if strings.Contains(entry, "/") {
		prefix, err := netip.ParsePrefix(entry)
		return prefix.Masked(), err
	}
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}
