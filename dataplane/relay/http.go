package relay

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/internal/contract/plan"
)

// ServeHTTP is the signalling of RTS play domains. What is not for the relay is 404.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	signal.CORS().Write(w.Header(), req)
	trace := token(9)
	host := plan.Hostname(req.Host)
	d := r.opt.Plan.Load().Play(host)
	if d == nil || d.Type != plan.RTS {
		signal.ARTC{}.Refuse(w, door.Refuse(door.UnknownDomain, host, "an RTS play domain"), trace)
		return
	}
	switch path := strings.TrimSuffix(req.URL.Path, "/"); {
	case strings.HasPrefix(path, signal.SessionPath):
		r.serveSession(w, req, host, path[len(signal.SessionPath):], trace)
	case req.Method == http.MethodOptions:
		signal.Options(w, signal.EndpointMethods)
	case fallbackOf(req, path) != "":
		if refusal := r.fallback(w, req, fallbackOf(req, path)); refusal != nil {
			signal.ARTC{}.Refuse(w, refusal, trace)
		}
	case req.Method == http.MethodHead:
		w.Header().Set("Content-Type", signal.ContentSDP)
		w.WriteHeader(http.StatusOK)
	case req.Method == http.MethodGet:
		w.WriteHeader(http.StatusNoContent)
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", signal.EndpointMethods)
		signal.ARTC{}.Refuse(w, door.Refuse(door.MethodNotAllowed, "ask for a stream by POST"), trace)
	default:
		if row, stop := signal.Match(r.dialects, path, signal.MediaType(req)); stop {
			r.serveStop(w, req, host, row, trace)
		} else {
			r.serveOffer(w, req, host, row, trace)
		}
	}
}

// serveOffer lets a viewer in, or says why not.
func (r *Relay) serveOffer(w http.ResponseWriter, req *http.Request, host string, d *signal.Row, trace string) {
	answer, refusal := r.take(w, req, host, d)
	if refusal != nil {
		r.metrics.joins.WithLabelValues(d.Name(), refusal.Reason).Inc()
		d.Refuse(w, refusal, trace)
		return
	}
	r.metrics.joins.WithLabelValues(d.Name(), "answered").Inc()
	answer.TraceID = trace
	d.Answer(w, answer)
}

// take is the way of an offer: parse, enter, join; then it is answered. A stream that the URL names is asked for at the
// door before the body is read.
func (r *Relay) take(
	w http.ResponseWriter,
	req *http.Request,
	host string,
	d *signal.Row,
) (answer *signal.Answer, refusal *signal.Refusal) {
	ask := signal.Ask{Host: host, Port: portOf(req.Host)}
	inBody := d.Path != ""
	if !inBody {
		ask.Locate(req.URL.EscapedPath(), req.URL.RawQuery)
	} else if refusal = parse(w, req, host, d, &ask); refusal != nil {
		return nil, refusal
	}
	pass, refusal := r.enter(&ask, req)
	if refusal != nil {
		return nil, refusal
	}
	defer func() {
		if answer == nil {
			pass.Leave() // refused, or a panic
		}
	}()
	if !inBody {
		if refusal = parse(w, req, host, d, &ask); refusal != nil {
			return nil, refusal
		}
	}
	return r.join(req, d.Name(), pass, &ask)
}

// parse reads the body of an offer.
func parse(w http.ResponseWriter, req *http.Request, host string, d *signal.Row, ask *signal.Ask) *signal.Refusal {
	body, refusal := signal.ReadBody(w, req)
	if refusal == nil {
		refusal = d.Read(body, ask)
	}
	if refusal == nil && ask.Host != host {
		refusal = door.Refuse(door.OtherDomain, ask.Host, host)
	}
	return refusal
}

// serveSession is a WHEP session's own URL.
func (r *Relay) serveSession(w http.ResponseWriter, req *http.Request, host, id, trace string) {
	if req.Method == http.MethodOptions {
		signal.Options(w, signal.SessionMethods)
		return
	}
	s := r.sessions.id(id)
	if s == nil || s.right.Host != host {
		signal.WHEP{}.Refuse(w, door.Refuse(door.SessionNotFound), trace)
		return
	}
	switch req.Method {
	case http.MethodDelete:
		s.close("deleted", nil)
		w.WriteHeader(http.StatusOK)
	case http.MethodPatch:
		body, refusal := signal.ReadBody(w, req)
		if refusal == nil {
			refusal = signal.Patch(req, body, s.etag, s.remoteUfrag)
		}
		if refusal != nil {
			signal.WHEP{}.Refuse(w, refusal, trace)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", signal.SessionMethods)
		signal.WHEP{}.Refuse(w, door.Refuse(door.MethodNotAllowed, "a session takes "+signal.SessionMethods), trace)
	}
}

// serveStop ends a session that the body names.
func (r *Relay) serveStop(w http.ResponseWriter, req *http.Request, host string, d *signal.Row, trace string) {
	stopper := d.Dialect.(signal.Stopper) //nolint:forcetypeassert // a row with a StopPath; a test goes over them
	body, refusal := signal.ReadBody(w, req)
	var id string
	if refusal == nil {
		id, refusal = stopper.ReadStop(body)
	}
	if refusal != nil {
		d.Refuse(w, refusal, trace)
		return
	}
	if s := r.sessions.id(id); s != nil && s.right.Host == host {
		s.close("stopped", nil)
	}
	stopper.Stopped(w)
}

// addresses returns the client's address and the one of ours that it used.
func addresses(req *http.Request) (remote, local netip.Addr) {
	if a, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		remote = a.Addr().Unmap()
	}
	if a, ok := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		local = a.AddrPort().Addr().Unmap()
	}
	return remote, local
}
