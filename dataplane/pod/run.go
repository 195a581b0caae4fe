package pod

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/certificates"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/pod/delivery"
	"github.com/millrace/millrace/dataplane/pull"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/identity"
	"github.com/millrace/millrace/internal/contract/plan"
)

// process is a running pod.
type process struct {
	opt      Options
	log      logr.Logger
	registry *prometheus.Registry
	current  *plan.Current
	plans    *delivery.Receiver
	hub      *hub.Hub
	identity *identity.Identity
	certs    *certificates.Store
	board    *announce.Board
	mirror   *announce.Mirror
	finder   *directory.Finder
	role     role
	at       Addresses
	started  time.Time

	bound    atomic.Bool // everything listens
	draining atomic.Bool
	beat     atomic.Int64 // Unix nanoseconds of the last round of the announcing loop
	nudge    chan struct{}
	pulled   chan struct{} // closed when nobody pulls any more

	addresses struct {
		sync.Mutex
		last bundle.Address
		call func(bundle.Address)
	}
	epochs map[announce.ID]epoch // owned by the announcing loop
}

// Run serves until the context ends, then drains and returns nil. An error says why it could not start.
func Run(ctx context.Context, opt Options) error {
	if err := opt.defaults(); err != nil {
		return err
	}
	if opt.Pod == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("naming the pod: %w; give a name with --pod", err)
		}
		opt.Pod = name
	}
	p := &process{
		opt: opt, log: opt.Log, registry: prometheus.NewRegistry(), current: plan.NewCurrent(), started: time.Now(),
		nudge: make(chan struct{}, 1), pulled: make(chan struct{}),
		epochs: map[announce.ID]epoch{},
	}
	if err := p.assemble(); err != nil {
		return err
	}
	defer p.mirror.Close()
	return p.run(ctx)
}

// assemble makes the parts that every role has, and the role.
func (p *process) assemble() (err error) {
	if p.identity, err = identity.Load(p.opt.TLSDir); err != nil {
		return err
	}
	if self := p.identity.Self(); self.Role != p.opt.Role || self.Class != p.opt.Class {
		return fmt.Errorf(
			"the certificate in %s is for %s, and this is %s of class %s",
			p.opt.TLSDir,
			self.URI(),
			p.opt.Role,
			p.opt.Class,
		)
	}
	p.plans, err = delivery.New(delivery.Options{
		Current: p.current, Class: p.opt.Class, Role: p.opt.Role, StateDir: p.opt.StateDir, Log: p.log.WithName("plan"),
		Metrics: p.registry, Addresses: p.tellAddresses,
	})
	if err != nil {
		return err
	}
	if p.certs, err = certificates.New(p.current, certificates.Options{}); err != nil {
		return err
	}
	p.hub = hub.New(hub.Options{Hold: p.opt.Hold})
	p.board = announce.NewBoard(announce.Hello{
		Pod: p.opt.Pod, Node: p.opt.Node, Role: string(p.opt.Role), Class: p.opt.Class, Region: p.opt.Region,
		Boot: strconv.FormatInt(p.started.UnixNano(), 36),
	})
	secure := p.identity.Client(identity.Pods)
	p.mirror = announce.NewMirror(announce.MirrorOptions{TLS: secure, Log: p.log.WithName("directory")})
	p.finder, err = directory.NewFinder(directory.FinderOptions{
		Hub: p.hub, Plan: p.current, Mirror: p.mirror, TLS: secure, Log: p.log.WithName("directory"), Metrics: p.registry,
		Renditions: p.opt.Role == contract.Relay || p.opt.Role == contract.Edge, Linger: p.opt.Linger,
	})
	if err != nil {
		return err
	}
	p.mirror.Subscribe(func(ids []announce.ID) {
		if p.role != nil {
			p.role.appeared(ids)
		}
	})
	p.firstPlan()
	p.role, err = newRole(p)
	return err
}

// run serves, and drains at the end of the context.
func (p *process) run(ctx context.Context) error {
	// What serves outlives the end of the context: it is drained.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, 16)
	run := func(name string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, net.ErrClosed) {
				failed <- fmt.Errorf("serving %s: %w", name, err)
			}
		})
	}
	// The order of the end: who pulls is cut before anything ends a stream, so that the end of this pod is not taken for
	// that of its streams.
	defer p.hub.Close()
	defer p.finder.Close()
	defer wg.Wait()
	defer p.role.close()
	defer func() { <-p.pulled }()
	defer stop()
	admin, err := p.serveAdmin(run)
	if err != nil {
		close(p.pulled)
		return err
	}
	defer func() { _ = admin.Close() }()
	wg.Go(func() { p.identity.Watch(running, p.log.WithName("identity")) })
	p.watchPlans(running, &wg)
	if err := p.role.open(); err != nil {
		close(p.pulled)
		return err
	}
	internal, err := p.serveInternal(running, run)
	if err != nil {
		close(p.pulled)
		return err
	}
	defer func() { _ = internal.Close() }()
	p.role.serve(running, run)
	wg.Go(func() { p.announce(running) })
	p.watchPeers(running, &wg)
	p.bound.Store(true)
	p.log.Info(
		"Serving",
		"pod",
		p.opt.Pod,
		"role",
		string(p.opt.Role),
		"class",
		p.opt.Class,
		"region",
		p.opt.Region,
		"admin",
		p.at.Admin.String(),
	)
	if p.opt.Started != nil {
		p.opt.Started(p.at)
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	p.drain()
	return err
}

// firstPlan takes the Plan of the memory or the folder, before anything is made that looks at it.
func (p *process) firstPlan() {
	if err := p.plans.Recall(); err != nil {
		p.log.Info("The last good plan cannot be used", "error", err.Error())
	}
	if secrets, err := delivery.ReadVolume(p.opt.PlanDir); err == nil {
		_ = p.plans.Offer(delivery.Volume, secrets) // logged there
	}
}

// watchPlans takes Plans from all sources.
func (p *process) watchPlans(ctx context.Context, wg *sync.WaitGroup) {
	wg.Go(func() { p.plans.WatchVolume(ctx, p.opt.PlanDir) })
	if p.opt.Cluster != nil {
		wg.Go(func() {
			p.opt.Cluster.WatchPlan(ctx, p.opt.Class, p.opt.Role, func(secrets []map[string][]byte) error {
				return p.plans.Offer(delivery.API, secrets)
			})
		})
	}
}

// ready is what /readyz says: a Plan is loaded, the sockets are bound, and the pod does not drain.
func (p *process) ready() bool { return p.bound.Load() && !p.draining.Load() && p.plans.Hash() != "" }

// drain takes nobody in any more and lets those who are there go elsewhere. It ends by its deadline, whatever happens.
func (p *process) drain() {
	p.draining.Store(true)
	p.wake()
	ctx, cancel := context.WithTimeout(context.Background(), p.opt.DrainTime)
	defer cancel()
	began := time.Now()
	p.log.Info("Draining", "deadline", p.opt.DrainTime.String(), "streams", len(p.hub.Streams()))
	p.role.drain(ctx)
	p.log.Info("Drained", "seconds", int(time.Since(began).Seconds()), "deadline", ctx.Err() != nil)
}

// The process before this one, and what answers in its place (package farewell), may have a port for some moments yet.
const (
	takeOver      = 2 * time.Second // within which it has to be free
	takeOverRetry = 5 * time.Millisecond
)

// Listen opens a TCP port that a process which has ended, or is about to let go of it, may still have.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	for until := time.Now().Add(takeOver); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(until); l,
		err = net.Listen("tcp", address) {
		time.Sleep(takeOverRetry)
	}
	return l, err
}

// listen opens a TCP port; a negative one is off.
func (p *process) listen(name string, port int, at *netip.AddrPort) (net.Listener, error) {
	if port < 0 {
		return nil, nil
	}
	l, err := Listen(net.JoinHostPort(p.opt.Address, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listening for %s: %w (choose another port with --%s-port)", name, err, name)
	}
	*at = l.Addr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // of a TCP listener
	return l, nil
}

// serveRTSP shows the streams to other pods.
func (p *process) serveRTSP(ctx context.Context, l net.Listener) error {
	srv, err := pull.NewServer(pull.ServerOptions{
		Hub: p.hub, Find: p.role.find(), Log: p.log.WithName("rtsp"), Metrics: p.registry,
		TLSConfig: p.identity.Server(identity.Members),
	})
	if err != nil {
		_ = l.Close() // it is not served
		return err
	}
	return srv.Serve(ctx, l)
}
