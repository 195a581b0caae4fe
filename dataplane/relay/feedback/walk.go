// Package feedback reads what viewers report over RTCP and decides what follows from it. It is pure: no session, no
// socket, no clock of its own.
package feedback

import (
	"encoding/binary"
	"math"
)

// RTCP packet types and formats (RFC 3550, 12.1; RFC 4585, 6; RFC 5104, 4.3.1).
const (
	rtcpReceiverReport = 201
	rtcpTransportFB    = 205
	rtcpPayloadFB      = 206
	fmtNACK            = 1
	fmtPLI             = 1
	fmtFIR             = 4
	fmtTransportCC     = 15 // draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1
	fmtREMB            = 15 // application layer feedback (draft-alvestrand-rmcat-remb-03, 2.2)
)

// Item is one report or request of a viewer.
type Item struct {
	NACK, KeyFrame, Report bool    // which of these it is; none: a bandwidth or a transport-wide feedback
	SSRC                   uint32  // the stream of ours that it is about
	PID, BLP               uint16  // of a NACK: the first lost packet, and which of the 16 after it (RFC 4585, 6.2.1)
	Lost                   uint8   // of a report: packets lost since the last report, in 1/256
	LastSR, Delay          uint32  // of a report: the sender report that it answers and its age, both in 1/65536 s
	Bandwidth              float64 // REMB: the estimate of the viewer, in bit/s
	Transport              []byte  // a transport-wide feedback, for WalkTransportCC
}

// Walk calls f for each report and request in a compound packet (RFC 3550, 6.1). What is malformed ends the walk.
func Walk(b []byte, f func(Item)) {
	for len(b) >= 4 && b[0]>>6 == 2 {
		size := 4 * (1 + int(binary.BigEndian.Uint16(b[2:])))
		if size > len(b) {
			return
		}
		walkPacket(b[:size], f)
		b = b[size:]
	}
}

func walkPacket(b []byte, f func(Item)) {
	count, body := b[0]&0x1f, b[4:]
	switch b[1] {
	case rtcpReceiverReport: // sender SSRC, then report blocks of 24 bytes
		for i, at := 0, 4; i < int(count) && at+24 <= len(body); i, at = i+1, at+24 {
			f(Item{
				Report: true, SSRC: binary.BigEndian.Uint32(body[at:]), Lost: body[at+4],
				LastSR: binary.BigEndian.Uint32(body[at+16:]), Delay: binary.BigEndian.Uint32(body[at+20:]),
			})
		}
	case rtcpTransportFB:
		if count == fmtTransportCC {
			f(Item{Transport: body})
		}
		if count != fmtNACK || len(body) < 8 {
			return
		}
		ssrc := binary.BigEndian.Uint32(body[4:])
		for at := 8; at+4 <= len(body); at += 4 {
			f(
				Item{
					NACK: true,
					SSRC: ssrc,
					PID:  binary.BigEndian.Uint16(body[at:]),
					BLP:  binary.BigEndian.Uint16(body[at+2:]),
				},
			)
		}
	case rtcpPayloadFB:
		if (count == fmtPLI || count == fmtFIR) && len(body) >= 8 {
			f(Item{KeyFrame: true, SSRC: binary.BigEndian.Uint32(body[4:])})
		}
		if count == fmtREMB && len(body) >= 16 && string(body[8:12]) == "REMB" {
			exponent, mantissa := body[13]>>2, uint32(body[13]&3)<<16|uint32(binary.BigEndian.Uint16(body[14:]))
			f(Item{Bandwidth: math.Ldexp(float64(mantissa), int(exponent))})
		}
	}
}
