package plan

import (
	"errors"
	"net/netip"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestMayKeepPublishing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Plan)
		want   RightReason
	}{
		{"nothing", func(*Plan) {}, ""},
		{"removed", func(p *Plan) { p.Push = nil }, DomainRemoved},
		{"offline", func(p *Plan) { p.Push[0].Offline = true }, DomainOffline},
		{"associated with another main", func(p *Plan) { p.Push[0].Space = "other.example.com" }, DomainReassociated},
		{"not associated", func(p *Plan) { p.Push[0].Space = "" }, DomainReassociated},
		{"keys", func(p *Plan) { p.Push[0].Auth = Auth{Type: AuthB, Primary: "anotheranother00"} }, ""},
		{"keys lost", func(p *Plan) { p.Push[0].Auth = Auth{Type: AuthRefuse} }, ""},
		{"limits", func(p *Plan) { p.Push[0].MaxStreams, p.Push[0].MaxBitrateKbps = 1, 1 }, ""},
		{"policies", func(p *Plan) { p.Push[0].BFrames, p.Push[0].H265 = Reject, Reject }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := samplePlan()
			tc.change(p)
			wantRight(t, NewIndex(p).MayKeepPublishing("push.example.com", "play.example.com"), tc.want)
		})
	}
}

func TestMayKeepPlaying(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Plan, *PlayRight)
		want   RightReason
	}{
		{"nothing", func(*Plan, *PlayRight) {}, ""},
		{"removed", func(p *Plan, _ *PlayRight) { p.Play = nil }, DomainRemoved},
		{"offline", func(p *Plan, _ *PlayRight) { p.Play[0].Offline = true }, DomainOffline},
		{"another type", func(p *Plan, _ *PlayRight) { p.Play[0].Type = Standard }, DomainRetyped},
		{"another main", func(p *Plan, _ *PlayRight) { p.Play[0].Space = "other.example.com" }, DomainReassociated},
		{"address excluded", func(p *Plan, _ *PlayRight) { p.Play[0].IPs = []string{"192.0.2.0/24"} }, AddressExcluded},
		{"address still in", func(p *Plan, _ *PlayRight) { p.Play[0].IPs = []string{"10.1.2.3"} }, ""},
		{"address not known", func(_ *Plan, s *PlayRight) { s.RemoteIP = netip.Addr{} }, AddressExcluded},
		{"referer excluded", func(p *Plan, _ *PlayRight) { p.Play[0].Referers = []string{"b.example.com"} }, RefererExcluded},
		{"referer for all", func(p *Plan, _ *PlayRight) { p.Play[0].Referers = nil }, ""},
		{"template removed", func(p *Plan, _ *PlayRight) { p.Templates = nil }, TemplateRemoved},
		{"template for another app", func(p *Plan, _ *PlayRight) { p.Templates[0].Apps = []string{"other"} },
			TemplateRemoved},
		{"template changed", func(p *Plan, _ *PlayRight) { p.Templates[0].Width = 1280 }, ""},
		{"template removed, source watched", func(p *Plan, s *PlayRight) { p.Templates, s.Template = nil, "" }, ""},
		{"keys", func(p *Plan, _ *PlayRight) { p.Play[0].Auth = Auth{Type: AuthRefuse} }, ""},
		{"limits", func(p *Plan, _ *PlayRight) { p.Play[0].MaxViewers, p.Play[0].MaxEgressMbps = 1, 1 }, ""},
		{"certificate", func(p *Plan, _ *PlayRight) { p.Play[0].TLS = nil }, ""},
		{"a standard session's protocol removed", func(p *Plan, s *PlayRight) {
			p.Play[0].Type, p.Play[0].Protocols = Standard, []Protocol{HLS}
			s.Type, s.Protocol = Standard, FLV
		}, ProtocolRemoved},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := samplePlan()
			p.Play[0].Type, p.Play[0].Protocols = RTS, nil
			s := PlayRight{
				Host:     "play.example.com",
				Space:    "play.example.com",
				RemoteIP: addr("10.1.2.3"),
				Referer:  "https://a.example.com:8443/page?x=1",
				Template: "tpl",
				App:      "live",
			}
			tc.change(p, &s)
			wantRight(t, NewIndex(p).MayKeepPlaying(s), tc.want)
		})
	}
}

func wantRight(t *testing.T, err error, want RightReason) {
	t.Helper()
	var right *RightError
	switch {
	case want == "" && err != nil:
		t.Errorf("lost the right: %v", err)
	case want != "" && !errors.As(err, &right):
		t.Errorf("got %v, want reason %s", err, want)
	case want != "" && right.Reason != want:
		t.Errorf("got reason %s (%s), want %s", right.Reason, right.Message, want)
	}
}

func TestAllowsReferer(t *testing.T) {
	list := []string{"www.example.com", "*.cdn.example.com"}
	for _, tc := range []struct {
		list    []string
		referer string
		want    bool
	}{
		{nil, "https://anything.example.org/", true},
		{nil, "", true},
		{list, "https://www.example.com/page", true},
		{list, "http://WWW.Example.COM:8080/", true},
		{list, "https://a.cdn.example.com/", true},
		{list, "https://a.b.cdn.example.com/", true},
		{list, "https://cdn.example.com/", false},
		{list, "https://evilcdn.example.com/", false},
		{list, "https://example.com/", false},
		{list, "https://www.example.com.evil.org/", false},
		{list, "https://evil.org/?https://www.example.com/", false},
		{list, "https://www.example.com@evil.org/", false},
		{list, "www.example.com", false},
		{list, "://", false},
		{list, "", false},
		{append([]string{RefererNone}, list...), "", true},
		{append([]string{RefererNone}, list...), "https://evil.org/", false},
		{append([]string{RefererNone}, list...), "https://none/", false},
	} {
		if got := AllowsReferer(tc.list, tc.referer); got != tc.want {
			t.Errorf("AllowsReferer(%v, %q) = %v, want %v", tc.list, tc.referer, got, tc.want)
		}
	}
}

func TestAllowsIP(t *testing.T) {
	list := []string{"192.0.2.7", "10.0.0.0/8", "2001:db8::/32"}
	for _, tc := range []struct {
		list []string
		addr netip.Addr
		want bool
	}{
		{nil, addr("203.0.113.1"), true},
		{nil, netip.Addr{}, true},
		{list, addr("192.0.2.7"), true},
		{list, addr("192.0.2.8"), false},
		{list, addr("10.255.0.1"), true},
		{list, addr("::ffff:10.1.1.1"), true},
		{list, addr("2001:db8:1::1"), true},
		{list, addr("2001:db9::1"), false},
		{[]string{"fe80::/10"}, addr("fe80::1%eth0"), true},
		{list, netip.Addr{}, false},
		{[]string{"10.1.2.3/8"}, addr("10.9.9.9"), true},
		{[]string{"nonsense"}, addr("10.0.0.1"), false},
	} {
		if got := AllowsIP(tc.list, tc.addr); got != tc.want {
			t.Errorf("AllowsIP(%v, %v) = %v, want %v", tc.list, tc.addr, got, tc.want)
		}
	}
}
