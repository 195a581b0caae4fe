// Package full is a WebRTC viewer on pion's whole stack, as close to a browser as a program without a screen comes:
// ICE, DTLS, SRTP, retransmissions, transport-wide feedback. It costs more per packet than package lean, which loads
// servers.
package full

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/meter"
)

// The bounds of a viewer.
const (
	connectTimeout = 15 * time.Second
	feedbackEvery  = 10 * time.Millisecond
	maxPacket      = 1600
)

// Options of a viewer.
type Options struct {
	TCP        bool                         // ICE-TCP only
	Profiles   []dtls.SRTPProtectionProfile // in order of preference
	ReadBuffer int                          // bytes of receive buffer of the socket
}

// viewer is one peer connection.
type viewer struct {
	meter   *meter.Viewer
	pc      *webrtc.PeerConnection
	sockets *sockets
	up      chan struct{}
	ended   chan struct{} // the server closed DTLS
	failed  chan struct{} // ICE gave up
}

// Watch joins the target, feeds m, and returns when the server ends the play, when the connection is lost, or when ctx
// is done. An error means that the viewer could not join. How the play ended is noted in m; for ctx it is the text of
// its cause.
func Watch(ctx context.Context, o Options, target *join.Target, m *meter.Viewer) error {
	v := &viewer{meter: m, up: make(chan struct{}), ended: make(chan struct{}), failed: make(chan struct{})}
	api, err := v.newAPI(o)
	if err != nil {
		return err
	}
	if v.pc, err = api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}); err != nil {
		return fmt.Errorf("making a peer connection: %w", err)
	}
	defer func() { _ = v.pc.Close() }()
	offer, err := v.offer(target.Without)
	if err != nil {
		return err
	}
	session, err := target.Offer(ctx, offer)
	if err != nil {
		return err
	}
	answered := time.Now()
	defer func() { _ = session.Close(ctx) }()
	codecs, err := accepted(session.Answer)
	if err != nil {
		return err
	}
	m.Signalled(session.Took, codecs)
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer,
		SDP: session.Answer}); err != nil {
		return fmt.Errorf("taking the SDP answer: %w", err)
	}
	select {
	case <-v.up:
		m.Connected(time.Since(answered), v.profile())
	case <-v.failed:
		return errors.New("ICE found no way to the server: no candidate of the answer replied")
	case <-v.ended:
		return errors.New("the server closed the connection while it was set up")
	case <-time.After(connectTimeout):
		return fmt.Errorf("ICE and DTLS were not up after %s", connectTimeout)
	case <-ctx.Done():
		return fmt.Errorf("interrupted while connecting: %w", context.Cause(ctx))
	}
	v.play(ctx)
	m.SocketDrops(v.sockets.drops())
	return nil
}

// play sends feedback until the end, and notes how it came.
func (v *viewer) play(ctx context.Context) {
	ticker := time.NewTicker(feedbackEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			v.meter.Stop(time.Now(), context.Cause(ctx).Error())
			return
		case <-v.ended:
			v.meter.Stop(time.Now(), meter.EndedByServer)
			return
		case <-v.failed:
			v.meter.Stop(time.Now(), "connection lost: ICE failed")
			return
		case now := <-ticker.C:
			if packets := v.meter.Feedback(now, 1); len(packets) > 0 {
				_ = v.pc.WriteRTCP(packets)
			}
			v.meter.SocketDrops(v.sockets.drops())
		}
	}
}

// offer makes the local description. It is sent before candidates are gathered, as browsers' pages do with this
// signalling.
func (v *viewer) offer(without media.Kind) (string, error) {
	receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if (without == media.Audio && kind == webrtc.RTPCodecTypeAudio) ||
			(without == media.Video && kind == webrtc.RTPCodecTypeVideo) {
			continue
		}
		if _, err := v.pc.AddTransceiverFromKind(kind, receive); err != nil {
			return "", fmt.Errorf("asking for %s: %w", kind, err)
		}
	}
	v.pc.OnTrack(v.onTrack)
	v.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			closeOnce(v.up)
		case webrtc.PeerConnectionStateFailed:
			closeOnce(v.failed)
		case webrtc.PeerConnectionStateClosed:
			// This side closes only after play has returned, so it was the server's close_notify or fatal alert.
			closeOnce(v.ended)
		default:
		}
	})
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		return "", fmt.Errorf("making the offer: %w", err)
	}
	if err := v.pc.SetLocalDescription(offer); err != nil {
		return "", fmt.Errorf("taking the offer: %w", err)
	}
	return offer.SDP, nil
}

// closeOnce closes a channel that only one goroutine at a time may close; pion calls state handlers one after the
// other.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (v *viewer) onTrack(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	codec := codecOf(track.Codec().MimeType)
	if codec == 0 {
		return
	}
	capture := uint8(0)
	for _, extension := range receiver.GetParameters().HeaderExtensions {
		if extension.URI == extCaptureTime {
			capture = uint8(extension.ID)
		}
	}
	go v.readReports(receiver)
	buffer := make([]byte, maxPacket)
	for {
		n, attributes, err := track.Read(buffer)
		if err != nil {
			return
		}
		v.take(codec, capture, buffer[:n], attributes)
	}
}

// take hands one RTP packet to the meter.
func (v *viewer) take(codec media.Codec, capture uint8, data []byte, attributes interceptor.Attributes) {
	var packet rtp.Packet
	if packet.Unmarshal(data) != nil || len(packet.Payload) == 0 {
		return
	}
	out := meter.Packet{
		Codec: codec, SSRC: packet.SSRC, Seq: packet.SequenceNumber, Time: packet.Timestamp, Marker: packet.Marker,
		Arrival: time.Now().UnixNano(), Size: len(packet.Payload), Payload: packet.Payload,
		Repair: attributes.Get(webrtc.AttributeRtxSsrc) != nil,
	}
	if capture != 0 {
		var at rtp.AbsCaptureTimeExtension
		if at.Unmarshal(packet.GetExtension(capture)) == nil {
			out.Capture = meter.NTPToUnix(at.Timestamp)
		}
	}
	v.meter.Packet(&out)
}

// readReports takes sender reports until the receiver ends. Reading also keeps pion's interceptors going.
func (v *viewer) readReports(receiver *webrtc.RTPReceiver) {
	for {
		packets, _, err := receiver.ReadRTCP()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				return
			}
			continue
		}
		for _, packet := range packets {
			if report, ok := packet.(*rtcp.SenderReport); ok {
				v.meter.SenderReport(report.SSRC, report.NTPTime, report.RTPTime)
			}
		}
	}
}

// profile returns the negotiated SRTP protection profile.
func (v *viewer) profile() string {
	for _, stats := range v.pc.GetStats() {
		if transport, ok := stats.(webrtc.TransportStats); ok && transport.SRTPCipher != "" {
			return transport.SRTPCipher
		}
	}
	return ""
}
