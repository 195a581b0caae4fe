package meter

import (
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Stats is what one viewer has seen. Times are in milliseconds; a time of 0 means that it did not happen.
type Stats struct {
	Error string `json:"error,omitempty"` // why the viewer could not join
	Ended string `json:"ended,omitempty"` // how the play ended

	SignallingMs  float64 `json:"signallingMs"`  // from the request to the answer
	ConnectMs     float64 `json:"connectMs"`     // from the answer until ICE and DTLS are up
	FirstPacketMs float64 `json:"firstPacketMs"` // from the request to the first RTP packet
	// from the request to the first decodable frame: a complete IDR access unit
	FirstFrameMs float64 `json:"firstFrameMs"`

	SRTP   string   `json:"srtp,omitempty"`   // negotiated protection profile
	Codecs []string `json:"codecs,omitempty"` // in the answer
	Width  int      `json:"width,omitempty"`
	Height int      `json:"height,omitempty"`

	Seconds   float64 `json:"seconds"`   // from the first packet to the end
	FPS       float64 `json:"fps"`       // decodable frames per second after the first second
	VideoKbps float64 `json:"videoKbps"` // payload after the first second
	AudioKbps float64 `json:"audioKbps"`

	Packets    uint64 `json:"packets"`    // different RTP packets that arrived, repaired ones included
	Lost       uint64 `json:"lost"`       // never arrived
	Recovered  uint64 `json:"recovered"`  // arrived after they were asked for (NACK, RTX)
	Duplicates uint64 `json:"duplicates"` // arrived again
	Reordered  uint64 `json:"reordered"`  // arrived late by themselves

	Frames          uint64 `json:"frames"`          // complete video frames
	DecodableFrames uint64 `json:"decodableFrames"` // complete, and all that they refer to as well
	DistinctFrames  uint64 `json:"distinctFrames"`  // decodable, each once: a restart at a key frame brings frames again
	// from the first decodable frame to the newest, by their capture times; 0 without those
	CaptureSpanMs float64 `json:"captureSpanMs"`
	DamagedFrames uint64  `json:"damagedFrames"` // with a packet missing for good
	KeyFrames     uint64  `json:"keyFrames"`     // complete IDR frames; counts only those whose payload was decrypted
	// gaps between decodable frames over 3 frame intervals and over 200 ms
	Stalls       uint64  `json:"stalls"`
	StalledMs    float64 `json:"stalledMs"`
	LongestGapMs float64 `json:"longestGapMs"`
	KeyRequests  uint64  `json:"keyRequests"` // PLI sent
	Asked        uint64  `json:"asked"`       // packets asked for (NACK), each time counted

	// datagrams that this client's own socket dropped; contained in lost and recovered
	SocketDrops   uint64 `json:"socketDrops"`
	Undecryptable uint64 `json:"undecryptable,omitempty"` // packets that the negotiated keys do not open
	UnknownType   uint64 `json:"unknownType,omitempty"`   // packets of a payload type that the answer does not name

	Latency *Quantiles `json:"latencyMs,omitempty"`
	Clock   string     `json:"latencyClock,omitempty"` // abs-capture-time or sender-report
	Skewed  uint64     `json:"skewedFrames,omitempty"` // frames that came before they were captured: the clocks disagree

	latency Histogram
}

// Quantiles sums up a set of values.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Playing reports whether the viewer had a picture; of a stream without video, sound.
func (s *Stats) Playing() bool {
	return s.Error == "" && (s.DecodableFrames > 0 || (!s.hasVideo() && s.Packets > 0))
}

func (s *Stats) hasVideo() bool {
	for _, name := range s.Codecs {
		if name == media.H264.String() || name == media.H265.String() {
			return true
		}
	}
	return false
}

// MergeLatency adds the latency of all frames to h.
func (s *Stats) MergeLatency(h *Histogram) { h.Merge(&s.latency) }

// Snapshot returns the figures up to now.
func (v *Viewer) Snapshot(now time.Time) Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.stopped.IsZero() {
		now = v.stopped
	}
	out := Stats{
		Ended: v.ended, SRTP: v.profile, SocketDrops: v.drops, KeyRequests: v.plis, Undecryptable: v.bad,
		UnknownType:  v.unknown,
		SignallingMs: milliseconds(v.signalling), ConnectMs: milliseconds(v.connect),
		FirstPacketMs: milliseconds(v.firstPacket), FirstFrameMs: milliseconds(v.firstFrame),
	}
	for _, codec := range v.codecs {
		out.Codecs = append(out.Codecs, codec.String())
	}
	if v.firstPacket > 0 {
		out.Seconds = now.Sub(v.start.Add(v.firstPacket)).Seconds()
	}
	for _, s := range v.streams {
		s.addTo(&out, now, v.ended == EndedByServer)
	}
	if n := out.latency.Count(); n > 0 {
		out.Latency, out.Skewed = DurationQuantiles(&out.latency), out.latency.Negative()
	}
	return out
}

// EndedByServer is the reason of a play that the server ended by close_notify or a fatal alert.
const EndedByServer = "ended by the server"

// addTo adds the stream's figures; ended is true when the stream was over, so that silence at the end is no stall.
func (s *stream) addTo(out *Stats, now time.Time, ended bool) {
	out.Packets += s.unique
	out.Lost += s.lost()
	out.Recovered += s.recovered
	out.Duplicates += s.duplicates
	out.Reordered += s.reordered
	out.Asked += s.asks
	if s.codec.Kind() == media.Audio {
		if span := time.Duration(s.lastArrival - s.firstArrival).Seconds(); span > 0 {
			out.AudioKbps += float64(s.bytes) * 8 / 1000 / span
		}
		return
	}
	out.Frames += s.complete
	out.DecodableFrames += s.frames
	out.DistinctFrames += s.distinct
	out.CaptureSpanMs = max(out.CaptureSpanMs, milliseconds(time.Duration(s.newest-s.oldest)))
	out.DamagedFrames += s.bad
	out.KeyFrames += s.keys
	out.Stalls += s.stalls
	stalled, longest := s.stalled, s.longestGap
	if s.lastFrame != 0 && !ended {
		gap := time.Duration(now.UnixNano() - s.lastFrame)
		longest = max(longest, gap)
		if gap > s.stallLimit() {
			out.Stalls++
			stalled += gap
		}
	}
	out.StalledMs += milliseconds(stalled)
	out.LongestGapMs = max(out.LongestGapMs, milliseconds(longest))
	if s.width > 0 {
		out.Width, out.Height = s.width, s.height
	}
	if span := time.Duration(s.lastFrame - s.settledAt).Seconds(); s.settledAt != 0 && span > 0 {
		out.FPS += float64(s.settled) / span
		out.VideoKbps += float64(s.bytes-s.settledSize) * 8 / 1000 / span
	}
	if s.latency.Count() > 0 {
		out.latency.Merge(&s.latency)
		out.Clock = s.clockName()
	}
}

// DurationQuantiles returns the quantiles of h in milliseconds.
func DurationQuantiles(h *Histogram) *Quantiles {
	return &Quantiles{
		P50: milliseconds(h.Quantile(0.50)), P95: milliseconds(h.Quantile(0.95)),
		P99: milliseconds(h.Quantile(0.99)), Max: milliseconds(h.Max()),
	}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
