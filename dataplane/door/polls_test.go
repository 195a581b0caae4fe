package door

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// ask lets a viewer of HLS ask for a playlist.
func (c *clocked) ask(addr, agent string, limits plan.PlayDomain) *Refusal {
	limits.Hostname = "a"
	stream := hub.Key{Space: "a", App: "live", Name: "stream"}
	return c.Stay(&limits, &Ask{Remote: netip.MustParseAddr(addr), Agent: agent}, stream)
}

// A stranger makes up names of programs, and other addresses of its IPv6 site; a healthy viewer notices nothing, and
// the stranger neither.
func TestWordsOfAClientDoNotFillTheServer(t *testing.T) {
	for _, c := range []struct {
		name           string
		limits         Limits
		domain         plan.PlayDomain
		stranger       func(i int) (addr, agent string)
		tries, counted int
	}{
		{
			"20,000 programs", Limits{}, plan.PlayDomain{},
			func(i int) (string, string) { return "192.0.2.1", fmt.Sprint(i) }, 20_000, 65,
		},
		{
			"a domain of 50", Limits{}, plan.PlayDomain{MaxViewers: 50},
			func(i int) (string, string) { return "192.0.2.1", fmt.Sprint(i) }, 1000, 13,
		},
		{
			"a server of 40", Limits{MaxViewers: 40}, plan.PlayDomain{},
			func(i int) (string, string) { return "192.0.2.1", fmt.Sprint(i) }, 1000, 11,
		},
		{
			"the addresses of a /48", Limits{}, plan.PlayDomain{},
			func(i int) (string, string) { return fmt.Sprintf("2001:db8:0:%x::%x", i, i), "p" }, 20_000, 259,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newClocked(t, c.limits)
			for i := range c.tries {
				addr, agent := c.stranger(i)
				if no := d.ask(addr, agent, c.domain); no != nil {
					t.Fatalf("the stranger, who may be many behind one address: %v", no)
				}
			}
			if n := d.Viewers(plan.Standard); n > c.counted {
				t.Errorf("one client counts as %d viewers, want at most %d", n, c.counted)
			}
			if no := d.ask("198.51.100.7", "healthy", c.domain); no != nil {
				t.Errorf("a healthy viewer: %v", no)
			}
			d.measure(time.Now().Add(2*pollTime), d.cpu, 2)
			if n := d.Viewers(plan.Standard); n != 0 || len(d.process.polls) != 0 {
				t.Errorf("%d viewers and %d ranges are left after all have gone", n, len(d.process.polls))
			}
		})
	}
}
