package fanout

import (
	"errors"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// ErrCodecChanged ends a viewer whose stream goes on in a codec that it did not negotiate; a new offer gets the new
// one.
var ErrCodecChanged = errors.New("the stream's codec changed")

// ErrStalled ends a viewer whose TCP connection has taken nothing for a while.
var ErrStalled = errors.New("the viewer's TCP connection takes no more")

const (
	burstTime    = 0.15     // seconds in which a join's backlog should leave
	burstMinRate = 20e6 / 8 // bytes per second
	burstMaxRate = 40e6 / 8 // bytes per second
	burstFirst   = 32 << 10 // bytes that leave at once
	// 90 kHz units into which a repeated GOP is squeezed: less than a frame at 60 fps
	rejoinSpan  = 1200
	rejoinPause = 500 * time.Millisecond // between two joins of a viewer
)

// join puts a viewer at the newest key pack. The frames from there to the live edge get squeezed timestamps, so the
// picture comes at once and stands at the edge at once; audio starts at the edge. Without a key pack the viewer waits
// for one.
func (v *Viewer) join(now time.Time) {
	f := v.feed
	head := f.head.Load()
	if !v.joined {
		v.joined, v.audioFrom, v.nextSR = true, head, now
	}
	v.lastJoin, v.cursor = now, head
	v.burst.active, v.compress.step = false, 0
	l := v.lane(media.Video)
	if l == nil {
		return
	}
	v.waitKey, v.waitsFor = true, CauseNoKey
	l.joinAt = l.next // timestamps change from here on: what was sent before is never sealed again under its old number
	seq, ok := f.newestKey()
	if !ok {
		return
	}
	key, edge := f.pack(seq), f.newestOf(media.Video, seq, head)
	if key == nil || edge == nil || key.Kind != media.Video {
		return
	}
	v.cursor, v.waitKey = seq, false
	v.compress = squeeze(l, key, edge)
	backlog := f.videoBytes(seq, head)
	v.burst = burst{active: true, since: now, rate: min(max(float64(backlog)/burstTime, burstMinRate), burstMaxRate)}
}

// squeeze makes the timestamps of the frames from key to edge: the edge keeps its own, those before it stand 1 ms
// apart. A viewer that has seen later frames already gets them between its last frame and the next one.
func squeeze(l *lane, key, edge *Pack) compression {
	frames := uint32(edge.Ordinal - key.Ordinal)
	c := compression{first: key.Ordinal, last: edge.Ordinal, ts: edge.TS, step: compressStep}
	if !l.started {
		return c
	}
	if room := int32(edge.TS - l.lastTS); room > 0 && uint32(room) > frames {
		c.step = min(c.step, uint32(room)/(frames+1))
		return c
	}
	c.step = max(1, min(c.step, rejoinSpan/(frames+1)))
	c.ts = l.lastTS + (frames+1)*c.step
	return c
}

// mayRejoin reports whether a viewer that lost its reference may start again at a cached key frame now.
func (v *Viewer) mayRejoin(now time.Time) bool {
	return v.joined && !v.burst.active && now.Sub(v.lastJoin) >= rejoinPause
}

// held reports whether a burst must pause now, so that it keeps its rate.
func (b *burst) held(now time.Time) bool {
	return b.sent > burstFirst+b.rate*now.Sub(b.since).Seconds()
}

// deliver sends a viewer what it has not got yet. It gives true when the viewer is to be asked again soon, for it is
// being paced.
func (w *Worker) deliver(v *Viewer, now time.Time) bool {
	if v.ended {
		return false
	}
	if !v.joined {
		v.join(now)
	}
	if v.cfg.TCP != nil && !v.cfg.TCP.flush() {
		return v.hold(now)
	}
	head := v.feed.head.Load()
	for v.cursor < head {
		if v.burst.active && v.burst.held(now) {
			return true
		}
		p := v.feed.pack(v.cursor)
		if p == nil { // fell out of the ring
			v.join(now)
			continue
		}
		v.cursor++
		if !w.send(v, p, now) {
			return v.hold(now)
		}
	}
	v.burst.active = false
	if v.feed.Ended() && v.cursor >= v.feed.head.Load() {
		v.end(v.feed.failure())
	}
	return false
}

// hold keeps a viewer whose TCP connection is full: it is asked again soon, and what it misses meanwhile is skipped up
// to a key frame. One that takes nothing for long is ended.
func (v *Viewer) hold(now time.Time) bool {
	if v.cfg.TCP.stalled(now) {
		v.end(ErrStalled)
		return false
	}
	head := v.feed.head.Load()
	if head-v.cursor > 256 {
		v.leftOut(CauseConnection, head-v.cursor)
		v.cursor, v.waitKey, v.waitsFor, v.burst.active = head, true, CauseConnection, false
	}
	return true
}

func (v *Viewer) end(err error) {
	if !v.ended {
		v.ended = true
		v.cfg.OnEnd(err)
	}
}

// send sends one pack to a viewer, or passes it over. It gives false when the viewer's connection took no more.
func (w *Worker) send(v *Viewer, p *Pack, now time.Time) bool {
	l := v.lane(p.Kind)
	if l == nil {
		return true
	}
	if p.Codec != l.cfg.Codec {
		if p.Kind == media.Video {
			v.end(ErrCodecChanged)
		}
		return true
	}
	if p.Kind == media.Audio {
		if p.Seq < v.audioFrom {
			return true
		}
		v.audioFrom = p.Seq + 1
	} else if v.waitKey {
		if !p.Key {
			v.leftOut(v.waitsFor, 1)
			return true
		}
		v.waitKey = false
		v.compress.step = 0
		l.joinAt = l.next
	} else if cause, drop := v.drops(p); drop {
		v.leftOut(cause, 1)
		return true
	}
	ts := v.compress.apply(p)
	l.lastTS = ts
	if v.Counts.FirstSent.Load() == 0 && (p.Kind == media.Video || v.lane(media.Video) == nil) {
		v.Counts.FirstSent.Store(now.UnixNano())
	}
	ext := l.place(p)
	v.burst.sent += float64(p.Size())
	last := p.Packets() - 1
	for i := range last + 1 {
		w.packet(v, l, p, i, ext, ts, i == last && p.Kind == media.Video)
		if l.sent != nil {
			l.sent.note(uint16(ext), now)
		}
		ext++
	}
	l.packets += uint32(p.Packets())
	l.bytes += uint32(p.Size())
	v.Counts.Packets.Add(uint64(p.Packets()))
	v.Counts.Bytes.Add(uint64(p.Size()))
	return v.cfg.TCP == nil || v.cfg.TCP.flush()
}

// packet seals one packet into the viewer's way out.
func (w *Worker) packet(v *Viewer, l *lane, p *Pack, i int, ext uint64, ts uint32, marker bool) {
	payload := p.Payload(i)
	seq, roc := uint16(ext), uint32(ext>>16)
	buf := w.open(v, maxHeader+len(payload)+v.sealer.overhead())
	n := l.header(buf, l.cfg.PayloadType, l.cfg.SSRC, seq, ext, ts, p.NTP, marker)
	w.close(v, v.sealer.seal(buf, n, payload, l.cfg.SSRC, roc, seq))
}

// open returns a buffer for a packet of at most n bytes in the viewer's way out; close adds the packet.
func (w *Worker) open(v *Viewer, n int) []byte {
	if v.cfg.TCP != nil {
		w.opened = v.cfg.TCP
		return v.cfg.TCP.open(n)
	}
	return w.batch(v.cfg.Socket).room(n)
}

func (w *Worker) close(v *Viewer, size int) {
	if v.cfg.TCP != nil {
		w.opened = nil
		v.cfg.TCP.close(size)
		return
	}
	w.batch(v.cfg.Socket).commit(v.cfg.Dest, size)
}
