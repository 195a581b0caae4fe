package relay

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/relay/secure"
	"github.com/millrace/millrace/internal/testkit"
)

// clientHello is the first record of a DTLS client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	conn, err := dtls.ClientWithOptions(
		dtlsPipe{ours},
		ours.RemoteAddr(),
		dtls.WithInsecureSkipVerify(true),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithFlightInterval(time.Hour),
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = conn.HandshakeContext(ctx)
	}()
	b := make([]byte, maxPacket)
	n, err := theirs.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = theirs.Close()
	<-done
	return b[:n]
}

// dtlsPipe makes a net.PacketConn of one end of a pipe.
type dtlsPipe struct{ net.Conn }

func (p dtlsPipe) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.Read(b)
	return n, p.RemoteAddr(), err
}

func (p dtlsPipe) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

// A stranger begins handshakes and leaves them. Those have a place while they compute, at most half of all; the others
// join and watch.
func TestHandshakesThatAreLeftKeepNobodyOut(t *testing.T) {
	s := newStack(t, func(o *Options) { o.JoinTimeout = 2 * testkit.Patience() })
	s.publish()
	good := &healthy{client: newClient(t, nil)}
	s.whep(good.client, rtsHost)
	good.next()
	s.keepWriting()
	const crowd, ip = 300, "127.0.0.2"
	offer, hello := newOffer(t), clientHello(t)
	var strangers []*byHand
	for range crowd {
		one, _ := s.offered(offer)
		strangers = append(strangers, s.byHand(ip, one, offer).proved(s))
	}
	good.plays(100)
	gate, from := s.relay.handshakes, door.CountedAs(netip.MustParseAddr(ip))
	var most, waited atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				most.Store(max(most.Load(), int64(gate.TakenBy(from))))
				waited.Store(max(waited.Load(), int64(gate.Waiting())))
			}
		}
	}()
	honest := newClient(t, nil)
	start := time.Now()
	for _, h := range strangers {
		h.send(hello)
	}
	s.whep(honest, rtsHost)
	honest.next()
	t.Logf("An honest join beside %d handshakes that are begun takes %v", crowd, time.Since(start))
	testkit.Eventually(t, "the end of all computing, with every handshake still open", func() bool {
		return gate.Taken() == 0 && gate.Waiting() == 0 && begun(strangers) == crowd
	})
	close(stop)
	<-stopped
	t.Logf("The stranger had %d places at most, and %d handshakes waited", most.Load(), waited.Load())
	if n := s.relay.Sessions(); n != crowd+2 {
		t.Errorf("%d sessions", n)
	}
	if half := int64(secure.HandshakesPerCore*runtime.GOMAXPROCS(0)+1) / 2; most.Load() > half {
		t.Errorf("the stranger had %d places, want %d at most", most.Load(), half)
	}
	good.plays(200)
}

// begun counts the handshakes that the relay has answered.
func begun(strangers []*byHand) (n int) {
	for _, h := range strangers {
		if len(h.records) > 0 {
			n++
		}
	}
	return n
}
