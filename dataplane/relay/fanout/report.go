package fanout

import (
	"encoding/binary"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// reportEvery is the distance of a viewer's sender reports.
const reportEvery = 2 * time.Second

// sdesChunkItems is the CNAME item of an SDES chunk, terminated and padded (RFC 3550, 6.5).
func sdesChunkItems(cname string) []byte {
	b := append([]byte{1, byte(len(cname))}, cname...)
	b = append(b, 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// report sends the viewer's sender reports: for each lane the wall clock at which the stream's timeline stands now, so
// that a player can keep audio and video together and knows how old a frame is.
func (w *Worker) report(v *Viewer, now time.Time) {
	defer w.survive(v)
	zero := v.feed.zero.Load()
	if zero == 0 || v.cfg.TCP != nil && v.cfg.TCP.full() {
		return
	}
	for kind, l := range v.lanes {
		if l == nil || !l.started {
			continue
		}
		rate := int64(90_000)
		if media.Kind(kind) == media.Audio {
			rate = 48_000
		}
		w.scratch = appendSenderReport(w.scratch[:0], l, ntpTime(now), clock(now.UnixNano()-zero, rate), v.sdes)
		sealed, err := v.rtcp.EncryptRTCP(w.sealed[:0], w.scratch, &w.header)
		if err != nil {
			continue
		}
		w.sealed = sealed
		w.close(v, copy(w.open(v, len(sealed)), sealed))
	}
}

// appendSenderReport writes a compound of sender report and SDES (RFC 3550, 6.4.1 and 6.5).
func appendSenderReport(b []byte, l *lane, ntp uint64, ts uint32, sdes []byte) []byte {
	b = append(b, 0x80, 200, 0, 6)
	b = binary.BigEndian.AppendUint32(b, l.cfg.SSRC)
	b = binary.BigEndian.AppendUint64(b, ntp)
	b = binary.BigEndian.AppendUint32(b, ts)
	b = binary.BigEndian.AppendUint32(b, l.packets)
	b = binary.BigEndian.AppendUint32(b, l.bytes)
	b = append(b, 0x81, 202)
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(sdes)/4))
	b = binary.BigEndian.AppendUint32(b, l.cfg.SSRC)
	return append(b, sdes...)
}
