package fanout

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
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
			h := rtp.Header{
				Version:        2,
				PayloadType:    102,
				SequenceNumber: uint16(index),
				Timestamp:      90 * uint32(index),
				SSRC:           0xdeadbeef,
				Extension:      index%2 == 0,
			}
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
			if size <= n+len(payload) || size > n+len(payload)+s.overhead() {
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

// The key stream is the library's, whatever the key, the counter and the length: where the lower 32 bits of the counter
// overflow, too.
func TestKeystreamIsCounterMode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(random.Uint32())
		}
	}
	key, src := make([]byte, 16), make([]byte, MaxPayload+2)
	got, want := make([]byte, len(src)+tagSize), make([]byte, len(src))
	for round := range 50 {
		fill(key)
		fill(src)
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		k := newKeystream(block)
		if k.aead == nil {
			t.Fatal("GCM does not count as expected: the library's CTR is used, with an allocation per packet")
		}
		ssrcs := []uint32{1, 2, 3, 4}
		var upper [4][12]byte
		for i := range upper {
			fill(upper[i][:])
		}
		for _, seq := range []uint16{0, 1, 2, 0x7fff, 0x8000, 0xffff, uint16(round) * 977} {
			for i, ssrc := range ssrcs { // more than it remembers
				var iv [aes.BlockSize]byte
				copy(iv[:], upper[i][:])
				binary.BigEndian.PutUint16(iv[12:], seq)
				size := random.IntN(len(src) + 1)
				k.xor(got[:0], src[:size], &iv, ssrc, uint32(round))
				cipher.NewCTR(block, iv[:]).XORKeyStream(want[:size], src[:size])
				if !bytes.Equal(got[:size], want[:size]) {
					t.Fatalf("round %d, sequence number %x, %d bytes: another key stream", round, seq, size)
				}
			}
		}
	}
}

// Without GCM's help it is slower, and the same.
func TestKeystreamWithoutGCM(t *testing.T) {
	key, salt := testKeys(AES128CMHMACSHA1_80)
	fast, err := newCMSealer(key, salt)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := newCMSealer(key, salt)
	if err != nil {
		t.Fatal(err)
	}
	slow.stream.aead = nil
	a, b, payload := make([]byte, 1500), make([]byte, 1500), bytes.Repeat([]byte{5}, 1000)
	if n, m := fast.seal(a, 12, payload, 9, 1, 77), slow.seal(b, 12, payload, 9, 1, 77); !bytes.Equal(a[:n], b[:m]) {
		t.Error("another packet")
	}
}

// Sealing a packet allocates nothing, with either profile.
func TestSealingDoesNotAllocate(t *testing.T) {
	for _, profile := range []Profile{AEADAES128GCM, AES128CMHMACSHA1_80} {
		key, salt := testKeys(profile)
		s, err := newSealer(profile, key, salt)
		if err != nil {
			t.Fatal(err)
		}
		buf, payload := make([]byte, 1500), make([]byte, MaxPayload+2)
		var seq uint16
		if n := testing.AllocsPerRun(100, func() {
			seq++
			s.seal(buf, 12, payload, 1, 0, seq)
		}); n > 0 {
			t.Errorf("profile %x: %v allocations per packet", profile, n)
		}
	}
}

// BenchmarkKeystream compares with the library's counter mode.
func BenchmarkKeystream(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	k := newKeystream(block)
	var iv [aes.BlockSize]byte
	buf, payload := make([]byte, 1500), make([]byte, MaxPayload)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			iv[13]++
			k.xor(buf[:0], payload, &iv, 1, 0)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			iv[13]++
			cipher.NewCTR(block, iv[:]).XORKeyStream(buf[:MaxPayload], payload)
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			newKeystream(block)
		}
	})
}
