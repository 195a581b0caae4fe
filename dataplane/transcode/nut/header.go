package nut

import "fmt"

// fields reads the fields of a packet; the first error stays.
type fields struct {
	b   []byte
	err error
}

func (p *fields) uint() uint64 {
	var v uint64
	for i, b := range p.b {
		v = v<<7 | uint64(b&0x7F)
		if b&0x80 == 0 {
			p.b = p.b[i+1:]
			return v
		}
		if i >= 9 {
			break
		}
	}
	if p.err == nil {
		p.err = fmt.Errorf("%w: a packet is cut short", ErrFormat)
	}
	p.b = nil
	return 0
}

// int reads a signed number: 0, 1, -1, 2, -2, ...
func (p *fields) int() int64 {
	v := p.uint() + 1
	if v&1 != 0 {
		return -int64(v >> 1)
	}
	return int64(v >> 1)
}

func (p *fields) bytes(limit int) []byte {
	n := p.uint()
	if p.err == nil && (n > uint64(len(p.b)) || n > uint64(limit)) {
		p.err = fmt.Errorf("%w: a field of %d bytes", ErrFormat, n)
	}
	if p.err != nil {
		return nil
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

// small reads a number that becomes an int.
func (p *fields) small(limit uint64) int {
	v := p.uint()
	if p.err == nil && v > limit {
		p.err = fmt.Errorf("%w: %d is more than the %d allowed", ErrFormat, v, limit)
	}
	if p.err != nil {
		return 0
	}
	return int(v)
}

func (r *Reader) mainHeader(p *fields) error {
	if len(r.bases) > 0 {
		return nil // ffmpeg repeats its headers; they do not change
	}
	if version := p.small(4); version > 3 {
		p.uint() // minor version
	}
	tracks := p.small(maxTracks)
	p.uint() // max_distance
	bases := make([]timeBase, p.small(maxTimeBases))
	for i := range bases {
		bases[i] = timeBase{int64(p.small(1 << 24)), int64(p.small(1 << 24))}
		if p.err == nil && (bases[i].num < 1 || bases[i].den < 1) {
			return fmt.Errorf("%w: a time base of %d/%d", ErrFormat, bases[i].num, bases[i].den)
		}
	}
	r.frameCodes(p)
	r.elided = [][]byte{nil}
	total := 0
	for range p.small(maxElided - 1) {
		one := p.bytes(256)
		if total += len(one); total > maxElidedBytes {
			return fmt.Errorf("%w: too much is left out of frames", ErrFormat)
		}
		r.elided = append(r.elided, one)
	}
	if p.err != nil {
		return p.err
	}
	if tracks < 1 || len(bases) < 1 {
		return fmt.Errorf("%w: no tracks", ErrFormat)
	}
	r.bases = bases
	r.tracks, r.shift, r.last = make([]*Track, tracks), make([]uint64, tracks), make([]int64, tracks)
	return nil
}

// frameCodes reads the table that says what the first byte of a frame means.
func (r *Reader) frameCodes(p *fields) {
	mul := uint64(1)
	var delta int64
	var track, elided uint64
	for i := 0; i < 256 && p.err == nil; {
		flags, count := p.uint(), p.uint()
		if count > 64 {
			p.err = fmt.Errorf("%w: %d fields of a frame code", ErrFormat, count)
			return
		}
		var size, reserved uint64
		if count > 0 {
			delta = p.int()
		}
		if count > 1 {
			mul = p.uint()
		}
		if count > 2 {
			track = p.uint()
		}
		if count > 3 {
			size = p.uint()
		}
		if count > 4 {
			reserved = p.uint()
		}
		run := mul - size
		if count > 5 {
			run = p.uint()
		}
		if count > 6 {
			p.int() // match_time_delta
		}
		if count > 7 {
			elided = p.uint()
		}
		for range max(count, 8) - 8 {
			p.uint()
		}
		if p.err == nil && (run > 256 || mul > 1<<20 || size > 1<<20) {
			p.err = fmt.Errorf("%w: %d equal frame codes", ErrFormat, run)
			return
		}
		for j := uint64(0); j < run && i < 256; i++ {
			if i == 'N' { // a start code begins with it
				r.codes[i].flags = flagInvalid
				continue
			}
			r.codes[i] = frameCode{
				flags:    flags,
				mul:      mul,
				lsb:      size + j,
				track:    track,
				reserved: reserved,
				elided:   elided,
				delta:    delta,
			}
			j++
		}
	}
}

func (r *Reader) trackHeader(p *fields) error {
	if len(r.bases) == 0 {
		return fmt.Errorf("%w: a track before the main header", ErrFormat)
	}
	id := p.small(uint64(len(r.tracks) - 1))
	t := &Track{Class: Class(p.small(255))}
	t.FourCC = string(p.bytes(16))
	base := r.bases[p.small(uint64(len(r.bases)-1))]
	t.Num, t.Den = base.num, base.den
	shift := p.small(40)
	p.uint() // max_pts_distance
	t.Reorder = p.small(1000)
	p.uint() // stream_flags
	t.Extra = p.bytes(maxPacket)
	switch t.Class {
	case Video:
		t.Width, t.Height = p.small(1<<20), p.small(1<<20)
	case Audio:
		rate, per := p.small(1<<30), p.small(1<<30)
		t.SampleRate, t.Channels = rate/max(per, 1), p.small(255)
	}
	if p.err != nil {
		return p.err
	}
	r.tracks[id], r.shift[id] = t, uint64(shift)
	return nil
}
