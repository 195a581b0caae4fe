package door

import (
	"net/netip"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// pollTime is how long a viewer of HLS counts after its last playlist.
const pollTime = 20 * time.Second

// maxAgent bounds what is kept of a User-Agent, in bytes.
const maxAgent = 64

// pollKey tells viewers of HLS apart by what they have in common over their requests. Viewers behind one address with
// one program are told apart by nothing, and count once.
type pollKey struct {
	host   string
	stream hub.Key
	remote netip.Addr
	agent  string
}

type poll struct {
	pass *Pass
	at   time.Time // of the last playlist
}

// polls are the viewers of HLS that asked for a playlist lately.
type polls struct{ seen map[pollKey]*poll }

func newPolls() polls { return polls{seen: map[pollKey]*poll{}} }

// poll counts a viewer of HLS in, unless it counts already.
func (d *Door) poll(p *Pass, stream hub.Key, agent string, now time.Time) *Refusal {
	key := pollKey{p.Right.Host, stream, p.Right.RemoteIP, agent[:min(len(agent), maxAgent)]}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.polls.seen[key]; known != nil {
		known.at = now
		return nil
	}
	if no := d.admitLocked(p, false); no != nil {
		return no
	}
	d.polls.seen[key] = &poll{p, now}
	return nil
}

// Stay notes that a viewer of HLS that was let in asks on. One that was silent for long, or comes from another server,
// is counted in again.
func (d *Door) Stay(domain *plan.PlayDomain, ask *Ask, stream hub.Key) *Refusal {
	p := &Pass{
		Domain: domain, door: d, account: d.domain(domain.Hostname, plan.Standard),
		Right: plan.PlayRight{
			Host: domain.Hostname, Space: domain.Space, RemoteIP: ask.Remote, Referer: ask.Referer, App: stream.App,
			Type: plan.Standard, Protocol: plan.HLS,
		},
	}
	return d.poll(p, stream, ask.Agent, time.Now())
}

// sweepPolls forgets those that ask no more. The lock is held.
func (d *Door) sweepPolls(now time.Time) {
	for key, one := range d.polls.seen {
		if now.Sub(one.at) > pollTime {
			delete(d.polls.seen, key)
			d.leave(one.pass)
		}
	}
}

// Polls calls f for each viewer of HLS; f must not ask the door anything.
func (d *Door) Polls(f func(host string, stream hub.Key)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.polls.seen {
		f(key.host, key.stream)
	}
}
