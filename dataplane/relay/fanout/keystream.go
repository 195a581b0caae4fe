package fanout

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// keystream is AES in counter mode, as SRTP counts (RFC 3711, 4.1.1), without an allocation per packet.
//
// cipher.NewCTR copies the key schedule, half a kilobyte, for each new counter, and a stream cannot be moved to the
// next packet's counter, which lies 2^16 blocks ahead. GCM takes a counter with each call, and encrypts as fast; but it
// makes the counter of the nonce: of 16 bytes N it makes N*H^2 + L*H in GF(2^128), where H is the block cipher's output
// for zeros and L a constant (NIST SP 800-38D, 7.1). We know H, so we give it the N that leads to the counter we want;
// the tag that GCM adds is written over by SRTP's own. N is linear in the counter, whose upper part changes only with
// the SSRC and the roll-over counter: per packet it costs 16 additions.
type keystream struct {
	block cipher.Block
	// nil: GCM does not count as we expect, such as in FIPS 140-only mode; then the library's CTR is used
	aead  cipher.AEAD
	nonce [aes.BlockSize]byte

	factor element     // H^-2
	offset element     // L*H^-1
	bits   [16]element // what each bit of the sequence number's place adds to N
	bases  [3]base     // of video, RTX and audio
	oldest int
}

// base is N for the upper 96 bits of the counters of one SSRC and roll-over counter.
type base struct {
	ssrc, roc uint32
	known     bool
	nonce     element
}

// tagSize is what GCM writes behind the packet.
const tagSize = 16

func newKeystream(block cipher.Block) *keystream {
	k := &keystream{block: block}
	aead, err := cipher.NewGCMWithNonceSize(block, aes.BlockSize)
	if err != nil {
		return k
	}
	var zeros [aes.BlockSize]byte
	block.Encrypt(zeros[:], zeros[:])
	inverse := elementOf(zeros[:]).inverse()
	k.aead, k.factor = aead, inverse.times(inverse)
	k.offset = element{lo: 8 * aes.BlockSize}.times(inverse) // L: the nonce's length in bits
	for i := range k.bits {
		k.bits[i] = element{lo: 1 << (16 + i)}.times(k.factor)
	}
	if !k.agrees() {
		k.aead = nil
	}
	return k
}

// agrees compares with the library's counter mode once, at a counter that overflows 32 bits and one that does not.
func (k *keystream) agrees() bool {
	var iv [aes.BlockSize]byte
	var got, want [3*aes.BlockSize + tagSize]byte
	for _, seq := range []uint16{0, 1, 0xfffe} {
		iv[1], iv[12], iv[13] = 7, byte(seq>>8), byte(seq)
		k.xor(got[:0], got[:3*aes.BlockSize], &iv, 0, 0)
		cipher.NewCTR(k.block, iv[:]).XORKeyStream(want[:3*aes.BlockSize], make([]byte, 3*aes.BlockSize))
		if !bytes.Equal(got[:3*aes.BlockSize], want[:3*aes.BlockSize]) {
			return false
		}
		clear(got[:])
		k.bases = [3]base{}
	}
	return true
}

// xor appends src, encrypted with the key stream that begins at iv, to dst, which has room for tagSize bytes more. The
// first 12 bytes of iv depend on ssrc and roc alone; the last two are zero.
func (k *keystream) xor(dst, src []byte, iv *[aes.BlockSize]byte, ssrc, roc uint32) {
	if k.aead == nil {
		cipher.NewCTR(k.block, iv[:]).XORKeyStream(dst[:len(src)], src)
		return
	}
	b := k.base(iv, ssrc, roc)
	// GCM encrypts with the counter behind its first one, and counts in the last 32 bits.
	low := binary.BigEndian.Uint16(iv[12:]) - 1
	n := b.nonce
	for i := range k.bits {
		mask := -uint64(low >> i & 1)
		n.hi ^= k.bits[i].hi & mask
		n.lo ^= k.bits[i].lo & mask
	}
	binary.BigEndian.PutUint64(k.nonce[:], n.hi)
	binary.BigEndian.PutUint64(k.nonce[8:], n.lo)
	k.aead.Seal(dst, k.nonce[:], src, nil)
}

func (k *keystream) base(iv *[aes.BlockSize]byte, ssrc, roc uint32) *base {
	for i := range k.bases {
		if b := &k.bases[i]; b.known && b.ssrc == ssrc && b.roc == roc {
			return b
		}
	}
	b := &k.bases[k.oldest]
	k.oldest = (k.oldest + 1) % len(k.bases)
	counter := elementOf(iv[:])
	counter.lo = counter.lo&^0xffff_ffff | 0xffff // one less than the packet's first counter, without what low adds
	n := counter.times(k.factor)
	*b = base{ssrc: ssrc, roc: roc, known: true, nonce: element{hi: n.hi ^ k.offset.hi, lo: n.lo ^ k.offset.lo}}
	return b
}

// element is one of GF(2^128) as GCM writes it: the first bit, the highest of hi, is the coefficient of x^0 (NIST SP
// 800-38D, 6.3).
type element struct{ hi, lo uint64 }

func elementOf(b []byte) element {
	return element{hi: binary.BigEndian.Uint64(b), lo: binary.BigEndian.Uint64(b[8:])}
}

// times multiplies, in a time that does not depend on the values.
func (a element) times(b element) (z element) {
	for _, word := range [2]uint64{a.hi, a.lo} {
		for range 64 {
			bit, carry := -(word >> 63), -(b.lo & 1)
			word <<= 1
			z.hi ^= b.hi & bit
			z.lo ^= b.lo & bit
			b.lo = b.lo>>1 | b.hi<<63
			b.hi = b.hi>>1 ^ carry&(0xe1<<56)
		}
	}
	return z
}

// inverse returns a^(2^128-2), which is the product of a^2, a^4 and so on up to a^(2^127).
func (a element) inverse() element {
	z, power := element{hi: 1 << 63}, a
	for range 127 {
		power = power.times(power)
		z = z.times(power)
	}
	return z
}
