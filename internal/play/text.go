package play

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/millrace/millrace/internal/play/meter"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "%s  (%s, %s client, %.1f s)\n\n", r.URL, strings.ToUpper(r.Dialect), r.Client, r.Seconds)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if r.Viewers == 1 {
		r.one(table)
	} else {
		r.many(table)
	}
	_ = table.Flush()
	for _, reason := range r.Errors {
		fmt.Fprintf(w, "\nNo picture (%d): %s\n", reason.Viewers, reason.Reason)
	}
	skewed := uint64(0)
	for i := range r.Each {
		skewed += r.Each[i].Skewed
	}
	if skewed > 0 {
		fmt.Fprintf(
			w,
			"\n%d frames seem to have come before they were captured: the clocks of the two machines disagree.\n",
			skewed,
		)
	}
	if r.Total.SocketDrops > 0 {
		fmt.Fprintf(w, "\n%d datagrams were dropped by this client's own sockets because they were not read in time: "+
			"they count as missing above, but the network did not lose them.\n", r.Total.SocketDrops)
	}
}

// one writes the figures of a single viewer.
func (r *Report) one(w io.Writer) {
	s := &r.Each[0]
	row := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	if s.SignallingMs > 0 {
		row("Answer", "after %.1f ms", s.SignallingMs)
	}
	if s.ConnectMs > 0 {
		row("Connected", "%.1f ms later (ICE and DTLS), %s", s.ConnectMs, s.SRTP)
	}
	if s.FirstPacketMs > 0 {
		row("First packet", "after %.1f ms", s.FirstPacketMs)
	}
	if s.FirstFrameMs > 0 {
		row("First picture", "after %.1f ms", s.FirstFrameMs)
	}
	if s.Packets > 0 {
		size := ""
		if s.Width > 0 {
			size = fmt.Sprintf(", %dx%d", s.Width, s.Height)
		}
		row(
			"Stream",
			"%s%s, %.2f fps, video %.0f kbit/s, audio %.0f kbit/s",
			strings.Join(s.Codecs, " + "),
			size,
			s.FPS,
			s.VideoKbps,
			s.AudioKbps,
		)
		row(
			"Packets",
			"%d, lost %d, recovered %d, duplicates %d, reordered %d",
			s.Packets,
			s.Lost,
			s.Recovered,
			s.Duplicates,
			s.Reordered,
		)
		row(
			"Frames",
			"%d decodable, %d damaged, %d key frames, %d key frame requests",
			s.DecodableFrames,
			s.DamagedFrames,
			s.KeyFrames,
			s.KeyRequests,
		)
		row("Stalls", "%d, %.0f ms in all, longest gap %.0f ms", s.Stalls, s.StalledMs, s.LongestGapMs)
	}
	r.latency(row)
	if s.Ended != "" {
		row("End", "%s", s.Ended)
	}
}

// many writes the figures of all viewers together.
func (r *Report) many(w io.Writer) {
	fmt.Fprintf(w, "Viewers\t%d of %d with a picture\n", r.Playing, r.Viewers)
	fmt.Fprintf(w, "\tp50\tp95\tp99\tmax\n")
	for _, line := range []struct {
		name string
		q    *meter.Quantiles
	}{
		{"Answer", r.SignallingMs}, {"ICE and DTLS", r.ConnectMs}, {"First packet", r.FirstPacketMs},
		{"First picture", r.FirstFrameMs},
		{"Latency", r.LatencyMs},
	} {
		if line.q != nil {
			fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f ms\n", line.name, line.q.P50, line.q.P95, line.q.P99, line.q.Max)
		}
	}
	row := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	t := &r.Total
	row("Received", "%.1f Mbit/s, %.2f fps on average, %.2f at least", t.Mbps, t.FPSMean, t.FPSMin)
	row(
		"Packets",
		"%d, lost %d, recovered %d, duplicates %d, reordered %d",
		t.Packets,
		t.Lost,
		t.Recovered,
		t.Duplicates,
		t.Reordered,
	)
	row("Frames", "%d decodable, %d damaged", t.DecodableFrames, t.DamagedFrames)
	row("Stalls", "%d at %d viewers, %.0f ms in all", t.Stalls, t.ViewersStalled, t.StalledMs)
	if r.LatencyClock != "" {
		row("Clock", "latency by %s", r.LatencyClock)
	}
	if r.Client == "lean" && r.Decrypt != "all" {
		row("Decrypted", "%s", map[string]string{
			"sample": "1 packet of 16, and all until the first picture and while one is missing",
			"none":   "nothing: key frames are not seen",
		}[r.Decrypt])
	}
	if r.Load != nil {
		row(
			"This client",
			"%.2f us of CPU per packet, %.1f packets per read",
			r.Load.CPUMicrosPerPacket,
			r.Load.PacketsPerRead,
		)
	}
	for _, end := range r.Endings {
		row("End", "%s (%d)", end.Reason, end.Viewers)
	}
}

func (r *Report) latency(row func(name, format string, values ...any)) {
	if q := r.LatencyMs; q != nil {
		row("Latency", "p50 %.1f ms, p95 %.1f ms, p99 %.1f ms (by %s)", q.P50, q.P95, q.P99, r.LatencyClock)
	}
}
