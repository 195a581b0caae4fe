package plan

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxEntries bounds each list of a Plan.
const maxEntries = 100000

// Validate checks what roles rely on: names that are there and unique, values that exist. Compile
// makes only valid Plans; a Plan that came over a wire or a disk may be anything. The error joins all that is wrong.
func Validate(p *Plan) error {
	c := &checker{hosts: map[string]bool{}}
	c.check(p.Class != "", "the plan has no class")
	for _, n := range []int{len(p.Push), len(p.Play), len(p.Templates)} {
		if n > maxEntries {
			return fmt.Errorf("the plan has a list of %d entries, more than %d", n, maxEntries)
		}
	}
	for i := range p.Push {
		c.pushDomain(&p.Push[i])
	}
	for i := range p.Play {
		c.playDomain(&p.Play[i])
	}
	seen := map[string][]*Template{}
	for i := range p.Templates {
		t := &p.Templates[i]
		c.template(t)
		key := t.Space + "\x00" + t.ID
		for _, other := range seen[key] {
			c.check(!overlap(other, t), "template %s of %s: the id is given twice for an app", t.ID, t.Space)
		}
		seen[key] = append(seen[key], t)
	}
	return errors.Join(c.errs...)
}

type checker struct {
	errs  []error
	hosts map[string]bool
}

func (c *checker) check(ok bool, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

func (c *checker) host(kind, name string) {
	c.check(
		name != "" && len(name) <= 253 && name == strings.ToLower(name) && !strings.ContainsAny(name, " /:?#@*"),
		"%s %q: not a hostname",
		kind,
		name,
	)
	c.check(!c.hosts[name], "%s %s: the hostname is given twice", kind, name)
	c.hosts[name] = true
}

func (c *checker) pushDomain(d *PushDomain) {
	c.host("push domain", d.Hostname)
	at := "push domain " + d.Hostname
	c.auth(at, d.Auth)
	c.keyPair(at, d.TLS)
	policies := []Policy{Reject, Warn, Allow}
	c.check(slices.Contains(policies, d.BFrames), "%s: policy %q for B-frames is not known", at, d.BFrames)
	c.check(slices.Contains(policies, d.H265), "%s: policy %q for H.265 is not known", at, d.H265)
	c.check(d.Duplicate == RejectNew || d.Duplicate == ReplaceOld, "%s: duplicate %q is not known", at, d.Duplicate)
	c.check(d.MaxGOP >= 0 && d.MaxStreams >= 0 && d.MaxBitrateKbps >= 0, "%s: a limit is negative", at)
	if d.Notify != nil {
		u, err := url.Parse(d.Notify.URL)
		c.check(
			err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "",
			"%s: the callback is not an http URL",
			at,
		)
	}
}

func (c *checker) playDomain(d *PlayDomain) {
	c.host("play domain", d.Hostname)
	at := "play domain " + d.Hostname
	c.auth(at, d.Auth)
	c.keyPair(at, d.TLS)
	switch d.Type {
	case RTS:
		c.check(len(d.Protocols) == 0, "%s: an RTS domain has no other protocols", at)
		if f := d.Fallback; f != nil {
			c.check(d.Role == Sub && f.Hostname == d.Space, "%s: its fallback %s is not its main", at, f.Hostname)
			c.check(
				len(f.Protocols) > 0 && slices.Equal(f.Protocols, InBrowsers(f.Protocols)),
				"%s: its fallback is by FLV and HLS alone",
				at,
			)
		}
	case Standard:
		c.check(
			len(d.Protocols) > 0 && !d.AutoRepair && d.Fallback == nil,
			"%s: a Standard domain has protocols, no repair and no fallback",
			at,
		)
		for _, p := range d.Protocols {
			c.check(p == RTMP || p == FLV || p == HLS, "%s: protocol %q is not known", at, p)
		}
	default:
		c.check(false, "%s: type %q is not known", at, d.Type)
	}
	switch d.Role {
	case Main, Unassociated:
		c.check(d.Space == d.Hostname, "%s: its space is %q, not its own", at, d.Space)
	case Sub:
		c.check(d.Space != "" && d.Space != d.Hostname, "%s: a sub needs the space of its main", at)
	default:
		c.check(false, "%s: role %q is not known", at, d.Role)
	}
	for _, entry := range d.IPs {
		_, err := parseRange(entry)
		c.check(err == nil, "%s: %q is neither an address nor a CIDR range", at, entry)
	}
	c.check(d.MaxViewers >= 0 && d.MaxEgressMbps >= 0, "%s: a limit is negative", at)
}

func (c *checker) auth(at string, a Auth) {
	switch a.Type {
	case AuthNone, AuthRefuse:
	case AuthA, AuthB, AuthC:
		c.check(a.Primary != "", "%s: signing has no primary key", at)
		c.check(a.Validity >= 0, "%s: the validity of URLs is negative", at)
	default:
		c.check(false, "%s: signing of type %q is not known", at, a.Type)
	}
}

// keyPair looks at the form alone. What the pair is good for is found out when a client asks for the domain: a
// certificate of one tenant must not make pods refuse the Plan of all, whatever operator let it pass.
func (c *checker) keyPair(at string, k *KeyPair) {
	if k == nil {
		return
	}
	cert, _ := pem.Decode(k.Cert)
	key, _ := pem.Decode(k.Key)
	c.check(cert != nil && key != nil, "%s: the certificate and its key cannot be used: they are not PEM", at)
}

func (c *checker) template(t *Template) {
	at := fmt.Sprintf("template %s of %s", t.ID, t.Space)
	c.check(t.ID != "" && t.Space != "", "%s: it needs an id and a space", at)
	switch t.Type {
	case TemplateH264:
		c.check(t.Width > 0 && t.Height > 0 && t.FPS > 0 && t.VideoKbps > 0, "%s: it needs a size, fps and a bit rate", at)
	case TemplateH264Origin:
		c.check(t.Width == 0 && t.Height == 0, "%s: it keeps the size of the source", at)
	case TemplateAudio:
		c.check(t.AudioCodec == "Opus", "%s: an audio template makes Opus", at)
	default:
		c.check(false, "%s: type %q is not known", at, t.Type)
	}
	c.check(
		slices.Contains([]string{"Opus", "AAC", "Copy"}, t.AudioCodec),
		"%s: audio codec %q is not known",
		at,
		t.AudioCodec,
	)
	for _, n := range []int{t.Width, t.Height, t.FPS, t.VideoKbps, t.AudioKbps, t.Channels, t.SampleRate, int(t.GOP)} {
		c.check(n >= 0, "%s: a number is negative", at)
	}
}

// overlap reports whether two templates serve an app in common.
func overlap(a, b *Template) bool {
	return len(a.Apps) == 0 || len(b.Apps) == 0 || slices.ContainsFunc(a.Apps, b.Serves)
}
