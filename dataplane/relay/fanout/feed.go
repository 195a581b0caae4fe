package fanout

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

const (
	feedSlots    = 8192                   // packs that a feed keeps at most; a power of two
	feedMaxBytes = 32 << 20               // payload bytes that it keeps at most
	feedHistory  = 3 * time.Second        // packs older than the newest key frame are kept this long, to answer NACKs
	mappingLeak  = 500 * time.Microsecond // per second: how fast the clock mapping follows a drift towards later
)

// Feed turns one stream of the hub into packs, once for all viewers. One goroutine writes; readers take no lock: a slot
// either holds the pack that is asked for, or it is gone.
type Feed struct {
	Stream *hub.Stream

	slots [feedSlots]atomic.Pointer[Pack]
	head  atomic.Uint64 // Seq of the next pack to come
	key   atomic.Uint64 // Seq + 1 of the newest key pack; 0 when there is none
	ended atomic.Bool
	broke atomic.Pointer[PanicError] // packetising panicked
	video atomic.Uint32              // media.Codec of the video now; changes close viewers that cannot play it

	zero atomic.Int64 // wall clock of stream time zero, Unix nanoseconds; 0 before the first frame

	mu      sync.Mutex
	workers []*Worker // those that have viewers of this feed
	stop    context.CancelFunc
	done    chan struct{}

	// Owned by the writing goroutine.
	tail   uint64
	bytes  int
	counts [3]struct{ packets, frames uint64 } // by media.Kind
	base   time.Time                           // wall clock of stream time zero, as early as seen
	baseAt time.Time
}

// NewFeed starts to packetise a stream. The frames that the hub has from its newest key frame on are packetised before
// it returns.
func NewFeed(stream *hub.Stream) *Feed {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Feed{Stream: stream, stop: cancel, done: make(chan struct{})}
	r := stream.NewReader()
	for {
		frame, err := r.TryNext()
		if frame == nil || err != nil {
			break
		}
		f.add(frame)
	}
	go f.run(ctx, r)
	return f
}

func (f *Feed) run(ctx context.Context, r *hub.Reader) {
	defer close(f.done)
	defer r.Close()
	defer func() {
		if p := recover(); p != nil { // a frame that cannot be packetised ends the stream's viewers, not the process
			f.broke.Store(caught("packetising", p))
			f.ended.Store(true)
			f.wake()
		}
	}()
	for {
		frame, err := r.Next(ctx)
		if err != nil {
			f.ended.Store(errors.Is(err, io.EOF))
			f.wake()
			return
		}
		f.add(frame)
		f.wake()
	}
}

// Close stops the feed.
func (f *Feed) Close() {
	f.stop()
	<-f.done
}

// failure is why the feed ended; nil when the stream did.
func (f *Feed) failure() error {
	if broke := f.broke.Load(); broke != nil {
		return broke
	}
	return nil
}

// Ended reports whether the stream is over: there will be no more packs.
func (f *Feed) Ended() bool { return f.ended.Load() }

func (f *Feed) add(frame *media.Frame) {
	p := packetize(frame)
	if p == nil {
		return
	}
	f.observe(frame)
	count := &f.counts[p.Kind]
	p.Seq, p.First, p.Ordinal = f.head.Load(), count.packets, count.frames
	count.packets += uint64(p.Packets())
	count.frames++
	if p.Kind == media.Video {
		f.video.Store(uint32(p.Codec))
	}
	f.bytes += p.Size()
	f.slots[p.Seq%feedSlots].Store(p)
	f.trim(p)
	if p.Key {
		f.key.Store(p.Seq + 1)
	}
	f.head.Store(p.Seq + 1)
}

// trim lets go of packs that nobody joins at and nobody asks for again.
func (f *Feed) trim(newest *Pack) {
	for f.tail < newest.Seq {
		oldest := f.slots[f.tail%feedSlots].Load()
		full := f.bytes > feedMaxBytes || newest.Seq-f.tail >= feedSlots-1
		old := f.tail+1 < f.key.Load() && newest.Ingest.Sub(oldest.Ingest) > feedHistory
		if !full && !old {
			return
		}
		f.bytes -= oldest.Size()
		f.slots[f.tail%feedSlots].Store(nil)
		f.tail++
	}
}

// observe keeps the mapping of stream time to wall clock, which sender reports carry: the earliest arrival counts,
// since lateness is jitter; a slow leak follows clocks that drift apart.
func (f *Feed) observe(frame *media.Frame) {
	base := frame.Ingest.Add(-frame.DTS)
	leak := time.Duration(float64(mappingLeak) * frame.Ingest.Sub(f.baseAt).Seconds())
	if f.base.IsZero() || base.Before(f.base.Add(leak)) || base.Sub(f.base) > time.Second {
		f.base, f.baseAt = base, frame.Ingest
		f.zero.Store(base.UnixNano())
	}
}

// pack returns the pack with a number, or nil when it is not there any more.
func (f *Feed) pack(seq uint64) *Pack {
	p := f.slots[seq%feedSlots].Load()
	if p == nil || p.Seq != seq {
		return nil
	}
	return p
}

// newestKey returns the Seq of the newest key pack.
func (f *Feed) newestKey() (uint64, bool) {
	k := f.key.Load()
	return k - 1, k > 0
}

// newestOf returns the newest pack of a kind below end and not below start.
func (f *Feed) newestOf(kind media.Kind, start, end uint64) *Pack {
	for seq := end; seq > start; seq-- {
		if p := f.pack(seq - 1); p == nil {
			return nil
		} else if p.Kind == kind {
			return p
		}
	}
	return nil
}

// videoBytes sums up the video from start to before end.
func (f *Feed) videoBytes(start, end uint64) int {
	n := 0
	for seq := start; seq < end; seq++ {
		if p := f.pack(seq); p != nil && p.Kind == media.Video {
			n += p.Size()
		}
	}
	return n
}

func (f *Feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.workers {
		w.signal()
	}
}

func (f *Feed) attach(w *Worker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers = append(f.workers, w)
}

func (f *Feed) detach(w *Worker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.workers {
		if f.workers[i] == w {
			f.workers = append(f.workers[:i], f.workers[i+1:]...)
			return
		}
	}
}
