package pod

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/internal/contract"
)

// startEvery is how often a transcoder looks for renditions that start with their stream.
const startEvery = 2 * time.Second

// transcoderRole makes renditions of streams that it fetches, for pods that pull them.
type transcoderRole struct {
	p     *process
	trans *transcode.Transcoder
	nudge chan struct{}
	tasks sync.WaitGroup
}

func newTranscoderRole(p *process) (role, error) {
	trans, err := transcode.New(context.Background(), transcode.Options{
		Hub: p.hub, Plan: p.current, Source: p.finder, Log: p.log.WithName("transcode"), Metrics: p.registry,
		FFmpeg: p.opt.FFmpeg, Encoder: p.opt.Encoder,
		Threads: p.opt.Threads, MaxSessions: p.opt.MaxSessions, MaxCPU: p.opt.MaxCPU, Idle: p.opt.Idle,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the transcoder: %w", err)
	}
	return &transcoderRole{p: p, trans: trans, nudge: make(chan struct{}, 1)}, nil
}

func (r *transcoderRole) open() error { return nil }

func (r *transcoderRole) serve(ctx context.Context, _ func(string, func() error)) {
	r.tasks.Go(func() { r.startPublished(ctx) })
}

// find makes renditions for who pulls them. A pod that drains makes no more.
func (r *transcoderRole) find() hub.Finder { return r }

// Find returns a rendition, and starts to make it when nobody has it.
func (r *transcoderRole) Find(ctx context.Context, key hub.Key) (*hub.Stream, error) {
	if r.p.draining.Load() && r.p.hub.Lookup(key) == nil {
		return nil, &hub.UnavailableError{
			Reason:     "Draining",
			Message:    "this transcoder is about to end; ask another one",
			RetryAfter: time.Second,
		}
	}
	return r.trans.Find(ctx, key)
}

// describe announces the renditions; the sources are others'.
func (r *transcoderRole) describe(s *hub.Stream, out *announce.Stream) bool {
	if !s.Publisher().Yields || s.Tracks() == nil {
		return false
	}
	source, template := r.p.current.Load().SplitTemplate(s.Key.Space, s.Key.App, s.Key.Name)
	if template == nil { // it was deleted, and the rendition lasts while somebody watches
		out.Of, out.Template = s.Key.Name, "deleted"
		return true
	}
	out.Of, out.Template = source, template.ID
	return true
}

func (r *transcoderRole) status(s *announce.Status) {
	s.Headroom, s.Sessions = r.trans.Headroom(), r.trans.Sessions()
}

func (r *transcoderRole) state() any { return r.trans.List() }

func (r *transcoderRole) appeared([]announce.ID) {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// startPublished starts the renditions that are made without viewers, each at one transcoder: all choose alike.
func (r *transcoderRole) startPublished(ctx context.Context) {
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.nudge:
		case <-tick.C:
		}
		if r.p.draining.Load() {
			return
		}
		index := r.p.current.Load()
		for _, id := range r.p.mirror.Live() {
			for _, template := range index.TemplatesFor(id.Space, id.App) {
				rendition := announce.ID{Space: id.Space, App: id.App, Name: id.Name + "_" + template.ID}
				if template.OnPublish && r.chosen(rendition) {
					r.trans.Publish(ctx, directory.Key(id))
					break // it starts all of the stream's
				}
			}
		}
	}
}

// chosen reports whether this pod is the one to make a rendition: nobody has it, and of all transcoders with room it
// comes first.
func (r *transcoderRole) chosen(rendition announce.ID) bool {
	if r.p.hub.Lookup(directory.Key(rendition)) != nil || len(r.p.mirror.Origins(rendition)) > 0 {
		return false
	}
	self := announce.Pod{
		Hello:  announce.Hello{Pod: r.p.opt.Pod},
		Status: announce.Status{Ready: r.p.ready(), Headroom: r.trans.Headroom()},
	}
	return directory.First(append(r.p.mirror.Pods(contract.Transcoder), self), rendition.String()) == r.p.opt.Pod
}

// drain waits until other transcoders have taken the renditions over: who pulls them goes there as soon as it hears of
// the drain.
func (r *transcoderRole) drain(ctx context.Context) {
	pause(ctx, min(2*announce.BeatEvery, r.p.opt.DrainTime))
	until(ctx, func() bool {
		for _, s := range r.p.hub.Streams() {
			if s.Publisher().Yields && s.Readers() > 0 {
				return false
			}
		}
		return true
	})
}

func (r *transcoderRole) close() {
	r.trans.Close()
	r.tasks.Wait()
}
