package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/play/meter"
)

// audience is viewers that are looked at while they watch.
type audience struct {
	engine  *lean.Engine
	target  *join.Target
	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // the life of the viewers
	watches sync.WaitGroup
	once    sync.Once // closes the engine

	mu      sync.Mutex
	viewers []*meter.Viewer
	errs    []error
}

// newAudience makes an audience of the server, or of a front of it, at an address.
func newAudience(ctx context.Context, addr string, tcp bool, srtp string) (*audience, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", addr, err)
	}
	target, err := join.Parse("http://"+net.JoinHostPort(host, port)+"/live/stream", join.Options{Connect: addr})
	if err != nil {
		return nil, err
	}
	profile := dtls.SRTP_AEAD_AES_128_GCM
	if srtp == "sha1" {
		profile = dtls.SRTP_AES128_CM_HMAC_SHA1_80
	}
	engine, err := lean.NewEngine(lean.Options{
		Decrypt: lean.DecryptSample, TCP: tcp, ReadBuffer: 4 << 20,
		Profiles: []dtls.SRTPProtectionProfile{profile},
	})
	if err != nil {
		return nil, fmt.Errorf("starting the viewers: %w", err)
	}
	a := &audience{engine: engine, target: target}
	a.ctx, a.stop = context.WithCancel(ctx)
	return a, nil
}

// join lets n more viewers join, spread over a time.
func (a *audience) join(n int, over time.Duration) {
	for i := range n {
		a.watches.Go(func() {
			settle(a.ctx, over*time.Duration(i)/time.Duration(n))
			v := meter.NewViewer(time.Now(), false)
			a.mu.Lock()
			a.viewers = append(a.viewers, v)
			a.mu.Unlock()
			if err := a.engine.Watch(a.ctx, a.target, v); err != nil && a.ctx.Err() == nil {
				a.mu.Lock()
				a.errs = append(a.errs, err)
				a.mu.Unlock()
			}
		})
	}
}

// playing waits until n viewers have a picture.
func (a *audience) playing(ctx context.Context, n int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		have := 0
		for _, s := range a.look() {
			if s.Playing() {
				have++
			}
		}
		if have >= n {
			return nil
		}
		if ctx.Err() != nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			return fmt.Errorf("%d of %d viewers play after %s: %w", have, n, within, errors.Join(a.errs...))
		}
		settle(ctx, 20*time.Millisecond)
	}
}

// look returns what each viewer has seen, in the order of joining.
func (a *audience) look() []meter.Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	out := make([]meter.Stats, len(a.viewers))
	for i, v := range a.viewers {
		out[i] = v.Snapshot(now)
	}
	return out
}

// sum is what all have seen so far; of no audience, nothing.
func (a *audience) sum() *sum {
	if a == nil {
		return &sum{}
	}
	return add(a.look())
}

// joinTimes returns the quantiles of the times from the offer to the first packet, in ms.
func (a *audience) joinTimes() (p50, p95 float64) {
	var times []float64
	for _, s := range a.look() {
		if s.FirstPacketMs > 0 {
			times = append(times, s.FirstPacketMs)
		}
	}
	slices.Sort(times)
	return at(times, 0.5), at(times, 0.95)
}

// at returns a quantile of sorted values; of none, 0.
func at(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// leave ends the audience; again it does nothing.
func (a *audience) leave() {
	a.stop()
	a.watches.Wait()
	a.once.Do(a.engine.Close)
}

// sum is what all viewers have seen together.
type sum struct {
	packets, lost, recovered, asked, keyRequests, drops uint64
	distinct, missing                                   float64 // frames
	latency                                             meter.Histogram
}

// add sums up.
func add(all []meter.Stats) *sum {
	out := &sum{}
	for i := range all {
		s := &all[i]
		out.packets += s.Packets
		out.lost += s.Lost
		out.recovered += s.Recovered
		out.asked += s.Asked
		out.keyRequests += s.KeyRequests
		out.drops += s.SocketDrops
		out.distinct += float64(s.DistinctFrames)
		if s.DistinctFrames > 0 {
			out.missing += float64(spanFrames(s.CaptureSpanMs)) - float64(s.DistinctFrames)
		}
		s.MergeLatency(&out.latency)
	}
	return out
}

// spanFrames is how many frames were made in a time, with the first and the last.
func spanFrames(ms float64) int {
	return int(ms/1000/frameTime.Seconds()+0.5) + 1
}

// quantile of what a viewer's frames took between two looks, in ms.
func quantile(before, after *sum, q float64) float64 {
	return float64(after.latency.Since(&before.latency).Quantile(q)) / float64(time.Millisecond)
}
