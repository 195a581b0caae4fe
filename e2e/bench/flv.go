package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/play/flv"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/meter"
)

type flvOptions struct {
	few, readers int
	mbps         float64
	seconds      int
	out          string
}

func newFLVCommand() *cobra.Command {
	var o flvOptions
	cmd := &cobra.Command{
		Use: "flv", Short: "What a reader of HTTP-FLV costs, and whether all get every tag", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runFLV(cmd.Context(), o, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&o.few, "few", 200, "readers at the first look at the memory")
	f.IntVar(&o.readers, "readers", 2000, "readers in all")
	f.Float64Var(&o.mbps, "mbps", 0.6, "bit rate of the stream in Mbit/s")
	f.IntVar(&o.seconds, "seconds", 20, "how long is measured after all have joined")
	f.StringVar(&o.out, "out", "", "folder for bench-flv.json; empty writes none")
	return cmd
}

// flvResult is what a run of readers of FLV gave.
type flvResult struct {
	When        time.Time       `json:"when"`
	Machine     string          `json:"machine"`
	Go          string          `json:"go"`
	Readers     int             `json:"readers"`
	Mbps        float64         `json:"mbps"`
	Seconds     float64         `json:"seconds"`
	Playing     int             `json:"playing"`
	Tags        uint64          `json:"tags"`     // in the measured time
	Expected    uint64          `json:"expected"` // by the source's clock and the readers that watched
	Lost        uint64          `json:"lost"`     // of the whole run
	Faults      uint64          `json:"faults"`   // differing, or with time stamps that do not rise
	Gbit        float64         `json:"gbit"`
	ServerCPU   float64         `json:"serverCpuShare"` // of one core
	ClientCPU   float64         `json:"clientCpuShare"`
	CPUPerGbit  float64         `json:"serverCpuSecondsPerGbit"`
	MicrosPer   float64         `json:"serverCpuMicrosPerTag"`
	Mallocs     float64         `json:"mallocsPerTagAndReader"`
	KBPerReader float64         `json:"kBPerReader"`          // slope of the resident set
	KBCollected float64         `json:"kBPerReaderCollected"` // the same after a forced collection
	First       meter.Quantiles `json:"firstFrameMs"`
	Latency     meter.Quantiles `json:"latencyMs"` // frame made to tag complete at the reader
}

// newCrowd makes a crowd of readers of the server, with the source's clock.
func newCrowd(ctx context.Context, server *child) (*flv.Crowd, error) {
	c, err := server.counts(ctx)
	if err != nil {
		return nil, err
	}
	if c.Epoch == 0 {
		return nil, errors.New("the server has not begun its stream")
	}
	_, port, err := net.SplitHostPort(server.addr)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", server.addr, err)
	}
	target, err := flv.Parse(
		"http://"+net.JoinHostPort(playHost, port)+"/live/stream.flv",
		join.Options{Connect: server.addr},
	)
	if err != nil {
		return nil, err
	}
	return flv.NewCrowd(ctx, target, time.Unix(0, c.Epoch)), nil
}

// flvSum adds up readers.
type flvSum struct {
	playing, ended            int
	tags, bytes, lost, faults uint64
	latency                   *meter.Histogram
}

func sumFLV(p *flv.Part) flvSum {
	each, latency := p.Look()
	s := flvSum{latency: latency}
	for i := range each {
		one := &each[i]
		if one.Playing() {
			s.playing++
		}
		if one.Ended != "" || one.Error != "" {
			s.ended++
		}
		s.tags += one.VideoTags + one.AudioTags
		s.bytes += one.Bytes
		s.lost += one.Lost
		s.faults += one.Differing + one.Backwards
	}
	return s
}

// awaitFLV waits until all readers of a part have a picture.
func awaitFLV(ctx context.Context, p *flv.Part, n int, within time.Duration) error {
	deadline := time.Now().Add(within)
	for ctx.Err() == nil {
		s := sumFLV(p)
		switch {
		case s.playing == n:
			return nil
		case s.ended > 0:
			each, _ := p.Look()
			for i := range each {
				if each[i].Error != "" {
					return fmt.Errorf("%d readers ended, one of them: %s", s.ended, each[i].Error)
				}
			}
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d readers have a picture after %s", s.playing, n, within)
		}
		settle(ctx, 100*time.Millisecond)
	}
	return ctx.Err()
}

// runFLV measures memory between two numbers of readers, and then cost and losses of all.
func runFLV(ctx context.Context, o flvOptions, w io.Writer) error {
	if o.few < 1 || o.readers <= o.few {
		return fmt.Errorf("%d readers after %d: want more", o.readers, o.few)
	}
	server, err := startServer(ctx, "edge", options{srtp: "gcm"}, o.mbps, nil)
	if err != nil {
		return err
	}
	defer server.stop()
	settle(ctx, 2500*time.Millisecond) // a whole GOP is there
	crowd, err := newCrowd(ctx, server)
	if err != nil {
		return err
	}
	defer crowd.Close()
	parts := []*flv.Part{crowd.Add(o.few, 0, time.Duration(o.few)*5*time.Millisecond, 0)}
	if err := awaitFLV(ctx, parts[0], o.few, time.Minute); err != nil {
		return err
	}
	few, err := lookAtMemory(ctx, server)
	if err != nil {
		return err
	}
	more := o.readers - o.few
	parts = append(parts, crowd.Add(more, 0, time.Duration(more)*5*time.Millisecond, 0))
	if err := awaitFLV(ctx, parts[1], more, 2*time.Minute); err != nil {
		return err
	}
	many, err := lookAtMemory(ctx, server)
	if err != nil {
		return err
	}
	r, err := measureFLV(ctx, o, server, parts)
	if err != nil {
		return err
	}
	r.KBPerReader = float64(many.RSS-few.RSS) / 1000 / float64(more)
	r.KBCollected = float64(many.Collected-few.Collected) / 1000 / float64(more)
	r.print(w)
	if err := writeJSON(o.out, "bench-flv.json", r); err != nil {
		return err
	}
	if r.Lost > 0 || r.Faults > 0 || r.Playing != o.readers {
		return fmt.Errorf("%d of %d readers play, %d tags were lost, %d are faulty", r.Playing, o.readers, r.Lost, r.Faults)
	}
	return nil
}

// lookAtMemory waits until joins are forgotten.
func lookAtMemory(ctx context.Context, server *child) (counts, error) {
	settle(ctx, 5*time.Second)
	c, err := server.counts(ctx)
	if err != nil {
		return c, err
	}
	collected, err := server.ask(ctx, "?collect=true")
	c.Collected = collected.RSS
	return c, err
}

func measureFLV(ctx context.Context, o flvOptions, server *child, parts []*flv.Part) (*flvResult, error) {
	look := func() (flvSum, counts, float64, error) {
		all := flvSum{latency: &meter.Histogram{}}
		for _, p := range parts {
			s := sumFLV(p)
			all.playing += s.playing - s.ended
			all.tags += s.tags
			all.bytes += s.bytes
			all.lost += s.lost
			all.faults += s.faults
			all.latency.Merge(s.latency)
		}
		c, err := server.counts(ctx)
		return all, c, measured(counts{}).CPUSeconds, err
	}
	before, from, self, err := look()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	settle(ctx, time.Duration(o.seconds)*time.Second)
	took := time.Since(began).Seconds()
	after, to, selfAfter, err := look()
	if err != nil {
		return nil, err
	}
	r := &flvResult{
		When: time.Now().
			UTC().
			Truncate(time.Second),
		Machine: machine(), Go: runtime.Version(), Readers: o.readers, Mbps: o.mbps, Seconds: took,
		Playing: after.playing, Tags: after.tags - before.tags,
		Expected: uint64(took / frameTime.Seconds() * float64(o.readers)),
		Lost:     after.lost, Faults: after.faults, Gbit: float64(after.bytes-before.bytes) * 8 / 1e9,
		ServerCPU: (to.CPUSeconds - from.CPUSeconds) / took, ClientCPU: (selfAfter - self) / took,
	}
	if r.Tags > 0 {
		r.CPUPerGbit = (to.CPUSeconds - from.CPUSeconds) / r.Gbit
		r.MicrosPer = (to.CPUSeconds - from.CPUSeconds) * 1e6 / float64(r.Tags)
		r.Mallocs = float64(to.Mallocs-from.Mallocs) / float64(r.Tags)
	}
	if h := after.latency.Since(before.latency); h.Count() > 0 {
		r.Latency = *meter.DurationQuantiles(h)
	}
	var first meter.Histogram
	for _, p := range parts {
		each, _ := p.Look()
		for i := range each {
			first.Add(time.Duration(each[i].FirstFrameMs * float64(time.Millisecond)))
		}
	}
	r.First = *meter.DurationQuantiles(&first)
	return r, nil
}

func (r *flvResult) print(w io.Writer) {
	fmt.Fprintf(
		w,
		"%s, %s\n%d readers of HTTP-FLV of %g Mbit/s, %.0f s; server and readers share the machine\n\n",
		r.Machine,
		r.Go,
		r.Readers,
		r.Mbps,
		r.Seconds,
	)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	row("playing to the end", "%d of %d", r.Playing, r.Readers)
	row("tags", "%d (by the source's clock %d), lost %d, faulty %d", r.Tags, r.Expected, r.Lost, r.Faults)
	row(
		"server CPU",
		"%.2f s per Gbit, %.0f %% of a core at %.2f Gbit/s, %.2f us per tag and reader",
		r.CPUPerGbit,
		100*r.ServerCPU,
		r.Gbit/r.Seconds,
		r.MicrosPer,
	)
	row("readers' CPU", "%.0f %% of a core", 100*r.ClientCPU)
	row("server allocations", "%.4f per tag and reader", r.Mallocs)
	row("server memory", "%.1f kB per reader (%.1f after a collection)", r.KBPerReader, r.KBCollected)
	row("first picture", "p50 %.1f, p95 %.1f, max %.1f ms", r.First.P50, r.First.P95, r.First.Max)
	row(
		"delivery",
		"p50 %.1f, p95 %.1f, p99 %.1f, max %.1f ms",
		r.Latency.P50,
		r.Latency.P95,
		r.Latency.P99,
		r.Latency.Max,
	)
	_ = t.Flush()
}

// writeJSON writes figures into the folder, when there is one.
func writeJSON(folder, name string, v any) error {
	if folder == "" {
		return nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", folder, err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}
