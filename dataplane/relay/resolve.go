package relay

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

// target is a stream that a player may have.
type target struct {
	domain *plan.PlayDomain
	index  *plan.Index
	stream *hub.Stream
	right  plan.PlayRight
}

// resolve decides whether a player gets a stream, cheapest questions first: the domain, who asks, the signature, the
// stream.
func (r *Relay) resolve(ask *signal.Ask, req *http.Request) (*target, *signal.Refusal) {
	index := r.opt.Plan.Load()
	d := index.Play(ask.Host)
	remote, _ := addresses(req)
	referer := req.Header.Get("Referer")
	if referer == "" {
		referer = req.Header.Get("Origin")
	}
	switch {
	case d == nil || d.Type != plan.RTS:
		return nil, signal.Refuse(
			http.StatusNotFound,
			"UnknownDomain",
			"%q is not an RTS play domain of this server",
			ask.Host,
		)
	case d.Offline:
		return nil, signal.Refuse(http.StatusForbidden, "DomainOffline", "play domain %s is offline", d.Hostname)
	case !plan.AllowsIP(d.IPs, remote):
		return nil, signal.Refuse(
			http.StatusForbidden,
			"AddressNotAllowed",
			"play domain %s does not serve this address",
			d.Hostname,
		)
	case !plan.AllowsReferer(d.Referers, referer):
		return nil, signal.Refuse(
			http.StatusForbidden,
			"RefererNotAllowed",
			"play domain %s does not serve this page",
			d.Hostname,
		)
	}
	path, err := urlauth.Verify(d.Auth, ask.Path, ask.RawQuery, time.Now())
	if err != nil {
		return nil, signatureRefusal(err)
	}
	app, name, ok := split(path)
	if !ok {
		return nil, signal.Refuse(http.StatusNotFound, "NotAStream", "a stream's path is /app/stream")
	}
	key := hub.Key{Space: d.Space, App: app, Name: name}
	s, err := r.missing.Find(req.Context(), key, r.opt.Find)
	if err != nil {
		return nil, notFoundRefusal(err, app, name)
	}
	return &target{domain: d, index: index, stream: s, right: plan.PlayRight{
		Host: d.Hostname, Space: d.Space, RemoteIP: remote, Referer: referer, App: app, Type: plan.RTS,
	}}, nil
}

func notFoundRefusal(err error, app, name string) *signal.Refusal {
	refusal := signal.Refuse(
		http.StatusNotFound,
		"StreamNotFound",
		"stream %s/%s is not being published; it plays as soon as it is",
		app,
		name,
	)
	refusal.RetryAfter = retryMissing
	if later, ok := errors.AsType[*hub.UnavailableError](err); ok {
		refusal = signal.Refuse(http.StatusServiceUnavailable, later.Reason, "%s", later.Message)
		refusal.RetryAfter = later.RetryAfter
	}
	return refusal
}

func signatureRefusal(err error) *signal.Refusal {
	reason := "SignatureInvalid"
	switch {
	case errors.Is(err, urlauth.ErrMissing):
		reason = "SignatureMissing"
	case errors.Is(err, urlauth.ErrExpired):
		reason = "SignatureExpired"
	}
	return signal.Refuse(http.StatusForbidden, reason, "%v", err)
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
