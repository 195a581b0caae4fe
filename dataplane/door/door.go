// Package door decides who may watch: one admission for relays and edges.
//
// Enter asks the questions in one order, cheapest first: the domain, its state, the address, the referer, the
// signature, the stream, the limits. It returns a Pass, which holds what the viewer counts with, or a Refusal, which is
// a row of one table with the facts filled in (Table).
//
// The limits count in one account per play domain and one for the process, under one lock that only viewers who come
// or go take, and the measurement once a second. What is sent is counted by atomic counters.
package door

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/cputime"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Options make a door. Hub and Plan are needed.
type Options struct {
	Hub  *hub.Hub
	Plan *plan.Current
	Find hub.Finder // of streams that viewers ask for; default: Hub
	Limits
}

// Limits bound the viewers of a process. Zero values take the defaults.
type Limits struct {
	MaxViewers         int     // in all; default 20,000
	MaxEgressMbps      float64 // sent in all, beyond which newcomers are refused; default: no limit
	MaxCPU             float64 // share of all cores beyond which newcomers are refused, such as 0.9; default: no limit
	MaxJoinsPerAddress int     // viewers of one address that have not connected yet; default 512
}

// WithDefaults returns the limits that are in force.
func (l Limits) WithDefaults() Limits {
	if l.MaxViewers <= 0 {
		l.MaxViewers = 20_000
	}
	if l.MaxJoinsPerAddress <= 0 {
		l.MaxJoinsPerAddress = 512
	}
	return l
}

// Door lets viewers in. It is made by New and safe for concurrent use.
type Door struct {
	opt     Options
	missing *hub.Missing
	domains sync.Map // domainKey to *account

	mu      sync.Mutex
	process *account
	polls   polls
	arrived [2][]*Pass // those whose promise is not measured yet: since the last measurement, and before it
	collect []func()
	at      time.Time
	cpu     time.Duration // used by the process so far
	busy    float64       // share of all cores, smoothed over some seconds

	cancel    context.CancelFunc
	measuring sync.WaitGroup
}

// New makes a door, which measures until Close.
func New(opt Options) *Door {
	if opt.Find == nil {
		opt.Find = opt.Hub
	}
	opt.Limits = opt.WithDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	d := &Door{
		opt: opt, missing: hub.NewMissing(opt.Hub), process: newAccount(), polls: newPolls(), at: time.Now(),
		cpu: cputime.Own(), cancel: cancel,
	}
	d.measuring.Go(func() { d.run(ctx) })
	return d
}

// Close ends the measurements. Passes may still be given back.
func (d *Door) Close() {
	d.cancel()
	d.measuring.Wait()
	d.missing.Close()
}

func (d *Door) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			d.measure(now, cputime.Own(), runtime.GOMAXPROCS(0))
		}
	}
}

// Limits returns the limits in force, defaults filled in.
func (d *Door) Limits() Limits { return d.opt.Limits }

// Find returns a stream, and remembers for a moment which ones were not found. The refusal says what is missing.
func (d *Door) Find(ctx context.Context, key hub.Key) (*hub.Stream, error) {
	return d.missing.Find(ctx, key, d.opt.Find)
}

// Appeared says that Options.Find may find a stream now that it did not find before.
func (d *Door) Appeared(key hub.Key) { d.missing.Appeared(key) }

// Ask is what a viewer asks for.
type Ask struct {
	Host     string // of the play domain; lower case, no port
	Path     string // escaped as it was sent
	Query    string
	Suffix   string // what the path has behind the stream's name: ".flv", ".m3u8"
	Remote   netip.Addr
	Referer  string
	Type     plan.PlayType
	Protocol plan.Protocol // of a Standard domain
	// Agent tells viewers apart that come anew with each request: those of HLS.
	Agent string
	// Joins says that the viewer has to connect first: until Pass.Arrive it counts as one that joins.
	Joins bool
	// Peek asks all questions but those about limits, and gets no place: HEAD.
	Peek bool
}

// Enter lets a viewer in or says why not. The Pass is to be given back by Leave, except those of HLS, which last as
// long as their viewer asks.
func (d *Door) Enter(ctx context.Context, ask *Ask) (*Pass, *Refusal) {
	domain, index, no := d.Knock(ask)
	if no != nil {
		return nil, no
	}
	path, err := verify(index, domain, ask, time.Now())
	if err != nil {
		return nil, signature(err)
	}
	app, name, ok := Split(strings.TrimSuffix(path, ask.Suffix))
	if !ok {
		return nil, Refuse(NotAStream, "/app/stream"+ask.Suffix)
	}
	s, err := d.Find(ctx, hub.Key{Space: domain.Space, App: app, Name: name})
	if err != nil {
		return nil, NotFound(err, app, name)
	}
	p := &Pass{
		Domain: domain, Index: index, Stream: s, door: d,
		Right: plan.PlayRight{
			Host: domain.Hostname, Space: domain.Space, RemoteIP: ask.Remote, Referer: ask.Referer, App: app,
			Type: ask.Type, Protocol: ask.Protocol,
		},
		account: d.domain(domain.Hostname, ask.Type),
	}
	if ask.Peek {
		return p, nil
	}
	facts := s.Facts()
	p.promise = float64(facts.VideoKbps+facts.AudioKbps) / 1000
	if ask.Protocol == plan.HLS {
		no = d.poll(p, s.Key, ask.Agent, time.Now())
	} else {
		no = d.admit(p, ask.Joins)
	}
	if no != nil {
		return nil, no
	}
	return p, nil
}

// Knock asks the questions that need neither signature nor stream: the domain, its state, the address, the referer.
func (d *Door) Knock(ask *Ask) (*plan.PlayDomain, *plan.Index, *Refusal) {
	index := d.opt.Plan.Load()
	domain := index.Play(ask.Host)
	switch {
	case domain == nil, domain.Type != plan.RTS && ask.Type == plan.RTS:
		return nil, nil, Refuse(UnknownDomain, shown(ask.Host), kind(ask.Type))
	case domain.Type != ask.Type:
		return nil, nil, Refuse(ProtocolNotServed, domain.Hostname, RTSAlone)
	case domain.Offline:
		return nil, nil, Refuse(DomainOffline, domain.Hostname)
	case ask.Type == plan.Standard && !slices.Contains(domain.Protocols, ask.Protocol):
		return nil, nil, Refuse(
			ProtocolNotServed,
			domain.Hostname,
			"does not serve "+string(ask.Protocol)+" (standard.protocols)",
		)
	case !plan.AllowsIP(domain.IPs, ask.Remote):
		return nil, nil, Refuse(AddressNotAllowed, domain.Hostname)
	case !plan.AllowsReferer(domain.Referers, ask.Referer):
		return nil, nil, Refuse(RefererNotAllowed, domain.Hostname)
	}
	return domain, index, nil
}

// RTSAlone says why an RTS domain does not serve another protocol, for ProtocolNotServed.
const RTSAlone = "serves RTS alone (artc://, WHEP); RTMP, FLV and HLS are played from a Standard domain"

func kind(t plan.PlayType) string {
	if t == plan.RTS {
		return "an RTS play domain"
	}
	return "a play domain"
}

// verify checks the signature and returns the path without it. A viewer that falls back from RTS (rts_degrade=on) has
// the signature of an RTS domain: those of the same streams are good as well.
func verify(index *plan.Index, domain *plan.PlayDomain, ask *Ask, now time.Time) (string, error) {
	path, err := urlauth.Verify(domain.Auth, ask.Path, ask.Query, now)
	if err == nil || ask.Type != plan.Standard || !slices.Contains(strings.Split(ask.Query, "&"), "rts_degrade=on") {
		return path, err
	}
	for i := range index.Plan.Play {
		other := &index.Plan.Play[i]
		if other.Space != domain.Space || other.Type != plan.RTS || other.Offline {
			continue
		}
		if other.Auth.Type == plan.AuthNone || other.Auth.Type == "" { // what is open there is not open here
			continue
		}
		if path, second := urlauth.Verify(other.Auth, ask.Path, ask.Query, now); second == nil {
			return path, nil
		}
	}
	return "", err
}

func signature(err error) *Refusal {
	reason := SignatureInvalid
	switch {
	case errors.Is(err, urlauth.ErrMissing):
		reason = SignatureMissing
	case errors.Is(err, urlauth.ErrExpired):
		reason = SignatureExpired
	}
	return Refuse(reason, err)
}

// NotFound words why a stream is not there: what a Finder says about one that may come, or that nobody publishes it.
func NotFound(err error, app, name string) *Refusal {
	if later, ok := errors.AsType[*hub.UnavailableError](err); ok {
		r := Refuse(Reason(later.Reason), later.Message)
		r.RetryAfter = later.RetryAfter
		return r
	}
	return Refuse(StreamNotFound, shown(app), shown(name))
}
