package pod

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

// cutTime is what publishers get to read why they are closed at the deadline of a drain.
const cutTime = 2 * time.Second

// ingestRole takes publishers in and announces their streams.
type ingestRole struct {
	base
	p           *process
	ingest      *ingest.Server
	rtmp, rtmps net.Listener
}

func newIngestRole(p *process) (role, error) {
	r := &ingestRole{p: p}
	var err error
	r.ingest, err = ingest.New(ingest.Options{
		Hub: p.hub, Plan: p.current, Log: p.log.WithName("ingest"), Metrics: p.registry, LiveElsewhere: r.liveElsewhere,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the ingest: %w", err)
	}
	return r, nil
}

func (r *ingestRole) open() (err error) {
	if r.rtmp, err = r.p.listen(contract.NameRTMP, r.p.opt.RTMPPort, &r.p.at.RTMP); err != nil {
		return err
	}
	r.rtmps, err = r.p.listen(contract.NameRTMPS, r.p.opt.RTMPSPort, &r.p.at.RTMPS)
	return err
}

func (r *ingestRole) serve(ctx context.Context, run func(string, func() error)) {
	if r.rtmp != nil {
		run("RTMP", func() error { return r.ingest.Serve(ctx, r.rtmp) })
	}
	if r.rtmps != nil {
		run("RTMPS", func() error { return r.ingest.ServeTLS(ctx, r.rtmps, r.p.certs.Get) })
	}
}

// describe announces every stream: all of the hub's are published here.
func (r *ingestRole) describe(*hub.Stream, *announce.Stream) bool { return true }

func (r *ingestRole) status(s *announce.Status) {
	s.Headroom = 1
	s.Sessions = r.ingest.Publishers()
}

// liveElsewhere reports whether another ingest has a stream with its encoder.
func (r *ingestRole) liveElsewhere(key hub.Key) bool {
	for _, o := range r.p.mirror.Origins(directory.ID(key)) {
		if o.Stream.State == announce.Live {
			return true
		}
	}
	return false
}

// appeared settles streams that are published here and elsewhere.
func (r *ingestRole) appeared(ids []announce.ID) {
	var own map[announce.ID]announce.Stream
	for _, id := range ids {
		s := r.p.hub.Lookup(directory.Key(id))
		if s == nil || !s.Live() {
			continue
		}
		if own == nil {
			own = r.p.board.Streams()
		}
		here, ok := own[id]
		if !ok {
			continue // the board is about to learn of it, and looks then
		}
		for _, o := range r.p.mirror.Origins(id) {
			if o.Stream.State == announce.Live {
				r.settle(s, here, o)
			}
		}
	}
}

// settle ends the publication here when the one elsewhere wins: the later one where the domain says ReplaceOld, else
// the earlier one.
func (r *ingestRole) settle(s *hub.Stream, here announce.Stream, elsewhere announce.Origin) {
	if s.Since().UnixMilli() > here.Since.UnixMilli() {
		return // what is announced is not what is published now
	}
	later := here.Epoch > elsewhere.Stream.Epoch ||
		here.Epoch == elsewhere.Stream.Epoch && r.p.opt.Pod > elsewhere.Hello.Pod
	d := r.p.current.Load().Push(s.Publisher().Domain)
	replace := d != nil && d.Duplicate == plan.ReplaceOld
	switch {
	case replace && !later:
		s.Kick(hub.ErrReplaced)
	case !replace && later:
		s.Kick(hub.ErrBusy)
	default:
		return
	}
	r.p.log.Info(
		"A stream is published at another pod too, which keeps it",
		"stream",
		s.Key.String(),
		"pod",
		elsewhere.Hello.Pod,
	)
}

// drain takes no more publishers; those that are there may finish. At the deadline they are told to connect again.
func (r *ingestRole) drain(ctx context.Context) {
	r.ingest.StopAccepting()
	until(ctx, func() bool { return r.ingest.Publishers() == 0 })
	cut, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutTime)
	defer cancel()
	if err := r.ingest.Shutdown(cut); err != nil {
		r.p.log.Info("Publishers are cut", "error", err.Error())
	}
}

func (r *ingestRole) close() {
	for _, l := range []net.Listener{r.rtmp, r.rtmps} {
		if l != nil {
			_ = l.Close() // it may be closed already
		}
	}
}

// until waits for a condition or the end of the context.
func until(ctx context.Context, done func() bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
