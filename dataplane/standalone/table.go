package standalone

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/contract/plan"
)

// printStart shows what is served: a table of the domains, then the URLs to copy.
func (s *server) printStart() {
	w := s.source.out
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "DOMAIN\tTYPE\tROLE\tMAIN\tVERDICT")
	for _, v := range s.source.output.Verdicts {
		if v.Hostname == "" || v.Kind != "PushDomain" && v.Kind != "PlayDomain" {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", v.Hostname, v.Type, dash(string(v.Role)), dash(v.Main), verdict(&v))
	}
	_ = table.Flush()
	p := s.current.Load().Plan
	s.printURLs(w, p)
	listen := []string{"RTMP " + show(s.at.RTMP), "HTTP " + show(s.at.HTTP), fmt.Sprintf("media %d/udp", s.at.Media)}
	if !s.opt.NoTCP {
		listen[2] += "+tcp"
	}
	if s.at.HTTPS.IsValid() {
		listen = append(listen, "HTTPS "+show(s.at.HTTPS), "RTMPS "+show(s.at.RTMPS))
	}
	if s.at.RTSP.IsValid() {
		listen = append(listen, "RTSP rtsp://"+s.at.RTSP.String())
	}
	if s.at.Admin.IsValid() {
		listen = append(listen, "metrics and state http://"+s.at.Admin.String())
	}
	fmt.Fprintf(w, "\nListening: %s\n", strings.Join(listen, ", "))
}

func verdict(v *compile.Verdict) string {
	if v.Accepted {
		return "Accepted"
	}
	return string(v.Reason) + ": " + v.Message
}

// printURLs shows for each push domain where to publish, and for each play domain where to play; a signed domain says
// how to sign.
func (s *server) printURLs(w io.Writer, p *plan.Plan) {
	for i := range p.Push {
		d := &p.Push[i]
		if d.Offline || d.Space == "" {
			continue
		}
		url := "rtmp://" + d.Hostname + port(s.at.RTMP, DefaultRTMPPort) + "/live/stream"
		fmt.Fprintf(w, "\nPublish  %s%s\n", url, signed(d.Auth))
		fmt.Fprintf(
			w,
			"         rtmp://127.0.0.1%s/live/stream?vhost=%s   where the name does not resolve\n",
			port(s.at.RTMP, DefaultRTMPPort),
			d.Hostname,
		)
		s.printPlay(w, p, d.Space)
	}
}

func (s *server) printPlay(w io.Writer, p *plan.Plan, space string) {
	for i := range p.Play {
		d := &p.Play[i]
		if d.Space != space || d.Offline {
			continue
		}
		at, scheme, usual := s.at.HTTP, "http", 80
		if d.TLS != nil && s.at.HTTPS.IsValid() {
			at, scheme, usual = s.at.HTTPS, "https", 443
		}
		path := d.Hostname + port(at, usual) + "/live/stream" + signed(d.Auth)
		if d.Type == plan.Standard {
			s.printStandard(w, d, scheme)
			continue
		}
		fmt.Fprintf(w, "Play     artc://%s\n", path)
		fmt.Fprintf(w, "Watch    %s://%s   in a browser, or by WHEP\n", scheme, path)
	}
}

// printStandard shows the URLs of a Standard domain, one for each of its protocols.
func (s *server) printStandard(w io.Writer, d *plan.PlayDomain, scheme string) {
	at, usual := s.at.HTTP, 80
	if scheme == "https" {
		at, usual = s.at.HTTPS, 443
	}
	base := scheme + "://" + d.Hostname + port(at, usual) + "/live/stream"
	for _, p := range d.Protocols {
		switch p {
		case plan.RTMP:
			fmt.Fprintf(w, "Play     rtmp://%s%s/live/stream%s\n", d.Hostname, port(s.at.RTMP, DefaultRTMPPort), signed(d.Auth))
		case plan.FLV:
			fmt.Fprintf(w, "Play     %s.flv%s\n", base, signed(d.Auth))
		case plan.HLS:
			fmt.Fprintf(w, "Play     %s.m3u8%s\n", base, signed(d.Auth))
		}
	}
	if len(plan.InBrowsers(d.Protocols)) > 0 {
		fmt.Fprintf(w, "Watch    %s%s   in a browser\n", base, signed(d.Auth))
	}
}

func signed(a plan.Auth) string {
	if a.Type == plan.AuthNone || a.Type == "" {
		return ""
	}
	return fmt.Sprintf("   (signed: millrace url sign --type %s)", a.Type)
}

func port(at netip.AddrPort, usual int) string {
	if int(at.Port()) == usual {
		return ""
	}
	return fmt.Sprintf(":%d", at.Port())
}

func show(at netip.AddrPort) string {
	if !at.IsValid() {
		return "off"
	}
	return at.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
