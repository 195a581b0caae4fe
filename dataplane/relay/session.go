package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/relay/closenotice"
	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/feedback"
	"github.com/millrace/millrace/dataplane/relay/ice"
	"github.com/millrace/millrace/dataplane/relay/sdp"
	"github.com/millrace/millrace/dataplane/relay/secure"
	"github.com/millrace/millrace/internal/contract/plan"
)

// session is one viewer from its offer to its end. Its fields have one owner each.
//
// Locks are taken in this order: session.mu; then sessions.mu, the locks of package secure, or those of fanout. None of
// these is taken while another of them is held.
type session struct {
	relay   *Relay
	id      string
	etag    string
	dialect string
	created time.Time
	right   plan.PlayRight
	pass    *door.Pass // given back with the end
	key     hub.Key
	bFrames bool // the player orders frames by composition time
	feed    *feed

	ufrag, pwd  string
	remoteUfrag string
	tag         uint32 // of the transaction ids of our requests; the table of sessions gives it
	fingerprint string // of the player
	selection   *sdp.Selection
	local       sdp.Local

	swept     uint64 // bytes sent when they were collected last; of the measurement
	connected atomic.Bool
	heard     atomic.Int64 // Unix nanoseconds of the last sign of life
	viewer    atomic.Pointer[fanout.Viewer]

	// Guarded by the table of sessions.
	addrs []netip.AddrPort

	// Guarded by mu.
	mu       sync.Mutex
	auth     *ice.Authenticator // of what the player asks
	asking   *ice.Authenticator // of what we ask the player
	stun     []byte             // of the last message of ours
	pairs    []*pair            // UDP ways on which checks with the right password came
	path     path               // one of pairs that has answered us, or a TCP connection
	moved    time.Time          // when path changed last with media on it
	conns    []*net.TCPConn     // ICE-TCP connections that showed the password; closed with the session
	dtls     transport
	inbound  *inbound
	pressure feedback.Pressure // what the reports say about the network
	arrivals feedback.Arrivals // what those of transport-wide feedback say
	asked    feedback.Budget   // what the player may ask for: packets again, key frames
	silence  *silence          // nil: the stream has audio, or there was enough
	notice   closenotice.Entry // for the case that this process is killed
	closed   bool
}

// path is the way to a player: a UDP address behind one of our sockets, or an ICE-TCP connection.
type path struct {
	socket *fanout.Socket
	remote netip.AddrPort
	tcp    *fanout.TCPPath
}

// send sends one packet; like UDP it may lose it.
func (p *path) send(b []byte) {
	switch {
	case p.tcp != nil:
		p.tcp.Send(b)
	case p.socket != nil:
		_, _ = p.socket.Conn.WriteToUDPAddrPort(b, p.remote)
	}
}

// sentSince returns how many bytes of media were sent since the last call. Only the measurement calls it.
func (s *session) sentSince() uint64 {
	v := s.viewer.Load()
	if v == nil {
		return 0
	}
	total := v.Counts.Bytes.Load()
	n := total - s.swept
	s.swept = total
	return n
}

// mediaAddress is where media goes; the zero value before an address has answered.
func (s *session) mediaAddress() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path.remote.Addr()
}

func (s *session) touch() { s.heard.Store(time.Now().UnixNano()) }

// movePause is the shortest time between two moves of a session's media.
const movePause = time.Second

// nominate considers a path of the player that is another one than now. Before DTLS the nominated one is taken (RFC
// 8445, 7.3.1.5), or the first. Afterwards a nomination moves the media there: the player's network has changed. mu is
// held.
func (s *session) nominate(from path, nominated bool) {
	v := s.viewer.Load()
	switch {
	case s.path == from:
	case s.path.remote == (netip.AddrPort{}), nominated && s.dtls == nil:
		s.path = from
	case v != nil && nominated && from.tcp == nil && s.path.tcp == nil && time.Since(s.moved) > movePause:
		s.path, s.moved = from, time.Now()
		v.Move(from.socket, fanout.NewDest(from.socket, from.remote))
		s.writeNotice()
		s.relay.metrics.moves.Inc()
	}
}

// handleDTLS takes a DTLS record of the player; the first one starts the handshake.
func (s *session) handleDTLS(b []byte, from path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeDTLS(b, from)
}

// takeDTLS is handleDTLS while mu is held.
func (s *session) takeDTLS(b []byte, from path) {
	if s.closed || s.path.remote == (netip.AddrPort{}) {
		return
	}
	if s.viewer.Load() == nil && s.proven(from) {
		s.path = from // the player sends DTLS on the pair that it chose
	}
	if s.dtls == nil {
		s.startDTLS()
	}
	s.dtls.Deliver(b)
}

// lipSync is for how long, in units of 10 ms, a player may hold pictures back until their sound is due: browsers keep
// sound for about 100 ms, and with 0 show pictures that much before it. Up to 500 ms Chromium shows pictures at once
// until it knows how late sound is.
const lipSync = 50

// Start sends media with the keys of the handshake.
func (s *session) Start(keys secure.Keys) error {
	in, err := newInbound(keys)
	if err != nil {
		return err
	}
	s.mu.Lock()
	p := s.path
	s.mu.Unlock()
	cfg := fanout.ViewerConfig{
		Profile: keys.Profile, Key: keys.LocalKey, Salt: keys.LocalSalt, CNAME: s.local.CNAME, TCP: p.tcp,
		Video: lane(s.selection.Video, s.local.VideoSSRC, s.local.VideoRTX),
		OnEnd: func(err error) {
			reason := "stream ended"
			var broke *fanout.PanicError
			switch {
			case errors.As(err, &broke):
				reason = "panic"
				s.relay.metrics.panics.Inc()
				if broke.First() {
					s.relay.broke(broke.Doing, broke.Value, broke.Stack)
				}
			case errors.Is(err, fanout.ErrStalled):
				reason = "connection stalled"
			case err != nil:
				reason = "codec changed"
			}
			go s.close(reason, err)
		},
	}
	var quiet *silence
	if !s.selection.Silent {
		cfg.Audio = lane(s.selection.Audio, s.local.AudioSSRC, 0)
		if cfg.Audio.Codec != 0 {
			cfg.Video.MaxPlayoutDelay = lipSync
		}
	} else if quiet, err = newSilence(keys, s.selection.Audio.PayloadType, s.local.AudioSSRC); err != nil {
		return err
	}
	if p.tcp == nil {
		cfg.Socket, cfg.Dest = p.socket, fanout.NewDest(p.socket, p.remote)
	}
	v, err := fanout.NewViewer(cfg)
	if err != nil {
		return err
	}
	defer s.sendSilence()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.inbound, s.silence = in, quiet
	s.viewer.Store(v)
	s.connected.Store(true)
	s.touch()
	s.pass.Arrive()
	s.relay.engine.Add(v, s.feed.feed)
	s.relay.metrics.joined(s.dialect, time.Since(s.created))
	s.relay.log.V(1).
		Info("Viewer connected", "session", s.id[:8], "stream", s.key.String(), "dialect", s.dialect, "profile", keys.Profile,
			"tcp", p.tcp != nil)
	return nil
}

func lane(c *sdp.Choice, ssrc, rtx uint32) fanout.LaneConfig {
	if c == nil {
		return fanout.LaneConfig{}
	}
	cfg := fanout.LaneConfig{
		Codec: c.Codec, PayloadType: c.PayloadType, SSRC: ssrc, CaptureTimeID: c.CaptureTimeID,
		PlayoutDelayID: c.PlayoutDelayID,
		TransportCCID:  c.TransportCCID,
	}
	if rtx > 0 && c.RTXType > 0 {
		cfg.RTXType, cfg.RTXSSRC = c.RTXType, rtx
	}
	if c.Codec.Kind() == media.Audio {
		cfg.PlayoutDelayID = 0
	}
	return cfg
}

// close ends the session once, with close_notify to the player. It waits until media is not sent any more.
func (s *session) close(reason string, cause error) { s.end(reason, cause, secure.StreamOver) }

// sendAway ends the session like close, and the player joins again elsewhere.
func (s *session) sendAway(reason string) { s.end(reason, nil, secure.JoinAgain) }

func (s *session) end(reason string, cause error, notice secure.Notice) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	dtls := s.dtls
	s.mu.Unlock()
	s.relay.sessions.remove(s)
	s.pass.Leave()
	if v := s.viewer.Load(); v != nil {
		s.relay.engine.Remove(v)
	}
	if dtls != nil {
		dtls.Close(notice)
	}
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.notice.Drop()
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	s.relay.feeds.release(s.feed)
	s.relay.metrics.left(reason)
	s.relay.log.V(1).Info("Viewer left", "session", s.id[:8], "stream", s.key.String(), "reason", reason, "cause", cause)
}
