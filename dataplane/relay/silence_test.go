package relay

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/secure"
)

// A player without audio gets a few packets that it can open, in order, and then no more.
func TestSilenceIsAFewPacketsThatOpen(t *testing.T) {
	for _, profile := range []srtp.ProtectionProfile{srtp.ProtectionProfileAeadAes128Gcm,
		srtp.ProtectionProfileAes128CmHmacSha1_80} {
		saltLen, err := profile.SaltLen()
		if err != nil {
			t.Fatal(err)
		}
		keys := secure.Keys{
			Profile:   fanout.Profile(profile),
			LocalKey:  bytes.Repeat([]byte{7}, 16),
			LocalSalt: bytes.Repeat([]byte{9}, saltLen),
		}
		s, err := newSilence(keys, 111, 1234)
		if err != nil {
			t.Fatal(err)
		}
		player, err := srtp.CreateContext(keys.LocalKey, keys.LocalSalt, profile)
		if err != nil {
			t.Fatal(err)
		}
		var before rtp.Packet
		for i := range silencePackets {
			sealed := s.next()
			plain, err := player.DecryptRTP(nil, sealed, nil)
			if err != nil {
				t.Fatalf("%v: packet %d: %v", profile, i, err)
			}
			var p rtp.Packet
			if err := p.Unmarshal(plain); err != nil {
				t.Fatal(err)
			}
			if p.PayloadType != 111 || p.SSRC != 1234 || !bytes.Equal(p.Payload, silentFrame()) || len(sealed) > maxSilence {
				t.Errorf("%v: packet %d of %d bytes is %v", profile, i, len(sealed), p)
			}
			if i > 0 && (p.SequenceNumber != before.SequenceNumber+1 || p.Timestamp != before.Timestamp+silenceSamples) {
				t.Errorf("%v: packet %d does not follow the one before", profile, i)
			}
			before = p
		}
		if s.next() != nil {
			t.Errorf("%v: more than %d packets", profile, silencePackets)
		}
	}
}
