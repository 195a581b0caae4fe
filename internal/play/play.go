// Package play is the viewer without a screen: it joins a stream once or many times, watches it for a while, and
// reports what the viewers saw. One viewer is a tool to look into a server; many are a load.
package play

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/pion/dtls/v3"

	"github.com/millrace/millrace/internal/play/full"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/play/meter"
)

// LeanFrom is the number of viewers from which the lean client is used without being asked for.
const LeanFrom = 11

// MaxViewers bounds the viewers of one process; each has a socket and about 100 kB.
const MaxViewers = 20_000

// The causes for which a play ends from this side. They are shown as they stand.
var (
	errDuration    = errors.New("the duration is over")
	errInterrupted = errors.New("interrupted")
)

// Options say what is played and how.
type Options struct {
	URL      string
	Join     join.Options
	Viewers  int           // 1 to MaxViewers
	Ramp     time.Duration // time over which the joins are spread
	Duration time.Duration // how long is watched after the last join; 0 means until interrupted or ended
	Wait     time.Duration // how long a stream that is not there yet is asked for again; 0 means not at all

	Lean       bool         // the lean client also below LeanFrom
	Decrypt    lean.Decrypt // lean client only
	GRO        bool         // lean client only
	TCP        bool         // ICE-TCP instead of UDP
	SRTP       string       // "gcm" or "sha1" to offer only that protection profile; empty for both, GCM first
	ReadBuffer int          // bytes of receive buffer per UDP socket

	Progress func(Progress) // called about once per second; may be nil
}

// Progress is where a play stands.
type Progress struct {
	Elapsed                 time.Duration
	Viewers, Playing, Ended int
	FPS, Mbps               float64 // FPS is the mean over all that play
	Lost, Stalls            uint64
	LatencyP50              float64 // ms; 0 while unknown
}

// run is one execution of Run.
type run struct {
	options  Options
	target   *join.Target
	profiles []dtls.SRTPProtectionProfile
	engine   *lean.Engine // nil with the full client
	viewers  []*meter.Viewer
	errors   []error
	load     load
}

// Run plays and gives the report. It returns when all viewers have ended, when the duration is over, or when ctx is
// done. The error is about wrong options; that nothing plays stands in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	if r.engine != nil {
		defer r.engine.Close()
	}
	began := time.Now()
	playing, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	release := context.AfterFunc(ctx, func() { end(errInterrupted) })
	defer release()

	var watching sync.WaitGroup
	for i := range r.viewers {
		watching.Go(func() {
			r.errors[i] = r.view(playing, i)
			r.viewers[i].Stop(time.Now(), "") // one that could not join has ended as well
		})
	}
	all := make(chan struct{})
	go func() {
		watching.Wait()
		close(all)
	}()
	r.supervise(all, end)
	return r.report(time.Since(began)), nil
}

func newRun(o Options) (*run, error) {
	if o.Viewers < 1 || o.Viewers > MaxViewers {
		return nil, fmt.Errorf("%d viewers: want 1 to %d", o.Viewers, MaxViewers)
	}
	if o.Duration < 0 || o.Ramp < 0 || o.Wait < 0 {
		return nil, errors.New("a duration is negative")
	}
	target, err := join.Parse(o.URL, o.Join)
	if err != nil {
		return nil, err
	}
	r := &run{
		options: o, target: target, viewers: make([]*meter.Viewer, o.Viewers), errors: make([]error, o.Viewers),
	}
	switch o.SRTP {
	case "":
		r.profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}
	case "gcm":
		r.profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM}
	case "sha1":
		r.profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}
	default:
		return nil, fmt.Errorf("SRTP profile %q: want gcm or sha1", o.SRTP)
	}
	if o.Lean || o.Viewers >= LeanFrom {
		if r.engine, err = lean.NewEngine(lean.Options{
			Decrypt: o.Decrypt, TCP: o.TCP, GRO: o.GRO, Profiles: r.profiles, ReadBuffer: o.ReadBuffer,
		}); err != nil {
			return nil, fmt.Errorf("starting the lean client: %w", err)
		}
	}
	opaque := r.engine != nil && o.Decrypt == lean.DecryptNone
	for i := range r.viewers {
		r.viewers[i] = meter.NewViewer(time.Now(), opaque)
	}
	return r, nil
}

// view runs viewer i from its place in the ramp to its end.
func (r *run) view(ctx context.Context, i int) error {
	if !sleep(ctx, r.options.Ramp*time.Duration(i)/time.Duration(len(r.viewers))) {
		return context.Cause(ctx)
	}
	v := r.viewers[i]
	until := time.Now().Add(r.options.Wait)
	for {
		v.Restart(time.Now())
		err := r.watch(ctx, v)
		after, waitable := join.Waitable(err)
		if !waitable || time.Now().Add(after).After(until) {
			return err
		}
		logr.FromContextOrDiscard(ctx).
			V(1).
			Info("Stream is not there yet", "viewer", i, "again", after.String(), "reason", err.Error())
		if !sleep(ctx, after) {
			return fmt.Errorf("%w while waiting: %w", context.Cause(ctx), err)
		}
	}
}

// watch joins once.
func (r *run) watch(ctx context.Context, v *meter.Viewer) error {
	if r.engine != nil {
		return r.engine.Watch(ctx, r.target, v)
	}
	return full.Watch(
		ctx,
		full.Options{TCP: r.options.TCP, Profiles: r.profiles, ReadBuffer: r.options.ReadBuffer},
		r.target,
		v,
	)
}

// sleep waits; it gives false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
