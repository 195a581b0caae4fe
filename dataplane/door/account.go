package door

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/contract/plan"
)

// account is what is counted for a play domain, or for the process.
type account struct {
	sent atomic.Uint64 // bytes; not of the process

	// Guarded by Door.mu.
	viewers  int
	joining  map[netip.Prefix]int // viewers that have not arrived, by address range
	polls    map[netip.Prefix]int // viewers of HLS, by address range
	waiting  waiting
	before   uint64  // sent at the last measurement
	mbps     float64 // in the second before it
	promised float64 // Mbit/s of viewers that are not measured yet
}

func newAccount() *account {
	return &account{joining: map[netip.Prefix]int{}, polls: map[netip.Prefix]int{}, waiting: waiting{}}
}

func (a *account) load() float64 { return a.mbps + a.promised }

// domainKey names the account of a play domain. A domain that changes its type has another one.
type domainKey struct {
	host string
	kind plan.PlayType
}

// domain returns the account of a play domain. There are as many as the Plans had play domains.
func (d *Door) domain(host string, kind plan.PlayType) *account {
	key := domainKey{host, kind}
	if a, ok := d.domains.Load(key); ok {
		return a.(*account) //nolint:forcetypeassert // nothing else is stored
	}
	a, _ := d.domains.LoadOrStore(key, newAccount())
	return a.(*account) //nolint:forcetypeassert // nothing else is stored
}

// Sent counts bytes that were sent for a play domain apart from any Pass.
func (d *Door) Sent(host string, kind plan.PlayType, n uint64) { d.domain(host, kind).sent.Add(n) }

// Total returns the bytes that were sent for the play domains of a type so far.
func (d *Door) Total(kind plan.PlayType) (n uint64) {
	d.domains.Range(func(key, value any) bool {
		if key.(domainKey).kind == kind { //nolint:forcetypeassert // nothing else is stored
			n += value.(*account).sent.Load() //nolint:forcetypeassert // nothing else is stored
		}
		return true
	})
	return n
}

// admit counts a newcomer in, or says which limit it is beyond.
func (d *Door) admit(p *Pass, joins bool) *Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.admitLocked(p, joins)
}

func (d *Door) admitLocked(p *Pass, joins bool) *Refusal {
	no := d.full(p, joins)
	for no != nil && d.makeRoom(p, no) {
		no = d.full(p, joins)
	}
	if no != nil {
		return no
	}
	p.held, p.joining, p.since = true, true, time.Now()
	from := CountedAs(p.Right.RemoteIP)
	for _, a := range p.accounts() {
		a.viewers++
		a.joining[from]++
		a.waiting.add(p)
		a.promised += p.promise
	}
	if !joins {
		d.arrive(p)
	}
	return nil
}

// full returns the limit that a newcomer is beyond.
func (d *Door) full(p *Pass, joins bool) *Refusal {
	limits, domain := &d.opt.Limits, p.Domain
	switch {
	case limits.MaxCPU > 0 && d.busy > limits.MaxCPU:
		return Refuse(Busy)
	case joins && d.process.joining[CountedAs(p.Right.RemoteIP)] >= limits.MaxJoinsPerAddress:
		return Refuse(TooManyJoins, limits.MaxJoinsPerAddress)
	case domain.MaxViewers > 0 && p.account.viewers >= domain.MaxViewers:
		return Refuse(TooManyViewers, "play domain "+domain.Hostname, domain.MaxViewers, "limits.maxViewers")
	case d.process.viewers >= limits.MaxViewers:
		return Refuse(TooManyViewers, "this server", limits.MaxViewers, "--max-viewers")
	case domain.MaxEgressMbps > 0 && p.account.load()+p.promise > float64(domain.MaxEgressMbps):
		return Refuse(EgressFull, "play domain "+domain.Hostname, "limits.maxEgressMbps")
	case limits.MaxEgressMbps > 0 && d.process.load()+p.promise > limits.MaxEgressMbps:
		return Refuse(EgressFull, "this server", "--max-egress-mbps")
	}
	return nil
}

// arrive ends the joining of a pass. Its promise counts until the traffic of a whole second has been measured.
func (d *Door) arrive(p *Pass) {
	p.stopJoining()
	d.arrived[0] = append(d.arrived[0], p)
}

func (p *Pass) stopJoining() {
	if !p.joining {
		return
	}
	p.joining = false
	from := CountedAs(p.Right.RemoteIP)
	for _, a := range p.accounts() {
		a.waiting.remove(p)
		if a.joining[from]--; a.joining[from] <= 0 {
			delete(a.joining, from)
		}
	}
}

func (d *Door) leave(p *Pass) {
	if !p.held {
		return
	}
	p.held = false
	p.stopJoining()
	p.keep(0)
	for _, a := range p.accounts() {
		a.viewers--
	}
}

// CountedAs returns what counts as one client: an IPv4 address, or the /64 that an IPv6 subscriber has (RFC 6177, 2).
func CountedAs(a netip.Addr) netip.Prefix {
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // an address that is not known
	}
	return p
}

// Collect has f called before each measurement: it counts what was sent, by Pass.Sent.
func (d *Door) Collect(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collect = append(d.collect, f)
}

// measure takes the rates since the last call. cores is how many the process may use.
func (d *Door) measure(now time.Time, cpu time.Duration, cores int) {
	d.mu.Lock()
	collect := d.collect
	d.mu.Unlock()
	for _, f := range collect {
		f()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	seconds := now.Sub(d.at).Seconds()
	if seconds <= 0 {
		return
	}
	const weight = 0.4 // of the newest second: one that is over the limit does not refuse yet, several do
	d.busy += weight * ((cpu-d.cpu).Seconds()/seconds/float64(cores) - d.busy)
	d.at, d.cpu = now, cpu
	d.process.mbps = 0
	d.domains.Range(func(_, value any) bool {
		a := value.(*account) //nolint:forcetypeassert // nothing else is stored
		sent := a.sent.Load()
		a.mbps = float64(sent-a.before) * 8 / 1e6 / seconds
		a.before = sent
		d.process.mbps += a.mbps
		return true
	})
	for _, p := range d.arrived[1] {
		if p.held {
			p.keep(0)
		}
	}
	d.arrived[0], d.arrived[1] = nil, d.arrived[0]
	d.sweepPolls(now)
}
