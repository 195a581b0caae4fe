package lean

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"github.com/millrace/millrace/dataplane/media"
)

// route says what packets of a payload type are.
type route struct {
	codec   media.Codec
	repair  bool  // retransmissions (RFC 4588) of the codec's packets
	capture uint8 // id of the abs-capture-time extension; 0 when it was not agreed on
}

// candidate is a place where the server waits for the viewer.
type candidate struct {
	address  netip.AddrPort
	tcp      bool
	priority uint32
}

// answer is what a server's SDP answer says to this client.
type answer struct {
	remote      credentials
	fingerprint string // SHA-256, upper-case hex with colons
	dtlsServer  bool   // the server wants to be the DTLS client, so that this side is the server
	candidates  []candidate
	routes      [128]route
	repairs     map[uint32]uint32 // SSRC of retransmissions to the SSRC they repair (RFC 5576, FID)
	ssrcs       map[media.Kind]uint32
	codecs      []media.Codec
}

// maxCandidates bounds the places that are tried.
const maxCandidates = 16

// parseAnswer reads an SDP answer.
func parseAnswer(raw string) (*answer, error) {
	var description sdp.SessionDescription
	if err := description.UnmarshalString(raw); err != nil {
		return nil, fmt.Errorf("reading the SDP answer: %w", err)
	}
	a := &answer{repairs: map[uint32]uint32{}, ssrcs: map[media.Kind]uint32{}}
	session := attributes(description.Attributes)
	for _, m := range description.MediaDescriptions {
		if m.MediaName.Port.Value == 0 {
			continue // refused
		}
		own := attributes(m.Attributes)
		if own.first("inactive") != nil || own.first("recvonly") != nil {
			continue
		}
		if err := a.transport(own, session); err != nil {
			return nil, err
		}
		a.media(m.MediaName.Media, m.MediaName.Formats, own)
	}
	switch {
	case len(a.codecs) == 0:
		return nil, errors.New("the SDP answer accepts neither H.264 nor Opus")
	case a.remote.ufrag == "" || a.remote.password == "":
		return nil, errors.New("the SDP answer has no ICE credentials")
	case a.fingerprint == "":
		return nil, errors.New("the SDP answer has no SHA-256 fingerprint")
	case len(a.candidates) == 0:
		return nil, errors.New("the SDP answer has no candidate with an IP address")
	}
	return a, nil
}

// transport reads what belongs to the bundle; the first section that is not refused decides.
func (a *answer) transport(own, session attributes) error {
	value := func(name string) string {
		if v := own.first(name); v != nil {
			return *v
		}
		if v := session.first(name); v != nil {
			return *v
		}
		return ""
	}
	if a.remote.ufrag == "" {
		a.remote = credentials{ufrag: value("ice-ufrag"), password: value("ice-pwd")}
		a.dtlsServer = value("setup") == "active"
		algorithm, sum, _ := strings.Cut(value("fingerprint"), " ")
		if !strings.EqualFold(algorithm, "sha-256") {
			return fmt.Errorf("the SDP answer's fingerprint is %q: want sha-256", algorithm)
		}
		a.fingerprint = strings.ToUpper(sum)
	}
	for _, text := range append(own.all("candidate"), session.all("candidate")...) {
		c, ok := parseCandidate(text)
		if ok && len(a.candidates) < maxCandidates && !slices.Contains(a.candidates, c) {
			a.candidates = append(a.candidates, c)
		}
	}
	return nil
}

// media reads codecs, payload types, extensions and SSRCs of one section.
func (a *answer) media(kind string, formats []string, own attributes) {
	var capture uint8
	for _, text := range own.all("extmap") {
		id, uri, _ := strings.Cut(text, " ")
		id, _, _ = strings.Cut(id, "/")
		if n, err := strconv.ParseUint(id, 10, 8); err == nil && strings.HasPrefix(uri, extCaptureTime) {
			capture = uint8(n)
		}
	}
	accepted := map[uint64]bool{}
	for _, format := range formats {
		if pt, err := strconv.ParseUint(format, 10, 7); err == nil {
			accepted[pt] = true
		}
	}
	var codec media.Codec
	for _, text := range own.all("rtpmap") {
		number, name, _ := strings.Cut(text, " ")
		pt, err := strconv.ParseUint(number, 10, 7)
		if err != nil || !accepted[pt] {
			continue
		}
		name, _, _ = strings.Cut(name, "/")
		switch {
		case strings.EqualFold(name, "H264") && kind == "video":
			a.routes[pt] = route{codec: media.H264, capture: capture}
			codec = media.H264
		case strings.EqualFold(name, "opus") && kind == "audio":
			a.routes[pt] = route{codec: media.Opus, capture: capture}
			codec = media.Opus
		case strings.EqualFold(name, "rtx") && kind == "video":
			a.routes[pt] = route{codec: media.H264, repair: true, capture: capture}
		}
	}
	if codec == 0 {
		return
	}
	a.codecs = append(a.codecs, codec)
	for _, text := range own.all("ssrc-group") {
		var main, repair uint32
		if n, _ := fmt.Sscanf(text, "FID %d %d", &main, &repair); n == 2 {
			a.repairs[repair] = main
		}
	}
	for _, text := range own.all("ssrc") {
		number, _, _ := strings.Cut(text, " ")
		ssrc, err := strconv.ParseUint(number, 10, 32)
		if _, repair := a.repairs[uint32(ssrc)]; err == nil && !repair && a.ssrcs[codec.Kind()] == 0 {
			a.ssrcs[codec.Kind()] = uint32(ssrc)
		}
	}
}

// parseCandidate reads a host, reflexive or relayed candidate (RFC 8839, section 5.1) with an IP address.
func parseCandidate(text string) (candidate, bool) {
	fields := strings.Fields(text)
	if len(fields) < 8 || fields[1] != "1" || fields[6] != "typ" {
		return candidate{}, false
	}
	address, err := netip.ParseAddr(fields[4])
	port, portErr := strconv.ParseUint(fields[5], 10, 16)
	priority, priorityErr := strconv.ParseUint(fields[3], 10, 32)
	if err != nil || portErr != nil || priorityErr != nil || port == 0 {
		return candidate{}, false
	}
	c := candidate{address: netip.AddrPortFrom(address.Unmap(), uint16(port)), priority: uint32(priority)}
	switch strings.ToLower(fields[2]) {
	case "udp":
		return c, true
	case "tcp":
		c.tcp = true
		return c, len(fields) > 9 && fields[8] == "tcptype" && fields[9] == "passive"
	}
	return candidate{}, false
}

// attributes are the a= lines of a section.
type attributes []sdp.Attribute

func (a attributes) first(name string) *string {
	for i := range a {
		if a[i].Key == name {
			return &a[i].Value
		}
	}
	return nil
}

func (a attributes) all(name string) []string {
	var out []string
	for i := range a {
		if a[i].Key == name {
			out = append(out, a[i].Value)
		}
	}
	return out
}
