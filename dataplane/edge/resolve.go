package edge

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

// ask is a player's wish.
type ask struct {
	host     string // as the player named it; lower case, no port
	path     string // escaped as it was sent
	rawQuery string
	remote   netip.AddrPort
	referer  string
	protocol plan.Protocol
}

// domain finds the play domain that a player asked and decides whether it serves this protocol to this player, cheapest
// questions first.
func (e *Edge) domain(a *ask) (*plan.PlayDomain, *plan.Index, *refusal) {
	index := e.opt.Plan.Load()
	d := index.Play(a.host)
	switch {
	case d == nil:
		return nil, nil, refuse(http.StatusNotFound, "UnknownDomain", "%q is not a play domain of this server", shown(a.host))
	case d.Type != plan.Standard:
		return nil, nil, refuse(http.StatusForbidden, "ProtocolNotServed",
			"play domain %s serves RTS alone (artc://, WHEP); RTMP, FLV and HLS are played from a Standard domain", d.Hostname)
	case d.Offline:
		return nil, nil, refuse(http.StatusForbidden, "DomainOffline", "play domain %s is offline", d.Hostname)
	case !slices.Contains(d.Protocols, a.protocol):
		return nil, nil, refuse(http.StatusForbidden, "ProtocolNotServed",
			"play domain %s does not serve %s (standard.protocols)", d.Hostname, a.protocol)
	case !plan.AllowsIP(d.IPs, a.remote.Addr()):
		return nil, nil, refuse(
			http.StatusForbidden,
			"AddressNotAllowed",
			"play domain %s does not serve this address",
			d.Hostname,
		)
	case !plan.AllowsReferer(d.Referers, a.referer):
		return nil, nil, refuse(
			http.StatusForbidden,
			"RefererNotAllowed",
			"play domain %s does not serve this page",
			d.Hostname,
		)
	}
	return d, index, nil
}

// target is a stream that a player may have.
type target struct {
	domain *plan.PlayDomain
	stream *hub.Stream
	right  plan.PlayRight
}

// resolve decides whether a player gets a stream. Suffix is what the path has behind the name of the stream, ".flv" or
// ".m3u8".
func (e *Edge) resolve(ctx context.Context, a *ask, suffix string) (*target, *refusal) {
	d, index, no := e.domain(a)
	if no != nil {
		return nil, no
	}
	path, err := verify(index, d, a, time.Now())
	if err != nil {
		return nil, signatureRefusal(err)
	}
	app, name, ok := split(strings.TrimSuffix(path, suffix))
	if !ok {
		return nil, refuse(http.StatusNotFound, "NotAStream", "a stream's path is /app/stream%s", suffix)
	}
	s, err := e.missing.Find(ctx, hub.Key{Space: d.Space, App: app, Name: name}, e.opt.Find)
	if err != nil {
		return nil, notFound(err, app, name)
	}
	return &target{domain: d, stream: s, right: e.right(d, app, a)}, nil
}

func (e *Edge) right(d *plan.PlayDomain, app string, a *ask) plan.PlayRight {
	return plan.PlayRight{
		Host:     d.Hostname,
		Space:    d.Space,
		RemoteIP: a.remote.Addr(),
		Referer:  a.referer,
		App:      app,
		Type:     plan.Standard,
		Protocol: a.protocol,
	}
}

// verify checks the signature and gives the path without it. A player that falls back from RTS (rts_degrade=on) has the
// signature of an RTS domain: those of the same streams are good as well.
func verify(index *plan.Index, d *plan.PlayDomain, a *ask, now time.Time) (string, error) {
	path, err := urlauth.Verify(d.Auth, a.path, a.rawQuery, now)
	if err == nil || !slices.Contains(strings.Split(a.rawQuery, "&"), "rts_degrade=on") {
		return path, err
	}
	for i := range index.Plan.Play {
		other := &index.Plan.Play[i]
		if other.Space != d.Space || other.Type != plan.RTS || other.Offline || other.Auth.Type != d.Auth.Type {
			continue
		}
		if path, second := urlauth.Verify(other.Auth, a.path, a.rawQuery, now); second == nil {
			return path, nil
		}
	}
	return "", err
}

func signatureRefusal(err error) *refusal {
	reason := "SignatureInvalid"
	switch {
	case errors.Is(err, urlauth.ErrMissing):
		reason = "SignatureMissing"
	case errors.Is(err, urlauth.ErrExpired):
		reason = "SignatureExpired"
	}
	return refuse(http.StatusForbidden, reason, "%v", err)
}

func notFound(err error, app, name string) *refusal {
	if later, ok := errors.AsType[*hub.UnavailableError](err); ok {
		r := refuse(http.StatusServiceUnavailable, later.Reason, "%s", later.Message)
		r.retryAfter = later.RetryAfter
		return r
	}
	r := refuse(
		http.StatusNotFound,
		"StreamNotFound",
		"stream %s/%s is not being published; it plays as soon as it is",
		shown(app),
		shown(name),
	)
	r.retryAfter = retrySoon
	return r
}

// admit lets a viewer in within the limits. A player that is counted already costs nothing.
func (e *Edge) admit(t *target) (*domainState, *refusal) {
	if e.Viewers() >= e.opt.MaxViewers {
		return nil, refuse(
			http.StatusServiceUnavailable,
			"TooManyViewers",
			"the edge has its %d viewers; try again later, or add edges",
			e.opt.MaxViewers,
		)
	}
	state := e.domains.of(t.domain.Hostname)
	facts := t.stream.Facts()
	return state, e.domains.admit(
		t.domain,
		state,
		e.hlsViewers.of(t.domain.Hostname),
		float64(facts.VideoKbps+facts.AudioKbps)/1000,
	)
}

// split takes app and stream out of a path.
func split(path string) (app, name string, ok bool) {
	app, name, ok = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || app == "" || name == "" || strings.Contains(name, "/") || len(app) > 256 || len(name) > 256 {
		return "", "", false
	}
	app, err1 := url.PathUnescape(app)
	name, err2 := url.PathUnescape(name)
	return app, name, err1 == nil && err2 == nil
}

// shown cuts a name from the network down to what an answer can carry.
func shown(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
