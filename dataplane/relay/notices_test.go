package relay

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/testkit"
)

// again is a relay on the sockets' addresses of one that is gone, which says nothing to its players when it ends.
func (s *stack) again(file string) {
	s.t.Helper()
	at := s.relay.sockets[0].Local()
	for _, viewer := range s.relay.sessions.all() { // a process that is killed says nothing
		viewer.mu.Lock()
		viewer.path = path{}
		viewer.mu.Unlock()
	}
	kept := filepath.Join(s.t.TempDir(), "kept")
	copyFile(s.t, file, kept) // before the sessions end
	s.relay.Close()
	s.registry = prometheus.NewRegistry()
	next, err := New(
		Options{
			Hub:          s.hub,
			Plan:         s.current,
			Log:          testr.New(s.t),
			Metrics:      s.registry,
			Listen:       []netip.AddrPort{at},
			CloseNotices: kept,
		},
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(next.Close)
	next.SendCloseNotices()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Players whose relay was killed are told by the next process on its addresses, those who have left are not.
func TestPlayersOfAKilledRelayAreToldByTheNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notices")
	s := newStack(t, func(o *Options) { o.CloseNotices = file })
	s.publish()
	s.keepWriting()
	left, _ := s.parked(nil)
	var stay []*client
	for range 3 {
		c, _ := s.parked(nil)
		stay = append(stay, c)
	}
	if err := left.pc.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the end of the session of the one who left", func() bool {
		return s.metric("millrace_relay_leaves_total", "player left") == 1
	})
	s.again(file)
	for _, c := range stay {
		c.awaitClosed()
	}
	testkit.Eventually(t, "three players told", func() bool { return s.metric("millrace_relay_farewells_total", "") == 3 })
}

// A close notice is sealed under a number that the connection never has, and is the only record under it: a drain
// sends the same.
func TestTheKeptNoticeIsWhatADrainSends(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notices")
	s := newStack(t, func(o *Options) { o.CloseNotices = file })
	s.publish()
	s.keepWriting()
	_, viewer := s.parked(nil)
	viewer.mu.Lock()
	first := viewer.notice.Record()
	viewer.mu.Unlock()
	if len(first) < 13+2 || !bytes.Equal(first[:11], []byte{21, 0xfe, 0xfd, 0, 1, 0x80, 0, 0, 0, 0, 0}) {
		t.Fatalf("not an alert of epoch 1 with the number 2^47: %x", first)
	}
	told := overhear(t, viewer)
	if err := s.relay.Drain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // a datagram may be lost
		if got := told(); !bytes.Equal(got, first) {
			t.Errorf("notice %d: %x, want %x", i, got, first)
		}
	}
}

// overhear leads what a session sends to a socket of the test, and gives the next datagram that is no media.
func overhear(t *testing.T, viewer *session) func() []byte {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	viewer.mu.Lock()
	viewer.path.remote = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	viewer.mu.Unlock()
	return func() []byte {
		t.Helper()
		b := make([]byte, maxPacket)
		_ = conn.SetReadDeadline(time.Now().Add(testkit.Patience()))
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return b[:n]
	}
}
