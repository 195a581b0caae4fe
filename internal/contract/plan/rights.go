package plan

import (
	"fmt"
	"net/netip"
	"slices"
)

// RightReason says why a running session lost its right.
type RightReason string

// The reasons for which a session loses its right. Nothing else in a new Plan ends one: not a change of keys, limits,
// policies, certificates or of a template.
const (
	DomainRemoved      RightReason = "DomainRemoved"
	DomainOffline      RightReason = "DomainOffline"
	DomainRetyped      RightReason = "DomainRetyped"
	DomainReassociated RightReason = "DomainReassociated"
	AddressExcluded    RightReason = "AddressExcluded"
	RefererExcluded    RightReason = "RefererExcluded"
	ProtocolRemoved    RightReason = "ProtocolRemoved"
	TemplateRemoved    RightReason = "TemplateRemoved"
)

// RightError says that a session may not go on.
type RightError struct {
	Reason  RightReason
	Message string // for the log and for a client that can show it
}

// Error returns the message.
func (e *RightError) Error() string { return e.Message }

func lost(reason RightReason, format string, args ...any) error {
	return &RightError{reason, fmt.Sprintf(format, args...)}
}

// MayKeepPublishing reports whether a publisher that was accepted by the push domain host for a space may go on. The
// error is a *RightError.
func (x *Index) MayKeepPublishing(host, space string) error {
	d := x.Push(host)
	switch {
	case d == nil:
		return lost(DomainRemoved, "push domain %s does not exist any more", host)
	case d.Offline:
		return lost(DomainOffline, "push domain %s is offline", host)
	case d.Space != space:
		return lost(DomainReassociated, "push domain %s does not feed %s any more", host, space)
	}
	return nil
}

// PlayRight is what a running play session was let in with.
type PlayRight struct {
	// Host is the play domain that the viewer asked.
	Host string
	// Space of the stream: the hostname of the main play domain.
	Space string
	// RemoteIP is the viewer's address; not valid means not known, which only a domain without an address list lets in.
	RemoteIP netip.Addr
	// Referer is the value of the header when the session began.
	Referer string
	// Template is the id of the rendition; empty for the source.
	Template string
	// App of the stream; needed with a Template, whose apps may have changed.
	App string
	// Type of the domain when the session began; empty means RTS.
	Type PlayType
	// Protocol of a session on a Standard domain; empty on RTS.
	Protocol Protocol
}

// MayKeepPlaying reports whether a viewer may go on. The error is a *RightError.
func (x *Index) MayKeepPlaying(s PlayRight) error {
	d := x.Play(s.Host)
	was := s.Type
	if was == "" {
		was = RTS
	}
	switch {
	case d == nil:
		return lost(DomainRemoved, "play domain %s does not exist any more", s.Host)
	case d.Offline:
		return lost(DomainOffline, "play domain %s is offline", s.Host)
	case d.Type != was:
		return lost(DomainRetyped, "play domain %s does not serve %s any more", s.Host, was)
	case d.Space != s.Space:
		return lost(DomainReassociated, "play domain %s does not serve the streams of %s any more", s.Host, s.Space)
	case !AllowsIP(d.IPs, s.RemoteIP):
		return lost(AddressExcluded, "play domain %s does not allow this address any more", s.Host)
	case !AllowsReferer(d.Referers, s.Referer):
		return lost(RefererExcluded, "play domain %s does not allow this referer any more", s.Host)
	case s.Protocol != "" && !slices.Contains(d.Protocols, s.Protocol):
		return lost(ProtocolRemoved, "play domain %s does not serve %s any more", s.Host, s.Protocol)
	case s.Template != "" && !x.hasTemplate(s.Space, s.Template, s.App):
		return lost(TemplateRemoved, "template %s does not exist any more", s.Template)
	}
	return nil
}

func (x *Index) hasTemplate(space, id, app string) bool {
	return slices.ContainsFunc(
		x.templates[space],
		func(t *Template) bool { return t.ID == id && (app == "" || t.Serves(app)) },
	)
}
