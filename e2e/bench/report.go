package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// kinds are the servers that are compared, in the order of the table.
func kinds() []string { return []string{"ours", "pion", "floor"} }

// outcome is a whole run.
type outcome struct {
	When    time.Time `json:"when"`
	Machine string    `json:"machine"`
	Go      string    `json:"go"`
	SRTP    string    `json:"srtp"`
	Seconds int       `json:"seconds"`
	Results []result  `json:"results"`
}

// runAll measures every case and prints a row for each as it comes.
func runAll(ctx context.Context, o options, w io.Writer) error {
	out := outcome{
		When:    time.Now().UTC().Truncate(time.Second),
		Machine: machine(),
		Go:      runtime.Version(),
		SRTP:    o.srtp,
		Seconds: o.seconds,
	}
	fmt.Fprintf(w, "%s, %s, SRTP %s, %d s per case\n\n", out.Machine, out.Go, out.SRTP, out.Seconds)
	for _, mbps := range o.mbps {
		for _, viewers := range o.viewers {
			for _, kind := range kinds() {
				fmt.Fprintf(os.Stderr, "%s, %d viewers, %g Mbit/s ...\n", kind, viewers, mbps)
				r, err := measure(ctx, kind, o, viewers, mbps)
				if err != nil {
					return fmt.Errorf("%s with %d viewers of %g Mbit/s: %w", kind, viewers, mbps, err)
				}
				out.Results = append(out.Results, r)
			}
		}
	}
	out.table(w)
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", o.out, err)
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	for name, content := range map[string][]byte{"bench-" + o.srtp + ".json": append(b, '\n'), "bench-" + o.srtp +
		".svg": []byte(chart(out))} {
		if err := os.WriteFile(filepath.Join(o.out, name), content, 0o600); err != nil {
			return fmt.Errorf("writing the figures: %w", err)
		}
	}
	return nil
}

// table prints the results; the last two columns compare with the floor and with pion in the same case.
func (o outcome) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(
		t,
		"Mbit/s\tviewers\tserver\tus/packet\tpackets/call\tcore\tkB/viewer\tallocs/frame\tjoin p50\tp95 ms\tlatency "+
			"p50\tp99 ms\tlost\tdrops\tof floor\tof pion\t",
	)
	for _, r := range o.Results {
		if r.Error != "" {
			fmt.Fprintf(t, "%g\t%d\t%s\t%s\t\n", r.Mbps, r.Viewers, r.Server, "failed: "+r.Error)
			continue
		}
		fmt.Fprintf(
			t,
			"%g\t%d\t%s\t%.2f\t%.1f\t%.0f %%\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t%.1f\t%d\t%d\t%s\t%s\t\n",
			r.Mbps,
			r.Viewers,
			r.Server,
			r.MicrosPerPacket,
			r.PacketsPerCall,
			100*r.CPU,
			r.KBPerViewer,
			r.MallocsPerFrame,
			r.JoinP50,
			r.JoinP95,
			r.LatencyP50,
			r.LatencyP99,
			r.Lost,
			r.Drops,
			o.ratio(r, "floor"),
			o.ratio(r, "pion"),
		)
	}
	_ = t.Flush()
}

// ratio is the cost of a result against that of another server in the same case.
func (o outcome) ratio(r result, other string) string {
	for _, s := range o.Results {
		if s.Server == other && s.Viewers == r.Viewers && s.Mbps == r.Mbps && s.MicrosPerPacket > 0 {
			return fmt.Sprintf("%.2f", r.MicrosPerPacket/s.MicrosPerPacket)
		}
	}
	return "-"
}

// machine says on what was measured.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if _, name, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(line, "model name") {
				model = strings.TrimSpace(name)
				break
			}
		}
	}
	kernel := ""
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = ", Linux " + strings.TrimSpace(string(b))
	}
	return fmt.Sprintf("%d x %s%s", runtime.NumCPU(), model, kernel)
}
