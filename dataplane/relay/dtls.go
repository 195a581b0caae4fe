package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// srtpKeys are the keys of a session after its handshake (RFC 5764, 4.2).
type srtpKeys struct {
	profile               fanout.Profile
	localKey, localSalt   []byte
	remoteKey, remoteSalt []byte
}

// dtlsTransport runs DTLS for a session over the session's path: the handshake first, then the player's close_notify.
// Once the player is known to have finished the handshake too, nothing of it is kept but its keys (parked.go).
type dtlsTransport struct {
	s      *session
	remote net.Addr

	established atomic.Bool // the handshake is over and media is sent
	reading     atomic.Bool // read is at work
	settling    atomic.Bool // park is at work, or done

	mu     sync.Mutex
	link   *dtlsLink // of conn
	conn   *dtls.Conn
	keys   *recordKeys // of a connection that is parked; then conn is nil
	missed []byte      // the record that came while it was being parked
	last   lastWord    // of ours: the connection is closed
}

var errNoState = errors.New("DTLS has no connection state after its handshake")

// readFor is how long read waits for what a record brings.
const readFor = 100 * time.Millisecond

func newDTLSTransport(s *session) *dtlsTransport {
	t := &dtlsTransport{s: s, remote: net.UDPAddrFromAddrPort(s.path.remote)}
	t.link = newDTLSLink(t)
	return t
}

// deliver hands a record over; the bytes are copied.
func (t *dtlsTransport) deliver(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.keys != nil && t.last == noWord:
		t.hear(append([]byte(nil), b...))
		return
	case t.conn == nil && t.established.Load() && t.last == noWord:
		t.missed = append([]byte(nil), b...)
		return
	}
	t.link.deliver(b)
	if t.established.Load() && t.conn != nil && t.reading.CompareAndSwap(false, true) {
		go t.read(t.conn)
	}
}

// read takes what DTLS holds for a reader, which is nothing that we want: but DTLS takes in no more records, and so no
// close_notify, while something waits. It ends soon; the next record brings the next one.
func (t *dtlsTransport) read(conn *dtls.Conn) {
	defer t.s.relay.survive("DTLS reading", func() { t.s.close("panic", nil) })
	defer t.reading.Store(false)
	_ = conn.SetReadDeadline(time.Now().Add(readFor))
	var b [maxPacket]byte
	for range 2 * dtlsQueue {
		var timeout net.Error
		if _, err := conn.Read(b[:]); errors.Is(err, io.EOF) || errors.As(err, &timeout) && timeout.Timeout() {
			return
		}
	}
}

// run makes the handshake and starts media. The end of the connection is seen in the link's Close, so nothing of ours
// waits for it.
func (t *dtlsTransport) run() {
	defer t.s.relay.survive("DTLS session", func() { t.s.close("panic", nil) })
	ctx, cancel := context.WithTimeout(t.s.relay.ctx, t.s.relay.opt.JoinTimeout)
	defer cancel()
	link := t.link // parked only after the handshake
	keys, err := t.handshakeInTurn(ctx, link)
	if err == nil {
		err = t.s.start(keys)
	}
	if err != nil {
		t.s.relay.metrics.handshakeFailed.Inc()
		t.s.close("handshake failed", err)
		return
	}
	t.established.Store(true)
	select {
	case <-link.done: // the player has left meanwhile
		t.left()
	default:
	}
}

// left ends the session of a player that has ended its DTLS connection.
func (t *dtlsTransport) left() { go t.s.close("player left", nil) }

// handshakeInTurn makes the handshake when there is a place for it.
func (t *dtlsTransport) handshakeInTurn(ctx context.Context, link *dtlsLink) (srtpKeys, error) {
	leave, err := t.s.relay.handshakes.enter(ctx, link.done)
	if err != nil {
		return srtpKeys{}, err
	}
	defer leave()
	return t.handshake(ctx, link)
}

func (t *dtlsTransport) handshake(ctx context.Context, link *dtlsLink) (srtpKeys, error) {
	conn, err := dtls.ServerWithOptions(
		link,
		link.RemoteAddr(),
		dtls.WithCertificates(t.s.relay.identity.certificate),
		dtls.WithSRTPProtectionProfiles(
			dtls.SRTPProtectionProfile(fanout.AEADAES128GCM),
			dtls.SRTPProtectionProfile(fanout.AES128CMHMACSHA1_80),
		),
		dtls.WithCipherSuites(suites()...),
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerify(true),      // the fingerprint of the offer is what counts (RFC 5763, 5)
		dtls.WithInsecureSkipVerifyHello(true), // ICE has proved the address
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret),
		dtls.WithFlightInterval(300*time.Millisecond),
		dtls.WithMTU(1200),
		dtls.WithVerifyConnection(t.verify),
	)
	if err != nil {
		return srtpKeys{}, fmt.Errorf("setting up DTLS: %w", err)
	}
	t.mu.Lock()
	t.conn = conn
	t.mu.Unlock()
	if err := conn.HandshakeContext(ctx); err != nil {
		return srtpKeys{}, fmt.Errorf("DTLS handshake: %w", err)
	}
	return exportKeys(conn)
}

// verify compares the player's certificate with the fingerprint of its offer (RFC 8122, 5).
func (t *dtlsTransport) verify(state *dtls.State) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the player sent no certificate")
	}
	if got := "sha-256 " + fingerprint(state.PeerCertificates[0]); got != t.s.fingerprint {
		return errors.New("the player's certificate does not match the fingerprint of its offer (sha-256)")
	}
	return nil
}

// exportKeys derives the SRTP keys (RFC 5764, 4.2): client key, server key, client salt, server salt.
func exportKeys(conn *dtls.Conn) (srtpKeys, error) {
	selected, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return srtpKeys{}, errors.New("the player negotiated no SRTP protection profile")
	}
	profile := fanout.Profile(selected)
	keySize, saltSize, err := profile.KeySizes()
	if err != nil {
		return srtpKeys{}, err
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return srtpKeys{}, errNoState
	}
	material, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(keySize+saltSize))
	if err != nil {
		return srtpKeys{}, fmt.Errorf("exporting SRTP keys: %w", err)
	}
	take := func(n int) (b []byte) {
		b, material = material[:n:n], material[n:]
		return b
	}
	k := srtpKeys{profile: profile}
	k.remoteKey, k.localKey, k.remoteSalt, k.localSalt = take(keySize), take(keySize), take(saltSize), take(saltSize)
	return k, nil
}
