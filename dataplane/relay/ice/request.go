package ice

import (
	"encoding/binary"
	"hash/crc32"
)

// Ours is a binding request of our own, by which an agent that is lite asks for consent (RFC 7675, 5.1): whoever
// answers it is at the address that it went to, and wants what is sent there.
type Ours struct {
	RemoteUfrag, LocalUfrag string
	Tag                     uint32 // names the session; the first 32 bits of the transaction id
	Random                  uint64 // the other 64 bits, which nobody else can know
}

// priority is that of a host candidate, first of its kind (RFC 8445, 5.1.2.1). Nothing comes of it: we have no check
// list.
const priority = 126<<24 | 65535<<8 | 255

// AppendRequest appends a binding request to dst, signed with the peer's password: USERNAME (RFC 8445, 7.2.2),
// PRIORITY, ICE-CONTROLLED (RFC 8445, 7.1), MESSAGE-INTEGRITY, FINGERPRINT.
func (a *Authenticator) AppendRequest(dst []byte, r *Ours) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, typeBindingRequest)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, magicCookie)
	dst = binary.BigEndian.AppendUint32(dst, r.Tag)
	dst = binary.BigEndian.AppendUint64(dst, r.Random)
	size := len(r.RemoteUfrag) + 1 + len(r.LocalUfrag)
	dst = binary.BigEndian.AppendUint16(dst, attrUsername)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	dst = append(dst, r.RemoteUfrag...)
	dst = append(dst, ':')
	dst = append(dst, r.LocalUfrag...)
	for ; size%4 != 0; size++ {
		dst = append(dst, 0)
	}
	dst = binary.BigEndian.AppendUint16(dst, attrPriority)
	dst = binary.BigEndian.AppendUint16(dst, 4)
	dst = binary.BigEndian.AppendUint32(dst, priority)
	dst = binary.BigEndian.AppendUint16(dst, attrICEControlled)
	dst = binary.BigEndian.AppendUint16(dst, 8)
	dst = binary.BigEndian.AppendUint64(dst, r.Random) // the tie-breaker; the offerer controls a lite agent in any case
	return a.seal(dst, start)
}

// seal appends MESSAGE-INTEGRITY and FINGERPRINT to the message that begins at start.
func (a *Authenticator) seal(dst []byte, start int) []byte {
	a.hmac(dst[start:])
	dst = binary.BigEndian.AppendUint16(dst, attrMessageIntegrity)
	dst = binary.BigEndian.AppendUint16(dst, integritySize)
	dst = append(dst, a.sum[:]...)
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start-headerSize+8))
	crc := crc32.ChecksumIEEE(dst[start:]) ^ fingerprintXOR
	dst = binary.BigEndian.AppendUint16(dst, attrFingerprint)
	dst = binary.BigEndian.AppendUint16(dst, 4)
	return binary.BigEndian.AppendUint32(dst, crc)
}

// Answer is a parsed binding success response to a request of ours.
type Answer struct {
	Tag    uint32
	Random uint64
	message
}

// Parse reads a binding success response (RFC 8489, 5 and 14). What it says of addresses is of no interest.
func (r *Answer) Parse(b []byte) error {
	if err := r.parse(b, typeBindingSuccess); err != nil {
		return err
	}
	r.Tag, r.Random = binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint64(b[12:])
	return nil
}
