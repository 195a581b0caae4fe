package standalone

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millrace/millrace/dataplane/edge"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/player"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/dataplane/webserver"
	"github.com/millrace/millrace/internal/contract/plan"
)

type shutdowner interface{ Shutdown(context.Context) error }

// serveWeb starts the HTTP servers.
func (s *server) serveWeb(run func(string, func() error), l listeners) []shutdowner {
	var all []shutdowner
	start := func(name string, one net.Listener, h http.Handler, secure bool) {
		if one == nil {
			return
		}
		srv := webserver.Public(h, s.certs.Get, s.opt.Log)
		all = append(all, srv)
		run(name, func() error {
			var err error
			if secure {
				err = srv.ServeTLS(one, "", "")
			} else {
				err = srv.Serve(one)
			}
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		})
	}
	page := player.Before(s.current, http.HandlerFunc(s.play))
	start("HTTP", l.http, page, false)
	start("HTTPS", l.https, page, true)
	start("metrics and state", l.admin, s.admin(), false)
	return all
}

// play serves what is not the page: the type of the host's domain chooses by what.
func (s *server) play(w http.ResponseWriter, req *http.Request) {
	if d := s.current.Load().Play(plan.Hostname(req.Host)); d != nil && d.Type == plan.Standard {
		s.edge.ServeHTTP(w, req)
		return
	}
	s.relay.ServeHTTP(w, req) // for hosts that are unknown it says so in a form that pages and players can read
}

// admin serves what operators look at. It is bound to an address of its own and must not be reachable by viewers.
func (s *server) admin() http.Handler {
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.Handle("GET /debug/pprof/heap", pprof.Handler("heap"))
	mux.Handle("GET /debug/pprof/goroutine", pprof.Handler("goroutine"))
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(s.state()) // a reader that is gone
	})
	return mux
}

// State is what /state shows.
type State struct {
	Since      time.Time           `json:"since"`
	Streams    []StreamState       `json:"streams"` // renditions too: their pushDomain is empty
	Sessions   []relay.SessionInfo `json:"sessions"`
	Renditions []transcode.Info    `json:"renditions"`
	Viewers    []edge.ViewerInfo   `json:"viewers"` // of FLV and RTMP
}

// StreamState is a stream as /state shows it.
type StreamState struct {
	Stream  string      `json:"stream"` // main play domain, app and name
	Live    bool        `json:"live"`   // false: held for an encoder that may come back
	Epoch   uint64      `json:"epoch"`  // counts the publishers of the stream
	Since   time.Time   `json:"since"`
	Domain  string      `json:"pushDomain"`
	Remote  string      `json:"remote"`
	Source  media.Facts `json:"source"`
	Viewers int         `json:"viewers"`
}

func (s *server) state() State {
	st := State{
		Since:      s.started,
		Sessions:   s.relay.List(),
		Streams:    []StreamState{},
		Renditions: s.trans.List(),
		Viewers:    s.edge.List(),
	}
	viewers := map[string]int{}
	for _, v := range st.Sessions {
		viewers[v.Stream]++
	}
	for _, v := range st.Viewers {
		viewers[v.Stream]++
	}
	for _, one := range s.hub.Streams() {
		by := one.Publisher()
		st.Streams = append(st.Streams, StreamState{
			Stream: one.Key.String(), Live: one.Live(), Epoch: one.Epoch(), Since: one.Since(), Domain: by.Domain,
			Remote: by.Remote,
			Source: one.Facts(), Viewers: viewers[one.Key.String()],
		})
	}
	return st
}
