package play

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/play/meter"
)

// Report is the outcome of a play, as `millrace play --json` prints it. Times are in milliseconds.
type Report struct {
	URL     string `json:"url"`     // without its query
	Dialect string `json:"dialect"` // artc or whep
	Client  string `json:"client"`  // full (pion) or lean
	// all, sample (1 packet of 16, all until the first picture and while one is missing) or none
	Decrypt string  `json:"decrypt"`
	Seconds float64 `json:"seconds"`

	Viewers int `json:"viewers"`
	Playing int `json:"playing"` // viewers that had a picture; of a stream without video, sound

	SignallingMs  *meter.Quantiles `json:"signallingMs,omitempty"`
	ConnectMs     *meter.Quantiles `json:"connectMs,omitempty"`
	FirstPacketMs *meter.Quantiles `json:"firstPacketMs,omitempty"`
	FirstFrameMs  *meter.Quantiles `json:"firstFrameMs,omitempty"`
	// capture to complete frame, over all frames of all viewers
	LatencyMs    *meter.Quantiles `json:"latencyMs,omitempty"`
	LatencyClock string           `json:"latencyClock,omitempty"`

	Total   Total    `json:"total"`
	Load    *Load    `json:"load,omitempty"`
	Errors  []Reason `json:"errors,omitempty"` // why viewers had no picture
	Endings []Reason `json:"endings,omitempty"`

	Each []meter.Stats `json:"each"` // in the order of joining
}

// Total adds up all viewers.
type Total struct {
	Mbps            float64 `json:"mbps"`
	FPSMin          float64 `json:"fpsMin"` // of the viewers with a picture
	FPSMean         float64 `json:"fpsMean"`
	Packets         uint64  `json:"packets"`
	Lost            uint64  `json:"lost"`
	Recovered       uint64  `json:"recovered"`
	Duplicates      uint64  `json:"duplicates"`
	Reordered       uint64  `json:"reordered"`
	SocketDrops     uint64  `json:"socketDrops"`
	DecodableFrames uint64  `json:"decodableFrames"`
	DamagedFrames   uint64  `json:"damagedFrames"`
	Stalls          uint64  `json:"stalls"`
	StalledMs       float64 `json:"stalledMs"`
	ViewersStalled  int     `json:"viewersStalled"`
}

// Load is what this process itself spent while all viewers were watching.
type Load struct {
	CPUSeconds         float64 `json:"cpuSeconds"`
	Packets            uint64  `json:"packets"`
	CPUMicrosPerPacket float64 `json:"cpuMicrosPerPacket"`
	PacketsPerRead     float64 `json:"packetsPerRead,omitempty"` // per system call; lean client only
}

// Reason is a cause and the number of viewers that had it.
type Reason struct {
	Reason  string `json:"reason"`
	Viewers int    `json:"viewers"`
}

func (r *run) report(took time.Duration) *Report {
	out := &Report{
		URL: r.target.String(), Dialect: string(r.target.Dialect), Client: "full", Decrypt: "all",
		Seconds: took.Seconds(), Viewers: len(r.viewers),
	}
	if r.engine != nil {
		out.Client, out.Decrypt = "lean", string(r.options.Decrypt)
	}
	var signalling, connect, firstPacket, firstFrame, latency meter.Histogram
	failures, endings := map[string]int{}, map[string]int{}
	now := time.Now()
	for i, v := range r.viewers {
		stats := v.Snapshot(now)
		if err := r.errors[i]; err != nil {
			stats.Error = err.Error()
		}
		if stats.Playing() {
			out.Playing++
		} else {
			failures[reasonOf(&stats)]++
		}
		if stats.Ended != "" {
			endings[stats.Ended]++
		}
		for _, pair := range []struct {
			h  *meter.Histogram
			ms float64
		}{{&signalling, stats.SignallingMs}, {&connect, stats.ConnectMs}, {&firstPacket, stats.FirstPacketMs},
			{&firstFrame, stats.FirstFrameMs}} {
			if pair.ms > 0 {
				pair.h.Add(time.Duration(pair.ms * float64(time.Millisecond)))
			}
		}
		stats.MergeLatency(&latency)
		out.LatencyClock = cmp.Or(out.LatencyClock, stats.Clock)
		out.Total.add(&stats)
		out.Each = append(out.Each, stats)
	}
	if out.Playing > 0 {
		out.Total.FPSMean /= float64(out.Playing)
	}
	out.SignallingMs, out.ConnectMs = quantiles(&signalling), quantiles(&connect)
	out.FirstPacketMs, out.FirstFrameMs = quantiles(&firstPacket), quantiles(&firstFrame)
	out.LatencyMs = quantiles(&latency)
	out.Errors, out.Endings = sorted(failures), sorted(endings)
	if l := r.load; l.done && l.packets > 0 {
		out.Load = &Load{
			CPUSeconds: l.cpu.Seconds(), Packets: l.packets,
			CPUMicrosPerPacket: float64(l.cpu.Nanoseconds()) / 1000 / float64(l.packets),
		}
		if l.reads > 0 {
			out.Load.PacketsPerRead = float64(l.packets) / float64(l.reads)
		}
	}
	return out
}

func (t *Total) add(s *meter.Stats) {
	t.Mbps += (s.VideoKbps + s.AudioKbps) / 1000
	if s.Playing() {
		t.FPSMean += s.FPS
		if t.FPSMin == 0 || s.FPS < t.FPSMin {
			t.FPSMin = s.FPS
		}
	}
	t.Packets += s.Packets
	t.Lost += s.Lost
	t.Recovered += s.Recovered
	t.Duplicates += s.Duplicates
	t.Reordered += s.Reordered
	t.SocketDrops += s.SocketDrops
	t.DecodableFrames += s.DecodableFrames
	t.DamagedFrames += s.DamagedFrames
	t.Stalls += s.Stalls
	t.StalledMs += s.StalledMs
	if s.Stalls > 0 {
		t.ViewersStalled++
	}
}

// reasonOf says why a viewer had no picture.
func reasonOf(s *meter.Stats) string {
	switch {
	case s.Error != "":
		return s.Error
	case s.ConnectMs == 0:
		return "not connected when the play ended"
	case s.Undecryptable > 0 && s.DecodableFrames == 0:
		return "packets came, but the negotiated keys do not decrypt them"
	case s.UnknownType > 0 && s.Packets == 0:
		return "packets came, but none of a payload type that the answer names"
	case s.Packets == 0:
		return "connected, but no media packet came"
	case s.DamagedFrames > 0 && s.Frames == 0:
		return "packets came, but every frame had one missing"
	}
	return "packets came, but no complete key frame"
}

// Failure is nil when every viewer had a picture; otherwise it says how many had none, and why.
func (r *Report) Failure() error { return failure(r.Playing, r.Viewers, r.Errors) }

func failure(playing, viewers int, reasons []Reason) error {
	if playing == viewers {
		return nil
	}
	why := ""
	if len(reasons) > 0 {
		why = ": " + reasons[0].Reason
	}
	if viewers == 1 {
		return errors.New("nothing plays" + why)
	}
	return fmt.Errorf("%d of %d viewers had no picture%s", viewers-playing, viewers, why)
}

func quantiles(h *meter.Histogram) *meter.Quantiles {
	if h.Count() == 0 {
		return nil
	}
	return meter.DurationQuantiles(h)
}

// sorted lists reasons, the most frequent first.
func sorted(counts map[string]int) []Reason {
	var out []Reason
	for reason, viewers := range counts {
		out = append(out, Reason{reason, viewers})
	}
	slices.SortFunc(out, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Viewers, a.Viewers), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}
