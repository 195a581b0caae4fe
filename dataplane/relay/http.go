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
	case req.Method == http.MethodHead:
		w.Header().Set("Content-Type", signal.ContentSDP)
		w.WriteHeader(http.StatusOK)
	case req.Method == http.MethodGet && (strings.HasSuffix(path, ".flv") || strings.HasSuffix(path, ".m3u8")):
		signal.ARTC{}.Refuse(w, door.Refuse(door.ProtocolNotServed, host, door.RTSAlone), trace)
	case req.Method == http.MethodGet:
		w.WriteHeader(http.StatusNoContent)
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", signal.EndpointMethods)
		signal.ARTC{}.Refuse(w, door.Refuse(door.MethodNotAllowed, "ask for a stream by POST"), trace)
	case path == signal.SRSPath:
		r.serveNamed(w, req, host, signal.SRS{Server: "millrace"}, trace)
	case path == signal.LEBPullPath:
		r.serveNamed(w, req, host, signal.LEB{}, trace)
	case path == signal.LEBStopPath:
		r.serveStop(w, req, host, trace)
	case signal.MediaType(req) == signal.ContentSDP:
		r.servePath(w, req, host, signal.WHEP{}, func(body []byte, ask *signal.Ask) *signal.Refusal {
			ask.SDP = string(body)
			return nil
		}, trace)
	default:
		r.servePath(w, req, host, signal.ARTC{}, signal.ARTC{}.Read, trace)
	}
}

// servePath serves the dialects whose URL names the stream: the stream is looked for before the body is read.
func (r *Relay) servePath(
	w http.ResponseWriter,
	req *http.Request,
	host string,
	d signal.Dialect,
	read func([]byte, *signal.Ask) *signal.Refusal,
	trace string,
) {
	ask := signal.Ask{Host: host}
	ask.Locate(req.URL.EscapedPath(), req.URL.RawQuery)
	t, refusal := r.enter(&ask, req)
	if refusal == nil {
		var body []byte
		if body, refusal = signal.ReadBody(w, req); refusal == nil {
			refusal = read(body, &ask)
		}
	}
	r.finish(w, req, d, t, &ask, refusal, trace)
}

// bodyDialect is a dialect whose body names the stream.
type bodyDialect interface {
	signal.Dialect
	Read(body []byte, ask *signal.Ask) *signal.Refusal
}

func (r *Relay) serveNamed(w http.ResponseWriter, req *http.Request, host string, d bodyDialect, trace string) {
	var ask signal.Ask
	var t *door.Pass
	body, refusal := signal.ReadBody(w, req)
	if refusal == nil {
		refusal = d.Read(body, &ask)
	}
	if refusal == nil && ask.Host != host {
		refusal = door.Refuse(door.OtherDomain, ask.Host, host)
	}
	if refusal == nil {
		t, refusal = r.enter(&ask, req)
	}
	r.finish(w, req, d, t, &ask, refusal, trace)
}

func (r *Relay) finish(
	w http.ResponseWriter,
	req *http.Request,
	d signal.Dialect,
	t *door.Pass,
	ask *signal.Ask,
	refusal *signal.Refusal,
	trace string,
) {
	var answer *signal.Answer
	defer func() {
		if answer == nil && t != nil {
			t.Leave() // refused, or a panic
		}
	}()
	if refusal == nil {
		answer, refusal = r.join(req, d.Name(), t, ask)
	}
	if refusal != nil {
		r.metrics.joins.WithLabelValues(d.Name(), refusal.Reason).Inc()
		d.Refuse(w, refusal, trace)
		return
	}
	r.metrics.joins.WithLabelValues(d.Name(), "answered").Inc()
	answer.TraceID = trace
	d.Answer(w, answer)
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

func (r *Relay) serveStop(w http.ResponseWriter, req *http.Request, host, trace string) {
	body, refusal := signal.ReadBody(w, req)
	var id string
	if refusal == nil {
		id, refusal = signal.LEB{}.ReadStop(body)
	}
	if refusal != nil {
		signal.LEB{}.Refuse(w, refusal, trace)
		return
	}
	if s := r.sessions.id(id); s != nil && s.right.Host == host {
		s.close("stopped", nil)
	}
	signal.LEB{}.Stopped(w)
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
