package pull

import (
	"errors"

	"github.com/pion/rtp"

	"github.com/millrace/millrace/dataplane/media"
)

// Packet types beside single NAL units (RFC 6184, section 5.2; RFC 7798, section 4.4).
const (
	h264Aggregate = 24
	h264Fragment  = 28
	h265Aggregate = 48
	h265Fragment  = 49
	h265PACI      = 50
)

var (
	errPacket = errors.New("an RTP packet of video that cannot be read")
	errBounds = errors.New("an access unit beyond the bounds")
)

// depacketiser joins the RTP packets of one video track to access units, in order and without loss, as TCP brings them.
// The bounds are those of the whole data plane, so that no source is cut here that the ingest lets in.
type depacketiser struct {
	codec media.Codec

	units    [][]byte
	fragment []byte // the NAL unit under way
	size     int
	broken   bool // the access unit under way cannot be used
}

// take adds a packet and gives the access unit that it ends, else nil. After an error what is left of the access unit
// is passed over. The units do not share the packet's memory.
func (d *depacketiser) take(p *rtp.Packet) ([][]byte, error) {
	var err error
	if !d.broken {
		if err = d.add(p.Payload); err != nil {
			d.broken = true
		}
	}
	if !p.Marker {
		return nil, err
	}
	units := d.units
	if d.broken || d.fragment != nil {
		units = nil
	}
	*d = depacketiser{codec: d.codec}
	return units, err
}

func (d *depacketiser) add(b []byte) error {
	if d.size += len(b); d.size > media.MaxAccessUnit {
		return errBounds
	}
	if d.codec == media.H265 {
		return d.addH265(b)
	}
	if len(b) < 1 {
		return errPacket
	}
	switch typ := b[0] & 0x1F; {
	case typ == h264Aggregate:
		return d.addAggregate(b[1:])
	case typ == h264Fragment:
		if len(b) < 3 {
			return errPacket
		}
		return d.addFragment(b[1], []byte{b[0]&0xE0 | b[1]&0x1F}, b[2:])
	case typ > h264Aggregate || typ == 0:
		return errPacket // interleaved modes are not negotiated
	}
	return d.addUnit(b)
}

func (d *depacketiser) addH265(b []byte) error {
	if len(b) < 3 {
		return errPacket
	}
	switch typ := b[0] >> 1 & 0x3F; {
	case typ == h265Aggregate:
		return d.addAggregate(b[2:])
	case typ == h265Fragment:
		if len(b) < 4 {
			return errPacket
		}
		return d.addFragment(b[2], []byte{b[0]&0x81 | b[2]&0x3F<<1, b[1]}, b[3:])
	case typ >= h265PACI:
		return errPacket
	}
	return d.addUnit(b)
}

func (d *depacketiser) addAggregate(b []byte) error {
	for len(b) > 0 {
		if len(b) < 2 {
			return errPacket
		}
		n := int(b[0])<<8 | int(b[1])
		if b = b[2:]; n == 0 || n > len(b) {
			return errPacket
		}
		if err := d.addUnit(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// addFragment takes a part of a NAL unit: its flags have the start in bit 7 and the end in bit 6.
func (d *depacketiser) addFragment(flags byte, header, b []byte) error {
	if start := flags&0x80 != 0; start != (d.fragment == nil) {
		return errPacket
	}
	if d.fragment == nil {
		d.fragment = header
	}
	d.fragment = append(d.fragment, b...)
	if flags&0x40 == 0 {
		return nil
	}
	d.units = append(d.units, d.fragment)
	d.fragment = nil
	return d.checkCount()
}

func (d *depacketiser) addUnit(b []byte) error {
	if d.fragment != nil {
		return errPacket
	}
	d.units = append(d.units, append([]byte(nil), b...))
	return d.checkCount()
}

func (d *depacketiser) checkCount() error {
	if len(d.units) > media.MaxUnits {
		return errBounds
	}
	return nil
}
