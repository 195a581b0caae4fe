package relay

import (
	"crypto/rand"
	"encoding/base64"
)

// token returns n random bytes as text that can stand in a URL.
func token(n int) string { return base64.RawURLEncoding.EncodeToString(random(n)) }

// iceToken returns n random bytes as ice-chars (RFC 8839, 5.4).
func iceToken(n int) string { return base64.RawStdEncoding.EncodeToString(random(n)) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
