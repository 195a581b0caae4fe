// Package secure is the DTLS of a viewer's session: the handshake that gives the SRTP keys (RFC 5764), the gate that
// bounds how many handshakes run at once, and what is left of a connection afterwards: the keys of its records.
//
// Locks are taken in this order: Transport.mu, link.mu. Methods of a Session are called without either.
package secure
