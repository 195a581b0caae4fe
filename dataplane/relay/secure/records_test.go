package secure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/dataplane/relay/closenotice"
	"github.com/millrace/millrace/internal/testkit"
)

// handshaken is a DTLS connection over loopback with one cipher suite: our end, a server, and the player's.
func handshaken(t *testing.T, id dtls.CipherSuiteID) (server, player *dtls.Conn, wire net.PacketConn) {
	t.Helper()
	ends := [2]net.PacketConn{}
	for i := range ends {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = conn
	}
	identity, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	server, err = dtls.ServerWithOptions(
		ends[0],
		ends[1].LocalAddr(),
		dtls.WithCertificates(identity.certificate),
		dtls.WithCipherSuites(
			suites()...),
		dtls.WithInsecureSkipVerifyHello(true),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
	)
	if err != nil {
		t.Fatal(err)
	}
	player, err = dtls.ClientWithOptions(
		ends[1],
		ends[0].LocalAddr(),
		dtls.WithCipherSuites(id),
		dtls.WithInsecureSkipVerify(true),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Close(), player.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(ctx) }()
	if err := player.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, player, ends[0]
}

// otherEnd has the keys as the player has them.
func otherEnd(k *recordKeys) *recordKeys {
	return &recordKeys{id: k.id, localKey: k.remoteKey, localIV: k.remoteIV, remoteKey: k.localKey, remoteIV: k.localIV}
}

// Both close notices are taken by the player's end, for every cipher suite that players are offered.
func TestCloseNoticesAreUnderstood(t *testing.T) {
	for _, id := range suites() {
		for _, notice := range []Notice{StreamOver, JoinAgain} {
			t.Run(fmt.Sprint(id, " ", notice.alert().Description), func(t *testing.T) {
				server, player, wire := handshaken(t, id)
				state, ok := server.ConnectionState()
				if !ok {
					t.Fatal("no state")
				}
				keys, err := keysOf(&state)
				if err != nil {
					t.Fatal(err)
				}
				record, err := keys.seal(notice, closenotice.Number)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := wire.WriteTo(record, player.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				_ = player.SetReadDeadline(time.Now().Add(testkit.Patience()))
				_, err = player.Read(make([]byte, 1))
				var timeout net.Error
				if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
					t.Errorf("the player goes on: %v", err)
				}
			})
		}
	}
}

// What the other end seals is opened; what was changed on the way, and what is no alert, is not.
func TestAlertsAreOpened(t *testing.T) {
	for _, id := range suites() {
		t.Run(id.String(), func(t *testing.T) {
			server, _, _ := handshaken(t, id)
			state, _ := server.ConnectionState()
			ours, err := keysOf(&state)
			if err != nil {
				t.Fatal(err)
			}
			record, err := otherEnd(ours).seal(StreamOver, 7)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := ours.open(bytes.Clone(record)); err != nil || a != StreamOver.alert() {
				t.Errorf("opened: %v, %v", a, err)
			}
			for i := range record {
				changed := bytes.Clone(record)
				changed[i] ^= 1
				if a, err := ours.open(changed); err == nil {
					t.Errorf("byte %d changed: %v", i, a)
				}
				if a, err := ours.open(bytes.Clone(record[:i])); err == nil {
					t.Errorf("%d bytes alone: %v", i, a)
				}
			}
		})
	}
}
