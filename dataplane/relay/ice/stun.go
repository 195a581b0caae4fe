// Package ice is the STUN of an agent that is always lite (RFC 8445, 2.5): it answers the peer's connectivity checks,
// and asks for the peer's consent (RFC 7675) instead of making checks of its own. Nothing here allocates once a buffer
// is there.
package ice

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"hash"
	"net/netip"
)

// STUN constants (RFC 8489, 5 and 18; RFC 8445, 16.1).
const (
	headerSize  = 20
	magicCookie = 0x2112A442

	typeBindingRequest = 0x0001
	typeBindingSuccess = 0x0101

	attrUsername         = 0x0006
	attrMessageIntegrity = 0x0008
	attrXORMappedAddress = 0x0020
	attrPriority         = 0x0024
	attrUseCandidate     = 0x0025
	attrFingerprint      = 0x8028
	attrICEControlled    = 0x8029

	fingerprintXOR = 0x5354554e
	integritySize  = sha1.Size

	// MaxResponseSize bounds the size in bytes of a binding success response.
	MaxResponseSize = headerSize + 24 + 24 + 8
)

// ErrNotBinding says that a packet is not a well-formed STUN binding request, or not an answer to one.
var ErrNotBinding = errors.New("not a STUN binding message of the kind that is read")

// IsSTUN reports whether a packet looks like STUN (RFC 7983, 7: first byte 0 to 3; RFC 8489, 5: the magic cookie).
func IsSTUN(b []byte) bool {
	return len(b) >= headerSize && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == magicCookie
}

// message is a parsed STUN message. Its slices point into the packet.
type message struct {
	packet       []byte
	Username     []byte // "<ufrag of whom it goes to>:<ufrag of whom it comes from>"
	UseCandidate bool
	integrity    int // offset of MESSAGE-INTEGRITY; 0 when missing
}

// Request is a parsed binding request of the peer.
type Request struct{ message }

// LocalUfrag is the part of the user name that names us: what stands before the colon.
func (r *Request) LocalUfrag() []byte {
	for i, c := range r.Username {
		if c == ':' {
			return r.Username[:i]
		}
	}
	return nil
}

// Parse reads a binding request (RFC 8489, 5 and 14).
func (r *Request) Parse(b []byte) error { return r.parse(b, typeBindingRequest) }

// parse reads a message of the kind. Attributes behind MESSAGE-INTEGRITY are ignored.
func (r *message) parse(b []byte, kind uint16) error {
	*r = message{packet: b}
	if !IsSTUN(b) || binary.BigEndian.Uint16(b) != kind {
		return ErrNotBinding
	}
	if int(binary.BigEndian.Uint16(b[2:]))+headerSize != len(b) {
		return ErrNotBinding
	}
	for at := headerSize; at < len(b); {
		if len(b)-at < 4 {
			return ErrNotBinding
		}
		kind, size := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		if len(b)-at-4 < size {
			return ErrNotBinding
		}
		value := b[at+4 : at+4+size]
		switch kind {
		case attrUsername:
			r.Username = value
		case attrUseCandidate:
			r.UseCandidate = true
		case attrMessageIntegrity:
			if size != integritySize {
				return ErrNotBinding
			}
			r.integrity = at
			return nil
		}
		at += 4 + (size+3)&^3
	}
	return nil
}

// Authenticator checks and signs messages with a short-term password (RFC 8489, 9.1): requests are signed with the
// password of whom they go to, and so are their answers. It is not safe for concurrent use.
type Authenticator struct {
	mac    hash.Hash
	header [headerSize]byte
	sum    [integritySize]byte
}

// NewAuthenticator makes an authenticator for an ICE password: ours for what the peer asks, the peer's for what we ask.
func NewAuthenticator(password string) *Authenticator {
	return &Authenticator{mac: hmac.New(sha1.New, []byte(password))}
}

// Verify reports whether a request carries the right MESSAGE-INTEGRITY (RFC 8489, 14.5).
func (a *Authenticator) Verify(r *Request) bool { return a.verify(&r.message) }

// VerifyAnswer reports whether an answer carries the right MESSAGE-INTEGRITY.
func (a *Authenticator) VerifyAnswer(r *Answer) bool { return a.verify(&r.message) }

func (a *Authenticator) verify(r *message) bool {
	if r.integrity == 0 {
		return false
	}
	a.hmac(r.packet[:r.integrity])
	return hmac.Equal(a.sum[:], r.packet[r.integrity+4:r.integrity+4+integritySize])
}

// hmac computes the HMAC of a message that ends where MESSAGE-INTEGRITY begins, with the length field that it has with
// it.
func (a *Authenticator) hmac(upTo []byte) {
	copy(a.header[:], upTo)
	binary.BigEndian.PutUint16(a.header[2:], uint16(len(upTo)-headerSize+4+integritySize))
	a.mac.Reset()
	a.mac.Write(a.header[:])
	a.mac.Write(upTo[headerSize:])
	a.mac.Sum(a.sum[:0])
}

// AppendSuccess appends the binding success response to dst: XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT.
func (a *Authenticator) AppendSuccess(dst []byte, r *Request, from netip.AddrPort) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, typeBindingSuccess)
	dst = append(dst, 0, 0)
	dst = append(dst, r.packet[4:headerSize]...) // cookie and transaction id
	dst = appendXORMappedAddress(dst, from, r.packet[4:headerSize])
	return a.seal(dst, start)
}

// appendXORMappedAddress writes an address XORed with the cookie and the transaction id (RFC 8489, 14.2).
func appendXORMappedAddress(dst []byte, addr netip.AddrPort, mask []byte) []byte {
	ip := addr.Addr().Unmap()
	dst = binary.BigEndian.AppendUint16(dst, attrXORMappedAddress)
	port := addr.Port() ^ uint16(magicCookie>>16)
	if ip.Is4() {
		dst = append(dst, 0, 8, 0, 1)
		dst = binary.BigEndian.AppendUint16(dst, port)
		v4 := ip.As4()
		for i, c := range v4 {
			dst = append(dst, c^mask[i])
		}
		return dst
	}
	dst = append(dst, 0, 20, 0, 2)
	dst = binary.BigEndian.AppendUint16(dst, port)
	v6 := ip.As16()
	for i, c := range v6 {
		dst = append(dst, c^mask[i])
	}
	return dst
}
