// Package relay serves live streams to WebRTC viewers: signalling over HTTP in the dialects of package signal, ICE-lite
// and DTLS-SRTP on one UDP port (and the same TCP port), media through package fanout.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/handover"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/relay/closenotice"
	"github.com/millrace/millrace/dataplane/relay/fanout"
	"github.com/millrace/millrace/dataplane/relay/secure"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Options make a relay. Hub and Plan are needed; zero values take the defaults.
type Options struct {
	Hub     *hub.Hub
	Plan    *plan.Current
	Log     logr.Logger
	Metrics prometheus.Registerer // nil: no metrics
	Find    hub.Finder            // of streams that players ask for; default: Hub

	// Listen lists the addresses on which media is exchanged, UDP and TCP; port 0 takes a free one, the same for all.
	// Default: every unicast address of the machine, port 8000.
	Listen []netip.AddrPort
	// NoTCP turns ICE-TCP off.
	NoTCP bool
	// Advertise lists the addresses that players are told, in place of those the relay listens on; port 0 means the port
	// that the relay listens on.
	Advertise []netip.AddrPort

	// Door lets viewers in; several roles of a process share one. Default: a door of its own with Limits.
	Door   *door.Door
	Limits door.Limits

	Engine         fanout.EngineOptions
	JoinTimeout    time.Duration // to connect; default 15 s
	SilenceTimeout time.Duration // without a sign of life, or without consent (RFC 7675, 5.1); default 30 s
	FeedLinger     time.Duration // how long a stream stays packetised after its last viewer; default 5 s

	// CloseNotices names a file that outlives this process, for what tells viewers of a process that was killed to go
	// elsewhere (package closenotice, SendCloseNotices); empty: they find out by themselves.
	CloseNotices string
}

func (o *Options) defaults() {
	if o.Find == nil {
		o.Find = o.Hub
	}
	o.JoinTimeout = or(o.JoinTimeout, 15*time.Second)
	o.SilenceTimeout = or(o.SilenceTimeout, 30*time.Second)
	o.FeedLinger = or(o.FeedLinger, 5*time.Second)
}

func or[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Relay serves viewers. It is safe for concurrent use.
type Relay struct {
	opt      Options
	log      logr.Logger
	engine   *fanout.Engine
	identity *secure.Identity
	metrics  *metrics
	sockets  []*fanout.Socket
	tcp      []*net.TCPListener
	port     uint16

	dialects []signal.Row
	sessions *sessions
	feeds    *feeds
	door     *door.Door
	ownDoor  bool
	notices  *closenotice.File    // nil: none are kept
	left     []closenotice.Notice // by a process before this one, not sent yet

	handshakes *secure.Gate

	advertise atomic.Pointer[[]netip.AddrPort] // nil: those of the options

	ctx         context.Context //nolint:containedctx // the life of the relay's own goroutines
	cancel      context.CancelFunc
	goroutines  sync.WaitGroup
	closing     sync.Once
	unsubscribe func()
}

// New opens the media sockets and starts to serve.
func New(opt Options) (*Relay, error) {
	opt.defaults()
	id, err := secure.NewIdentity()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Relay{
		opt: opt, log: opt.Log, engine: fanout.NewEngine(opt.Engine), identity: id, ctx: ctx, cancel: cancel,
		dialects: signal.Table(), sessions: newSessions(), door: opt.Door, ownDoor: opt.Door == nil,
	}
	if r.ownDoor {
		r.door = door.New(door.Options{Hub: opt.Hub, Plan: opt.Plan, Find: opt.Find, Limits: opt.Limits})
	}
	r.handshakes = secure.NewGate(secure.HandshakesPerCore*runtime.GOMAXPROCS(0), secure.HandshakeHold)
	r.feeds = newFeeds(opt.FeedLinger)
	r.metrics = newMetrics(opt.Metrics, r)
	r.door.Collect(r.collect)
	if err := r.listen(); err != nil {
		r.Close()
		return nil, err
	}
	if opt.CloseNotices != "" {
		if err := r.keepCloseNotices(); err != nil {
			r.Close()
			return nil, err
		}
	}
	for _, s := range r.sockets {
		r.goroutines.Go(func() { r.receiveUDP(s) })
	}
	for _, l := range r.tcp {
		r.goroutines.Go(func() { r.acceptTCP(l) })
	}
	r.goroutines.Go(r.sweep)
	r.unsubscribe = opt.Plan.Subscribe(func(_, now *plan.Index) { r.applyPlan(now) })
	return r, nil
}

// Port is the media port.
func (r *Relay) Port() uint16 { return r.port }

// Sessions is the number of sessions, connected or not.
func (r *Relay) Sessions() int { return r.sessions.count() }

// Sent is what the relay has sent over UDP so far.
func (r *Relay) Sent() fanout.Counts { return r.engine.Counts() }

// applyPlan closes the sessions that lost their right, and only those. Media may go to another address than the one
// that asked for the stream; the address list holds for both.
func (r *Relay) applyPlan(now *plan.Index) {
	for _, s := range r.sessions.all() {
		err := now.MayKeepPlaying(s.right)
		if at := s.mediaAddress(); err == nil && at.IsValid() && !plan.AllowsIP(now.Play(s.right.Host).IPs, at) {
			err = fmt.Errorf("media goes to %s, which the play domain's address list does not allow any more", at)
		}
		if err != nil {
			go s.close("right lost", err)
		}
	}
}

// allows reports whether the address list of the session's play domain, as the Plan has it now, allows an address that
// media would go to.
func (r *Relay) allows(right plan.PlayRight, to netip.Addr) bool {
	d := r.opt.Plan.Load().Play(right.Host)
	return d != nil && plan.AllowsIP(d.IPs, to)
}

// sweep asks viewers for consent, and ends sessions that did not connect in time, fell silent or gave no consent, and
// those whose source became one that they cannot play.
func (r *Relay) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		for _, s := range r.sessions.all() {
			lost := s.renew(now)
			switch heard := time.Unix(0, s.heard.Load()); {
			case !s.connected.Load() && now.Sub(s.created) > r.opt.JoinTimeout:
				go s.close("not connected in time", nil)
			case s.connected.Load() && now.Sub(heard) > r.opt.SilenceTimeout:
				go s.close("silent", nil)
			case s.connected.Load() && lost:
				go s.close("no consent", nil)
			case s.feed.feed.Stream.Facts().BFrames && !s.bFrames:
				go s.close("source has B-frames now", nil)
			}
			s.sendSilence()
		}
	}
}

// Drain sends the players away one after the other, spread over a time. It returns when none is left, and all have been
// told more than once, or the context has ended.
func (r *Relay) Drain(ctx context.Context, over time.Duration) error {
	all := r.sessions.all()
	if left := handover.Spread(ctx, len(all), over, func(i int) { all[i].sendAway("drain") }); left > 0 {
		return fmt.Errorf("draining viewers, %d left: %w", left, ctx.Err())
	}
	if len(all) > 0 {
		closenotice.Wait(r.ctx, closenotice.ResendWithin)
	}
	return nil
}

// Close ends all sessions and frees the sockets. It may be called more than once; each call returns when all is done.
func (r *Relay) Close() { r.closing.Do(r.close) }

func (r *Relay) close() {
	if r.unsubscribe != nil {
		r.unsubscribe()
	}
	for _, s := range r.sessions.close() {
		s.sendAway("shutdown")
	}
	r.cancel()
	for _, s := range r.sockets {
		_ = s.Conn.Close()
	}
	for _, l := range r.tcp {
		_ = l.Close()
	}
	r.goroutines.Wait()
	if r.ownDoor {
		r.door.Close()
	}
	r.feeds.close()
	r.engine.Close()
	r.notices.Close()
}

var errNoAddress = errors.New("no address to receive media on; give one with --media-listen")

// Appeared says that Options.Find may find a stream now that it did not find before.
func (r *Relay) Appeared(key hub.Key) { r.door.Appeared(key) }
