package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/relay"
	"github.com/millrace/millrace/internal/contract/plan"
)

const host = "rts.localhost"

// parameter sets of 1280x720, Constrained Baseline.
func parameterSets() (sps, pps []byte) {
	return []byte{
			0x67,
			0x42,
			0xc0,
			0x1f,
			0xd9,
			0x00,
			0x50,
			0x05,
			0xbb,
			0x01,
			0x10,
			0x00,
			0x00,
			0x03,
			0x00,
			0x10,
			0x00,
			0x00,
			0x03,
			0x03,
			0xc0,
			0xf1,
			0x83,
			0x24,
			0x80,
		},
		[]byte{
			0x68,
			0xcb,
			0x83,
			0xcb,
			0x20,
		}
}

// accessUnit is frame n as NAL units.
func accessUnit(mbps float64, n int) (units [][]byte, key bool) {
	size := frameSize(mbps, n)
	if n%gopFrames == 0 {
		sps, pps := parameterSets()
		return [][]byte{sps, pps, append([]byte{0x65}, bytes.Repeat([]byte{0x88}, size)...)}, true
	}
	return [][]byte{append([]byte{0x41}, bytes.Repeat([]byte{0x9a}, size)...)}, false
}

// ours is the relay as it is served, without the RTMP in front of it.
type ours struct {
	*relay.Relay
	spec serverSpec
	hub  *hub.Hub
}

func newOurs(spec serverSpec) (*ours, error) {
	current := plan.NewCurrent()
	current.Store(
		plan.NewIndex(
			&plan.Plan{Class: "bench", Play: []plan.PlayDomain{{Hostname: host, Type: plan.RTS, Role: plan.Main, Space: host}}},
		),
	)
	h := hub.New(hub.Options{})
	r, err := relay.New(
		relay.Options{
			Hub:    h,
			Plan:   current,
			Log:    logr.Discard(),
			Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
			Limits: door.Limits{MaxJoinsPerAddress: 10_000},
		},
	)
	if err != nil {
		return nil, fmt.Errorf("starting the relay: %w", err)
	}
	return &ours{Relay: r, spec: spec, hub: h}, nil
}

func (o *ours) run(ctx context.Context) { publish(ctx, o.hub, host, o.spec.Mbps, func(time.Time) {}) }

// publish writes the stream in time until the context ends; first is told when time stamp 0 was.
func publish(ctx context.Context, h *hub.Hub, space string, mbps float64, first func(time.Time)) {
	pub, err := h.Publish(hub.Key{Space: space, App: "live", Name: "stream"}, hub.Publisher{})
	if err != nil {
		return
	}
	sps, pps := parameterSets()
	track := &media.Track{Codec: media.H264, SPS: sps, PPS: pps, Width: 1280, Height: 720}
	pub.SetTracks([]*media.Track{track})
	everyFrame(ctx, first, func(n int) {
		f := &media.Frame{
			Track:  track,
			DTS:    time.Duration(n) * frameTime,
			PTS:    time.Duration(n) * frameTime,
			Ingest: time.Now(),
		}
		f.Units, f.Key = accessUnit(mbps, n)
		for _, u := range f.Units {
			f.Size += len(u)
		}
		_ = pub.Write(f) // fails only when the benchmark is over
	})
}

func (o *ours) counts() counts {
	c := counts{}
	for _, s := range o.List() {
		if s.Connected {
			c.Viewers++
		}
		c.Repeats += s.Repeats
	}
	sent := o.Sent()
	c.Packets, c.Calls = sent.Packets, sent.Calls
	return c
}
