package closenotice

import "net/netip"

// Entry is the close notice of one viewer in a file. The zero value keeps nothing. It is not safe for concurrent use.
type Entry struct {
	file   *File
	slot   int64
	record []byte
}

// Entry returns an entry for a sealed record. Nothing is written yet.
func (t *File) Entry(record []byte) Entry { return Entry{file: t, slot: -1, record: record} }

// Record returns the sealed record; nil: nothing is kept.
func (e *Entry) Record() []byte { return e.record }

// Write writes the notice with the addresses that the viewer has now, of the relay and its own.
func (e *Entry) Write(local, remote netip.AddrPort) (err error) {
	if e.record == nil {
		return nil
	}
	e.slot, err = e.file.put(e.slot, Notice{Local: local, Remote: remote, Record: e.record})
	return err
}

// Drop takes the notice out of the file.
func (e *Entry) Drop() {
	if e.record == nil {
		return
	}
	e.file.drop(e.slot)
	e.record = nil
}
