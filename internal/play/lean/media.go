package lean

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/play/meter"
)

// sampleEvery is how many packets there are for each one that is decrypted, with DecryptSample.
const sampleEvery = 16

// fixedHeader is the size of an RTP header without extensions (RFC 3550, section 5.1).
const fixedHeader = 12

// rtp takes one SRTP packet in. The peer and its viewer are locked.
func (p *peer) rtp(d datagram) {
	data := d.data
	if len(data) < fixedHeader+p.keys.tag {
		return
	}
	r := p.answer.routes[data[1]&0x7f]
	if r.codec == 0 {
		p.unknown++
		return
	}
	packet := meter.Packet{
		Codec: r.codec, Marker: data[1]&0x80 != 0, Arrival: d.arrival,
		Seq:  binary.BigEndian.Uint16(data[2:]),
		Time: binary.BigEndian.Uint32(data[4:]), SSRC: binary.BigEndian.Uint32(data[8:]),
	}
	offset := fixedHeader + 4*int(data[0]&0x0f)
	if data[0]&0x10 != 0 {
		if len(data) < offset+4 {
			return
		}
		size := 4 * int(binary.BigEndian.Uint16(data[offset+2:]))
		if len(data) < offset+4+size+p.keys.tag {
			return
		}
		if r.capture != 0 {
			packet.Capture = captureTime(data[offset+4:offset+4+size], binary.BigEndian.Uint16(data[offset:]), r.capture)
		}
		offset += 4 + size
	}
	packet.Size = len(data) - offset - p.keys.tag
	if packet.Size < 0 {
		return
	}
	p.packets++
	if !r.repair {
		p.mains[r.codec.Kind()] = packet.SSRC
	}
	if r.repair || p.decrypts(packet.SSRC) {
		plain, err := p.keys.inbound.DecryptRTP(p.plain[:0], data, &p.header)
		if err != nil {
			p.undecryptable++
			return
		}
		p.plain = plain
		payload := plain[offset:]
		if p.header.Padding && len(payload) > 0 {
			payload = payload[:max(0, len(payload)-int(payload[len(payload)-1]))]
		}
		if r.repair {
			// RFC 4588, section 4: the original sequence number stands in front of the original payload.
			if len(payload) <= 2 {
				return // padding to probe the bandwidth
			}
			packet.Repair, packet.Seq, packet.SSRC = true, binary.BigEndian.Uint16(payload), p.repaired(packet.SSRC)
			payload = payload[2:]
			if packet.SSRC == 0 {
				return
			}
		}
		packet.Payload, packet.Size = payload, len(payload)
	}
	p.viewer.PacketLocked(&packet)
}

// decrypts reports whether the next packet of the stream is decrypted.
func (p *peer) decrypts(ssrc uint32) bool {
	switch p.engine.options.Decrypt {
	case DecryptAll:
		return true
	case DecryptSample:
		return p.packets%sampleEvery == 0 || p.viewer.WantsPayloadLocked(ssrc)
	}
	return false
}

// repaired returns the SSRC that the retransmissions on an SSRC belong to; a server that names none has one video
// stream.
func (p *peer) repaired(ssrc uint32) uint32 {
	if main, ok := p.answer.repairs[ssrc]; ok {
		return main
	}
	return p.mains[media.Video]
}

// rtcp takes one SRTCP packet in. The peer is locked, the viewer is not.
func (p *peer) rtcp(data []byte) {
	plain, err := p.keys.inbound.DecryptRTCP(nil, data, nil)
	if err != nil {
		p.undecryptable++
		return
	}
	packets, err := rtcp.Unmarshal(plain)
	if err != nil {
		return
	}
	for _, packet := range packets {
		if report, ok := packet.(*rtcp.SenderReport); ok {
			p.viewer.SenderReport(report.SSRC, report.NTPTime, report.RTPTime)
		}
	}
}

// feedback sends what the server is owed now: requests for what is missing, and once per second a receiver report.
func (p *peer) feedback(now time.Time) {
	p.mu.Lock()
	ready := p.keys != nil && !p.over
	report := ready && now.Sub(p.lastReport) >= time.Second
	if report {
		p.lastReport = now
	}
	p.mu.Unlock()
	if !ready {
		return
	}
	packets := p.viewer.Feedback(now, p.ssrc)
	if report || len(packets) > 0 {
		packets = append([]rtcp.Packet{p.viewer.Report(now, p.ssrc)}, packets...)
	}
	if report {
		p.account()
	}
	if len(packets) == 0 {
		return
	}
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		return
	}
	p.mu.Lock()
	sealed, err := p.keys.outbound.EncryptRTCP(nil, raw, nil)
	p.mu.Unlock()
	if err == nil {
		_ = p.wire.send(sealed, p.ice.selected)
	}
}

// captureTime finds the abs-capture-time extension among header extensions (RFC 8285, sections 4.2 and 4.3) and gives
// its time as Unix ns; 0 when it is not there.
func captureTime(extensions []byte, profile uint16, want uint8) int64 {
	twoBytes := profile&0xfff0 == 0x1000
	if !twoBytes && profile != 0xbede {
		return 0
	}
	for i := 0; i < len(extensions); {
		if extensions[i] == 0 { // padding
			i++
			continue
		}
		var id uint8
		var size int
		if twoBytes {
			if i+1 >= len(extensions) {
				return 0
			}
			id, size = extensions[i], int(extensions[i+1])
			i += 2
		} else {
			id, size = extensions[i]>>4, int(extensions[i]&0x0f)+1
			i++
		}
		if i+size > len(extensions) {
			return 0
		}
		if id == want && size >= 8 {
			return meter.NTPToUnix(binary.BigEndian.Uint64(extensions[i:]))
		}
		i += size
	}
	return 0
}
