package nut

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Writer writes frames as they come: each is one Write to the output, with a sync point in front, so that nothing is
// held back. It is not safe for concurrent use.
type Writer struct {
	out    io.Writer
	table  *[256]uint32
	tracks []Track
	buf    []byte
	packet []byte
}

// NewWriter writes the headers.
func NewWriter(out io.Writer, tracks []Track) (*Writer, error) {
	w := &Writer{out: out, table: crcTable(), tracks: tracks}
	if len(tracks) == 0 || len(tracks) > maxTracks {
		return nil, fmt.Errorf("%d tracks: 1 to %d can be written", len(tracks), maxTracks)
	}
	w.buf = append(w.buf, fileID...)
	w.mainHeader()
	for i := range tracks {
		w.trackHeader(i)
	}
	return w, w.flush()
}

// Write writes a frame.
func (w *Writer) Write(f Frame) error {
	if f.Track < 0 || f.Track >= len(w.tracks) || f.PTS < 0 || len(f.Data) > maxFrame {
		return fmt.Errorf("a frame of track %d at %d of %d bytes cannot be written", f.Track, f.PTS, len(f.Data))
	}
	// The sync point: the time in the time base of the frame's track, and no way back.
	p := appendUint(w.packet[:0], uint64(f.PTS)*uint64(len(w.tracks))+uint64(f.Track))
	p = appendUint(p, 0)
	w.packet = p
	w.put(startSync)
	// The frame: all is said explicitly. The checksum allows any size (it is over the header).
	start := len(w.buf)
	w.buf = append(w.buf, 0) // the frame code
	flags := uint64(flagTrack | flagCodedPTS | flagSizeMSB | flagChecksum)
	if f.Key {
		flags |= flagKey
	}
	w.buf = appendUint(w.buf, flags) // frame code 0 has only flagCoded, which stays set; the others are turned over
	w.buf = appendUint(w.buf, uint64(f.Track))
	w.buf = appendUint(w.buf, uint64(f.PTS)+1<<ptsShift)
	w.buf = appendUint(w.buf, uint64(len(f.Data)))
	w.buf = binary.BigEndian.AppendUint32(w.buf, crc(w.table, w.buf[start:]))
	w.buf = append(w.buf, f.Data...)
	return w.flush()
}

func (w *Writer) flush() error {
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// put writes the packet that was made.
func (w *Writer) put(code uint64) {
	start := len(w.buf)
	w.buf = binary.BigEndian.AppendUint64(w.buf, code)
	w.buf = appendUint(w.buf, uint64(len(w.packet)+4))
	if len(w.packet)+4 > 4096 {
		w.buf = binary.BigEndian.AppendUint32(w.buf, crc(w.table, w.buf[start:]))
	}
	w.buf = append(w.buf, w.packet...)
	w.buf = binary.BigEndian.AppendUint32(w.buf, crc(w.table, w.packet))
}

func (w *Writer) mainHeader() {
	p := w.packet[:0]
	for _, v := range []uint64{3, uint64(len(w.tracks)), maxDistance, uint64(len(w.tracks))} {
		p = appendUint(p, v)
	}
	for _, t := range w.tracks {
		p = appendUint(p, uint64(t.Num))
		p = appendUint(p, uint64(t.Den))
	}
	// One entry for all frame codes: flags, 6 fields: pts 0, multiplier 1, stream 0, size 0, reserved 0, count 255 ('N' is
	// passed over).
	for _, v := range []uint64{flagCoded, 6, 0, 1, 0, 0, 0, 255} {
		p = appendUint(p, v)
	}
	p = appendUint(p, 0) // header_count_minus1: nothing is elided
	p = appendUint(p, 0) // main_flags
	w.packet = p
	w.put(startMain)
}

func (w *Writer) trackHeader(i int) {
	t := w.tracks[i]
	p := appendUint(w.packet[:0], uint64(i))
	p = appendUint(p, uint64(t.Class))
	p = appendBytes(p, []byte(t.FourCC))
	p = appendUint(p, uint64(i)) // time base
	p = appendUint(p, ptsShift)
	p = appendUint(p, uint64(t.Den)) // max_pts_distance: about a second; the checksum lifts it
	p = appendUint(p, uint64(t.Reorder))
	p = appendUint(p, 0) // stream_flags
	p = appendBytes(p, t.Extra)
	if t.Class == Video {
		for _, v := range []int{t.Width, t.Height, 0, 0, 0} {
			p = appendUint(p, uint64(v))
		}
	} else {
		for _, v := range []int{t.SampleRate, 1, t.Channels} {
			p = appendUint(p, uint64(v))
		}
	}
	w.packet = p
	w.put(startTrack)
}

// appendUint writes a variable-length number: 7 bits in a byte, high ones first, bit 7 set on all but the last.
func appendUint(b []byte, v uint64) []byte {
	n := 1
	for x := v >> 7; x > 0; x >>= 7 {
		n++
	}
	for i := n - 1; i > 0; i-- {
		b = append(b, 0x80|byte(v>>(7*i)))
	}
	return append(b, byte(v)&0x7F)
}

func appendBytes(b, data []byte) []byte {
	return append(appendUint(b, uint64(len(data))), data...)
}
