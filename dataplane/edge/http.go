package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/millrace/millrace/dataplane/cors"
	"github.com/millrace/millrace/dataplane/door"
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
	path := a.Path
	switch {
	case req.Method == http.MethodOptions:
		w.Header().Set("Allow", methods)
		w.WriteHeader(http.StatusNoContent)
	case hlsResource(path) != nil:
		a.Protocol = plan.HLS
		e.serveResource(w, req, a, hlsResource(path))
	case strings.HasSuffix(path, ".m3u8"):
		a.Protocol = plan.HLS
		e.serveMultivariant(w, req, a)
	case strings.HasSuffix(path, ".flv"):
		a.Protocol = plan.FLV
		e.serveFLV(w, req, a)
	default:
		e.refuseOther(w, req, a)
	}
}

// refuseOther words what is asked of no protocol of the edge.
func (e *Edge) refuseOther(w http.ResponseWriter, req *http.Request, a *door.Ask) {
	d := e.opt.Plan.Load().Play(a.Host)
	switch {
	case d == nil:
		_, _, no := e.door.Knock(a)
		refuse(w, no)
	case d.Type != plan.Standard:
		refuse(w, door.Refuse(door.ProtocolNotServed, d.Hostname, door.RTSAlone))
	case req.Method == http.MethodPost:
		refuse(w, door.Refuse(door.ProtocolNotServed, d.Hostname,
			"serves RTMP, FLV and HLS; RTS (artc://, WHEP) is played from an RTS domain"))
	default:
		refuse(w, door.Refuse(door.NotAStream, "/app/stream.flv or /app/stream.m3u8"))
	}
}

// allowed reports whether the method can be served, and answers otherwise.
func allowed(w http.ResponseWriter, req *http.Request) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", methods)
	refuse(w, door.Refuse(door.MethodNotAllowed, "ask for a stream by GET"))
	return false
}

func newAsk(req *http.Request) *door.Ask {
	a := &door.Ask{
		Host: plan.Hostname(req.Host), Path: req.URL.EscapedPath(), Query: req.URL.RawQuery,
		Referer: door.Referer(req), Type: plan.Standard, Agent: req.UserAgent(),
		Peek: req.Method == http.MethodHead,
	}
	a.Remote = remote(req).Addr()
	return a
}

// remote returns the address of the client; not valid when it is not known.
func remote(req *http.Request) netip.AddrPort {
	at, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// policy is what pages may do.
func policy() cors.Policy {
	return cors.Policy{Methods: methods, Headers: "Range, Content-Type", Expose: "Content-Length, Retry-After"}
}
