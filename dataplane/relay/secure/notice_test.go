package secure

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/alert"

	"github.com/millrace/millrace/internal/testkit"
)

// fakeSession is a transport to a viewer on loopback.
type fakeSession struct {
	t    *testing.T
	wire net.PacketConn
	to   net.Addr

	started, left chan struct{}

	mu   sync.Mutex
	sent [][]byte
	kept []byte
}

func (f *fakeSession) Send(record []byte) {
	f.mu.Lock()
	f.sent = append(f.sent, bytes.Clone(record))
	f.mu.Unlock()
	_, _ = f.wire.WriteTo(record, f.to)
}

func (f *fakeSession) Path() (func([]byte), bool) { return f.Send, false }

func (f *fakeSession) Start(Keys) error {
	close(f.started)
	return nil
}

func (f *fakeSession) Failed(err error) { f.t.Error(err) }

func (f *fakeSession) Left() { close(f.left) }

func (f *fakeSession) KeepNotice(record []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = bytes.Clone(record)
}

func (f *fakeSession) Survive(string) {}

// connected is a transport whose viewer, a pion client, has finished the handshake.
func connected(t *testing.T) (*Transport, *fakeSession, *dtls.Conn) {
	t.Helper()
	var ends [2]net.PacketConn
	for i := range ends {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		ends[i] = conn
	}
	ours, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSession{
		t: t, wire: ends[0], to: ends[1].LocalAddr(), started: make(chan struct{}), left: make(chan struct{}),
	}
	tr := New(Config{
		Identity: ours, Gate: NewGate(1, time.Hour), Fingerprint: theirs.Fingerprint, Remote: f.to,
		Timeout: testkit.Patience(),
		Log:     testr.New(t),
	}, f)
	go func() {
		buf := make([]byte, maxRecord)
		for {
			n, _, err := ends[0].ReadFrom(buf)
			if err != nil {
				return
			}
			tr.Deliver(buf[:n])
		}
	}()
	go tr.Run(t.Context())
	viewer, err := dtls.ClientWithOptions(
		ends[1],
		ends[0].LocalAddr(),
		dtls.WithCertificates(theirs.certificate),
		dtls.WithInsecureSkipVerify(true),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = viewer.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	if err := viewer.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	<-f.started
	return tr, f, viewer
}

// What the records of the two close notices hold, each sent three times under one sequence number. The record that is
// kept for the case of a kill is the one of JoinAgain.
func TestCloseNoticesOfAParkedConnection(t *testing.T) {
	for notice, want := range map[Notice]alert.Alert{
		StreamOver: {Level: alert.Warning, Description: alert.CloseNotify},
		JoinAgain:  {Level: alert.Fatal, Description: alert.InternalError},
	} {
		tr, f, _ := connected(t)
		testkit.Eventually(t, "parking", func() bool {
			tr.Settled()
			return tr.Parked()
		})
		f.mu.Lock()
		before, kept := len(f.sent), f.kept
		f.mu.Unlock()
		tr.Close(notice)
		var sent [][]byte
		testkit.Eventually(t, "three records", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			sent = f.sent[before:]
			return len(sent) == 3
		})
		tr.mu.Lock()
		viewer := otherEnd(tr.keys)
		tr.mu.Unlock()
		if got, err := viewer.open(bytes.Clone(sent[0])); err != nil || got != want {
			t.Errorf("%v: %v, %v, want %v", notice, got, err, want)
		}
		if !bytes.Equal(sent[0], sent[1]) || !bytes.Equal(sent[0], sent[2]) {
			t.Errorf("%v: three different records: %x", notice, sent)
		}
		if bytes.Equal(kept, sent[0]) != (notice == JoinAgain) {
			t.Errorf("%v: sent %x, kept %x", notice, sent[0], kept)
		}
	}
}

// A viewer that ends its connection is heard, whether the connection is parked or not.
func TestTheViewersCloseIsHeard(t *testing.T) {
	for _, park := range []bool{false, true} {
		tr, f, viewer := connected(t)
		if park {
			testkit.Eventually(t, "parking", func() bool {
				tr.Settled()
				return tr.Parked()
			})
		}
		if err := viewer.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.left:
		case <-time.After(testkit.Patience()):
			t.Errorf("parked %v: the end is not heard", park)
		}
	}
}
