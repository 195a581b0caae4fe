package relay

import (
	"sync"
	"time"
)

// headroom knows what the relay sends and how busy its process is, so that newcomers are refused before those who watch
// suffer. It measures once a second; between two measurements, those who were let in count with the bit rate of their
// stream.
type headroom struct {
	maxCPU    float64 // share of all cores that the process may use; 0: no limit
	maxEgress float64 // Mbit/s; 0: no limit

	mu       sync.Mutex
	at       time.Time
	cpu      time.Duration      // used by the process so far
	busy     float64            // share of all cores, smoothed over some seconds
	egress   map[string]float64 // Mbit/s by play domain
	promised map[string]float64 // Mbit/s of those let in since the measurement before the last
	recent   map[string]float64 // the part of it since the last measurement
}

func newHeadroom(maxCPU, maxEgress float64) *headroom {
	h := &headroom{
		maxCPU:    maxCPU,
		maxEgress: maxEgress,
		egress:    map[string]float64{},
		promised:  map[string]float64{},
		recent:    map[string]float64{},
	}
	h.at, h.cpu = time.Now(), processCPU()
	return h
}

// measure takes the bytes that were sent for each play domain since the last call. cores is how many the process may
// use.
func (h *headroom) measure(now time.Time, cpu time.Duration, cores int, sent map[string]uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds := now.Sub(h.at).Seconds()
	if seconds <= 0 {
		return
	}
	const weight = 0.4 // of the newest second: one that is over the limit does not refuse yet, several do
	h.busy += weight * ((cpu-h.cpu).Seconds()/seconds/float64(cores) - h.busy)
	h.at, h.cpu = now, cpu
	clear(h.egress)
	for host, bytes := range sent {
		h.egress[host] = float64(bytes) * 8 / 1e6 / seconds
	}
	h.promised, h.recent = h.recent, h.promised
	clear(h.recent)
}

// admit decides about a newcomer of a play domain, whose stream has mbps and whose domain may send limit Mbit/s (0: no
// limit of its own). The reason of a refusal is a word for programs and a text for people; both are empty for one who
// is let in, and then its bit rate counts.
func (h *headroom) admit(host string, mbps, limit float64) (reason, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.maxCPU > 0 && h.busy > h.maxCPU {
		return "Busy", "the relay has no CPU left for more viewers; try again later, or add relays"
	}
	if limit > 0 && h.of(host)+mbps > limit {
		return "EgressFull", "the play domain sends as much as its limits.maxEgressMbps allows; try again later, or raise it"
	}
	if h.maxEgress > 0 {
		total := mbps
		for host := range union(h.egress, h.promised, h.recent) {
			total += h.of(host)
		}
		if total > h.maxEgress {
			return "EgressFull", "the relay sends as much as it may; try again later, or add relays"
		}
	}
	h.recent[host] += mbps
	return "", ""
}

// of is what a play domain sends, those who were let in lately included.
func (h *headroom) of(host string) float64 { return h.egress[host] + h.promised[host] + h.recent[host] }

func union(all ...map[string]float64) map[string]struct{} {
	out := map[string]struct{}{}
	for _, m := range all {
		for k := range m {
			out[k] = struct{}{}
		}
	}
	return out
}
