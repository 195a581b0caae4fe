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

// maxPolls bounds the viewers of HLS that one address range counts as. What tells them apart are words that cost
// nothing.
const maxPolls = 64

// pollKey tells viewers of HLS apart by what they have in common over their requests. Viewers behind one address with
// one program are told apart by nothing, and count once.
type pollKey struct {
	host   string
	stream hub.Key
	remote netip.Addr
	agent  string
}

type poll struct {
	pass   *Pass
	ranges []netip.Prefix // in which it counts
	at     time.Time      // of the last playlist
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
	in := ranges(p.Right.RemoteIP)
	if full, ok := d.crowded(p, in); ok {
		key.remote, key.agent = full.Addr(), ""
		if known := d.polls.seen[key]; known != nil {
			known.at = now
			return nil
		}
	}
	if no := d.admitLocked(p, false); no != nil {
		return no
	}
	for _, a := range p.accounts() {
		for _, r := range in {
			a.polls[r]++
		}
	}
	d.polls.seen[key] = &poll{p, in, now}
	return nil
}

// crowded returns the largest range that counts as many viewers of HLS as it may: in all, or a quarter of what the
// domain or the process may have. More of it are served, and count as one for each stream.
func (d *Door) crowded(p *Pass, in []netip.Prefix) (netip.Prefix, bool) {
	for i := len(in) - 1; i >= 0; i-- {
		most := maxPolls << i // a /56 twice, a /48 four times what a /64 may
		if p.account.polls[in[i]] >= share(most, p.Domain.MaxViewers) ||
			d.process.polls[in[i]] >= share(most, d.opt.MaxViewers) {
			return in[i], true
		}
	}
	return netip.Prefix{}, false
}

// share is what one address range may have of a limit; a limit of 0 is none.
func share(most, limit int) int {
	if limit > 0 {
		most = min(most, max(limit/4, 1))
	}
	return most
}

// ranges returns what an address is part of, smallest first: an IPv4 address itself, the /64, /56 and /48 of IPv6,
// which a subscriber or a site has (RFC 6177, 2).
func ranges(a netip.Addr) []netip.Prefix {
	first := CountedAs(a)
	if !first.IsValid() || first.Addr().Is4() {
		return []netip.Prefix{first}
	}
	return []netip.Prefix{first, netip.PrefixFrom(first.Addr(), 56).Masked(), netip.PrefixFrom(first.Addr(), 48).Masked()}
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
			one.leave()
			d.leave(one.pass)
		}
	}
}

// leave ends what a viewer of HLS counts as in its ranges. The lock is held.
func (p *poll) leave() {
	for _, a := range p.pass.accounts() {
		for _, r := range p.ranges {
			if a.polls[r]--; a.polls[r] <= 0 {
				delete(a.polls, r)
			}
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
