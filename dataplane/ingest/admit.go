package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

// status is a NetStream status code (RTMP 1.0, 7.2.2; Adobe ActionScript NetStatusEvent).
type status string

// The codes with which publishing is refused or closed.
const (
	statusDenied       status = "NetStream.Publish.Denied"       // domain, limits
	statusUnauthorized status = "NetStream.Publish.Unauthorized" // signature
	statusBadName      status = "NetStream.Publish.BadName"      // name, duplicate
	statusRejected     status = "NetStream.Publish.Rejected"     // what the source is made of
	statusIdle         status = "NetStream.Publish.Idle"
	statusPlayDenied   status = "NetStream.Play.Failed"
	statusShutdown     status = "NetConnection.Connect.AppShutdown"
)

// refusalError is why an encoder may not publish, or not any more. Its message goes to the encoder.
type refusalError struct {
	code    status
	reason  string // for the metric: a few fixed words
	message string
}

func (r *refusalError) Error() string { return r.message }

func refuse(code status, reason, format string, args ...any) *refusalError {
	return &refusalError{code, reason, fmt.Sprintf(format, args...)}
}

// admission is what an encoder was let in for.
type admission struct {
	domain *plan.PushDomain
	key    hub.Key
}

// admit decides on the Plan alone whether a target may be published.
func admit(index *plan.Index, t target, now time.Time) (admission, *refusalError) {
	d := index.Push(t.host)
	switch {
	case d == nil:
		return admission{}, refuse(statusDenied, "unknown_domain",
			"%s is not a push domain here; check the host of the URL, or name the push domain by ?vhost=", shown(t.host))
	case d.Offline:
		return admission{}, refuse(
			statusDenied,
			"offline",
			"push domain %s is offline; ask its operator to set it online",
			d.Hostname,
		)
	case d.Space == "":
		return admission{}, refuse(statusDenied, "unassociated",
			"push domain %s is not associated with a play domain; create a DomainAssociation for it", d.Hostname)
	}
	path, err := urlauth.Verify(d.Auth, t.path, t.rawQuery, now)
	if err != nil {
		return admission{}, refuse(statusUnauthorized, "unauthorized", "push domain %s: %s", d.Hostname, hint(err))
	}
	app, name, err := splitPath(path)
	if err != nil {
		return admission{}, refuse(statusBadName, "bad_name", "%s", err)
	}
	return admission{domain: d, key: hub.Key{Space: d.Space, App: app, Name: name}}, nil
}

// hint says what to do about a signature that was refused.
func hint(err error) string {
	switch {
	case errors.Is(err, urlauth.ErrExpired):
		return err.Error() + "; get a new URL"
	case errors.Is(err, urlauth.ErrBadHash):
		return err.Error() + "; sign the path /app/stream with the push domain's key"
	}
	return err.Error()
}

// shown cuts a name from the network down to what a status can carry.
func shown(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
