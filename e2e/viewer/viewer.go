// Package viewer plays a stream with a stock pion client and hands out what comes: whole pictures and frames of sound,
// with the times that the sender's reports give them. It is for tests and measurements that look at the media itself.
package viewer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/internal/play/join"
)

const connectTime = 20 * time.Second

// Frame is one picture or one frame of sound.
type Frame struct {
	Video bool
	Time  int64     // RTP time stamp, which goes on where the 32 bits wrap
	At    time.Time // when its last packet came
	Key   bool      // video: begins with an IDR picture
	B     bool      // video: has slices of type B
	Data  []byte    // Annex B, or one packet of Opus
}

// Viewer is a player that is connected.
type Viewer struct {
	pc     *webrtc.PeerConnection
	on     func(Frame)
	clocks [2]report // of video and of audio
	gaps   atomic.Int64
	ended  chan struct{}
	once   sync.Once
	reads  sync.WaitGroup
}

// report is what the newest sender report says.
type report struct {
	mu   sync.Mutex
	ntp  time.Time
	time int64
}

// Clock rates of RTP.
const (
	VideoClock = 90_000
	AudioClock = 48_000
)

// Watch joins and calls on for every frame, of each kind in its order, from one goroutine per kind.
func Watch(ctx context.Context, target *join.Target, on func(Frame)) (*Viewer, error) {
	engine := &webrtc.MediaEngine{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return nil, fmt.Errorf("registering codecs: %w", err)
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings)).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("making a peer connection: %w", err)
	}
	v := &Viewer{pc: pc, on: on, ended: make(chan struct{})}
	up := make(chan struct{})
	var upOnce sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			upOnce.Do(func() { close(up) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			v.once.Do(func() { close(v.ended) })
		}
	})
	pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		v.reads.Go(func() { v.media(t, r) })
	})
	if err := v.join(ctx, target); err != nil {
		_ = pc.Close()
		return nil, err
	}
	select {
	case <-up:
		return v, nil
	case <-v.ended:
		err = errors.New("the connection broke while it was set up")
	case <-time.After(connectTime):
		err = fmt.Errorf("not connected after %s", connectTime)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = pc.Close()
	return nil, err
}

func (v *Viewer) join(ctx context.Context, target *join.Target) error {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := v.pc.AddTransceiverFromKind(kind,
			webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return fmt.Errorf("making a transceiver: %w", err)
		}
	}
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("making an offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("setting the offer: %w", err)
	}
	<-gathered
	session, err := target.Offer(ctx, v.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer,
		SDP: session.Answer}); err != nil {
		return fmt.Errorf("taking the answer: %w", err)
	}
	return nil
}

// Wall returns the time at which a frame reached the ingest, by the newest sender report of its kind; false before the
// first.
func (v *Viewer) Wall(video bool, ts int64) (time.Time, bool) {
	c, rate := v.clock(video)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ntp.IsZero() {
		return time.Time{}, false
	}
	return c.ntp.Add(time.Duration(float64(ts-c.time) / float64(rate) * float64(time.Second))), true
}

func (v *Viewer) clock(video bool) (*report, int64) {
	if video {
		return &v.clocks[0], VideoClock
	}
	return &v.clocks[1], AudioClock
}

// Gaps is how many packets were missing or came too late.
func (v *Viewer) Gaps() int64 { return v.gaps.Load() }

// Ended is closed when the connection has ended.
func (v *Viewer) Ended() <-chan struct{} { return v.ended }

// Close leaves.
func (v *Viewer) Close() {
	_ = v.pc.Close()
	v.reads.Wait()
}

// reports takes over what sender reports say; near gives the extended time stamps.
func (v *Viewer) reports(r *webrtc.RTPReceiver, video bool, near *atomic.Int64) {
	c, _ := v.clock(video)
	for {
		all, _, err := r.ReadRTCP()
		if err != nil {
			return
		}
		for _, one := range all {
			if sr, ok := one.(*rtcp.SenderReport); ok {
				c.mu.Lock()
				c.ntp, c.time = ntp(sr.NTPTime), extend(near.Load(), sr.RTPTime)
				c.mu.Unlock()
			}
		}
	}
}

// ntp converts a time stamp of 32.32 bits that counts from 1900.
func ntp(t uint64) time.Time {
	const to1970 = 2_208_988_800
	return time.Unix(int64(t>>32)-to1970, int64((t&0xffffffff)*uint64(time.Second)>>32))
}

// extend finds the long time stamp that is nearest to one that is known.
func extend(near int64, ts uint32) int64 { return near + int64(int32(ts-uint32(near))) }
