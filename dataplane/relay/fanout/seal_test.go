package fanout

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

func testKeys(p Profile) (key, salt []byte) {
	k, s, _ := p.KeySizes()
	key, salt = make([]byte, k), make([]byte, s)
	for i := range key {
		key[i] = byte(i * 7)
	}
	for i := range salt {
		salt[i] = byte(200 - i)
	}
	return key, salt
}

// What we seal, pion/srtp opens; over a roll-over of the sequence number too.
func TestSealedPacketsOpen(t *testing.T) {
	for profile, pion := range map[Profile]srtp.ProtectionProfile{
		AEADAES128GCM: srtp.ProtectionProfileAeadAes128Gcm, AES128CMHMACSHA1_80: srtp.ProtectionProfileAes128CmHmacSha1_80,
	} {
		key, salt := testKeys(profile)
		s, err := newSealer(profile, key, salt)
		if err != nil {
			t.Fatal(err)
		}
		open, err := srtp.CreateContext(key, salt, pion)
		if err != nil {
			t.Fatal(err)
		}
		for index := uint64(0xfff0); index < 0x10010; index++ {
			h := rtp.Header{Version: 2, PayloadType: 102, SequenceNumber: uint16(index), Timestamp: 90 * uint32(index), SSRC: 0xdeadbeef, Extension: index%2 == 0}
			if h.Extension {
				h.ExtensionProfile = 0xbede
				if err := h.SetExtension(3, []byte{0, 0, 0}); err != nil {
					t.Fatal(err)
				}
			}
			buf := make([]byte, 1500)
			n, err := h.MarshalTo(buf)
			if err != nil {
				t.Fatal(err)
			}
			payload := bytes.Repeat([]byte{byte(index)}, 100+int(index%900))
			size := s.seal(buf, n, payload, h.SSRC, uint32(index>>16), h.SequenceNumber)
			if size != n+len(payload)+s.overhead() {
				t.Fatalf("%d bytes", size)
			}
			plain, err := open.DecryptRTP(nil, buf[:size], nil)
			if err != nil {
				t.Fatalf("profile %x index %x: %v", profile, index, err)
			}
			if !bytes.Equal(plain[n:], payload) {
				t.Fatal("another payload came out")
			}
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, profile := range map[string]Profile{"GCM": AEADAES128GCM, "SHA1_80": AES128CMHMACSHA1_80} {
		b.Run(name, func(b *testing.B) {
			key, salt := testKeys(profile)
			s, err := newSealer(profile, key, salt)
			if err != nil {
				b.Fatal(err)
			}
			buf, payload := make([]byte, 1500), make([]byte, 1200)
			b.ReportAllocs()
			b.SetBytes(1200)
			var seq uint16
			for b.Loop() {
				seq++
				s.seal(buf, 12, payload, 1, 0, seq)
			}
		})
	}
}
