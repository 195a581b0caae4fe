package fanout

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
)

// Profile is an SRTP protection profile by its DTLS number (RFC 5764, 4.1.2; RFC 7714, 14.2).
type Profile uint16

// The protection profiles that a viewer can negotiate.
const (
	AES128CMHMACSHA1_80 Profile = 0x0001
	AEADAES128GCM       Profile = 0x0007
)

// KeySizes returns the lengths in bytes of the profile's master key and master salt.
func (p Profile) KeySizes() (key, salt int, err error) {
	switch p {
	case AES128CMHMACSHA1_80:
		return 16, 14, nil
	case AEADAES128GCM:
		return 16, 12, nil
	}
	return 0, 0, fmt.Errorf(
		"SRTP protection profile 0x%04x is not supported; offer AEAD_AES_128_GCM or AES_CM_128_HMAC_SHA1_80",
		uint16(p),
	)
}

// sealer turns RTP packets into SRTP packets for one viewer. It is not safe for concurrent use, and allocates nothing.
type sealer interface {
	// seal protects a packet. The header stands in buf[:n]; the payload is taken from payload and lands, encrypted, behind
	// the header, followed by the tag. roc and seq make the packet index. The result is the packet's length; up to
	// overhead bytes behind the payload are written to.
	seal(buf []byte, n int, payload []byte, ssrc, roc uint32, seq uint16) int
	overhead() int
}

func newSealer(p Profile, masterKey, masterSalt []byte) (sealer, error) {
	if k, s, err := p.KeySizes(); err != nil {
		return nil, err
	} else if len(masterKey) != k || len(masterSalt) != s {
		return nil, fmt.Errorf("SRTP keys of %d and %d bytes given, %d and %d needed", len(masterKey), len(masterSalt), k, s)
	}
	if p == AEADAES128GCM {
		return newGCMSealer(masterKey, masterSalt)
	}
	return newCMSealer(masterKey, masterSalt)
}

// Labels of the key derivation (RFC 3711, 4.3.2).
const (
	labelRTPEncryption = 0
	labelRTPAuth       = 1
	labelRTPSalt       = 2
)

// derive is the key derivation of SRTP with key derivation rate 0 (RFC 3711, 4.3.1 and 4.3.3; RFC 7714, 11 for 12-byte
// salts).
func derive(masterKey, masterSalt []byte, label byte, size int) ([]byte, error) {
	block, err := aes.NewCipher(masterKey)
	if err != nil {
		return nil, fmt.Errorf("deriving SRTP session keys: %w", err)
	}
	var x [16]byte
	copy(x[:14], masterSalt)
	x[7] ^= label
	out := make([]byte, 0, size+aes.BlockSize)
	for n := uint16(0); len(out) < size; n++ {
		binary.BigEndian.PutUint16(x[14:], n)
		out = append(out, make([]byte, aes.BlockSize)...)
		block.Encrypt(out[len(out)-aes.BlockSize:], x[:])
	}
	return out[:size:size], nil
}

// gcmSealer is AEAD_AES_128_GCM (RFC 7714).
type gcmSealer struct {
	aead  cipher.AEAD
	salt  [12]byte
	nonce [12]byte
}

func newGCMSealer(masterKey, masterSalt []byte) (*gcmSealer, error) {
	key, err := derive(masterKey, masterSalt, labelRTPEncryption, 16)
	if err != nil {
		return nil, err
	}
	salt, err := derive(masterKey, masterSalt, labelRTPSalt, 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("setting up AES-128-GCM: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("setting up AES-128-GCM: %w", err)
	}
	return &gcmSealer{aead: aead, salt: [12]byte(salt)}, nil
}

func (s *gcmSealer) overhead() int { return 16 }

// seal forms the IV of RFC 7714, 8.1: salt XOR (0x0000 || SSRC || ROC || SEQ); the whole header is associated data.
func (s *gcmSealer) seal(buf []byte, n int, payload []byte, ssrc, roc uint32, seq uint16) int {
	s.nonce = s.salt
	binary.BigEndian.PutUint32(s.nonce[2:], binary.BigEndian.Uint32(s.nonce[2:])^ssrc)
	binary.BigEndian.PutUint32(s.nonce[6:], binary.BigEndian.Uint32(s.nonce[6:])^roc)
	binary.BigEndian.PutUint16(s.nonce[10:], binary.BigEndian.Uint16(s.nonce[10:])^seq)
	return len(s.aead.Seal(buf[:n], s.nonce[:], payload, buf[:n]))
}

// cmSealer is AES_CM_128_HMAC_SHA1_80 (RFC 3711, 4.1.1 and 4.2.1).
type cmSealer struct {
	stream *keystream
	salt   [16]byte // 14 bytes and two zeros
	iv     [16]byte
	mac    hash.Hash
	roc    [4]byte
	sum    [sha1.Size]byte
}

func newCMSealer(masterKey, masterSalt []byte) (*cmSealer, error) {
	key, err := derive(masterKey, masterSalt, labelRTPEncryption, 16)
	if err != nil {
		return nil, err
	}
	auth, err := derive(masterKey, masterSalt, labelRTPAuth, 20)
	if err != nil {
		return nil, err
	}
	salt, err := derive(masterKey, masterSalt, labelRTPSalt, 14)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("setting up AES-128-CM: %w", err)
	}
	s := &cmSealer{stream: newKeystream(block), mac: hmac.New(sha1.New, auth)}
	copy(s.salt[:], salt)
	return s, nil
}

// authTag is the length of the tag of AES_CM_128_HMAC_SHA1_80.
const authTag = 10

func (s *cmSealer) overhead() int { return tagSize }

// seal encrypts with the counter block (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16) and appends the first 80 bits
// of the HMAC over header, ciphertext and ROC.
func (s *cmSealer) seal(buf []byte, n int, payload []byte, ssrc, roc uint32, seq uint16) int {
	s.iv = s.salt
	binary.BigEndian.PutUint32(s.iv[4:], binary.BigEndian.Uint32(s.iv[4:])^ssrc)
	binary.BigEndian.PutUint32(s.iv[8:], binary.BigEndian.Uint32(s.iv[8:])^roc)
	binary.BigEndian.PutUint16(s.iv[12:], binary.BigEndian.Uint16(s.iv[12:])^seq)
	end := n + len(payload)
	s.stream.xor(buf[n:n:end+tagSize], payload, &s.iv, ssrc, roc)
	binary.BigEndian.PutUint32(s.roc[:], roc)
	s.mac.Reset()
	s.mac.Write(buf[:end])
	s.mac.Write(s.roc[:])
	s.mac.Sum(s.sum[:0])
	return end + copy(buf[end:end+authTag], s.sum[:authTag])
}
