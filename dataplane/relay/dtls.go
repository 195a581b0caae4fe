package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
type dtlsTransport struct {
	s      *session
	remote net.Addr
	in     chan []byte
	done   chan struct{}
	once   sync.Once

	established atomic.Bool // the handshake is over and media is sent
	reading     atomic.Bool // read is at work

	mu       sync.Mutex
	conn     *dtls.Conn
	deadline time.Time
	changed  chan struct{} // closed when the deadline changes
}

// readFor is how long read waits for what a record brings.
const readFor = 100 * time.Millisecond

const dtlsQueue = 32 // records that wait to be read; more are dropped, as UDP would

func newDTLSTransport(s *session) *dtlsTransport {
	return &dtlsTransport{s: s, remote: net.UDPAddrFromAddrPort(s.path.remote), in: make(chan []byte, dtlsQueue), done: make(chan struct{}), changed: make(chan struct{})}
}

// deliver hands a record over; the bytes are copied.
func (t *dtlsTransport) deliver(b []byte) {
	select {
	case t.in <- append([]byte(nil), b...):
	default:
	}
	if t.established.Load() && t.reading.CompareAndSwap(false, true) {
		go t.read()
	}
}

// read takes what DTLS holds for a reader, which is nothing that we want: but DTLS takes in no more records, and so no close_notify,
// while something waits. It ends soon; the next record brings the next one.
func (t *dtlsTransport) read() {
	defer t.s.relay.survive("DTLS reading", func() { t.s.close("panic", nil) })
	defer t.reading.Store(false)
	_ = t.conn.SetReadDeadline(time.Now().Add(readFor))
	var b [maxPacket]byte
	for range 2 * dtlsQueue {
		var timeout net.Error
		if _, err := t.conn.Read(b[:]); errors.Is(err, io.EOF) || errors.As(err, &timeout) && timeout.Timeout() {
			return
		}
	}
}

// run makes the handshake and starts media. The end of the connection is seen in Close, so nothing of ours waits for it.
func (t *dtlsTransport) run() {
	defer t.s.relay.survive("DTLS session", func() { t.s.close("panic", nil) })
	ctx, cancel := context.WithTimeout(t.s.relay.ctx, t.s.relay.opt.JoinTimeout)
	defer cancel()
	keys, err := t.handshakeInTurn(ctx)
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
	case <-t.done: // the player has left meanwhile
		t.left()
	default:
	}
}

// left ends the session of a player that has ended its DTLS connection.
func (t *dtlsTransport) left() { go t.s.close("player left", nil) }

// handshakeInTurn makes the handshake when there is a place for it.
func (t *dtlsTransport) handshakeInTurn(ctx context.Context) (srtpKeys, error) {
	leave, err := t.s.relay.handshakes.enter(ctx, t.done)
	if err != nil {
		return srtpKeys{}, err
	}
	defer leave()
	return t.handshake(ctx)
}

func (t *dtlsTransport) handshake(ctx context.Context) (srtpKeys, error) {
	conn, err := dtls.ServerWithOptions(t, t.RemoteAddr(),
		dtls.WithCertificates(t.s.relay.identity.certificate),
		dtls.WithSRTPProtectionProfiles(dtls.SRTPProtectionProfile(fanout.AEADAES128GCM), dtls.SRTPProtectionProfile(fanout.AES128CMHMACSHA1_80)),
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
		return srtpKeys{}, errors.New("DTLS has no connection state after its handshake")
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

// close sends close_notify and ends the connection.
func (t *dtlsTransport) close() {
	t.mu.Lock()
	conn := t.conn
	t.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	t.once.Do(func() { close(t.done) })
}

// ReadFrom, WriteTo and the rest make a net.PacketConn of the session's path.
func (t *dtlsTransport) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		t.mu.Lock()
		deadline, changed := t.deadline, t.changed
		t.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case p := <-t.in:
			return copy(b, p), t.RemoteAddr(), nil
		case <-t.done:
			return 0, nil, io.EOF
		case <-expired:
			return 0, nil, os.ErrDeadlineExceeded
		case <-changed:
		}
	}
}

// WriteTo sends a record on the session's path.
func (t *dtlsTransport) WriteTo(b []byte, _ net.Addr) (int, error) {
	t.s.mu.Lock()
	p := t.s.path
	t.s.mu.Unlock()
	p.send(b)
	return len(b), nil
}

// Close ends reading. DTLS calls it when the player has sent close_notify or a fatal alert.
func (t *dtlsTransport) Close() error {
	t.once.Do(func() { close(t.done) })
	if t.established.Load() {
		t.left()
	}
	return nil
}

// LocalAddr is not needed by DTLS.
func (t *dtlsTransport) LocalAddr() net.Addr { return &net.UDPAddr{} }

// RemoteAddr is the player's address.
func (t *dtlsTransport) RemoteAddr() net.Addr { return t.remote }

// SetDeadline sets the read deadline; writes never wait.
func (t *dtlsTransport) SetDeadline(at time.Time) error { return t.SetReadDeadline(at) }

// SetWriteDeadline does nothing: writes never wait.
func (t *dtlsTransport) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline sets when a waiting ReadFrom gives up.
func (t *dtlsTransport) SetReadDeadline(at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = at
	close(t.changed)
	t.changed = make(chan struct{})
	return nil
}
