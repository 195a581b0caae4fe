package lean

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v5/packetio"
)

// errClosed is what a closed wire answers.
var errClosed = errors.New("the socket is closed")

// maxRecords bounds the bytes of DTLS records that wait to be read; a handshake needs a few kB.
const maxRecords = 256 << 10

// records is the net.PacketConn that the DTLS connection works on: it writes to the viewer's wire and reads the records
// that the viewer's receiving side picks out of all datagrams.
type records struct {
	in   *packetio.Buffer
	wire wire
	peer netip.AddrPort
}

func newRecords(w wire, peer netip.AddrPort) *records {
	in := packetio.NewBuffer()
	in.SetLimitSize(maxRecords)
	return &records{in: in, wire: w, peer: peer}
}

func (r *records) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := r.in.Read(b, nil)
	return n, net.UDPAddrFromAddrPort(r.peer), err
}

func (r *records) WriteTo(b []byte, _ net.Addr) (int, error) {
	if err := r.wire.send(b, r.peer); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (r *records) Close() error                       { return r.in.Close() }
func (r *records) LocalAddr() net.Addr                { return &net.UDPAddr{} }
func (r *records) SetDeadline(t time.Time) error      { return r.in.SetReadDeadline(t) }
func (r *records) SetReadDeadline(t time.Time) error  { return r.in.SetReadDeadline(t) }
func (r *records) SetWriteDeadline(_ time.Time) error { return nil }

// keys are what a DTLS handshake agrees on for media (RFC 5764).
type keys struct {
	inbound, outbound *srtp.Context
	profile           string
	tag               int // bytes that the profile adds to an RTP packet
}

// handshake runs DTLS over r in the role that the answer leaves to this side.
func handshake(
	ctx context.Context,
	r *records,
	cert *certificate,
	a *answer,
	profiles []dtls.SRTPProtectionProfile,
) (*dtls.Conn, *keys, error) {
	verify := func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) == 0 || fingerprint(raw[0]) != a.fingerprint {
			return errors.New("the server's certificate is not the one of the SDP answer")
		}
		return nil
	}
	shared := []dtls.Option{
		dtls.WithCertificates(cert.Certificate),
		dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithVerifyPeerCertificate(verify),
		dtls.WithInsecureSkipVerify(true), // the certificate is checked by its fingerprint instead
		dtls.WithFlightInterval(300 * time.Millisecond),
	}
	remote := net.UDPAddrFromAddrPort(r.peer)
	var conn *dtls.Conn
	var err error
	if a.dtlsServer {
		options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, option := range shared {
			options = append(options, option)
		}
		conn, err = dtls.ServerWithOptions(r, remote, options...)
	} else {
		options := []dtls.ClientOption{}
		for _, option := range shared {
			options = append(options, option)
		}
		conn, err = dtls.ClientWithOptions(r, remote, options...)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("starting DTLS: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("DTLS handshake with %s: %w", r.peer, err)
	}
	agreed, err := deriveKeys(conn, !a.dtlsServer)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, agreed, nil
}

func deriveKeys(conn *dtls.Conn, isClient bool) (*keys, error) {
	selected, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return nil, errors.New("the server agreed on no SRTP protection profile")
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errors.New("the DTLS connection has no state to export keys from")
	}
	k := &keys{tag: 10, profile: "SRTP_AES128_CM_HMAC_SHA1_80"}
	config := srtp.Config{Profile: srtp.ProtectionProfile(selected)}
	if selected == dtls.SRTP_AEAD_AES_128_GCM {
		k.tag, k.profile = 16, "SRTP_AEAD_AES_128_GCM"
	}
	if err := config.ExtractSessionKeysFromDTLS(&state, isClient); err != nil {
		return nil, fmt.Errorf("deriving SRTP keys: %w", err)
	}
	var err error
	// Duplicates are counted, not refused.
	if k.inbound, err = srtp.CreateContext(config.Keys.RemoteMasterKey, config.Keys.RemoteMasterSalt, config.Profile,
		srtp.SRTPNoReplayProtection(), srtp.SRTCPNoReplayProtection()); err != nil {
		return nil, fmt.Errorf("making the SRTP context: %w", err)
	}
	if k.outbound, err = srtp.CreateContext(config.Keys.LocalMasterKey, config.Keys.LocalMasterSalt,
		config.Profile); err != nil {
		return nil, fmt.Errorf("making the SRTCP context: %w", err)
	}
	return k, nil
}
