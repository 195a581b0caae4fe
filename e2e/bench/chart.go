package main

import (
	"fmt"
	"strings"
)

// chart draws the cost per packet as horizontal bars, one group per case.
func chart(o outcome) string {
	const (
		left, width, bar, gap = 190, 620, 16, 14
		top                   = 64
	)
	most := 1.0
	for _, r := range o.Results {
		most = max(most, r.MicrosPerPacket)
	}
	colours := map[string]string{"ours": "#0a7ea4", "pion": "#b0b7bf", "floor": "#e0a526"}
	names := map[string]string{"ours": "Millrace", "pion": "stock pion", "floor": "floor: seal and send"}
	var b strings.Builder
	y := top
	last := ""
	for _, r := range o.Results {
		label := fmt.Sprintf("%d viewers, %g Mbit/s", r.Viewers, r.Mbps)
		if label != last {
			if last != "" {
				y += gap
			}
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-10, y+bar-4, label)
			last = label
		}
		w := int(r.MicrosPerPacket / most * (width - 80))
		value := fmt.Sprintf("%.2f us", r.MicrosPerPacket)
		if r.Error != "" {
			value = "failed"
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/><text x="%d" y="%d" class="v">%s</text>`+"\n",
			left, y, max(w, 1), bar-2, colours[r.Server], left+w+6, y+bar-4, value)
		y += bar
	}
	var legend strings.Builder
	for i, kind := range kinds() {
		fmt.Fprintf(
			&legend,
			`<rect x="%d" y="34" width="12" height="12" fill="%s"/><text x="%d" y="44">%s</text>`+"\n",
			left+i*160,
			colours[kind],
			left+i*160+18,
			names[kind],
		)
	}
	return fmt.Sprintf(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">
<style>text{fill:#30363d}.v{font-size:11px}.t{font-size:15px;font-weight:600}</style>
<rect width="100%%" height="100%%" fill="#ffffff"/>
<text x="%d" y="20" class="t">Server CPU per delivered packet (SRTP %s)</text>
%s%s<text x="%d" y="%d" class="v">%s, %s, %s</text>
</svg>
`,
		left+width+20,
		y+40,
		left,
		o.SRTP,
		legend.String(),
		b.String(),
		left,
		y+26,
		o.Machine,
		o.Go,
		o.When.Format("2006-01-02"),
	)
}
