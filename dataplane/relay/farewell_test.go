package relay

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
)

// again is a relay on the sockets' addresses of one that is gone, which says nothing to its players when it ends.
func (s *stack) again(path string) {
	s.t.Helper()
	at := s.relay.sockets[0].Local()
	for _, viewer := range s.relay.sessions.all() { // a process that is killed says nothing
		viewer.dtls.mu.Lock()
		viewer.dtls.keys = nil
		viewer.dtls.mu.Unlock()
	}
	kept := filepath.Join(s.t.TempDir(), "kept")
	copyFile(s.t, path, kept) // before the sessions end
	s.relay.Close()
	s.registry = prometheus.NewRegistry()
	next, err := New(
		Options{
			Hub:       s.hub,
			Plan:      s.current,
			Log:       testr.New(s.t),
			Metrics:   s.registry,
			Listen:    []netip.AddrPort{at},
			Farewells: kept,
		},
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(next.Close)
	next.SayFarewells()
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
	path := filepath.Join(t.TempDir(), "farewells")
	s := newStack(t, func(o *Options) { o.Farewells = path })
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
	eventually(t, "the end of the session of the one who left", func() bool { return s.relay.Sessions() == 3 })
	s.again(path)
	for _, c := range stay {
		c.awaitClosed()
	}
	eventually(t, "three players told", func() bool { return s.metric("millrace_relay_farewells_total", "") == 3 })
}

// A farewell is sealed under a number that the connection never has, and is the only record under it: a drain sends the
// same.
func TestAFarewellIsWhatADrainSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farewells")
	s := newStack(t, func(o *Options) { o.Farewells = path })
	s.publish()
	s.keepWriting()
	_, viewer := s.parked(nil)
	viewer.mu.Lock()
	first := viewer.goodbye
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
			t.Errorf("word %d: %x, want %x", i, got, first)
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
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return b[:n]
	}
}

func TestSlotsOfFarewells(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farewells")
	kept, left, err := openFarewells(path, 100)
	if err != nil || len(left) != 0 {
		t.Fatal(left, err)
	}
	all := []farewell{
		{netip.MustParseAddrPort("192.0.2.1:8000"), netip.MustParseAddrPort("198.51.100.7:1"), []byte("one")},
		{
			netip.MustParseAddrPort("[2001:db8::1]:8000"),
			netip.MustParseAddrPort("[2001:db8::2]:65535"),
			bytes.Repeat([]byte{7}, maxFarewell),
		},
		{netip.MustParseAddrPort("192.0.2.1:8000"), netip.MustParseAddrPort("198.51.100.9:3"), []byte("three")},
	}
	var slots []int64
	for _, f := range all {
		slot, err := kept.put(-1, f)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot)
	}
	kept.drop(slots[0])
	kept.drop(-1)
	if slot, err := kept.put(-1, all[2]); err != nil || slot != slots[0] {
		t.Errorf("the free slot is not taken: %d, %v", slot, err)
	}
	kept.drop(slots[2])
	for name, bad := range map[string]farewell{
		"empty": {all[0].local, all[0].remote, nil}, "long": {all[0].local, all[0].remote, make([]byte, maxFarewell+1)},
	} {
		if _, err := kept.put(-1, bad); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	kept.close()
	again, left, err := openFarewells(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || left[0].remote != all[2].remote || left[1].local != all[1].local ||
		!bytes.Equal(left[1].record, all[1].record) {
		t.Errorf("read back: %v", left)
	}
	again.close()
	if _, left, err = openFarewells(path, 100); err != nil || len(left) != 0 {
		t.Errorf("they are there twice: %v, %v", left, err)
	}
	if _, _, err := openFarewells(filepath.Join(path, "below a file"), 100); err == nil {
		t.Error("a file below a file")
	}
}

func FuzzFarewells(f *testing.F) {
	one := farewell{
		netip.MustParseAddrPort("192.0.2.1:8000"),
		netip.MustParseAddrPort("[2001:db8::2]:1"),
		[]byte("record"),
	}
	b, err := one.slot()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b[:]))
	f.Add(strings.Repeat("\xf1\xff", slotSize))
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readFarewells(strings.NewReader(text), 4)
		if err != nil || len(all) > 4 {
			t.Fatal(len(all), err)
		}
		for _, one := range all {
			b, err := one.slot()
			if err != nil {
				t.Fatal(err)
			}
			if back, ok := parseSlot(b[:]); !ok || back.remote != one.remote || !bytes.Equal(back.record, one.record) {
				t.Fatalf("%v becomes %v", one, back)
			}
		}
	})
}

// Each is told three times, some at a time, and counted once.
func TestEachIsToldThreeTimes(t *testing.T) {
	left := make([]farewell, 2*farewellBurst+50)
	for i := range left {
		left[i].record = []byte{byte(i), byte(i >> 8)}
	}
	times := map[string]int{}
	told := sendFarewells(t.Context(), left, func(f farewell) error {
		times[string(f.record)]++
		if f.record[0] == 7 && f.record[1] == 0 {
			return errNoSocket
		}
		return nil
	})
	if told != len(left)-1 {
		t.Errorf("%d told, want all but the one who cannot be: %d", told, len(left)-1)
	}
	for record, n := range times {
		if n != 3 {
			t.Errorf("%x is told %d times", record, n)
		}
	}
	if len(times) != len(left) {
		t.Errorf("%d of %d are told", len(times), len(left))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if told := sendFarewells(ctx, left, func(farewell) error { return nil }); told != farewellBurst {
		t.Errorf("%d are told when there is no more time", told)
	}
}
