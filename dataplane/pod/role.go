package pod

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract"
)

// role is what makes a pod of one kind different from the others. Its methods are called in this order; describe,
// status, state and appeared at any time between open and close.
type role interface {
	// open binds the sockets of the role.
	open() error
	// serve starts to serve them; they are closed when the context ends.
	serve(ctx context.Context, run func(name string, f func() error))
	// find returns the streams that others may pull and the hub does not have yet; nil: there are none.
	find() hub.Finder
	// describe fills in what is announced of a stream of the hub; false: it is none of the pod's own.
	describe(*hub.Stream, *announce.Stream) bool
	// status fills in what the role knows.
	status(*announce.Status)
	// state is what /state shows of the role.
	state() any
	// appeared says that streams can be found now which could not before.
	appeared([]announce.ID)
	// drain takes nobody in any more and returns when nobody is left, or the context ends.
	drain(ctx context.Context)
	close()
}

var errNoRole = errors.New("this build has no such role")

func newRole(p *process) (role, error) {
	switch p.opt.Role {
	case contract.Ingest:
		return newIngestRole(p)
	case contract.Relay:
		return newRelayRole(p)
	case contract.Edge:
		return newEdgeRole(p)
	case contract.Transcoder:
		return newTranscoderRole(p)
	}
	return nil, fmt.Errorf("%w: %s", errNoRole, p.opt.Role)
}

// base is a role that announces nothing and shows nothing.
type base struct{}

func (base) find() hub.Finder                            { return nil }
func (base) describe(*hub.Stream, *announce.Stream) bool { return false }
func (base) state() any                                  { return nil }
