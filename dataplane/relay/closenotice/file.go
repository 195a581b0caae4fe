package closenotice

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
)

// File holds the sealed close notice of each viewer, and where it goes, for the process that comes after one that was
// killed. What was written is there after kill -9: the kernel has it. Each viewer has a slot of 256 bytes that one
// system call writes. A nil *File keeps none. It is safe for concurrent use.
type File struct {
	file *os.File

	mu   sync.Mutex
	free []int64 // slots that were used
	next int64   // slots from here on never were
}

// A slot: 1 byte that says that it is used, 1 byte for the length of the record, the addresses of ours and of the
// player with 1 byte for the length each, the record.
const (
	slotSize    = 256
	slotUsed    = 0xf1
	slotAddress = 1 + 18 // an address of IPv6 with its port
	slotRecord  = 2 + 2*slotAddress
	maxRecord   = slotSize - slotRecord
)

// Notice is the close notice of one UDP viewer.
type Notice struct {
	Local, Remote netip.AddrPort // of the relay and of the viewer
	Record        []byte         // a sealed DTLS record of 1 to 216 bytes
}

// Open opens the file and returns the notices that the last process left there, limit at most. It is empty then.
func Open(path string, limit int) (*File, []Notice, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the file of close notices: %w", err)
	}
	left, err := readNotices(file, limit)
	if err == nil {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, nil, errors.Join(
			fmt.Errorf("reading the close notices of the last process in %s: %w", path, err),
			file.Close(),
		)
	}
	return &File{file: file}, left, nil
}

func readNotices(r io.Reader, limit int) ([]Notice, error) {
	var all []Notice
	var slot [slotSize]byte
	for range limit {
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

func parseSlot(b []byte) (n Notice, ok bool) {
	size := int(b[1])
	if b[0] != slotUsed || size == 0 || size > maxRecord {
		return n, false
	}
	for i, a := range []*netip.AddrPort{&n.Local, &n.Remote} {
		at := b[2+i*slotAddress:]
		if size := int(at[0]); size >= slotAddress || a.UnmarshalBinary(at[1:1+size]) != nil || !a.IsValid() {
			return n, false
		}
	}
	n.Record = append([]byte(nil), b[slotRecord:slotRecord+size]...)
	return n, true
}

func (n *Notice) slot() (b [slotSize]byte, err error) {
	if len(n.Record) == 0 || len(n.Record) > maxRecord {
		return b, fmt.Errorf("a close notice of %d bytes: want 1 to %d", len(n.Record), maxRecord)
	}
	b[0], b[1] = slotUsed, byte(len(n.Record))
	for i, a := range []netip.AddrPort{n.Local, n.Remote} {
		text, err := netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).MarshalBinary()
		if err != nil || len(text) >= slotAddress {
			return b, fmt.Errorf("writing address %s of a close notice: %w", a, err)
		}
		at := b[2+i*slotAddress:]
		at[0] = byte(copy(at[1:slotAddress], text))
	}
	copy(b[slotRecord:], n.Record)
	return b, nil
}

// put writes a notice into a slot, a new one when the slot is negative, and returns the slot.
func (t *File) put(slot int64, n Notice) (int64, error) {
	b, err := n.slot()
	if err != nil {
		return slot, err
	}
	if slot < 0 {
		t.mu.Lock()
		if last := len(t.free) - 1; last >= 0 {
			slot, t.free = t.free[last], t.free[:last]
		} else {
			slot = t.next
			t.next++
		}
		t.mu.Unlock()
	}
	if _, err := t.file.WriteAt(b[:], slot*slotSize); err != nil {
		return slot, fmt.Errorf("writing a close notice: %w", err)
	}
	return slot, nil
}

// drop frees a slot.
func (t *File) drop(slot int64) {
	if t == nil || slot < 0 {
		return
	}
	_, _ = t.file.WriteAt([]byte{0}, slot*slotSize) // a notice to somebody who has left is harmless
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = append(t.free, slot)
}

// Close closes the file. What it holds stays.
func (t *File) Close() {
	if t != nil {
		_ = t.file.Close()
	}
}
