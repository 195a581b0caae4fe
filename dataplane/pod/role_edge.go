package pod

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/edge"
	"github.com/millrace/millrace/dataplane/player"
	"github.com/millrace/millrace/internal/contract"
)

// edgeRole serves RTMP, FLV and HLS viewers with streams that it fetches.
type edgeRole struct {
	base
	p           *process
	edge        *edge.Edge
	web         *web
	rtmp, rtmps net.Listener
}

func newEdgeRole(p *process) (role, error) {
	one, err := edge.New(edge.Options{
		Hub: p.hub, Plan: p.current, Find: p.finder, Log: p.log.WithName("edge"), Metrics: p.registry,
		Limits: p.opt.limits(),
	})
	if err != nil {
		return nil, fmt.Errorf("starting the edge: %w", err)
	}
	return &edgeRole{p: p, edge: one, web: newWeb(p, player.Before(p.current, one))}, nil
}

func (r *edgeRole) open() (err error) {
	if err = r.web.open(); err != nil {
		return err
	}
	if r.rtmp, err = r.p.listen(contract.NameRTMP, r.p.opt.RTMPPort, &r.p.at.RTMP); err != nil {
		return err
	}
	r.rtmps, err = r.p.listen(contract.NameRTMPS, r.p.opt.RTMPSPort, &r.p.at.RTMPS)
	return err
}

func (r *edgeRole) serve(ctx context.Context, run func(string, func() error)) {
	r.web.serve(run)
	if r.rtmp != nil {
		run("RTMP", func() error { return r.edge.ServeRTMP(ctx, r.rtmp) })
	}
	if r.rtmps != nil {
		run("RTMPS", func() error { return r.edge.ServeRTMPS(ctx, r.rtmps, r.p.certs.Get) })
	}
}

func (r *edgeRole) status(s *announce.Status) {
	l := r.edge.Load()
	s.Sessions, s.EgressMbps, s.Headroom = l.Viewers, l.EgressMbps, l.Headroom
	s.Domains = map[string]announce.Domain{}
	for host, d := range l.Domains {
		s.Domains[host] = announce.Domain{Viewers: d.Viewers, EgressKbps: d.EgressMbps * 1000}
	}
	s.Viewers = l.Streams
}

func (r *edgeRole) state() any { return r.edge.List() }

func (r *edgeRole) appeared(ids []announce.ID) {
	for _, id := range ids {
		r.edge.Appeared(directory.Key(id))
	}
}

// drain still takes viewers for a moment, leaves those who watch alone for a while, and then ends them one after the
// other: players of these protocols come back by themselves, to another pod.
func (r *edgeRole) drain(ctx context.Context) {
	began := time.Now()
	pause(ctx, r.p.opt.DrainAccept)
	soft, cancel := context.WithDeadline(ctx, began.Add(r.p.opt.DrainSoft))
	defer cancel()
	until(soft, func() bool { return r.edge.Viewers() == 0 })
	if err := r.edge.Drain(ctx, spread(began, r.p.opt.DrainTime)); err != nil {
		r.p.log.Info("Drain is cut short", "error", err.Error())
	}
	r.web.shutdown(ctx)
}

func (r *edgeRole) close() {
	r.web.close()
	for _, l := range []net.Listener{r.rtmp, r.rtmps} {
		if l != nil {
			_ = l.Close() // it may be closed already
		}
	}
	r.edge.Close()
}
