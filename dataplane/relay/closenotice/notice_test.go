package closenotice

import (
	"bytes"
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

func TestSlotsOfNotices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notices")
	kept, left, err := Open(path, 100)
	if err != nil || len(left) != 0 {
		t.Fatal(left, err)
	}
	all := []Notice{
		{netip.MustParseAddrPort("192.0.2.1:8000"), netip.MustParseAddrPort("198.51.100.7:1"), []byte("one")},
		{
			netip.MustParseAddrPort("[2001:db8::1]:8000"),
			netip.MustParseAddrPort("[2001:db8::2]:65535"),
			bytes.Repeat([]byte{7}, maxRecord),
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
	for name, bad := range map[string]Notice{
		"empty": {all[0].Local, all[0].Remote, nil}, "long": {all[0].Local, all[0].Remote, make([]byte, maxRecord+1)},
	} {
		if _, err := kept.put(-1, bad); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	kept.Close()
	again, left, err := Open(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || left[0].Remote != all[2].Remote || left[1].Local != all[1].Local ||
		!bytes.Equal(left[1].Record, all[1].Record) {
		t.Errorf("read back: %v", left)
	}
	again.Close()
	if _, left, err = Open(path, 100); err != nil || len(left) != 0 {
		t.Errorf("they are there twice: %v, %v", left, err)
	}
	if _, _, err := Open(filepath.Join(path, "below a file"), 100); err == nil {
		t.Error("a file below a file")
	}
}

func FuzzNotices(f *testing.F) {
	one := Notice{
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
		all, err := readNotices(strings.NewReader(text), 4)
		if err != nil || len(all) > 4 {
			t.Fatal(len(all), err)
		}
		for _, one := range all {
			b, err := one.slot()
			if err != nil {
				t.Fatal(err)
			}
			if back, ok := parseSlot(b[:]); !ok || back.Remote != one.Remote || !bytes.Equal(back.Record, one.Record) {
				t.Fatalf("%v becomes %v", one, back)
			}
		}
	})
}

// Each is told three times, some at a time, and counted once.
func TestEachIsToldThreeTimes(t *testing.T) {
	left := make([]Notice, 2*burst+50)
	for i := range left {
		left[i].Record = []byte{byte(i), byte(i >> 8)}
	}
	times := map[string]int{}
	told := Send(t.Context(), left, func(f Notice) error {
		times[string(f.Record)]++
		if f.Record[0] == 7 && f.Record[1] == 0 {
			return ErrNoSocket
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
	if told := Send(ctx, left, func(Notice) error { return nil }); told != burst {
		t.Errorf("%d are told when there is no more time", told)
	}
}
