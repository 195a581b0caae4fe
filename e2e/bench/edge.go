package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/edge"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// playHost is the Standard domain of the edge; host, of the relay, is an RTS one.
const playHost = "play.localhost"

// standard is the edge as it is served, with the stream of ours in front of it.
type standard struct {
	*edge.Edge
	spec     serverSpec
	hub      *hub.Hub
	registry *prometheus.Registry
	epoch    atomic.Int64
}

func newStandard(spec serverSpec) (*standard, error) {
	current := plan.NewCurrent()
	current.Store(plan.NewIndex(&plan.Plan{Class: "bench", Play: []plan.PlayDomain{{
		Hostname: playHost, Type: plan.Standard, Role: plan.Main, Space: playHost, Protocols: []plan.Protocol{plan.FLV},
		Auth: plan.Auth{Type: plan.AuthNone},
	}}}))
	s := &standard{spec: spec, hub: hub.New(hub.Options{}), registry: prometheus.NewRegistry()}
	var err error
	if s.Edge, err = edge.New(edge.Options{Hub: s.hub, Plan: current, Log: logr.Discard(),
		Metrics: s.registry}); err != nil {
		return nil, fmt.Errorf("starting the edge: %w", err)
	}
	return s, nil
}

func (s *standard) run(ctx context.Context) {
	publish(ctx, s.hub, playHost, s.spec.Mbps, func(first time.Time) { s.epoch.Store(first.UnixNano()) })
}

func (s *standard) counts() counts {
	c := counts{Viewers: s.Viewers(), Epoch: s.epoch.Load(), Metrics: map[string]float64{}}
	families, err := s.registry.Gather()
	if err != nil {
		return c
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			c.Metrics[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return c
}
