package fanout

import (
	"encoding/binary"
	"sort"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// nack answers one entry of a generic NACK (RFC 4585, 6.2.1): the packet pid and those behind it that blp names.
func (w *Worker) nack(v *Viewer, ssrc uint32, pid, blp uint16, now time.Time) {
	if v.ended || v.cfg.TCP != nil { // TCP loses nothing; what a connection does not take must not grow by being asked for
		return
	}
	for _, l := range v.lanes {
		if l == nil || l.cfg.SSRC != ssrc {
			continue
		}
		w.repeat(v, l, pid, now)
		for i := range uint16(16) {
			if blp&(1<<i) != 0 {
				w.repeat(v, l, pid+i+1, now)
			}
		}
	}
}

// repeat sends a packet again, from the feed's packs: as RTX where that was negotiated (RFC 4588, 4), else as it was.
func (w *Worker) repeat(v *Viewer, l *lane, seq uint16, now time.Time) {
	ext, number, ok := l.number(seq)
	if !ok {
		return
	}
	p := v.feed.find(l.cfg.Codec.Kind(), number)
	if p == nil || p.Codec != l.cfg.Codec {
		return
	}
	i := int(number - p.First)
	if !v.repair.take(len(p.Payload(i)), now, v.Counts.Bytes.Load()) {
		return
	}
	v.Counts.Repeats.Add(1)
	v.Counts.Packets.Add(1)
	marker := i == p.Packets()-1 && p.Kind == media.Video
	ts := v.compress.apply(p)
	if l.cfg.RTXType == 0 {
		w.packet(v, l, p, i, ext, ts, marker)
		return
	}
	w.scratch = append(binary.BigEndian.AppendUint16(w.scratch[:0], seq), p.Payload(i)...)
	rtxSeq, rtxROC := uint16(l.rtxNext), uint32(l.rtxNext>>16)
	l.rtxNext++
	buf := w.open(v, maxHeader+len(w.scratch)+v.sealer.overhead())
	n := l.header(buf, l.cfg.RTXType, l.cfg.RTXSSRC, rtxSeq, ext, ts, p.NTP, marker)
	w.close(v, v.sealer.seal(buf, n, w.scratch, l.cfg.RTXSSRC, rtxROC, rtxSeq))
}

// find returns the pack that holds the packet of a kind with the given number, or nil.
func (f *Feed) find(kind media.Kind, number uint64) *Pack {
	head := f.head.Load()
	low := uint64(0)
	if head > feedSlots {
		low = head - feedSlots
	}
	// The first position at which the newest pack of this kind at or before it lies behind number, or that is still in the
	// feed.
	n := sort.Search(int(head-low), func(i int) bool {
		p := f.at(kind, low+uint64(i))
		return p != nil && p.First+uint64(p.Packets()) > number
	})
	p := f.at(kind, low+uint64(n))
	if p == nil || number < p.First || number >= p.First+uint64(p.Packets()) {
		return nil
	}
	return p
}

// at returns the newest pack of a kind at or before a position; nil when there is none in the feed.
func (f *Feed) at(kind media.Kind, seq uint64) *Pack {
	for {
		p := f.pack(seq)
		if p == nil || p.Kind == kind {
			return p
		}
		if seq == 0 {
			return nil
		}
		seq--
	}
}
