package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/millrace/millrace/dataplane/cors"
	"github.com/millrace/millrace/internal/contract/plan"
)

const methods = "GET, HEAD, OPTIONS"

// ServeHTTP serves FLV, WebSocket-FLV and HLS of Standard play domains. What is not for the edge is 403 or 404, with
// the reason in JSON.
func (e *Edge) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
			e.metrics.panics.Inc()
			e.log.Error(fmt.Errorf("panic: %v", v), "A request ended in a panic", "Stack", string(debug.Stack()))
			panic(http.ErrAbortHandler)
		}
	}()
	policy().Write(w.Header(), req)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	a := newAsk(req)
	path := a.path
	switch {
	case req.Method == http.MethodOptions:
		w.Header().Set("Allow", methods)
		w.WriteHeader(http.StatusNoContent)
	case hlsResource(path) != nil:
		a.protocol = plan.HLS
		e.serveResource(w, req, a, hlsResource(path))
	case strings.HasSuffix(path, ".m3u8"):
		a.protocol = plan.HLS
		e.serveMultivariant(w, req, a)
	case strings.HasSuffix(path, ".flv"):
		a.protocol = plan.FLV
		e.serveFLV(w, req, a)
	default:
		e.refuseOther(w, req, a)
	}
}

// refuseOther words what is asked of no protocol of the edge.
func (e *Edge) refuseOther(w http.ResponseWriter, req *http.Request, a *ask) {
	d := e.opt.Plan.Load().Play(a.host)
	switch {
	case d == nil:
		refuse(http.StatusNotFound, "UnknownDomain", "%q is not a play domain of this server", shown(a.host)).write(w)
	case d.Type != plan.Standard:
		refuse(
			http.StatusForbidden,
			"ProtocolNotServed",
			"play domain %s serves RTS alone (artc://, WHEP)",
			d.Hostname,
		).write(w)
	case req.Method == http.MethodPost:
		refuse(http.StatusForbidden, "ProtocolNotServed",
			"play domain %s serves RTMP, FLV and HLS; RTS (artc://, WHEP) is played from an RTS domain", d.Hostname).write(w)
	default:
		refuse(http.StatusNotFound, "NotAStream", "ask for /app/stream.flv or /app/stream.m3u8").write(w)
	}
}

// allowed reports whether the method can be served, and answers otherwise.
func allowed(w http.ResponseWriter, req *http.Request) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", methods)
	refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "ask for a stream by GET").write(w)
	return false
}

func newAsk(req *http.Request) *ask {
	a := &ask{
		host:     plan.Hostname(req.Host),
		path:     req.URL.EscapedPath(),
		rawQuery: req.URL.RawQuery,
		referer:  req.Header.Get("Referer"),
	}
	if a.referer == "" {
		a.referer = req.Header.Get("Origin")
	}
	if at, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		a.remote = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return a
}

// policy is what pages may do.
func policy() cors.Policy {
	return cors.Policy{Methods: methods, Headers: "Range, Content-Type", Expose: "Content-Length, Retry-After"}
}
