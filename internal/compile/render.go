package compile

import (
	"cmp"
	"slices"
	"time"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract/plan"
)

// plans makes the Plan of each accepted class.
func (c *compiler) plans() []*plan.Plan {
	byClass := map[string]*plan.Plan{}
	for name, k := range c.classes {
		if k.valid() {
			byClass[name] = &plan.Plan{Class: name}
		}
	}
	served := map[string]map[string]bool{} // spaces with a play domain in the class
	for _, d := range c.domains {
		if !d.accepted() {
			continue
		}
		p := byClass[d.className]
		if d.push != nil {
			p.Push = append(p.Push, pushDomain(d))
			continue
		}
		entry := playDomain(d)
		p.Play = append(p.Play, entry)
		if served[d.className] == nil {
			served[d.className] = map[string]bool{}
		}
		served[d.className][entry.Space] = true
	}
	// A template belongs to every class that plays its space: all of them have to know the suffix.
	for _, t := range c.templates {
		if !t.accepted() || t.main == nil {
			continue
		}
		for name, p := range byClass {
			if served[name][t.main.hostname] {
				p.Templates = append(p.Templates, planTemplate(t))
			}
		}
	}
	out := make([]*plan.Plan, 0, len(byClass))
	for _, p := range byClass {
		sortPlan(p)
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *plan.Plan) int { return cmp.Compare(a.Class, b.Class) })
	return out
}

func sortPlan(p *plan.Plan) {
	slices.SortFunc(p.Push, func(a, b plan.PushDomain) int { return cmp.Compare(a.Hostname, b.Hostname) })
	slices.SortFunc(p.Play, func(a, b plan.PlayDomain) int { return cmp.Compare(a.Hostname, b.Hostname) })
	same := func(a, b plan.Template) int {
		return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.ID, b.ID), slices.Compare(a.Apps, b.Apps))
	}
	slices.SortFunc(p.Templates, same)
	p.Templates = slices.CompactFunc(p.Templates, func(a, b plan.Template) bool { return same(a, b) == 0 })
}

func pushDomain(d *domain) plan.PushDomain {
	s := &d.push.Spec
	out := plan.PushDomain{
		Hostname:       d.hostname,
		Offline:        s.State == v1alpha1.Offline,
		Auth:           d.auth,
		BFrames:        cmp.Or(plan.Policy(s.Source.BFrames), plan.Warn),
		H265:           cmp.Or(plan.Policy(s.Source.H265), plan.Warn),
		MaxGOP:         time.Duration(cmp.Or(s.Source.MaxGOPMilliseconds, 3000)) * time.Millisecond,
		Duplicate:      cmp.Or(plan.Duplicate(s.DuplicatePublish), plan.RejectNew),
		MaxStreams:     int(s.Limits.MaxStreams),
		MaxBitrateKbps: int(s.Limits.MaxBitrateKbps),
		TLS:            d.tls,
		Notify:         d.notify,
	}
	if d.main != nil {
		out.Space = d.main.hostname
	}
	return out
}

func playDomain(d *domain) plan.PlayDomain {
	s := &d.play.Spec
	main := d
	if d.main != nil {
		main = d.main
	}
	out := plan.PlayDomain{
		Hostname:      d.hostname,
		Type:          plan.PlayType(s.Type),
		Role:          plan.Role(d.role()),
		Space:         main.hostname,
		Offline:       s.State == v1alpha1.Offline,
		Auth:          d.auth,
		TLS:           d.tls,
		Billing:       string(cmp.Or(main.play.Spec.BillingMode, v1alpha1.BillingTraffic)),
		MaxViewers:    int(s.Limits.MaxViewers),
		MaxEgressMbps: int(s.Limits.MaxEgressMbps),
	}
	if s.Type == v1alpha1.PlayRTS {
		out.AutoRepair = s.RTS != nil && s.RTS.AutoRepair == v1alpha1.AutoRepairEnabled
		if out.Fallback = fallback(d, main); out.Fallback != nil {
			out.Fallback.Redirect = s.RTS == nil || s.RTS.Fallback != v1alpha1.FallbackNone
		}
	} else {
		out.Protocols = protocols(s.Standard)
	}
	for _, r := range s.Access.Referers {
		out.Referers = append(out.Referers, string(r))
	}
	for _, ip := range s.Access.IPs {
		out.IPs = append(out.IPs, string(ip))
	}
	slices.Sort(out.Referers)
	slices.Sort(out.IPs)
	return out
}

// fallback is the main of an RTS sub when browsers can play from it. The main may be of another class.
func fallback(d, main *domain) *plan.Fallback {
	s := &main.play.Spec
	if main == d || !main.accepted() || s.Type != v1alpha1.PlayStandard || s.State == v1alpha1.Offline {
		return nil
	}
	if by := plan.InBrowsers(protocols(s.Standard)); len(by) > 0 {
		return &plan.Fallback{Hostname: main.hostname, Protocols: by}
	}
	return nil
}

// protocols lists what a Standard domain serves, in one fixed order.
func protocols(s *v1alpha1.StandardPlay) []plan.Protocol {
	all := []plan.Protocol{plan.RTMP, plan.FLV, plan.HLS}
	if s == nil || len(s.Protocols) == 0 {
		return all
	}
	return slices.DeleteFunc(
		all,
		func(p plan.Protocol) bool { return !slices.Contains(s.Protocols, v1alpha1.PlayProtocol(p)) },
	)
}

// The sound of a rendition that does not say more. Opus always runs at 48 kHz (RFC 7587 section 4.1).
const (
	opusKbps    = 96
	opusRate    = 48000
	aacKbps     = 128
	aacRate     = 44100
	allChannels = 2
)

func planTemplate(t *template) plan.Template {
	s := &t.object.Spec
	out := plan.Template{
		Space:      t.main.hostname,
		ID:         s.TemplateID,
		Type:       plan.TemplateType(s.Type),
		AudioCodec: string(cmp.Or(s.Audio.Codec, v1alpha1.AudioOpus)),
		OnPublish:  s.Trigger == v1alpha1.OnPublish,
	}
	for _, app := range s.Apps {
		out.Apps = append(out.Apps, string(app))
	}
	slices.Sort(out.Apps)
	if v := s.Video; v != nil {
		out.Width, out.Height, out.FPS, out.VideoKbps = int(v.Width), int(v.Height), int(v.FPS), int(v.BitrateKbps)
		out.GOP = time.Duration(cmp.Or(v.GOPMilliseconds, 2000)) * time.Millisecond
		out.DropB = v.BFrames != v1alpha1.BFramesKeep
	}
	a := &s.Audio
	switch v1alpha1.AudioCodec(out.AudioCodec) {
	case v1alpha1.AudioOpus:
		out.AudioKbps, out.Channels, out.SampleRate = int(
			cmp.Or(a.BitrateKbps, opusKbps),
		), int(
			cmp.Or(a.Channels, allChannels),
		), opusRate
	case v1alpha1.AudioAAC:
		out.AudioKbps, out.Channels, out.SampleRate = int(
			cmp.Or(a.BitrateKbps, aacKbps),
		), int(
			cmp.Or(a.Channels, allChannels),
		), int(
			cmp.Or(a.SampleRateHz, aacRate),
		)
	}
	return out
}
