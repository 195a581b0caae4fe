package pod

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/player"
	"github.com/millrace/millrace/dataplane/pod/alive"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

// CloseNoticesFile is what the players of a relay that was killed are told by whoever sees its end, below
// Options.StateDir.
const CloseNoticesFile = "farewells"

// relayRole serves WebRTC viewers with streams that it fetches.
type relayRole struct {
	base
	p     *process
	relay *relay.Relay
	web   *web
	ports *os.File // held from just before ports are opened, for whoever answers there meanwhile (package farewell)
}

func newRelayRole(p *process) (role, error) {
	listen := relay.LocalAddresses(uint16(p.opt.MediaPort))
	if len(p.opt.MediaListen) > 0 {
		listen = nil
		for _, a := range p.opt.MediaListen {
			listen = append(listen, netip.AddrPortFrom(a, uint16(p.opt.MediaPort)))
		}
	}
	notices := ""
	if p.opt.StateDir != "" {
		notices = filepath.Join(p.opt.StateDir, CloseNoticesFile)
	}
	one, err := relay.New(relay.Options{
		Hub: p.hub, Plan: p.current, Log: p.log.WithName("relay"), Metrics: p.registry, Find: p.finder, Listen: listen,
		NoTCP:     p.opt.NoTCP,
		Advertise: p.opt.advertise(), CloseNotices: notices, Limits: p.opt.limits(),
	})
	if err != nil {
		return nil, err
	}
	p.at.Media = one.Port()
	p.onAddresses(func(a bundle.Address) { one.Advertise(a.Addresses) })
	return &relayRole{p: p, relay: one, web: newWeb(p, player.Before(p.current, one))}, nil
}

// limits are those of the door.
func (o *Options) limits() door.Limits {
	return door.Limits{
		MaxViewers: o.MaxViewers, MaxEgressMbps: o.MaxEgress, MaxCPU: o.MaxCPU, MaxJoinsPerAddress: o.MaxHalfOpen,
	}
}

// advertise lists the addresses that players are told until the Plan names others.
func (o *Options) advertise() []netip.AddrPort {
	if len(o.Advertise) > 0 {
		return o.Advertise
	}
	addrs := []netip.Addr{o.PodIP}
	if o.AddressFrom == contract.AddressFromHost && len(o.HostIPs) > 0 {
		addrs = o.HostIPs
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		if a.IsValid() {
			out = append(out, netip.AddrPortFrom(a, uint16(o.AdvertisePort)))
		}
	}
	return out
}

func (r *relayRole) open() (err error) {
	if r.p.opt.StateDir != "" {
		if r.ports, err = alive.Hold(r.p.opt.StateDir, alive.Ports); err != nil {
			return err
		}
	}
	return r.web.open()
}

func (r *relayRole) serve(_ context.Context, run func(string, func() error)) {
	r.web.serve(run)
	r.relay.SendCloseNotices()
}

func (r *relayRole) status(s *announce.Status) {
	l := r.relay.Load()
	s.Sessions, s.EgressMbps, s.Headroom = l.Viewers, l.EgressMbps, l.Headroom
	s.Domains = map[string]announce.Domain{}
	for host, d := range l.Domains {
		s.Domains[host] = announce.Domain{Viewers: d.Viewers, EgressKbps: d.EgressMbps * 1000}
	}
	s.Viewers = viewers(l.Streams)
}

func viewers(streams map[hub.Key]map[string]int) map[string]map[string]int {
	out := map[string]map[string]int{}
	for key, kinds := range streams {
		out[key.String()] = kinds
	}
	return out
}

func (r *relayRole) state() any { return r.relay.List() }

func (r *relayRole) appeared(ids []announce.ID) {
	for _, id := range ids {
		r.relay.Appeared(directory.Key(id))
	}
}

// drain still takes viewers for a moment, leaves those who watch alone for a while, and then asks one after the other
// to go elsewhere, spread over most of the time that is left.
func (r *relayRole) drain(ctx context.Context) {
	began := time.Now()
	pause(ctx, r.p.opt.DrainAccept)
	go r.web.shutdown(ctx) // a request that takes its time holds up nobody
	soft, cancel := context.WithDeadline(ctx, began.Add(r.p.opt.DrainSoft))
	defer cancel()
	until(soft, func() bool { return r.relay.Sessions() == 0 })
	if err := r.relay.Drain(ctx, spread(began, r.p.opt.DrainTime)); err != nil {
		r.p.log.Info("Drain is cut short", "error", err.Error())
		return
	}
	until(ctx, func() bool { return r.relay.Sessions() == 0 })
}

func (r *relayRole) close() {
	r.web.close()
	r.relay.Close()
	_ = r.ports.Close() // nothing was written, and there may be none
}

// spread is over which time the viewers are asked to go, who are left some way into a drain: a quarter of what is left
// is for the last of them.
func spread(began time.Time, drain time.Duration) time.Duration {
	return (drain - time.Since(began)) * 3 / 4
}

// pause waits for a time or the end of the context.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
