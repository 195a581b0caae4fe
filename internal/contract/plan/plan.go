// Package plan holds the Plan: all that a data-plane process needs to know to serve a MediaClass. A Plan is a value
// without references to Kubernetes; compile makes it, roles run on it.
package plan

import "time"

// Plan is what the roles of one MediaClass run on. All lists are sorted by their identity, so that equal Plans have
// equal encodings.
type Plan struct {
	Class     string       `json:"class"`
	Push      []PushDomain `json:"push,omitempty"`
	Play      []PlayDomain `json:"play,omitempty"`
	Templates []Template   `json:"templates,omitempty"`
}

// Policy says what to do with a source that has a property which browsers cannot play.
type Policy string

// The policies of PushDomain.spec.source.
const (
	Reject Policy = "Reject"
	Warn   Policy = "Warn"
	Allow  Policy = "Allow"
)

// AuthType is a form of URL signing.
type AuthType string

// The forms of URL signing (facts: Alibaba Cloud URL signing types A, B and C).
const (
	AuthNone AuthType = "None"
	AuthA    AuthType = "A"
	AuthB    AuthType = "B"
	AuthC    AuthType = "C"
	// AuthRefuse stands for signing keys that cannot be read: no URL is good, and running sessions go on.
	AuthRefuse AuthType = "Refuse"
)

// Auth is how URLs of a domain are signed. Primary and Backup are secrets: they are never logged or shown.
type Auth struct {
	Type     AuthType      `json:"type"`
	Primary  string        `json:"primary,omitempty"`
	Backup   string        `json:"backup,omitempty"`
	Validity time.Duration `json:"validity,omitempty"` // added to the time stamp of the URL
}

// KeyPair is a certificate chain and its private key, both PEM. Key is a secret.
type KeyPair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

// Notify is the callback at the start and the end of a publish. Key signs it and is a secret; empty: unsigned.
type Notify struct {
	URL string `json:"url"`
	Key string `json:"key,omitempty"`
}

// Duplicate says what happens to a second publisher of a live stream.
type Duplicate string

// The values of PushDomain.spec.duplicatePublish.
const (
	RejectNew  Duplicate = "RejectNew"
	ReplaceOld Duplicate = "ReplaceOld"
)

// PushDomain is an accepted push domain.
type PushDomain struct {
	Hostname string `json:"hostname"`
	// Space is the hostname of the main play domain whose streams this domain feeds; empty while not associated.
	Space          string        `json:"space,omitempty"`
	Offline        bool          `json:"offline,omitempty"`
	Auth           Auth          `json:"auth"`
	BFrames        Policy        `json:"bFrames"`
	H265           Policy        `json:"h265"`
	MaxGOP         time.Duration `json:"maxGOP"`
	Duplicate      Duplicate     `json:"duplicate"`
	MaxStreams     int           `json:"maxStreams"`     // 0: no limit of the domain's own
	MaxBitrateKbps int           `json:"maxBitrateKbps"` // 0: no limit of the domain's own
	TLS            *KeyPair      `json:"tls,omitempty"`
	Notify         *Notify       `json:"notify,omitempty"`
}

// PlayType is what a play domain serves.
type PlayType string

// The types of a play domain. They never share a hostname.
const (
	Standard PlayType = "Standard"
	RTS      PlayType = "RTS"
)

// Role is a play domain's place in its associations.
type Role string

// The roles of a play domain.
const (
	Main         Role = "Main"
	Sub          Role = "Sub"
	Unassociated Role = "Unassociated"
)

// Protocol is a way of standard play.
type Protocol string

// The protocols of a Standard play domain.
const (
	RTMP Protocol = "RTMP"
	FLV  Protocol = "FLV"
	HLS  Protocol = "HLS"
)

// PlayDomain is an accepted play domain.
type PlayDomain struct {
	Hostname  string     `json:"hostname"`
	Type      PlayType   `json:"type"`
	Role      Role       `json:"role"`
	Space     string     `json:"space"` // the main's hostname; its own for a Main or an Unassociated domain
	Offline   bool       `json:"offline,omitempty"`
	Protocols []Protocol `json:"protocols,omitempty"` // Standard only
	// AutoRepair serves a shared repaired rendition under the plain URL to clients that cannot play the source (RTS only).
	AutoRepair bool `json:"autoRepair,omitempty"`
	// Fallback is where the page turns to when RTS does not play (RTS only).
	Fallback *Fallback `json:"fallback,omitempty"`
	Auth     Auth      `json:"auth"`
	// allowed hosts of the Referer, "*.example.com" and "none" (no header) allowed; empty: all
	Referers      []string `json:"referers,omitempty"`
	IPs           []string `json:"ips,omitempty"` // allowed addresses and CIDR ranges; empty: all
	TLS           *KeyPair `json:"tls,omitempty"`
	Billing       string   `json:"billing,omitempty"`
	MaxViewers    int      `json:"maxViewers,omitempty"`
	MaxEgressMbps int      `json:"maxEgressMbps,omitempty"`
}

// Fallback is the Standard main of an RTS domain, as far as browsers can play from it.
type Fallback struct {
	Hostname  string     `json:"hostname"`
	Protocols []Protocol `json:"protocols"` // FLV, HLS or both, in this order
	// Redirect sends those who ask the RTS domain for one of the protocols there.
	Redirect bool `json:"redirect,omitempty"`
}

// InBrowsers returns those of the protocols that a browser plays: FLV and HLS.
func InBrowsers(all []Protocol) []Protocol {
	var out []Protocol
	for _, p := range all {
		if p == FLV || p == HLS {
			out = append(out, p)
		}
	}
	return out
}

// TemplateType says what a rendition is made of.
type TemplateType string

// The types of an RTSTranscodeTemplate.
const (
	TemplateH264       TemplateType = "H264"
	TemplateH264Origin TemplateType = "H264Origin"
	TemplateAudio      TemplateType = "Audio"
)

// Template is an accepted RTSTranscodeTemplate.
type Template struct {
	Space      string        `json:"space"` // the main play domain's hostname
	ID         string        `json:"id"`
	Type       TemplateType  `json:"type"`
	Apps       []string      `json:"apps,omitempty"` // empty: all
	Width      int           `json:"width,omitempty"`
	Height     int           `json:"height,omitempty"`
	FPS        int           `json:"fps,omitempty"`
	VideoKbps  int           `json:"videoKbps,omitempty"`
	GOP        time.Duration `json:"gop,omitempty"`
	DropB      bool          `json:"dropB,omitempty"`
	AudioCodec string        `json:"audioCodec,omitempty"` // Opus, AAC, Copy
	AudioKbps  int           `json:"audioKbps,omitempty"`
	Channels   int           `json:"channels,omitempty"`
	SampleRate int           `json:"sampleRate,omitempty"`
	OnPublish  bool          `json:"onPublish,omitempty"`
}
