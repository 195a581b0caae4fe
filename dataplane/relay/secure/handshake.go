package secure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// Keys are the SRTP keys of a session after its handshake (RFC 5764, 4.2).
type Keys struct {
	Profile               fanout.Profile
	LocalKey, LocalSalt   []byte // ours
	RemoteKey, RemoteSalt []byte // the viewer's
}

// handshakeInTurn makes the handshake when there is a place for it.
func (t *Transport) handshakeInTurn(ctx context.Context, link *link) (Keys, error) {
	if err := link.enter(ctx); err != nil {
		return Keys{}, err
	}
	defer link.freePlace()
	return t.handshake(ctx, link)
}

func (t *Transport) handshake(ctx context.Context, link *link) (Keys, error) {
	conn, err := dtls.ServerWithOptions(
		link,
		link.RemoteAddr(),
		dtls.WithCertificates(t.cfg.Identity.certificate),
		dtls.WithSRTPProtectionProfiles(
			dtls.SRTPProtectionProfile(fanout.AEADAES128GCM),
			dtls.SRTPProtectionProfile(fanout.AES128CMHMACSHA1_80),
		),
		dtls.WithCipherSuites(suites()...),
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerify(true),      // the fingerprint of the offer is what counts (RFC 5763, 5)
		dtls.WithInsecureSkipVerifyHello(true), // the address has answered a request of ours
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret),
		dtls.WithFlightInterval(300*time.Millisecond),
		dtls.WithMTU(1200),
		dtls.WithVerifyConnection(t.verify),
	)
	if err != nil {
		return Keys{}, fmt.Errorf("setting up DTLS: %w", err)
	}
	t.mu.Lock()
	t.conn = conn
	t.mu.Unlock()
	if err := conn.HandshakeContext(ctx); err != nil {
		return Keys{}, fmt.Errorf("DTLS handshake: %w", err)
	}
	return exportKeys(conn)
}

// verify compares the viewer's certificate with the fingerprint of its offer (RFC 8122, 5).
func (t *Transport) verify(state *dtls.State) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the viewer sent no certificate")
	}
	if got := "sha-256 " + fingerprint(state.PeerCertificates[0]); got != t.cfg.Fingerprint {
		return errors.New("the viewer's certificate does not match the fingerprint of its offer (sha-256)")
	}
	return nil
}

// exportKeys derives the SRTP keys (RFC 5764, 4.2): client key, server key, client salt, server salt.
func exportKeys(conn *dtls.Conn) (Keys, error) {
	selected, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return Keys{}, errors.New("the player negotiated no SRTP protection profile")
	}
	profile := fanout.Profile(selected)
	keySize, saltSize, err := profile.KeySizes()
	if err != nil {
		return Keys{}, err
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return Keys{}, errNoState
	}
	material, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(keySize+saltSize))
	if err != nil {
		return Keys{}, fmt.Errorf("exporting SRTP keys: %w", err)
	}
	take := func(n int) (b []byte) {
		b, material = material[:n:n], material[n:]
		return b
	}
	k := Keys{Profile: profile}
	k.RemoteKey, k.LocalKey, k.RemoteSalt, k.LocalSalt = take(keySize), take(keySize), take(saltSize), take(saltSize)
	return k, nil
}
