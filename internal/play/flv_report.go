package play

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/millrace/millrace/internal/play/flv"
	"github.com/millrace/millrace/internal/play/meter"
)

// FLVReport is the outcome of a play of FLV, as `millrace play --json` prints it. Times are in milliseconds.
type FLVReport struct {
	URL      string  `json:"url"`      // without its query
	Protocol string  `json:"protocol"` // http-flv or ws-flv
	Seconds  float64 `json:"seconds"`

	Viewers int `json:"viewers"`
	Playing int `json:"playing"` // viewers that had a picture; of a stream without video, sound

	AnswerMs     *meter.Quantiles `json:"answerMs,omitempty"`
	FirstFrameMs *meter.Quantiles `json:"firstFrameMs,omitempty"`
	// over all tags of all viewers, after the tag that came fastest
	LatencyMs    *meter.Quantiles `json:"latencyMs,omitempty"`
	LatencyClock string           `json:"latencyClock,omitempty"`

	Total   FLVTotal    `json:"total"`
	Slow    *FLVSlow    `json:"slow,omitempty"`
	Load    *FLVLoad    `json:"load,omitempty"`
	Errors  []Reason    `json:"errors,omitempty"`
	Endings []Reason    `json:"endings,omitempty"`
	Each    []flv.Stats `json:"each"` // viewers in the order of joining; without the slow ones

	SlowKbps int `json:"-"`
}

// FLVTotal adds up all viewers.
type FLVTotal struct {
	Mbps      float64 `json:"mbps"`
	Tags      uint64  `json:"tags"`
	Bytes     uint64  `json:"bytes"`
	Lost      uint64  `json:"lost"`
	Differing uint64  `json:"differing"`
	Backwards uint64  `json:"backwards"`
}

// FLVSlow adds up the slow readers.
type FLVSlow struct {
	Readers  int      `json:"readers"`
	Kbps     int      `json:"kbps"` // what each reads
	Sessions int      `json:"sessions"`
	Tags     uint64   `json:"tags"`
	Bytes    uint64   `json:"bytes"`
	Lost     uint64   `json:"lost"`
	Errors   []Reason `json:"errors,omitempty"`
}

// FLVLoad is what this process itself spent while all viewers were watching.
type FLVLoad struct {
	CPUSeconds        float64 `json:"cpuSeconds"`
	Tags              uint64  `json:"tags"`
	CPUMicrosPerTag   float64 `json:"cpuMicrosPerTag"`
	CPUSecondsPerGbit float64 `json:"cpuSecondsPerGbit"`
}

// clockTimestamps: latency is after the tag that came fastest in relation to its time stamp.
const clockTimestamps = "timestamps"

func (r *FLVReport) fill(good, slow *flv.Part) {
	each, latency := good.Look()
	r.Viewers, r.Each = len(each), each
	failures, endings := map[string]int{}, map[string]int{}
	var answer, first meter.Histogram
	for i := range each {
		s := &each[i]
		switch {
		case s.Playing():
			r.Playing++
			first.Add(time.Duration(s.FirstFrameMs * float64(time.Millisecond)))
		case s.Error != "":
			failures[s.Error]++
		case s.AnswerMs == 0:
			failures["not answered when the play ended"]++
		default:
			failures["answered, but no key frame came"]++
		}
		if s.AnswerMs > 0 {
			answer.Add(time.Duration(s.AnswerMs * float64(time.Millisecond)))
		}
		if s.Playing() && s.Error != "" {
			endings[s.Error]++
		}
		if s.Ended != "" {
			endings[s.Ended]++
		}
		r.Total.Tags += s.VideoTags + s.AudioTags
		r.Total.Bytes += s.Bytes
		r.Total.Lost += s.Lost
		r.Total.Differing += s.Differing
		r.Total.Backwards += s.Backwards
	}
	r.Total.Mbps = float64(r.Total.Bytes) * 8 / 1e6 / r.Seconds
	r.AnswerMs, r.FirstFrameMs, r.LatencyMs = quantiles(&answer), quantiles(&first), quantiles(latency)
	if r.LatencyMs != nil {
		r.LatencyClock = clockTimestamps
	}
	r.Errors, r.Endings = sorted(failures), sorted(endings)
	r.fillSlow(slow)
}

func (r *FLVReport) fillSlow(slow *flv.Part) {
	each, _ := slow.Look()
	if len(each) == 0 {
		return
	}
	r.Slow = &FLVSlow{Readers: len(each), Kbps: r.SlowKbps}
	failures := map[string]int{}
	for i := range each {
		s := &each[i]
		r.Slow.Sessions += s.Sessions
		r.Slow.Tags += s.VideoTags + s.AudioTags
		r.Slow.Bytes += s.Bytes
		r.Slow.Lost += s.Lost
		if s.Error != "" {
			failures[s.Error]++
		}
	}
	r.Slow.Errors = sorted(failures)
}

// Failure is nil when every viewer had a picture; otherwise it says how many had none, and why.
func (r *FLVReport) Failure() error { return failure(r.Playing, r.Viewers, r.Errors) }

// Text writes the report for people.
func (r *FLVReport) Text(w io.Writer) {
	fmt.Fprintf(w, "%s  (%s, %.1f s)\n\n", r.URL, strings.ToUpper(r.Protocol), r.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	row("Viewers", "%d of %d with a picture", r.Playing, r.Viewers)
	for _, line := range []struct {
		name string
		q    *meter.Quantiles
	}{{"Answer", r.AnswerMs}, {"First picture", r.FirstFrameMs}, {"Latency", r.LatencyMs}} {
		if line.q != nil {
			row(line.name, "p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms", line.q.P50, line.q.P95, line.q.P99, line.q.Max)
		}
	}
	if r.LatencyClock != "" {
		row("Clock", "latency after the tag that came fastest, by %s", r.LatencyClock)
	}
	row("Received", "%d tags, %d bytes, %.1f Mbit/s", r.Total.Tags, r.Total.Bytes, r.Total.Mbps)
	row(
		"Lost",
		"%d tags; %d differ between viewers, %d have a time stamp that does not rise",
		r.Total.Lost,
		r.Total.Differing,
		r.Total.Backwards,
	)
	if s := r.Slow; s != nil {
		row(
			"Slow readers",
			"%d at %d kbit/s: %d tags, %d bytes, %d tags missed, %d connections",
			s.Readers,
			s.Kbps,
			s.Tags,
			s.Bytes,
			s.Lost,
			s.Sessions,
		)
	}
	if l := r.Load; l != nil {
		row("This client", "%.2f us of CPU per tag, %.2f s per Gbit", l.CPUMicrosPerTag, l.CPUSecondsPerGbit)
	}
	for _, end := range r.Endings {
		row("End", "%s (%d)", end.Reason, end.Viewers)
	}
	_ = t.Flush()
	for _, reason := range r.Errors {
		fmt.Fprintf(w, "\nNo picture (%d): %s\n", reason.Viewers, reason.Reason)
	}
	if r.Slow != nil {
		for _, reason := range r.Slow.Errors {
			fmt.Fprintf(w, "\nSlow reader (%d): %s\n", reason.Viewers, reason.Reason)
		}
	}
}
