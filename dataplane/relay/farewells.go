package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/relay/fanout"
)

// farewells is a file with the sealed last word to each player, and where it goes, for the process that comes after one
// that was killed. What was written is there after kill -9: the kernel has it. Each player has a slot that one system
// call writes. A nil *farewells keeps none.
type farewells struct {
	file *os.File

	mu   sync.Mutex
	free []int64 // slots that were used
	next int64   // slots from here on never were
}

// A slot: 1 byte that says that it is used, 1 byte for the length of the record, the addresses of ours and of the
// player with 1 byte for the length each, the record.
const (
	slotSize      = 256
	slotUsed      = 0xf1
	slotAddress   = 1 + 18 // an address of IPv6 with its port
	slotRecord    = 2 + 2*slotAddress
	maxFarewell   = slotSize - slotRecord
	farewellBurst = 100 // sent at once; then a pause, for all of them come back
	farewellPause = 10 * time.Millisecond
)

var errNoSocket = errors.New("no socket has the address that the player knows")

// farewell is one player's.
type farewell struct {
	local, remote netip.AddrPort
	record        []byte
}

// openFarewells opens the file, and gives what the last process left there. It is empty then.
func openFarewells(path string, most int) (*farewells, []farewell, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the file for farewells: %w", err)
	}
	left, err := readFarewells(file, most)
	if err == nil {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, nil, errors.Join(
			fmt.Errorf("reading the farewells of the last process in %s: %w", path, err),
			file.Close(),
		)
	}
	return &farewells{file: file}, left, nil
}

func readFarewells(r io.Reader, most int) ([]farewell, error) {
	var all []farewell
	var slot [slotSize]byte
	for range most {
		switch _, err := io.ReadFull(r, slot[:]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		if one, ok := parseSlot(slot[:]); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

func parseSlot(b []byte) (f farewell, ok bool) {
	size := int(b[1])
	if b[0] != slotUsed || size == 0 || size > maxFarewell {
		return f, false
	}
	for i, a := range []*netip.AddrPort{&f.local, &f.remote} {
		at := b[2+i*slotAddress:]
		if n := int(at[0]); n >= slotAddress || a.UnmarshalBinary(at[1:1+n]) != nil || !a.IsValid() {
			return f, false
		}
	}
	f.record = append([]byte(nil), b[slotRecord:slotRecord+size]...)
	return f, true
}

func (f *farewell) slot() (b [slotSize]byte, err error) {
	if len(f.record) == 0 || len(f.record) > maxFarewell {
		return b, fmt.Errorf("a farewell of %d bytes: want 1 to %d", len(f.record), maxFarewell)
	}
	b[0], b[1] = slotUsed, byte(len(f.record))
	for i, a := range []netip.AddrPort{f.local, f.remote} {
		text, err := netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).MarshalBinary()
		if err != nil || len(text) >= slotAddress {
			return b, fmt.Errorf("writing address %s of a farewell: %w", a, err)
		}
		at := b[2+i*slotAddress:]
		at[0] = byte(copy(at[1:slotAddress], text))
	}
	copy(b[slotRecord:], f.record)
	return b, nil
}

// put writes a farewell into a slot, a new one when the slot is negative, and gives the slot.
func (t *farewells) put(slot int64, f farewell) (int64, error) {
	b, err := f.slot()
	if err != nil {
		return slot, err
	}
	if slot < 0 {
		t.mu.Lock()
		if n := len(t.free); n > 0 {
			slot, t.free = t.free[n-1], t.free[:n-1]
		} else {
			slot = t.next
			t.next++
		}
		t.mu.Unlock()
	}
	if _, err := t.file.WriteAt(b[:], slot*slotSize); err != nil {
		return slot, fmt.Errorf("writing a farewell: %w", err)
	}
	return slot, nil
}

// drop frees a slot.
func (t *farewells) drop(slot int64) {
	if t == nil || slot < 0 {
		return
	}
	_, _ = t.file.WriteAt([]byte{0}, slot*slotSize) // a farewell to somebody who has left is harmless
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = append(t.free, slot)
}

func (t *farewells) close() {
	if t != nil {
		_ = t.file.Close()
	}
}

// keepFarewells begins to keep them. Those that the last process left wait for SayFarewells.
func (r *Relay) keepFarewells() error {
	kept, left, err := openFarewells(r.opt.Farewells, r.opt.MaxSessions)
	if err != nil {
		return err
	}
	r.farewell, r.left = kept, left
	return nil
}

// SayFarewells tells the players of a process before this one, which was killed, that their connections are over. They
// ask again at once, so signalling is to be served before. It is called once.
func (r *Relay) SayFarewells() {
	left := r.left
	if r.left = nil; len(left) == 0 {
		return
	}
	r.goroutines.Go(func() {
		sent := sendFarewells(r.ctx, left, func(f farewell) error {
			s := r.socketAt(f.local)
			if s == nil {
				return errNoSocket
			}
			_, err := s.Conn.WriteToUDPAddrPort(f.record, f.remote)
			return err
		})
		r.metrics.farewells.Add(float64(sent))
		r.log.Info(
			"Players of the process before this one, which was killed, were told to go elsewhere",
			"players",
			len(left),
			"told",
			sent,
		)
	})
}

// sendFarewells tells the players of a process that was killed that their connections are over, from the sockets that
// they know: each as often as a last word is said, some at a time. It gives how many were told.
func sendFarewells(ctx context.Context, left []farewell, send func(farewell) error) (told int) {
	bursts := (len(left) + farewellBurst - 1) / farewellBurst
	for n := range bursts + int(sayWithin/farewellPause) {
		for _, before := range []time.Duration{0, sayAgain, sayWithin} { // who was told so long ago is told again
			i := n - int(before/farewellPause)
			if i < 0 || i >= bursts {
				continue
			}
			for _, f := range left[i*farewellBurst : min((i+1)*farewellBurst, len(left))] {
				if err := send(f); err == nil && before == 0 {
					told++
				}
			}
		}
		if !wait(ctx, farewellPause) {
			break
		}
	}
	return told
}

// wait is false when the context ends.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *Relay) socketAt(local netip.AddrPort) *fanout.Socket {
	for _, s := range r.sockets {
		if s.Local() == local {
			return s
		}
	}
	return nil
}
