package sdp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Local is our side of a session.
type Local struct {
	SessionID   uint64
	Ufrag, Pwd  string
	Fingerprint string // "sha-256 AB:CD:..."
	CNAME       string
	VideoSSRC   uint32
	VideoRTX    uint32
	AudioSSRC   uint32
	UDP, TCP    []netip.AddrPort // where media can be reached, best first
}

// Answer writes the answer: ICE-lite, all candidates inside, DTLS passive, every accepted section sends (RFC 8829,
// 5.3).
func Answer(o *Offer, sel *Selection, l Local) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0")
	line("o=- %d 1 IN IP4 127.0.0.1", l.SessionID)
	line("s=-")
	line("t=0 0")
	line("a=ice-lite")
	if mids := o.bundled(sel); mids != "" {
		line("a=group:BUNDLE%s", mids)
	}
	line("a=msid-semantic: WMS rts")
	transport(line, &l) // for all sections: webrtcbin wants it of rejected ones as well
	for i := range o.Sections {
		s := &o.Sections[i]
		switch {
		case sel.Video != nil && sel.Video.Section == i:
			section(line, s, sel.Video, &l, "video", l.VideoSSRC, l.VideoRTX)
		case sel.Audio != nil && sel.Audio.Section == i:
			section(line, s, sel.Audio, &l, "audio", l.AudioSSRC, 0)
		default: // rejected (RFC 3264, 6)
			line("m=%s 0 %s %s", s.Kind, s.protocol, firstFormat(s))
			line("c=IN IP4 0.0.0.0")
			if s.Mid != "" {
				line("a=mid:%s", s.Mid)
			}
			line("a=inactive")
		}
	}
	return b.String()
}

func (o *Offer) bundled(sel *Selection) string {
	var mids string
	for i := range o.Sections {
		answered := sel.Video != nil && sel.Video.Section == i || sel.Audio != nil && sel.Audio.Section == i
		if mid := o.Sections[i].Mid; answered && o.groups[mid] > 0 {
			mids += " " + mid
		}
	}
	return mids
}

func firstFormat(s *Section) string {
	if len(s.formats) == 0 {
		return "0"
	}
	return s.formats[0]
}

// transport writes the attributes of the one transport.
func transport(line func(string, ...any), l *Local) {
	line("a=ice-ufrag:%s", l.Ufrag)
	line("a=ice-pwd:%s", l.Pwd)
	line("a=fingerprint:%s", l.Fingerprint)
	line("a=setup:passive")
}

func section(line func(string, ...any), s *Section, c *Choice, l *Local, track string, ssrc, rtxSSRC uint32) {
	formats := strconv.Itoa(int(c.PayloadType))
	if c.RTXType > 0 && rtxSSRC > 0 {
		formats += " " + strconv.Itoa(int(c.RTXType))
	}
	line("m=%s 9 %s %s", s.Kind, s.protocol, formats)
	line("c=IN IP4 0.0.0.0")
	line("a=rtcp:9 IN IP4 0.0.0.0")
	transport(line, l)
	line("a=mid:%s", s.Mid)
	if c.CaptureTimeID > 0 {
		line("a=extmap:%d %s", c.CaptureTimeID, ExtCaptureTime)
	}
	if c.PlayoutDelayID > 0 {
		line("a=extmap:%d %s", c.PlayoutDelayID, ExtPlayoutDelay)
	}
	if c.TransportCCID > 0 {
		line("a=extmap:%d %s", c.TransportCCID, ExtTransportCC)
	}
	line("a=sendonly")
	line("a=msid:rts %s", track)
	line("a=rtcp-mux")
	line("a=rtcp-rsize")
	codec(line, c, rtxSSRC > 0)
	// Chromium takes the SSRC of the first line for the media's own: that of RTX comes behind it.
	repeats := c.RTXType > 0 && rtxSSRC > 0
	if repeats {
		line("a=ssrc-group:FID %d %d", ssrc, rtxSSRC)
	}
	line("a=ssrc:%d cname:%s", ssrc, l.CNAME)
	line("a=ssrc:%d msid:rts %s", ssrc, track)
	if repeats {
		line("a=ssrc:%d cname:%s", rtxSSRC, l.CNAME)
		line("a=ssrc:%d msid:rts %s", rtxSSRC, track)
	}
	candidates(line, l)
}

// codec describes the chosen format in the player's own words.
func codec(line func(string, ...any), c *Choice, rtx bool) {
	f := &c.Format
	name := fmt.Sprintf("%s/%d", f.Name, f.ClockRate)
	if f.Channels > 1 {
		name += fmt.Sprintf("/%d", f.Channels)
	}
	line("a=rtpmap:%d %s", c.PayloadType, name)
	if f.NACK {
		line("a=rtcp-fb:%d nack", c.PayloadType)
	}
	if f.ClockRate == 90_000 {
		line("a=rtcp-fb:%d nack pli", c.PayloadType)
		if f.REMB {
			line("a=rtcp-fb:%d goog-remb", c.PayloadType)
		}
		if c.TransportCCID > 0 {
			line("a=rtcp-fb:%d transport-cc", c.PayloadType)
		}
		if strings.EqualFold(f.Name, "H264") {
			params := "level-asymmetry-allowed=1;packetization-mode=1"
			if id := f.Params["profile-level-id"]; id != "" {
				params += ";profile-level-id=" + id
			}
			line("a=fmtp:%d %s", c.PayloadType, params)
		}
	} else {
		line("a=fmtp:%d minptime=10;useinbandfec=1;stereo=1", c.PayloadType)
	}
	if c.RTXType > 0 && rtx {
		line("a=rtpmap:%d rtx/%d", c.RTXType, f.ClockRate)
		line("a=fmtp:%d apt=%d", c.RTXType, c.PayloadType)
	}
}

// candidates lists where media can be reached: host candidates over UDP, then over TCP (RFC 8445, 5.1.2.1; RFC 6544,
// 4.2).
func candidates(line func(string, ...any), l *Local) {
	n := 1
	for i, a := range l.UDP {
		line("a=candidate:%d 1 udp %d %s %d typ host", n, 2130706431-i*256, a.Addr(), a.Port())
		n++
	}
	for i, a := range l.TCP {
		line("a=candidate:%d 1 tcp %d %s %d typ host tcptype passive", n, 1671430143-i*256, a.Addr(), a.Port())
		n++
	}
	line("a=end-of-candidates")
}
