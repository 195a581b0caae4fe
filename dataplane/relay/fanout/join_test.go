package fanout

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Whatever the length of the GOP and wherever the viewer stands: timestamps of a repeated GOP rise, from beyond the
// last one sent.
func TestRepeatedGOPMovesForward(t *testing.T) {
	for _, frames := range []uint64{1, 2, 50, 1199, 1200, 1201, 4000} {
		// of the edge before the viewer's last frame
		for _, ahead := range []uint32{0, 1, 40, 1500, 3600, 90_000, 1<<32 - 500} {
			const lastTS = 1<<32 - 700 // wraps on the way
			l := &lane{started: true, lastTS: lastTS}
			key, edge := &Pack{
				Kind:    media.Video,
				Ordinal: 7,
			}, &Pack{
				Kind:    media.Video,
				Ordinal: 7 + frames - 1,
				TS:      lastTS + ahead,
			}
			c := squeeze(l, key, edge)
			last := uint32(lastTS)
			for o := key.Ordinal; o <= edge.Ordinal; o++ {
				ts := c.apply(&Pack{Kind: media.Video, Ordinal: o})
				if int32(ts-last) <= 0 {
					t.Fatalf("%d frames, edge %d ahead: frame %d moves by %d", frames, int32(ahead), o, int32(ts-last))
				}
				last = ts
			}
		}
	}
}

// A join that finds no key frame drops the squeezed timestamps; packets that were sent with them must not be repeated
// with others, for that would use an SRTP nonce twice.
func TestNothingSentBeforeAJoinIsSealedAgain(t *testing.T) {
	f := &Feed{}
	at := time.Duration(0)
	add := func(key bool) {
		f.add(
			&media.Frame{
				Track:  &media.Track{Codec: media.H264},
				Key:    key,
				DTS:    at,
				PTS:    at,
				Ingest: time.Unix(1, 0),
				Units:  [][]byte{nal(0x41, 20)},
				Size:   20,
			},
		)
		at += time.Millisecond
	}
	for i := range 100 {
		add(i == 0)
	}
	key, salt := testKeys(AEADAES128GCM)
	v, err := NewViewer(
		ViewerConfig{Video: LaneConfig{Codec: media.H264, SSRC: 1}, Profile: AEADAES128GCM, Key: key, Salt: salt},
	)
	if err != nil {
		t.Fatal(err)
	}
	v.feed = f
	v.join(time.Now())
	l := v.lane(media.Video)
	for ; v.cursor < f.head.Load(); v.cursor++ {
		l.place(f.pack(v.cursor))
	}
	seq := uint16(l.next - 1)
	_, number, ok := l.number(seq)
	p := f.find(media.Video, number)
	if !ok || p == nil || p.Ordinal != 99 {
		t.Fatalf("the newest packet is not found: %v, %+v", ok, p)
	}
	for range feedSlots - 50 { // the key frame leaves the feed, the packet stays
		add(false)
	}
	if f.find(media.Video, number) == nil {
		t.Fatal("the packet left the feed")
	}
	v.join(time.Now())
	if _, _, ok := l.number(seq); ok {
		t.Error("a packet of before the join would be repeated")
	}
}

// A feed that nobody watches any more is not held by the worker.
func TestWorkerLetsGoOfFeeds(t *testing.T) {
	w := newWorker()
	v := &Viewer{feed: &Feed{}}
	w.add(v)
	w.remove(v)
	if left := w.groups[:cap(w.groups)]; len(w.groups) != 0 || left[0] != nil || len(v.feed.workers) != 0 {
		t.Errorf("the worker holds %v", left)
	}
}
