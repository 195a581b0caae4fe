package nut

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reader reads what ffmpeg writes. It is not safe for concurrent use.
type Reader struct {
	in     *bufio.Reader
	table  *[256]uint32
	codes  [256]frameCode
	elided [][]byte
	bases  []timeBase
	tracks []*Track
	shift  []uint64 // of coded PTS, per track
	last   []int64  // PTS, per track
}

type timeBase struct{ num, den int64 }

type frameCode struct {
	flags, mul, lsb, track, reserved, elided uint64
	delta                                    int64
}

// NewReader reads the headers. It waits until all tracks that the main header announces are described.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10), table: crcTable()}
	id := make([]byte, len(fileID))
	if _, err := io.ReadFull(r.in, id); err != nil {
		return nil, err
	}
	if string(id) != fileID {
		return nil, fmt.Errorf("%w: it does not begin as such a file does", ErrFormat)
	}
	for known := -1; known != len(r.tracks) || known == 0; {
		code, err := r.startCode()
		if err != nil {
			return nil, err
		}
		p, err := r.packet(code)
		if err != nil {
			return nil, err
		}
		switch code {
		case startMain:
			err = r.mainHeader(p)
		case startTrack:
			err = r.trackHeader(p)
		}
		if err != nil {
			return nil, err
		}
		if known = 0; len(r.bases) == 0 {
			continue
		}
		for _, t := range r.tracks {
			if t != nil {
				known++
			}
		}
	}
	return r, nil
}

// Tracks describes the tracks.
func (r *Reader) Tracks() []*Track { return r.tracks }

// Next returns the next frame with media, whose memory is the caller's; io.EOF at the end.
func (r *Reader) Next() (Frame, error) {
	for {
		first, err := r.in.ReadByte()
		if err != nil {
			return Frame{}, err
		}
		if first != 'N' {
			f, err := r.frame(first)
			if err != nil || f.Data != nil {
				return f, noEOF(err)
			}
			continue // the end of a track, which has no data
		}
		if err := r.in.UnreadByte(); err != nil {
			return Frame{}, err
		}
		code, err := r.startCode()
		if err != nil {
			return Frame{}, noEOF(err)
		}
		p, err := r.packet(code)
		if err != nil {
			return Frame{}, noEOF(err)
		}
		if code == startSync {
			r.sync(p)
			if p.err != nil {
				return Frame{}, p.err
			}
		}
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *Reader) startCode() (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		return 0, err
	}
	code := binary.BigEndian.Uint64(b[:])
	switch code {
	case startMain, startSync, startIndex, startInfo, startTrack:
		return code, nil
	}
	return 0, fmt.Errorf("%w: start code %x", ErrFormat, code)
}

// packet reads a packet behind its start code, and leaves its checksum away.
func (r *Reader) packet(code uint64) (*fields, error) {
	size, err := r.uint()
	if err != nil {
		return nil, err
	}
	if size < 4 || size > maxPacket {
		return nil, fmt.Errorf("%w: a packet of %d bytes", ErrFormat, size)
	}
	if size > 4096 {
		if _, err := r.in.Discard(4); err != nil {
			return nil, err
		}
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r.in, b); err != nil {
		return nil, err
	}
	if sum := crc(r.table, b[:size-4]); sum != binary.BigEndian.Uint32(b[size-4:]) {
		return nil, fmt.Errorf("%w: the checksum of packet %x is wrong", ErrFormat, code)
	}
	return &fields{b: b[:size-4]}, nil
}

func (r *Reader) uint() (uint64, error) {
	var v uint64
	for range 10 {
		b, err := r.in.ReadByte()
		if err != nil {
			return 0, err
		}
		v = v<<7 | uint64(b&0x7F)
		if b&0x80 == 0 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%w: a number of more than 64 bits", ErrFormat)
}

// sync starts the tracks' times anew.
func (r *Reader) sync(p *fields) {
	v := p.uint()
	if p.err != nil || len(r.bases) == 0 {
		return
	}
	at, base := int64(v/uint64(len(r.bases))), r.bases[v%uint64(len(r.bases))]
	for i, t := range r.tracks {
		r.last[i] = rescale(at, base.num, base.den, t.Num, t.Den)
	}
}

// rescale changes the unit of a time from an/ad to bn/bd seconds, rounded down.
func rescale(t, an, ad, bn, bd int64) int64 {
	num, den := an*bd, ad*bn // time bases are bounded, see mainHeader
	whole, part := t/den, t%den
	return whole*num + part*num/den
}

// frame reads a frame behind its code. Data is nil for one without media.
func (r *Reader) frame(code byte) (Frame, error) {
	c := r.codes[code]
	if c.flags&flagInvalid != 0 {
		return Frame{}, fmt.Errorf("%w: frame code %d is not in use", ErrFormat, code)
	}
	h := reading{r: r}
	flags, track := c.flags, c.track
	if flags&flagCoded != 0 {
		flags ^= h.uint()
	}
	if flags&flagTrack != 0 {
		track = h.uint()
	}
	if h.err == nil && track >= uint64(len(r.tracks)) {
		return Frame{}, fmt.Errorf("%w: a frame of track %d", ErrFormat, track)
	}
	if h.err != nil {
		return Frame{}, h.err
	}
	pts := r.last[track] + c.delta
	if flags&flagCodedPTS != 0 {
		pts = fullPTS(h.uint(), r.shift[track], r.last[track])
	}
	size := c.lsb
	if flags&flagSizeMSB != 0 {
		size += c.mul * h.uint()
	}
	if flags&flagMatchTime != 0 {
		h.uint()
	}
	elided, reserved := c.elided, c.reserved
	if flags&flagElided != 0 {
		elided = h.uint()
	}
	if flags&flagReserved != 0 {
		reserved = h.uint()
	}
	for range min(reserved, 64) {
		h.uint()
	}
	if flags&flagChecksum != 0 {
		h.skip(4)
	}
	switch {
	case h.err != nil:
		return Frame{}, h.err
	case size > maxFrame || elided >= uint64(len(r.elided)) || reserved > 64 || flags&flagSideData != 0:
		return Frame{}, fmt.Errorf("%w: a frame of %d bytes with flags %x", ErrFormat, size, flags)
	}
	if size > 4096 {
		elided = 0
	}
	front := r.elided[elided]
	r.last[track] = pts
	f := Frame{Track: int(track), PTS: pts, Key: flags&flagKey != 0}
	if size == 0 {
		return f, nil
	}
	if size < uint64(len(front)) {
		return Frame{}, fmt.Errorf("%w: a frame shorter than what is left out of it", ErrFormat)
	}
	f.Data = make([]byte, size)
	copy(f.Data, front)
	_, err := io.ReadFull(r.in, f.Data[len(front):])
	return f, err
}

// fullPTS restores a coded PTS, of which only the low bits may be there.
func fullPTS(coded, shift uint64, last int64) int64 {
	if coded >= 1<<shift {
		return int64(coded - 1<<shift)
	}
	mask := int64(1)<<shift - 1
	delta := last - mask/2
	return (int64(coded)-delta)&mask + delta
}

// reading reads numbers of a frame header; the first error stays.
type reading struct {
	r   *Reader
	err error
}

func (h *reading) uint() uint64 {
	if h.err != nil {
		return 0
	}
	var v uint64
	v, h.err = h.r.uint()
	return v
}

func (h *reading) skip(n int) {
	if h.err == nil {
		_, h.err = h.r.in.Discard(n)
	}
}
