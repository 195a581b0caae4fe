package relay

import (
	"fmt"
	"math/rand/v2"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/relay/secure"
)

// silence is what a player gets in the audio section of a stream without audio that it can play: a few packets of
// silent Opus. The official SDKs report the end of a stream ("ended") only when each of the two receivers has had a
// packet, so without them a viewer of a source with AAC would never hear of the end.
type silence struct {
	context *srtp.Context
	header  rtp.Header
	left    int
}

const (
	silencePackets = 4       // one at once, then one a second, so that a lost one does not matter
	silenceSamples = 20 * 48 // 20 ms of 48 kHz
	maxSilence     = 12 + 3 + 16
)

// silentFrame is 20 ms of silence in one Opus frame: CELT, full band, mono (RFC 6716, 3.1).
func silentFrame() []byte { return []byte{0xf8, 0xff, 0xfe} }

// newSilence prepares the packets. Its SSRC is used for nothing else, so its nonces never meet those of media.
func newSilence(keys secure.Keys, payloadType uint8, ssrc uint32) (*silence, error) {
	c, err := srtp.CreateContext(keys.LocalKey, keys.LocalSalt, srtp.ProtectionProfile(keys.Profile))
	if err != nil {
		return nil, fmt.Errorf("setting up SRTP for silence: %w", err)
	}
	first := uint16(rand.Uint32N(1 << 15))
	return &silence{context: c, left: silencePackets, header: rtp.Header{
		Version: 2, Marker: true, PayloadType: payloadType, SSRC: ssrc, SequenceNumber: first, Timestamp: rand.Uint32(),
	}}, nil
}

// next returns the next packet, or nil when there were enough.
func (s *silence) next() []byte {
	if s.left == 0 {
		return nil
	}
	s.left--
	b, err := s.context.EncryptRTP(make([]byte, 0, maxSilence), append(s.headerBytes(), silentFrame()...), nil)
	if err != nil {
		s.left = 0 // a key that cannot seal: media cannot be sent either, and its worker says so
		return nil
	}
	s.header.SequenceNumber++
	s.header.Timestamp += silenceSamples
	s.header.Marker = false
	return b
}

func (s *silence) headerBytes() []byte {
	b, err := s.header.Marshal()
	if err != nil {
		return nil
	}
	return b
}

// sendSilence sends the next packet of silence, if the session has any left.
func (s *session) sendSilence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silence == nil || s.closed {
		return
	}
	b := s.silence.next()
	if b == nil {
		s.silence = nil
		return
	}
	s.path.send(b)
}
