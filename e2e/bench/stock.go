package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// stock is the same fan-out through pion/webrtc's own path: one TrackLocalStaticRTP that every peer connection is bound
// to, on one UDP port, with pion's default interceptors.
type stock struct {
	spec    serverSpec
	api     *webrtc.API
	track   *webrtc.TrackLocalStaticRTP
	viewers atomic.Int64
	packets atomic.Uint64
}

func newStock(spec serverSpec) (*stock, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("opening the media port: %w", err)
	}
	_ = conn.SetReadBuffer(8 << 20)
	_ = conn.SetWriteBuffer(8 << 20)
	var se webrtc.SettingEngine
	se.SetLite(true)
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	se.SetICEUDPMux(webrtc.NewICEUDPMux(nil, conn))
	profile := dtls.SRTP_AEAD_AES_128_GCM
	if spec.SRTP == "sha1" {
		profile = dtls.SRTP_AES128_CM_HMAC_SHA1_80
	}
	se.SetSRTPProtectionProfiles(profile)
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, fmt.Errorf("registering codecs: %w", err)
	}
	if err := webrtc.RegisterDefaultInterceptors(m, i); err != nil {
		return nil, fmt.Errorf("registering interceptors: %w", err)
	}
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}, "video", "rts")
	if err != nil {
		return nil, fmt.Errorf("making the track: %w", err)
	}
	return &stock{
		spec:  spec,
		track: track,
		api:   webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i)),
	}, nil
}

// ServeHTTP answers WHEP offers.
func (s *stock) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodDelete {
		return
	}
	offer, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	if err != nil {
		return
	}
	answer, err := s.join(string(offer))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", "/session")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a client that is gone
}

func (s *stock) join(offer string) (string, error) {
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", fmt.Errorf("making a peer connection: %w", err)
	}
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			s.viewers.Add(1)
		case webrtc.PeerConnectionStateDisconnected, webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			_ = pc.Close()
		}
	})
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("offer: %w", err)
	}
	sender, err := pc.AddTrack(s.track)
	if err != nil {
		return "", fmt.Errorf("adding the track: %w", err)
	}
	go func() { // interceptors see RTCP only when it is read
		b := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(b); err != nil {
				return
			}
		}
	}()
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

func (s *stock) run(ctx context.Context) {
	packetizer := rtp.NewPacketizer(1200, 0, 0, &codecs.H264Payloader{}, rtp.NewRandomSequencer(), 90000)
	everyFrame(ctx, func(time.Time) {}, func(n int) {
		units, _ := accessUnit(s.spec.Mbps, n)
		var annexB []byte
		for _, u := range units {
			annexB = append(append(annexB, 0, 0, 0, 1), u...)
		}
		viewers := uint64(max(s.viewers.Load(), 0))
		for _, p := range packetizer.Packetize(annexB, uint32(90000*frameTime/time.Second)) {
			_ = s.track.WriteRTP(p) // a viewer that is gone
			s.packets.Add(viewers)
		}
	})
}

func (s *stock) counts() counts {
	packets := s.packets.Load()
	return counts{Viewers: int(s.viewers.Load()), Packets: packets, Calls: packets}
}
