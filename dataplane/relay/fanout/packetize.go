package fanout

import "github.com/millrace/millrace/dataplane/media"

// packetize cuts a frame into RTP payloads of at most MaxPayload bytes. Fragments of a NAL unit have equal size, but
// the last may be shorter, so that they can leave as segments of one UDP message. A nil result means that the codec has
// no RTP form here.
func packetize(f *media.Frame) *Pack {
	p := &Pack{
		Kind: f.Kind(), Codec: f.Track.Codec, Key: f.Key, Disposable: f.Disposable, Ingest: f.Ingest, NTP: ntpTime(f.Ingest),
		data: make([]byte, 0, f.Size+f.Size/200+8*len(f.Units)+16),
		ends: make([]uint32, 0, f.Size/MaxPayload+len(f.Units)+1),
	}
	switch f.Track.Codec {
	case media.H264:
		p.TS = clock(f.PTS.Nanoseconds(), 90_000)
		p.nalUnits(f.Units, h264Payload{})
	case media.H265:
		p.TS = clock(f.PTS.Nanoseconds(), 90_000)
		p.nalUnits(f.Units, h265Payload{})
	case media.Opus: // one packet per frame (RFC 7587, 4.2)
		p.TS = clock(f.PTS.Nanoseconds(), 48_000)
		for _, u := range f.Units {
			if len(u) <= MaxPayload {
				p.data = append(p.data, u...)
				p.finish()
			}
		}
	default:
		return nil
	}
	if len(p.ends) == 0 {
		return nil
	}
	return p
}

// clock converts nanoseconds to RTP clock units, modulo 2^32 (RFC 3550, 5.1).
func clock(ns, rate int64) uint32 {
	const second = 1_000_000_000
	return uint32(ns/second*rate + ns%second*rate/second)
}

// nalPayload is how NAL units of a codec travel in RTP.
type nalPayload interface {
	headerSize() int                                                // of a NAL unit
	appendAggregateHeader(dst []byte, units [][]byte) []byte        // in front of several small NAL units
	appendFragmentHeader(dst, unit []byte, first, last bool) []byte // in front of a fragment
	fragmentHeaderSize() int                                        // what appendFragmentHeader adds
}

// nalUnits writes an access unit: neighbours that fit together are aggregated, what is too large is fragmented.
func (p *Pack) nalUnits(units [][]byte, c nalPayload) {
	for len(units) > 0 {
		if n := aggregable(units, c.headerSize()); n > 1 {
			p.data = c.appendAggregateHeader(p.data, units[:n])
			for _, u := range units[:n] {
				p.data = append(p.data, byte(len(u)>>8), byte(len(u)))
				p.data = append(p.data, u...)
			}
			p.finish()
			units = units[n:]
			continue
		}
		if u := units[0]; len(u) < c.headerSize() {
			// Not a NAL unit: nothing to send.
		} else if len(u) <= MaxPayload {
			p.data = append(p.data, u...)
			p.finish()
		} else {
			p.fragment(u, c)
		}
		units = units[1:]
	}
}

// aggregable counts how many of the first units fit into one aggregation packet.
func aggregable(units [][]byte, header int) int {
	size := header
	for i, u := range units {
		size += 2 + len(u)
		if size > MaxPayload || len(u) < header {
			return i
		}
	}
	return len(units)
}

func (p *Pack) fragment(unit []byte, c nalPayload) {
	body := unit[c.headerSize():]
	room := MaxPayload - c.fragmentHeaderSize()
	count := (len(body) + room - 1) / room
	size := (len(body) + count - 1) / count
	for at := 0; at < len(body); at += size {
		end := min(at+size, len(body))
		p.data = c.appendFragmentHeader(p.data, unit, at == 0, end == len(body))
		p.data = append(p.data, body[at:end]...)
		p.finish()
	}
}

// h264Payload is RFC 6184: STAP-A (5.7.1) and FU-A (5.8).
type h264Payload struct{}

func (h264Payload) headerSize() int         { return 1 }
func (h264Payload) fragmentHeaderSize() int { return 2 }

func (h264Payload) appendAggregateHeader(dst []byte, units [][]byte) []byte {
	const stapA = 24
	var refIDC byte // the highest of all units
	for _, u := range units {
		refIDC = max(refIDC, u[0]&0x60)
	}
	return append(dst, refIDC|stapA)
}

func (h264Payload) appendFragmentHeader(dst, unit []byte, first, last bool) []byte {
	const fuA = 28
	return append(dst, unit[0]&0x60|fuA, startEnd(first, last)|unit[0]&0x1f)
}

// h265Payload is RFC 7798: aggregation packets (4.4.2) and fragmentation units (4.4.3).
type h265Payload struct{}

func (h265Payload) headerSize() int         { return 2 }
func (h265Payload) fragmentHeaderSize() int { return 3 }

func (h265Payload) appendAggregateHeader(dst []byte, units [][]byte) []byte {
	const ap = 48
	return append(dst, units[0][0]&0x81|ap<<1, units[0][1])
}

func (h265Payload) appendFragmentHeader(dst, unit []byte, first, last bool) []byte {
	const fu = 49
	return append(dst, unit[0]&0x81|fu<<1, unit[1], startEnd(first, last)|unit[0]>>1&0x3f)
}

func startEnd(first, last bool) byte {
	var b byte
	if first {
		b |= 0x80
	}
	if last {
		b |= 0x40
	}
	return b
}
