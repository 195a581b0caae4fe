package relay

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/internal/contract/plan"
)

// fallbackOf returns the protocol that a URL asks for which players of artc:// turn to by themselves when RTS does not
// play: the same path with .flv or .m3u8; empty for other URLs.
func fallbackOf(req *http.Request, path string) plan.Protocol {
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return ""
	case strings.HasSuffix(path, ".flv"):
		return plan.FLV
	case strings.HasSuffix(path, ".m3u8"):
		return plan.HLS
	}
	return ""
}

// fallback sends a player that asks an RTS domain for FLV or HLS to its Standard main, with the signature that it has:
// rts_degrade=on says there that the signature may be of the RTS domain, and of the path without its suffix. The main
// asks all its own questions.
func (r *Relay) fallback(w http.ResponseWriter, req *http.Request, by plan.Protocol) *door.Refusal {
	remote, _ := addresses(req)
	d, _, no := r.door.Knock(&door.Ask{
		Host: plan.Hostname(req.Host), Remote: remote, Referer: door.Referer(req), Type: plan.RTS,
	})
	if no != nil {
		return no
	}
	f := d.Fallback
	if f == nil || !f.Redirect || !slices.Contains(f.Protocols, by) {
		return door.Refuse(door.ProtocolNotServed, d.Hostname, door.RTSAlone)
	}
	// The scheme stays that of the request, which a proxy in front may have changed.
	w.Header().Set("Location", "//"+f.Hostname+portOf(req.Host)+req.URL.EscapedPath()+"?"+degraded(req.URL.RawQuery))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

// portOf returns the port of a Host header with its colon; empty when it has none.
func portOf(host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return ""
	}
	return ":" + port
}

func degraded(query string) string {
	const mark = "rts_degrade=on"
	switch {
	case query == "":
		return mark
	case slices.Contains(strings.Split(query, "&"), mark):
		return query
	}
	return query + "&" + mark
}
