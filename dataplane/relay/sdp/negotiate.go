package sdp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/dataplane/media"
)

// RTP header extensions that we send.
const (
	ExtCaptureTime  = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
	ExtPlayoutDelay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
	ExtTransportCC  = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)

// ErrNoCodec says that the player did not offer a codec of the stream; the wrapped text names it.
var ErrNoCodec = errors.New("no codec in common")

// Choice is what of an offered section is answered.
type Choice struct {
	Section        int // index in the offer
	Codec          media.Codec
	PayloadType    uint8
	RTXType        uint8 // 0: RTX was not offered
	Format         Codec // the offered format that was chosen
	CaptureTimeID  uint8
	PlayoutDelayID uint8
	TransportCCID  uint8 // for players that report arrivals and do not estimate bandwidth themselves
}

// Selection is what a player gets: at most one section of each kind.
type Selection struct {
	Video, Audio *Choice
	// Silent: the audio section is answered so that the player's transports are all there, but the stream has no audio
	// that the player can decode.
	Silent bool
}

// Source is what a stream offers; nil for a kind that it lacks, or that is not wanted.
type Source struct {
	Video, Audio *media.Track
}

// Negotiate chooses formats by what they mean, never by number (RFC 8829, 5.3.1; RFC 6184, 8.2.2).
func Negotiate(o *Offer, src Source) (*Selection, error) {
	sel := &Selection{}
	for i := range o.Sections {
		s := &o.Sections[i]
		if !o.shares(sel, i) || s.Closed || s.Direction == "sendonly" || s.Direction == "inactive" {
			continue
		}
		switch {
		case s.Kind == "video" && sel.Video == nil && src.Video != nil:
			sel.Video = choose(s, i, src.Video.Codec, videoScore(src.Video))
		case s.Kind == "audio" && sel.Audio == nil:
			if src.Audio != nil {
				sel.Audio = choose(s, i, src.Audio.Codec, audioScore(src.Audio.Codec))
			}
			if sel.Audio == nil {
				if sel.Audio = choose(s, i, media.Opus, audioScore(media.Opus)); sel.Audio != nil {
					sel.Silent = true
				}
			}
		}
	}
	if sel.Video == nil && src.Video != nil && o.has("video") {
		if src.Video.Codec == media.H264 && o.Accepts(media.H264) {
			return nil, fmt.Errorf("%w: the player offers H264 with packetization-mode=0 only; offer packetization-mode=1",
				ErrNoCodec)
		}
		return nil, fmt.Errorf("%w: the stream's video is %s, which the player does not offer", ErrNoCodec, src.Video.Codec)
	}
	if sel.Video == nil && (sel.Audio == nil || sel.Silent) {
		return nil, fmt.Errorf("%w: the offer has no section that can receive a track of the stream", ErrNoCodec)
	}
	return sel, nil
}

// shares reports whether a section can have the transport of those chosen before: there is one transport, so all are in
// one group (RFC 8843, 7.3).
func (o *Offer) shares(sel *Selection, section int) bool {
	for _, c := range []*Choice{sel.Video, sel.Audio} {
		if c == nil {
			continue
		}
		if group := o.groups[o.Sections[c.Section].Mid]; group == 0 || group != o.groups[o.Sections[section].Mid] {
			return false
		}
	}
	return true
}

func (o *Offer) has(kind string) bool {
	for i := range o.Sections {
		if s := &o.Sections[i]; s.Kind == kind && !s.Closed && s.Direction != "sendonly" && s.Direction != "inactive" {
			return true
		}
	}
	return false
}

// Accepts reports whether the player offers a video codec at all.
func (o *Offer) Accepts(codec media.Codec) bool {
	for i := range o.Sections {
		for j := range o.Sections[i].Codecs {
			if c := &o.Sections[i].Codecs[j]; strings.EqualFold(c.Name, encodingName(codec)) {
				return true
			}
		}
	}
	return false
}

// AcceptsBFrames reports whether the player says that it orders frames by composition time (fmtp bframe-enabled=1).
func (o *Offer) AcceptsBFrames() bool {
	for i := range o.Sections {
		for j := range o.Sections[i].Codecs {
			if o.Sections[i].Codecs[j].Params["bframe-enabled"] == "1" {
				return true
			}
		}
	}
	return false
}

// AcceptsAAC reports whether the player offers AAC, by any of the names that it has in RTP.
func (o *Offer) AcceptsAAC() bool {
	for i := range o.Sections {
		for j := range o.Sections[i].Codecs {
			switch strings.ToLower(o.Sections[i].Codecs[j].Name) {
			case "mp4a-latm", "mp4a-adts", "mpeg4-generic":
				return true
			}
		}
	}
	return false
}

func encodingName(c media.Codec) string {
	if c == media.Opus {
		return "opus"
	}
	return c.String()
}

// choose takes the format of a section with the best score above zero.
func choose(s *Section, index int, codec media.Codec, score func(*Codec) int) *Choice {
	best, bestScore := -1, 0
	for i := range s.Codecs {
		if c := &s.Codecs[i]; strings.EqualFold(c.Name, encodingName(codec)) {
			if n := score(c); n > bestScore {
				best, bestScore = i, n
			}
		}
	}
	if best < 0 {
		return nil
	}
	format := s.Codecs[best]
	c := &Choice{
		Section: index, Codec: codec, PayloadType: format.PayloadType, Format: format,
		CaptureTimeID: s.Extensions[ExtCaptureTime], PlayoutDelayID: s.Extensions[ExtPlayoutDelay],
	}
	if codec.Kind() == media.Video && format.TransportCC && !format.REMB {
		c.TransportCCID = s.Extensions[ExtTransportCC]
	}
	for i := range s.Codecs {
		if r := &s.Codecs[i]; strings.EqualFold(r.Name, "rtx") && r.Params["apt"] == strconv.Itoa(int(format.PayloadType)) {
			c.RTXType = r.PayloadType
		}
	}
	return c
}

// videoScore prefers, for H.264, packetization-mode 1 (RFC 6184, 6.3: we send fragments) and the source's own profile.
// A format that says nothing of its mode is the last choice: by the letter it is mode 0, but who leaves it out, as
// users of GStreamer do, reads fragments. A decoder is not refused for its profile: browsers name only some of those
// that they decode.
func videoScore(t *media.Track) func(*Codec) int {
	if t.Codec != media.H264 {
		return func(*Codec) int { return 1 }
	}
	profile := ""
	if len(t.SPS) > 3 {
		profile = fmt.Sprintf("%02x", t.SPS[1])
	}
	return func(c *Codec) int {
		switch mode, said := c.Params["packetization-mode"]; {
		case mode == "1":
			return 4 + profileScore(profile, c.Params["profile-level-id"])
		case !said:
			return profileScore(profile, c.Params["profile-level-id"])
		}
		return 0
	}
}

// profileScore is 1 to 4; own is the source's profile_idc in hexadecimal digits.
func profileScore(own, offered string) int {
	offered = strings.ToLower(offered)
	switch {
	case own != "" && strings.HasPrefix(offered, own):
		return 4
	case strings.HasPrefix(offered, "42e0"): // Constrained Baseline: what every browser has
		return 3
	case strings.HasPrefix(offered, "42"):
		return 2
	}
	return 1
}

func audioScore(codec media.Codec) func(*Codec) int {
	return func(c *Codec) int {
		if codec == media.Opus && c.ClockRate == 48000 {
			return 1
		}
		return 0
	}
}
