package hls

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// wallTime tells what time of day a segment begins at, for EXT-X-PROGRAM-DATE-TIME. Players lay playlists over each
// other by these dates, so between two segments exactly that much time passes as the first one lasts (RFC 8216bis,
// 4.4.4.6), however unevenly an encoder sends: one that starts sends late at first, and then catches up.
type wallTime struct {
	epoch  uint64
	known  bool
	ahead  time.Duration // wall clock minus DTS, in nanoseconds since 1970
	seen   time.Duration // the least of it since the last segment: that of the frame that was held up least
	any    bool          // seen is set
	before time.Duration // DTS of the last segment
}

// maxSlew is by how much a second may be off, so that the dates follow a publisher whose clock is not ours: five times
// what crystals are off by.
const maxSlew = time.Millisecond

// observe looks at a frame; of the frames that are there when an epoch begins, at all before begin.
func (w *wallTime) observe(f *media.Frame) {
	if f.Ingest.IsZero() || w.known && f.Epoch != w.epoch {
		return
	}
	if ahead := time.Duration(f.Ingest.UnixNano()) - f.DTS; !w.any || ahead < w.seen {
		w.seen, w.any = ahead, true
	}
}

// begin returns the time at which a segment begins, whose first frame is f.
func (w *wallTime) begin(f *media.Frame, now time.Time) time.Time {
	if !w.known || f.Epoch != w.epoch {
		if w.known { // what was seen is of the epoch before
			w.any = false
		}
		w.epoch = f.Epoch
		w.observe(f)
		if !w.any {
			w.seen = time.Duration(now.UnixNano()) - f.DTS
		}
		w.known, w.ahead = true, w.seen
	} else if w.any {
		most := max(time.Duration((f.DTS-w.before).Seconds()*float64(maxSlew)), 0)
		w.ahead += min(max(w.seen-w.ahead, -most), most)
	}
	w.any, w.before = false, f.DTS
	return time.Unix(0, int64(w.ahead+f.DTS))
}
