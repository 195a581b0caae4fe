package pod

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/webserver"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
)

// stuckAfter is how long the announcing loop may stand still before /livez fails: a lock of the hub is held for good
// then.
const stuckAfter = 30 * time.Second

// serveAdmin serves probes, metrics and state. It is never exposed.
func (p *process) serveAdmin(run func(string, func() error)) (*http.Server, error) {
	srv := webserver.New(p.admin(), nil, p.log)
	if p.opt.AdminPort < 0 {
		return srv, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(p.opt.AdminAddress, strconv.Itoa(p.opt.AdminPort)))
	if err != nil {
		return nil, fmt.Errorf(
			"listening for probes and metrics: %w (choose another port with --%s)",
			err,
			contract.FlagAdminPort,
		)
	}
	p.at.Admin = l.Addr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // of a TCP listener
	run("probes and metrics", func() error { return closed(srv.Serve(l)) })
	return srv, nil
}

func (p *process) admin() http.Handler {
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	restarts := prometheus.NewCounter(
		prometheus.CounterOpts{
			Name: "millrace_process_restarts_total",
			Help: "Times that the process was started again in its container, after it was killed or crashed.",
		},
	)
	restarts.Add(float64(p.opt.Restarts))
	p.registry.MustRegister(restarts)
	mux := http.NewServeMux()
	probe := func(path string, ok func() (bool, string)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			good, why := ok()
			if !good {
				http.Error(w, why, http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok")
		})
	}
	probe(contract.PathLive, p.live)
	probe(contract.PathStartup, func() (bool, string) { return p.bound.Load(), "the sockets are not bound yet" })
	probe(contract.PathReady, p.whyNotReady)
	mux.Handle("GET "+contract.PathMetrics, p.inside(promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{})))
	if p.opt.Pprof {
		mux.Handle("GET /debug/pprof/", p.inside(http.HandlerFunc(pprof.Index)))
		mux.Handle("GET /debug/pprof/profile", p.inside(http.HandlerFunc(pprof.Profile)))
	}
	mux.Handle("GET "+contract.PathState, p.inside(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(p.state()) // a reader that is gone
	})))
	return mux
}

// inside keeps what is not a probe from other machines, where the options say so: on the network of a node the admin
// port is open to all that reach the node.
func (p *process) inside(next http.Handler) http.Handler {
	if !p.opt.AdminProbesOnly {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
			http.Error(w, "only probes are served to other machines: ask on loopback, or set exposure.admin of the pool to All",
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// live looks at nothing outside of the process.
func (p *process) live() (bool, string) {
	beat := p.beat.Load()
	return beat == 0 || time.Since(time.Unix(0, beat)) < stuckAfter, "the process stands still"
}

func (p *process) whyNotReady() (bool, string) {
	switch {
	case p.plans.Hash() == "":
		return false, "no valid plan is loaded"
	case !p.bound.Load():
		return false, "the sockets are not bound yet"
	case p.draining.Load():
		return false, "draining"
	}
	return true, ""
}

// State is what /state shows.
type State struct {
	Pod       string                 `json:"pod"`
	Role      contract.Role          `json:"role"`
	Class     string                 `json:"class"`
	Region    string                 `json:"region"`
	Since     time.Time              `json:"since"`
	Restarts  int                    `json:"restarts"` // of the process in its container
	Process   int                    `json:"process"`  // its id
	Status    announce.Status        `json:"status"`
	Listeners int                    `json:"listeners"` // to the announcements
	Announced []announce.Stream      `json:"announced"`
	Streams   []StreamState          `json:"streams"` // of the hub
	Fetches   []directory.FetchState `json:"fetches"`
	Peers     []announce.PeerState   `json:"peers"`
	Address   bundle.Address         `json:"address"` // that the Plan gave
	Sessions  any                    `json:"sessions,omitempty"`
	Expires   time.Time              `json:"certificateExpires"`
}

// StreamState is a stream of the hub.
type StreamState struct {
	Stream  string `json:"stream"`
	Live    bool   `json:"live"`
	Epoch   uint64 `json:"epoch"` // counts its publishers in this process
	Readers int    `json:"readers"`
}

func (p *process) state() State {
	st := State{
		Pod: p.opt.Pod, Role: p.opt.Role, Class: p.opt.Class, Region: p.opt.Region, Since: p.started,
		Restarts: p.opt.Restarts, Process: os.Getpid(), Status: p.status(), Listeners: p.board.Listeners(),
		Announced: []announce.Stream{}, Streams: []StreamState{}, Fetches: p.finder.Fetches(), Peers: p.mirror.Peers(),
		Address:  p.toldAddress(),
		Sessions: p.role.state(), Expires: p.identity.Expires(),
	}
	for _, s := range p.board.Streams() {
		st.Announced = append(st.Announced, s)
	}
	for _, s := range p.hub.Streams() {
		st.Streams = append(
			st.Streams,
			StreamState{Stream: s.Key.String(), Live: s.Live(), Epoch: s.Epoch(), Readers: s.Readers()},
		)
	}
	return st
}
