package full

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/dataplane/media"
)

const (
	extCaptureTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
	extPlayout     = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
)

// newAPI puts pion's stack together: a browser's codecs and extensions, receiver reports and transport-wide feedback.
// Missing packets are asked for by the meter, which then knows which packets were repaired.
func (v *viewer) newAPI(o Options) (*webrtc.API, error) {
	engine := &webrtc.MediaEngine{}
	if err := registerCodecs(engine); err != nil {
		return nil, fmt.Errorf("registering codecs: %w", err)
	}
	registry := &interceptor.Registry{}
	receiver, err := report.NewReceiverInterceptor()
	if err != nil {
		return nil, fmt.Errorf("making receiver reports: %w", err)
	}
	registry.Add(receiver)
	if err := webrtc.ConfigureTWCCSender(engine, registry); err != nil {
		return nil, fmt.Errorf("making transport-wide feedback: %w", err)
	}
	settings := webrtc.SettingEngine{LoggerFactory: &logging.DefaultLoggerFactory{
		Writer: discard{}, DefaultLogLevel: logging.LogLevelDisabled,
	}}
	settings.SetSRTPProtectionProfiles(o.Profiles...)
	settings.DisableSRTPReplayProtection(true) // duplicates are counted
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetICETimeouts(10*time.Second, 20*time.Second, 2*time.Second)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	if o.TCP {
		settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
	}
	if v.sockets, err = newSockets(o.ReadBuffer); err != nil {
		return nil, err
	}
	settings.SetNet(v.sockets)
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(engine),
		webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(settings),
	), nil
}

func registerCodecs(engine *webrtc.MediaEngine) error {
	errs := []error{
		engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}},
		}}, webrtc.RTPCodecTypeAudio),
	}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	for i, profile := range []string{"42001f", "42e01f", "4d001f", "640c1f"} {
		pt := webrtc.PayloadType(102 + 2*i)
		errs = append(errs,
			engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: pt, RTPCodecCapability: webrtc.RTPCodecCapability{
				MimeType: webrtc.MimeTypeH264, ClockRate: 90000, RTCPFeedback: feedback,
				SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile,
			}}, webrtc.RTPCodecTypeVideo),
			engine.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: pt + 1, RTPCodecCapability: webrtc.RTPCodecCapability{
				MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", pt),
			}}, webrtc.RTPCodecTypeVideo))
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		for _, uri := range []string{sdp.SDESMidURI, extCaptureTime, extPlayout} {
			errs = append(errs, engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind))
		}
	}
	return errors.Join(errs...)
}

// accepted lists the codecs of an answer.
func accepted(raw string) ([]media.Codec, error) {
	var description sdp.SessionDescription
	if err := description.UnmarshalString(raw); err != nil {
		return nil, fmt.Errorf("reading the SDP answer: %w", err)
	}
	var out []media.Codec
	for _, m := range description.MediaDescriptions {
		if m.MediaName.Port.Value == 0 {
			continue
		}
		for _, a := range m.Attributes {
			_, name, _ := strings.Cut(a.Value, " ")
			name, _, _ = strings.Cut(name, "/")
			if codec := codecOf(m.MediaName.Media + "/" + name); a.Key == "rtpmap" && codec != 0 {
				out = append(out, codec)
				break
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the SDP answer accepts neither H.264 nor Opus")
	}
	return out, nil
}

func codecOf(mime string) media.Codec {
	switch {
	case strings.EqualFold(mime, webrtc.MimeTypeH264):
		return media.H264
	case strings.EqualFold(mime, webrtc.MimeTypeOpus):
		return media.Opus
	}
	return 0
}

// discard takes pion's log away: what matters is in the report.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
