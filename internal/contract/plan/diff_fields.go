package plan

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// pushFields has every field of a PushDomain but its identity.
func pushFields() []field[PushDomain] {
	return []field[PushDomain]{
		{
			name:  "Space",
			value: func(d *PushDomain) any { return d.Space },
			consequence: func(old, new *PushDomain) (Consequence, string) {
				if old.Offline || old.Space == "" {
					return ConsequenceNone, ""
				}
				return PublishersClosed, "the domain feeds another main play domain"
			},
		},
		{
			name:  "Offline",
			value: func(d *PushDomain) any { return d.Offline },
			consequence: func(_, new *PushDomain) (Consequence, string) {
				if !new.Offline {
					return ConsequenceNone, ""
				}
				return PublishersClosed, "the domain is offline"
			},
		},
		{
			name:  "Auth",
			value: func(d *PushDomain) any { return d.Auth },
			text:  func(d *PushDomain) string { return authText(d.Auth) },
		},
		{name: "BFrames", value: func(d *PushDomain) any { return d.BFrames }},
		{name: "H265", value: func(d *PushDomain) any { return d.H265 }},
		{name: "MaxGOP", value: func(d *PushDomain) any { return d.MaxGOP }},
		{name: "Duplicate", value: func(d *PushDomain) any { return d.Duplicate }},
		{name: "MaxStreams", value: func(d *PushDomain) any { return d.MaxStreams }},
		{name: "MaxBitrateKbps", value: func(d *PushDomain) any { return d.MaxBitrateKbps }},
		{
			name:  "TLS",
			value: func(d *PushDomain) any { return d.TLS },
			text:  func(d *PushDomain) string { return keyPairText(d.TLS) },
		},
		{
			name:  "Notify",
			value: func(d *PushDomain) any { return d.Notify },
			text:  func(d *PushDomain) string { return notifyText(d.Notify) },
		},
	}
}

// playFields has every field of a PlayDomain but its identity.
func playFields() []field[PlayDomain] {
	return []field[PlayDomain]{
		{
			name:  "Type",
			value: func(d *PlayDomain) any { return d.Type },
			consequence: func(old, new *PlayDomain) (Consequence, string) {
				return unlessOffline(old, fmt.Sprintf("the domain does not serve %s any more", old.Type))
			},
		},
		{name: "Role", value: func(d *PlayDomain) any { return d.Role }},
		{
			name:  "Space",
			value: func(d *PlayDomain) any { return d.Space },
			consequence: func(old, new *PlayDomain) (Consequence, string) {
				return unlessOffline(old, "the domain serves the streams of another main")
			},
		},
		{
			name:  "Offline",
			value: func(d *PlayDomain) any { return d.Offline },
			consequence: func(_, new *PlayDomain) (Consequence, string) {
				if !new.Offline {
					return ConsequenceNone, ""
				}
				return ViewersClosed, "the domain is offline"
			},
		},
		{
			name:  "Protocols",
			value: func(d *PlayDomain) any { return d.Protocols },
			consequence: func(old, new *PlayDomain) (Consequence, string) {
				var gone []string
				for _, p := range old.Protocols {
					if !slices.Contains(new.Protocols, p) {
						gone = append(gone, string(p))
					}
				}
				if len(gone) == 0 {
					return ConsequenceNone, ""
				}
				return unlessOffline(old, "those by "+strings.Join(gone, ", "))
			},
		},
		{
			name:  "Fallback",
			value: func(d *PlayDomain) any { return d.Fallback },
			text:  func(d *PlayDomain) string { return fallbackText(d.Fallback) },
		},
		{name: "AutoRepair", value: func(d *PlayDomain) any { return d.AutoRepair }},
		{
			name:  "Auth",
			value: func(d *PlayDomain) any { return d.Auth },
			text:  func(d *PlayDomain) string { return authText(d.Auth) },
		},
		{
			name:  "Referers",
			value: func(d *PlayDomain) any { return d.Referers },
			consequence: func(old, new *PlayDomain) (Consequence, string) {
				if wider(old.Referers, new.Referers, func(entry string) bool { return slices.Contains(new.Referers, entry) }) {
					return ConsequenceNone, ""
				}
				return unlessOffline(old, "those with a referer that is not in the list")
			},
		},
		{
			name:  "IPs",
			value: func(d *PlayDomain) any { return d.IPs },
			consequence: func(old, new *PlayDomain) (Consequence, string) {
				if wider(old.IPs, new.IPs, func(entry string) bool { return coveredBy(new.IPs, entry) }) {
					return ConsequenceNone, ""
				}
				return unlessOffline(old, "those with an address that is not in the list")
			},
		},
		{
			name:  "TLS",
			value: func(d *PlayDomain) any { return d.TLS },
			text:  func(d *PlayDomain) string { return keyPairText(d.TLS) },
		},
		{name: "Billing", value: func(d *PlayDomain) any { return d.Billing }},
		{name: "MaxViewers", value: func(d *PlayDomain) any { return d.MaxViewers }},
		{name: "MaxEgressMbps", value: func(d *PlayDomain) any { return d.MaxEgressMbps }},
	}
}

// templateEntries compares templates. A changed template holds for sessions that start later, so only apps that lose it
// matter.
func templateEntries(old, new *Plan) entries[Template] {
	index := NewIndex(new)
	lost := func(t *Template) (Consequence, string) {
		if index.covers(t) {
			return ConsequenceNone, ""
		}
		return ViewersClosed, "those of this rendition"
	}
	fields := []field[Template]{
		{name: "Type", value: func(t *Template) any { return t.Type }},
		{
			name:  "Apps",
			value: func(t *Template) any { return t.Apps },
			consequence: func(old, _ *Template) (Consequence, string) {
				if index.covers(old) {
					return ConsequenceNone, ""
				}
				return ViewersClosed, "those of this rendition in apps that do not have it any more"
			},
		},
		{name: "Width", value: func(t *Template) any { return t.Width }},
		{name: "Height", value: func(t *Template) any { return t.Height }},
		{name: "FPS", value: func(t *Template) any { return t.FPS }},
		{name: "VideoKbps", value: func(t *Template) any { return t.VideoKbps }},
		{name: "GOP", value: func(t *Template) any { return t.GOP }},
		{name: "DropB", value: func(t *Template) any { return t.DropB }},
		{name: "AudioCodec", value: func(t *Template) any { return t.AudioCodec }},
		{name: "AudioKbps", value: func(t *Template) any { return t.AudioKbps }},
		{name: "Channels", value: func(t *Template) any { return t.Channels }},
		{name: "SampleRate", value: func(t *Template) any { return t.SampleRate }},
		{name: "OnPublish", value: func(t *Template) any { return t.OnPublish }},
	}
	// The same id may be given to several templates of a space for different apps; then the apps are part of the name.
	several := map[string]bool{}
	for _, p := range []*Plan{old, new} {
		count := map[string]int{}
		for i := range p.Templates {
			name := templateName(&p.Templates[i])
			count[name]++
			several[name] = several[name] || count[name] > 1
		}
	}
	return entries[Template]{kind: "template", fields: fields, removed: lost, name: func(t *Template) string {
		name := templateName(t)
		if several[name] {
			name += " " + text(t.Apps)
		}
		return name
	}}
}

func templateName(t *Template) string { return t.ID + " of " + t.Space }

// covers reports whether every app that a template of an older Plan serves still has a template of its id.
func (x *Index) covers(t *Template) bool {
	if len(t.Apps) == 0 {
		return slices.ContainsFunc(x.templates[t.Space], func(n *Template) bool { return n.ID == t.ID && len(n.Apps) == 0 })
	}
	return !slices.ContainsFunc(t.Apps, func(app string) bool { return !x.hasTemplate(t.Space, t.ID, app) })
}

func unlessOffline(old *PlayDomain, reason string) (Consequence, string) {
	if old.Offline {
		return ConsequenceNone, ""
	}
	return ViewersClosed, reason
}

// wider reports whether a list of what is allowed lets in all that an older one did. An empty list allows all.
func wider(old, new []string, covered func(string) bool) bool {
	if len(new) == 0 {
		return true
	}
	return len(old) > 0 && !slices.ContainsFunc(old, func(entry string) bool { return !covered(entry) })
}

// coveredBy reports whether one entry of a list holds all addresses of a range.
func coveredBy(list []string, entry string) bool {
	inner, err := parseRange(entry)
	return err != nil || slices.ContainsFunc(list, func(e string) bool {
		outer, err := parseRange(e)
		return err == nil && contains(outer, inner)
	})
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// equal compares two values; an absent list and an empty one are the same.
func equal(a, b any) bool {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.Kind() == reflect.Slice && va.Len() == 0 && vb.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a, b)
}

// text prints a value within 80 bytes.
func text(value any) string {
	s := fmt.Sprint(value)
	switch {
	case s == "":
		s = "(none)"
	case s == "[]":
		s = "(all)"
	case len(s) > 80:
		s = s[:77] + "..."
	}
	return s
}

func authText(a Auth) string {
	if a.Type == AuthNone || a.Type == AuthRefuse {
		return string(a.Type)
	}
	out := fmt.Sprintf("%s, %v", a.Type, a.Validity)
	if a.Backup != "" {
		out += ", with backup"
	}
	return out
}

func keyPairText(k *KeyPair) string {
	if k == nil {
		return "(none)"
	}
	return "certificate"
}

func fallbackText(f *Fallback) string {
	if f == nil {
		return "(none)"
	}
	var by []string
	for _, p := range f.Protocols {
		by = append(by, string(p))
	}
	text := f.Hostname + " by " + strings.Join(by, ", ")
	if f.Redirect {
		text += ", with a redirect"
	}
	return text
}

func notifyText(n *Notify) string {
	if n == nil {
		return "(none)"
	}
	return text(n.URL)
}
