package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
)

// session makes one rendition, from its first viewer or its source's start to a while after the last viewer or its
// source's end.
type session struct {
	t    *Transcoder
	tool *tool
	key  hub.Key
	from hub.Key
	log  logr.Logger

	asked   atomic.Int64 // Unix nanoseconds, when somebody asked last
	stays   atomic.Bool  // runs without viewers
	waiting atomic.Int32 // those that wait for the first picture

	ready  chan struct{} // stream is set, and has something to show
	done   chan struct{} // err is set
	stream *hub.Stream
	err    error

	// Owned by the goroutine of run.
	tpl    *plan.Template
	source *hub.Stream
	pub    *publication
	epoch  uint64

	mu    sync.Mutex
	shown Info
}

// The reasons for which a pass ends that are not failures.
var (
	errIdle    = errors.New("nobody watches")
	errChanged = errors.New("the source changed")
	errStuck   = errors.New("ffmpeg takes media but gives none")
)

const (
	stuckTime   = 8 * time.Second
	steadyTime  = 10 * time.Second // a process that lived so long starts anew without delay
	mostFails   = 3                // of a rendition that never showed anything
	settleTime  = time.Second      // how long a source that has just begun is looked at before its work is decided
	backoffMost = 5 * time.Second
)

func newSession(t *Transcoder, tl *tool, key, from hub.Key, tpl *plan.Template, stays bool) *session {
	s := &session{t: t, tool: tl, key: key, from: from, tpl: tpl, ready: make(chan struct{}), done: make(chan struct{})}
	s.asked.Store(time.Now().UnixNano())
	s.stays.Store(stays)
	s.log = t.opt.Log.WithValues("Rendition", key.String())
	s.shown = Info{Rendition: key.String(), Source: from.String(), Template: tpl.ID, Since: time.Now()}
	return s
}

func (s *session) run(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error(fmt.Errorf("panic: %v", v), "A transcoding session ended in a panic", "Stack", string(debug.Stack()))
			s.err = unavailable("TranscodeFailed", refusedTime, "rendition %s failed; ask again", s.tpl.ID)
		}
		if s.pub != nil {
			s.pub.end()
		}
		if s.err == nil {
			s.err = hub.ErrNotFound
		}
		s.t.ended(s)
		close(s.done)
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	find, stop := context.WithTimeout(ctx, 10*time.Second)
	var err error
	s.source, err = s.t.opt.Source.Find(find, s.from)
	stop()
	if err != nil {
		s.err = err
		return
	}
	s.log.V(1).Info("Rendition starts")
	go s.watchIdle(ctx, cancel)
	s.err = s.passes(ctx)
	s.log.V(1).Info("Rendition ends", "Message", fmt.Sprint(s.err))
}

// passes runs ffmpeg again and again: after a change of the source at once, after a failure with growing delays.
func (s *session) passes(ctx context.Context) error {
	var fails int
	for {
		began := time.Now()
		err := s.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // nobody watches any more, or the transcoder is closed
		case errors.Is(err, io.EOF),
			errors.Is(err, hub.ErrEnded),
			errors.Is(err, hub.ErrReplaced),
			errors.Is(err, hub.ErrClosed):
			return nil // the source is over, or somebody publishes under the rendition's own name
		case errors.Is(err, errChanged):
			continue
		}
		if _, ok := errors.AsType[*hub.UnavailableError](err); ok {
			return err
		}
		s.t.metrics.restarts.Inc()
		s.note(func(i *Info) { i.Problem = err.Error() })
		s.log.Info("Transcoding broke; it is started again", "error", err.Error())
		if time.Since(began) > steadyTime {
			fails = 0
		}
		fails++
		if !s.isReady() && fails >= mostFails {
			return unavailable("TranscodeFailed", 10*time.Second, "the source cannot be transcoded: %v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff(fails)):
		}
	}
}

// backoff is how long to wait before a start after a number of failures in a row: not at all after the first.
func backoff(fails int) time.Duration {
	if fails <= 1 {
		return 0
	}
	return min(100*time.Millisecond<<min(fails, 10), backoffMost)
}

func (s *session) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// watchIdle ends the session when nobody has watched for a while.
func (s *session) watchIdle(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(min(time.Second, s.t.opt.Idle/4))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.stays.Load() || s.waiting.Load() > 0 {
			s.asked.Store(time.Now().UnixNano())
			continue
		}
		since := time.Unix(0, s.asked.Load())
		if s.isReady() {
			idle := s.stream.IdleSince()
			if idle.IsZero() {
				continue
			}
			if idle.After(since) {
				since = idle
			}
		}
		if time.Since(since) > s.t.opt.Idle {
			cancel(errIdle)
			return
		}
	}
}

// pass decides what to do and does it until the source or the work changes, or something fails.
func (s *session) pass(ctx context.Context) error {
	video, audio, err := s.tracks(ctx)
	if err != nil {
		return err
	}
	if epoch := s.source.Epoch(); epoch != s.epoch {
		// The next publish: a changed template takes effect.
		if s.epoch != 0 {
			if !s.renew() {
				return io.EOF
			}
		}
		s.epoch = epoch
	}
	work, err := s.decide(video, audio)
	if err != nil {
		return unavailable("SourceNotTranscoded", 10*time.Second, "%v", err)
	}
	if work.Video == None && work.Audio == None {
		return unavailable("SourceNotTranscoded", 10*time.Second, "the source has neither picture nor sound")
	}
	p := &pass{session: s, work: work, video: video, audio: audio, epoch: s.epoch}
	return p.run(ctx)
}

// renew takes the template of the Plan in force; false when it has gone.
func (s *session) renew() bool {
	for _, t := range s.t.opt.Plan.Load().TemplatesFor(s.key.Space, s.key.App) {
		if t.ID == s.tpl.ID {
			s.tpl = t
			s.stays.Store(s.stays.Load() && t.OnPublish)
			return true
		}
	}
	return false
}

func (s *session) decide(video, audio *media.Track) (Work, error) {
	return decide(s.tpl, video, audio, s.source.Facts())
}

// tracks waits until the source has tracks, and until something is known of one that has just begun.
func (s *session) tracks(ctx context.Context) (video, audio *media.Track, err error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		known := len(s.source.Tracks()) > 0
		if known &&
			(s.source.Facts().FPS > 0 || s.source.Track(media.Video) == nil || time.Since(s.source.Since()) > settleTime) {
			return s.source.Track(media.Video), s.source.Track(media.Audio), nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-s.source.Done():
			return nil, nil, io.EOF
		case <-tick.C:
		}
	}
}

func (s *session) note(change func(*Info)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.shown)
}

func (s *session) info() Info {
	s.mu.Lock()
	i := s.shown
	s.mu.Unlock()
	if s.isReady() {
		i.Readers = s.stream.Readers()
	}
	return i
}
