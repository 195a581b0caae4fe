package edge

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/contract/plan"
)

// domainState is what is counted for a play domain.
type domainState struct {
	viewers atomic.Int64 // FLV and RTMP
	sent    atomic.Uint64

	// Guarded by domains.
	before   uint64  // sent at the last measurement
	mbps     float64 // in the second before it
	promised float64 // Mbit/s of those let in since the measurement before the last
	recent   float64 // the part of it since the last measurement
}

// domains count what each play domain has and sends. There are as many as the Plans had play domains.
type domains struct {
	maxEgress float64

	mu  sync.Mutex
	at  time.Time
	all map[string]*domainState
}

func newDomains(maxEgress float64) *domains {
	return &domains{maxEgress: maxEgress, at: time.Now(), all: map[string]*domainState{}}
}

func (ds *domains) of(host string) *domainState {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.all[host]
	if d == nil {
		d = &domainState{}
		ds.all[host] = d
	}
	return d
}

// measure takes the rates of the last second.
func (ds *domains) measure(now time.Time) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	seconds := now.Sub(ds.at).Seconds()
	if seconds <= 0 {
		return
	}
	ds.at = now
	for _, d := range ds.all {
		sent := d.sent.Load()
		d.mbps = float64(sent-d.before) * 8 / 1e6 / seconds
		d.before = sent
		d.promised, d.recent = d.recent, 0
	}
}

func (d *domainState) load() float64 { return d.mbps + d.promised + d.recent }

// admit decides about a newcomer, whose stream has mbps; viewers are those that the domain has beside FLV and RTMP
// ones. One who is let in counts with the stream's bit rate until it is measured.
func (ds *domains) admit(d *plan.PlayDomain, s *domainState, others int, mbps float64) *refusal {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if d.MaxViewers > 0 && int(s.viewers.Load())+others >= d.MaxViewers {
		return refuse(
			http.StatusServiceUnavailable,
			"TooManyViewers",
			"play domain %s has its %d viewers (limits.maxViewers); try again later",
			d.Hostname,
			d.MaxViewers,
		)
	}
	if d.MaxEgressMbps > 0 && s.load()+mbps > float64(d.MaxEgressMbps) {
		return refuse(
			http.StatusServiceUnavailable,
			"EgressFull",
			"play domain %s sends as much as its limits.maxEgressMbps allows; try again later",
			d.Hostname,
		)
	}
	if ds.maxEgress > 0 {
		total := mbps
		for _, one := range ds.all {
			total += one.load()
		}
		if total > ds.maxEgress {
			return refuse(
				http.StatusServiceUnavailable,
				"EgressFull",
				"the edge sends as much as it may; try again later, or add edges",
			)
		}
	}
	s.recent += mbps
	return nil
}

// total is what was sent in all, in bytes.
func (ds *domains) total() (n uint64) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, d := range ds.all {
		n += d.sent.Load()
	}
	return n
}
