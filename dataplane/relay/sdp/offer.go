// Package sdp reads the offers of players and writes our answers (RFC 8866, RFC 8829, RFC 8843). We only ever answer,
// with media that we send.
package sdp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	pion "github.com/pion/sdp/v3"
)

// Bounds of an offer.
const (
	MaxSize     = 64 << 10 // bytes
	maxSections = 16
	maxFormats  = 128
	maxMid      = 128 // bytes; some libraries use UUIDs
	maxICE      = 256 // bytes of a user name fragment, or of a password (RFC 8839, 5.4)
)

// ErrInvalid marks an offer that cannot be read; the wrapped text says what is wrong.
var ErrInvalid = errors.New("invalid SDP offer")

// Offer is what matters to us of a player's offer.
type Offer struct {
	Ufrag, Pwd  string // ICE credentials of the player
	Fingerprint string // "sha-256 AB:CD:..."; hash name in lower case, digits in upper case
	Setup       string // actpass, active or passive
	Sections    []Section
	groups      map[string]int // of the BUNDLE groups, by mid: 1 is the first; 0: the section has a transport of its own
}

// Section is one media description.
type Section struct {
	Kind       string // audio, video, application
	Mid        string
	Direction  string
	Closed     bool // rejected by the player: port 0, and not because it is bundled
	Codecs     []Codec
	Extensions map[string]uint8 // RTP header extension URI -> id
	bundleOnly bool             // port 0 means that the section has the transport of its group (RFC 8843, 6)
	protocol   string
	formats    []string
}

// Codec is one payload type of a section.
type Codec struct {
	PayloadType uint8
	Name        string // as written
	ClockRate   int
	Channels    int
	Params      map[string]string // fmtp; keys in lower case
	NACK        bool
	REMB        bool // reports of the bandwidth that it estimates (draft-alvestrand-rmcat-remb-03)
	TransportCC bool // reports of when each packet arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01)
}

// ParseOffer reads an offer.
func ParseOffer(text string) (*Offer, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrInvalid, len(text), MaxSize)
	}
	var d pion.SessionDescription
	if err := d.UnmarshalString(trimmed(text)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(d.MediaDescriptions) == 0 || len(d.MediaDescriptions) > maxSections {
		return nil, fmt.Errorf(
			"%w: %d media sections, 1 to %d are answered",
			ErrInvalid,
			len(d.MediaDescriptions),
			maxSections,
		)
	}
	o := &Offer{groups: bundleGroups(d.Attributes)}
	for i, m := range d.MediaDescriptions {
		s, err := parseSection(m, i)
		if err != nil {
			return nil, err
		}
		if s.bundleOnly && o.groups[s.Mid] > 0 {
			s.Closed = false
		}
		o.Sections = append(o.Sections, s)
		o.transport(&d, m)
	}
	switch {
	case o.Ufrag == "":
		return nil, fmt.Errorf("%w: a=ice-ufrag is missing", ErrInvalid)
	case o.Pwd == "":
		return nil, fmt.Errorf("%w: a=ice-pwd is missing; the player is asked for its consent with it", ErrInvalid)
	case len(o.Ufrag) > maxICE || len(o.Pwd) > maxICE:
		return nil, fmt.Errorf("%w: a=ice-ufrag or a=ice-pwd is longer than %d bytes", ErrInvalid, maxICE)
	case o.Fingerprint == "":
		return nil, fmt.Errorf("%w: a=fingerprint is missing; media is sent over DTLS-SRTP only", ErrInvalid)
	case o.Setup == "passive":
		return nil, fmt.Errorf(
			"%w: a=setup:passive; the player opens the DTLS connection, offer actpass or active",
			ErrInvalid,
		)
	}
	return o, nil
}

// trimmed takes off what comes of copying: blank lines and a byte order mark in front, blank lines behind, and the line
// end that is missing then.
func trimmed(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "\ufeff")) + "\r\n"
}

// bundleGroups returns the number of the BUNDLE group of each mid. A session may have several groups, and groups of
// other semantics, such as LS, in any order (RFC 5888, 5; RFC 8843, 7.1).
func bundleGroups(attributes []pion.Attribute) map[string]int {
	groups, n := map[string]int{}, 0
	for _, a := range attributes {
		mids := strings.Fields(a.Value)
		if a.Key != "group" || len(mids) == 0 || mids[0] != "BUNDLE" {
			continue
		}
		n++
		for _, mid := range mids[1:] {
			if groups[mid] == 0 {
				groups[mid] = n
			}
		}
	}
	return groups
}

// transport takes the transport attributes from the section, or the session, that has them first: all sections are
// bundled.
func (o *Offer) transport(d *pion.SessionDescription, m *pion.MediaDescription) {
	find := func(key string) string {
		if v, ok := m.Attribute(key); ok {
			return v
		}
		v, _ := d.Attribute(key)
		return v
	}
	if o.Ufrag == "" {
		o.Ufrag = find("ice-ufrag")
	}
	if o.Pwd == "" {
		o.Pwd = find("ice-pwd")
	}
	if o.Setup == "" {
		o.Setup = find("setup")
	}
	if o.Fingerprint == "" {
		if o.Fingerprint = fingerprint(m.Attributes); o.Fingerprint == "" {
			o.Fingerprint = fingerprint(d.Attributes)
		}
	}
}

// fingerprint takes the certificate's fingerprint: the one by SHA-256 when there are several (RFC 8122, 5).
func fingerprint(attributes []pion.Attribute) (found string) {
	for _, a := range attributes {
		hash, digits, ok := strings.Cut(a.Value, " ")
		if a.Key != "fingerprint" || !ok {
			continue
		}
		if hash = strings.ToLower(hash); found == "" || hash == "sha-256" {
			found = hash + " " + strings.ToUpper(strings.TrimSpace(digits))
		}
	}
	return found
}

func parseSection(m *pion.MediaDescription, index int) (Section, error) {
	s := Section{
		Kind: m.MediaName.Media, Closed: m.MediaName.Port.Value == 0, Extensions: map[string]uint8{},
		protocol: strings.Join(m.MediaName.Protos, "/"), formats: m.MediaName.Formats, Direction: "sendrecv",
	}
	if len(s.formats) > maxFormats {
		return s, fmt.Errorf(
			"%w: media section %d has %d formats, at most %d are read",
			ErrInvalid,
			index,
			len(s.formats),
			maxFormats,
		)
	}
	byType := map[string]int{}
	for _, f := range s.formats {
		if pt, err := strconv.ParseUint(f, 10, 7); err == nil {
			byType[f] = len(s.Codecs)
			s.Codecs = append(s.Codecs, Codec{PayloadType: uint8(pt), Params: map[string]string{}})
		}
	}
	var all Codec // what is said of every format
	for _, a := range m.Attributes {
		pt, rest, _ := strings.Cut(a.Value, " ")
		switch a.Key {
		case "bundle-only":
			s.bundleOnly = true
		case "mid":
			s.Mid = a.Value
		case "sendrecv", "sendonly", "recvonly", "inactive":
			s.Direction = a.Key
		case "rtpmap":
			if i, ok := byType[pt]; ok {
				s.Codecs[i].setMap(rest)
			}
		case "fmtp":
			if i, ok := byType[pt]; ok {
				s.Codecs[i].setParams(rest)
			}
		case "rtcp-fb":
			if i, ok := byType[pt]; ok {
				s.Codecs[i].addFeedback(rest)
			} else if pt == "*" {
				all.addFeedback(rest)
			}
		case "extmap":
			id, _, _ := strings.Cut(pt, "/")
			uri, _, _ := strings.Cut(rest, " ")
			if n, err := strconv.ParseUint(id, 10, 8); err == nil && n > 0 && n < 15 { // one-byte form only
				s.Extensions[uri] = uint8(n)
			}
		}
	}
	for i := range s.Codecs {
		c := &s.Codecs[i]
		c.NACK, c.REMB, c.TransportCC = c.NACK || all.NACK, c.REMB || all.REMB, c.TransportCC || all.TransportCC
	}
	if len(s.Mid) > maxMid {
		return s, fmt.Errorf("%w: a=mid of media section %d is longer than %d bytes", ErrInvalid, index, maxMid)
	}
	return s, nil
}

// addFeedback reads what follows the format of an a=rtcp-fb line (RFC 4585, 4.2).
func (c *Codec) addFeedback(v string) {
	switch v {
	case "nack":
		c.NACK = true
	case "goog-remb":
		c.REMB = true
	case "transport-cc":
		c.TransportCC = true
	}
}

// setMap reads "H264/90000" or "opus/48000/2".
func (c *Codec) setMap(v string) {
	parts := strings.Split(v, "/")
	c.Name = parts[0]
	if len(parts) > 1 {
		c.ClockRate, _ = strconv.Atoi(parts[1])
	}
	c.Channels = 1
	if len(parts) > 2 {
		c.Channels, _ = strconv.Atoi(parts[2])
	}
}

// setParams reads "packetization-mode=1;profile-level-id=42e01f".
func (c *Codec) setParams(v string) {
	for _, kv := range strings.Split(v, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(kv), "=")
		if key != "" && len(c.Params) < 32 {
			c.Params[strings.ToLower(key)] = value
		}
	}
}
