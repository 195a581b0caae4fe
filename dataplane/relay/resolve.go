package relay

import (
	"net/http"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/internal/contract/plan"
)

// enter asks the door for a stream.
func (r *Relay) enter(ask *signal.Ask, req *http.Request) (*door.Pass, *signal.Refusal) {
	remote, _ := addresses(req)
	return r.door.Enter(req.Context(), &door.Ask{
		Host: ask.Host, Path: ask.Path, Query: ask.RawQuery, Remote: remote, Referer: door.Referer(req), Type: plan.RTS,
		Joins: true,
	})
}

// collect counts what was sent, for the measurement of the door.
func (r *Relay) collect() {
	for _, s := range r.sessions.all() {
		s.pass.Sent(s.sentSince())
	}
}
