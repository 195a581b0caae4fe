package door

import (
	"net/netip"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// clocked is a door whose measurements a test makes.
type clocked struct {
	*testing.T
	*Door
	now time.Time
}

func newClocked(t *testing.T, limits Limits) *clocked {
	t.Helper()
	h := hub.New(hub.Options{})
	d := New(Options{Hub: h, Plan: plan.NewCurrent(), Limits: limits})
	d.Close() // it measures by itself no more
	t.Cleanup(h.Close)
	return &clocked{T: t, Door: d, now: d.at}
}

// come lets a viewer in that needs mbps; limits are those of its domain.
func (c *clocked) come(host, addr string, mbps float64, joins bool, limits plan.PlayDomain) (*Pass, *Refusal) {
	limits.Hostname = host
	p := &Pass{
		Domain: &limits, door: c.Door, account: c.domain(host, plan.RTS), promise: mbps,
		Right: plan.PlayRight{Host: host, RemoteIP: netip.MustParseAddr(addr)},
	}
	return p, c.admit(p, joins)
}

func (c *clocked) tick(sent map[string]uint64) {
	for host, n := range sent {
		c.Sent(host, plan.RTS, n)
	}
	c.now = c.now.Add(time.Second)
	c.measure(c.now, c.cpu, 2)
}

func TestEgress(t *testing.T) {
	c := newClocked(t, Limits{MaxEgressMbps: 10})
	enter := func(host string, mbps float64, limit int, want Reason) {
		t.Helper()
		_, no := c.come(host, "192.0.2.1", mbps, false, plan.PlayDomain{MaxEgressMbps: limit})
		if got := reasonOf(no); got != want {
			t.Errorf("%g Mbit/s of %s with limit %d: %q, want %q", mbps, host, limit, got, want)
		}
	}
	enter("a", 2, 5, "")
	enter("a", 2, 5, "")
	enter("a", 2, 5, EgressFull) // the promises count at once
	enter("b", 2, 0, "")
	c.tick(map[string]uint64{"a": 500_000}) // 4 Mbit/s: both of a are measured, and still promised for a second
	enter("a", 2, 5, EgressFull)
	c.tick(map[string]uint64{"a": 500_000, "b": 250_000})
	c.tick(map[string]uint64{"a": 500_000, "b": 250_000})
	enter("a", 1, 5, "")
	enter("b", 4, 0, EgressFull) // 4 + 1 + 2 + 4 Mbit/s are over the 10 of all
	enter("b", 3, 0, "")
	c.tick(nil)
	c.tick(nil)
	enter("a", 5, 5, "")
}

func reasonOf(no *Refusal) Reason {
	if no == nil {
		return ""
	}
	return Reason(no.Reason)
}

func TestCPU(t *testing.T) {
	c := newClocked(t, Limits{MaxCPU: 0.9})
	cpu := c.cpu
	second := func(busy float64) {
		c.now, cpu = c.now.Add(time.Second), cpu+time.Duration(busy*2*float64(time.Second))
		c.measure(c.now, cpu, 2)
	}
	full := func() bool {
		_, no := c.come("a", "192.0.2.1", 1, false, plan.PlayDomain{})
		return reasonOf(no) == Busy
	}
	second(0.5)
	second(1)
	if full() {
		t.Error("one busy second refuses")
	}
	for range 6 {
		second(1)
	}
	if !full() {
		t.Error("seconds at full load refuse nobody")
	}
	for range 4 {
		second(0.3)
	}
	if full() {
		t.Error("the load is gone, and still nobody is let in")
	}
}

// What a viewer held is given back once, whatever it did in between and however often it says that it leaves.
func TestLeavingGivesEverythingBackOnce(t *testing.T) {
	c := newClocked(t, Limits{})
	for name, life := range map[string]func(*Pass){
		"joins":              func(*Pass) {},
		"expects another":    func(p *Pass) { p.Expect(7) },
		"arrives":            (*Pass).Arrive,
		"arrives twice":      func(p *Pass) { p.Arrive(); p.Arrive() },
		"is measured":        func(p *Pass) { p.Arrive(); c.tick(nil); c.tick(nil) },
		"is measured before": func(p *Pass) { c.tick(nil); c.tick(nil); p.Arrive() },
	} {
		stays, no := c.come("a", "192.0.2.2", 0, false, plan.PlayDomain{})
		if no != nil {
			t.Fatal(no)
		}
		p, no := c.come("a", "192.0.2.1", 3, true, plan.PlayDomain{})
		if no != nil {
			t.Fatal(no)
		}
		life(p)
		for range 3 {
			p.Leave()
			p.Arrive()
		}
		for _, a := range p.accounts() {
			if a.viewers != 1 || a.promised != 0 || len(a.joining) != 0 {
				t.Errorf("who %s leaves %d viewers, %g Mbit/s, %d joining", name, a.viewers, a.promised, len(a.joining))
			}
		}
		stays.Leave()
	}
}

// An IPv6 subscriber has a whole /64 and counts once.
func TestJoinsOfAnIPv6Subscriber(t *testing.T) {
	c := newClocked(t, Limits{MaxJoinsPerAddress: 2})
	add := func(addr string) (*Pass, *Refusal) { return c.come("a", addr, 0, true, plan.PlayDomain{}) }
	first, no1 := add("2001:db8::1")
	_, no2 := add("2001:db8::2")
	if _, no3 := add("2001:db8::3:3"); no1 != nil || no2 != nil || reasonOf(no3) != TooManyJoins {
		t.Errorf("%v, %v, %v", no1, no2, no3)
	}
	for _, addr := range []string{"2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.2"} {
		if _, no := add(addr); no != nil {
			t.Errorf("another subscriber, %s: %v", addr, no)
		}
	}
	first.Arrive()
	if _, no := add("2001:db8::4"); no != nil {
		t.Errorf("after one has connected: %v", no)
	}
}
