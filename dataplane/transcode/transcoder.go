package transcode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Options make a Transcoder. Hub and Plan are needed; zero values take the defaults.
type Options struct {
	Hub     *hub.Hub // renditions are published into it
	Plan    *plan.Current
	Source  hub.Finder // of the streams that are transcoded; default: Hub
	Log     logr.Logger
	Metrics prometheus.Registerer // nil: no metrics

	FFmpeg      string        // the program; default "ffmpeg" from the PATH
	Encoder     Encoder       // of video; default Auto
	Threads     int           // of each session for video; default 2
	MaxSessions int           // default 64
	MaxCPU      float64       // share of all cores beyond which new sessions are refused, such as 0.9; default: no limit
	Idle        time.Duration // how long a rendition outlives its last viewer; default 30 s
}

func (o *Options) defaults() error {
	if o.Source == nil {
		o.Source = o.Hub
	}
	if o.FFmpeg == "" {
		o.FFmpeg = "ffmpeg"
	}
	if o.Encoder == "" {
		o.Encoder = Auto
	}
	if !o.Encoder.known() {
		return fmt.Errorf("encoder %q: want Auto, x264, NVENC, VAAPI or QSV", o.Encoder)
	}
	if o.Threads <= 0 {
		o.Threads = 2
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = 64
	}
	if o.Idle <= 0 {
		o.Idle = 30 * time.Second
	}
	return nil
}

// Transcoder makes renditions. It is a hub.Finder, and safe for concurrent use.
type Transcoder struct {
	opt      Options
	spawner  *spawner
	tools    tools
	metrics  *metrics
	headroom *headroom

	ctx    context.Context //nolint:containedctx // the life of the sessions
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stop   []func()

	mu       sync.Mutex
	closed   bool
	sessions map[hub.Key]*session
	refused  map[hub.Key]refusal
}

// refusal is remembered for a moment, so that a crowd does not start a process each that fails like the one before.
type refusal struct {
	err   error
	until time.Time
}

const (
	refusedTime = 3 * time.Second
	refusedMost = 1024
	retryFull   = 5 * time.Second
)

// New makes a transcoder. When the Plan has templates it looks at ffmpeg first: an error says what is missing and which
// package has it.
func New(ctx context.Context, opt Options) (*Transcoder, error) {
	if err := opt.defaults(); err != nil {
		return nil, err
	}
	t := &Transcoder{
		opt: opt, spawner: newSpawner(), sessions: map[hub.Key]*session{}, refused: map[hub.Key]refusal{},
		headroom: newHeadroom(opt.MaxCPU),
	}
	t.tools.opt = opt
	if len(opt.Plan.Load().Plan.Templates) > 0 || opt.Plan.Load().Repairs() {
		if _, err := t.tools.get(ctx); err != nil {
			t.spawner.close()
			return nil, err
		}
	}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.metrics = newMetrics(opt.Metrics, t)
	t.stop = append(t.stop, opt.Hub.Watch(t.published))
	t.wg.Go(t.measure)
	return t, nil
}

// Close ends all renditions and waits for their processes.
func (t *Transcoder) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, stop := range t.stop {
		stop()
	}
	t.cancel()
	t.wg.Wait()
	t.spawner.close()
}

// Find returns the stream that has the name, else a rendition whose template's id ends it; the first who asks starts
// it. It waits until there is something to show.
func (t *Transcoder) Find(ctx context.Context, key hub.Key) (*hub.Stream, error) {
	if s, err := t.opt.Hub.Find(ctx, key); err == nil {
		t.touch(key)
		return s, nil
	}
	name, tpl := t.opt.Plan.Load().SplitTemplate(key.Space, key.App, key.Name)
	s, err := t.opt.Source.Find(ctx, key) // a stream may be named like a rendition
	if err == nil || !errors.Is(err, hub.ErrNotFound) || tpl == nil {
		return s, err
	}
	from := hub.Key{Space: key.Space, App: key.App, Name: name}
	// A name that nobody publishes takes no place: the source is looked for first.
	if t.existing(key) == nil {
		if _, err := t.opt.Source.Find(ctx, from); err != nil {
			return nil, err
		}
	}
	one, err := t.session(ctx, key, from, tpl, false)
	if err != nil {
		return nil, err
	}
	one.waiting.Add(1)
	defer one.waiting.Add(-1)
	select {
	case <-ctx.Done():
		return nil, unavailable(
			"RenditionNotReady",
			2*time.Second,
			"rendition %s is being made, but shows nothing yet; ask again",
			tpl.ID,
		)
	case <-one.ready:
		return one.stream, nil
	case <-one.done:
		return nil, one.err
	}
}

// Publish starts the renditions of a stream that are made without viewers (trigger OnPublish), when it is published
// elsewhere; those of the transcoder's own hub start by themselves.
func (t *Transcoder) Publish(ctx context.Context, from hub.Key) {
	for _, tpl := range t.opt.Plan.Load().TemplatesFor(from.Space, from.App) {
		if !tpl.OnPublish {
			continue
		}
		key := hub.Key{Space: from.Space, App: from.App, Name: from.Name + "_" + tpl.ID}
		if _, err := t.session(ctx, key, from, tpl, true); err != nil && !errors.Is(err, hub.ErrNotFound) {
			t.opt.Log.Info(
				"A rendition that starts with its stream cannot be made",
				"Rendition",
				key.String(),
				"error",
				err.Error(),
			)
		}
	}
}

// published is called by the hub, under its lock.
func (t *Transcoder) published(s *hub.Stream, live bool) {
	if !live || s.Key.Name == "" {
		return
	}
	go func() {
		if !s.Publisher().Yields && t.opt.Source == hub.Finder(t.opt.Hub) && begun(t.ctx, s) {
			t.Publish(t.ctx, s.Key)
		}
	}()
}

// begun waits until a stream has tracks; false when it ends before.
func begun(ctx context.Context, s *hub.Stream) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.Tracks() == nil {
		select {
		case <-ctx.Done():
			return false
		case <-s.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// existing returns the session that makes a rendition; nil when there is none.
func (t *Transcoder) existing(key hub.Key) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sessions[key]
}

// touch tells a rendition that somebody asked for it.
func (t *Transcoder) touch(key hub.Key) {
	if one := t.existing(key); one != nil {
		one.asked.Store(time.Now().UnixNano())
	}
}

// session returns the session that makes a rendition, and starts it when there is none.
func (t *Transcoder) session(ctx context.Context, key, from hub.Key, tpl *plan.Template, stays bool) (*session, error) {
	tool, err := t.tools.get(ctx)
	if err != nil {
		return nil, unavailable("TranscoderBroken", time.Minute, "this server cannot transcode: %v", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.sessions[key]; one != nil {
		one.asked.Store(time.Now().UnixNano())
		if stays {
			one.stays.Store(true)
		}
		return one, nil
	}
	if t.closed {
		return nil, hub.ErrNotFound
	}
	if t.sessions[from] != nil { // a rendition of a rendition
		return nil, hub.ErrNotFound
	}
	if r, ok := t.refused[key]; ok && time.Now().Before(r.until) {
		return nil, r.err
	}
	if err := t.room(key.Space); err != nil {
		t.metrics.refused.Inc()
		return nil, err
	}
	one := newSession(t, tool, key, from, tpl, stays)
	t.sessions[key] = one
	t.headroom.promise()
	t.wg.Go(func() { one.run(t.ctx) })
	return one, nil
}

// room tells why no session more can be made; nil when it can.
func (t *Transcoder) room(space string) error {
	if len(t.sessions) >= t.opt.MaxSessions {
		return unavailable(
			"TranscoderFull",
			retryFull,
			"all %d transcoding sessions are in use; try again later, or raise the limit",
			t.opt.MaxSessions,
		)
	}
	of := 0
	for key := range t.sessions {
		if key.Space == space {
			of++
		}
	}
	if of >= t.share() {
		return unavailable(
			"DomainTranscodesFull",
			retryFull,
			"%s has %d of the %d transcoding sessions here, which is its share; try again later, or raise the limit",
			space,
			of,
			t.opt.MaxSessions,
		)
	}
	if t.headroom.full() {
		return unavailable(
			"TranscoderBusy",
			retryFull,
			"there is no CPU left to transcode one stream more; try again later, or add transcoders",
		)
	}
	return nil
}

// share is the number of sessions that the streams of one main play domain may have: three quarters, so that no tenant
// takes all.
func (t *Transcoder) share() int { return max(t.opt.MaxSessions-t.opt.MaxSessions/4, 1) }

// ended takes a session out.
func (t *Transcoder) ended(one *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, one.key)
	if _, ok := errors.AsType[*hub.UnavailableError](one.err); ok {
		if len(t.refused) >= refusedMost {
			clear(t.refused)
		}
		t.refused[one.key] = refusal{one.err, time.Now().Add(refusedTime)}
	}
}

func unavailable(reason string, retry time.Duration, format string, args ...any) error {
	return &hub.UnavailableError{Reason: reason, Message: fmt.Sprintf(format, args...), RetryAfter: retry}
}

// Sessions is the number of renditions that are made now.
func (t *Transcoder) Sessions() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions)
}

// Headroom tells how much more the transcoder can take: 1 when it is idle, 0 when it refuses new sessions.
func (t *Transcoder) Headroom() float64 {
	t.mu.Lock()
	sessions := len(t.sessions)
	t.mu.Unlock()
	return max(min(1-float64(sessions)/float64(t.opt.MaxSessions), t.headroom.left()), 0)
}

// Info is what is shown of a rendition.
type Info struct {
	Rendition string    `json:"rendition"`
	Source    string    `json:"source"`
	Template  string    `json:"template"`
	Video     Task      `json:"video"`
	Audio     Task      `json:"audio"`
	Encoder   string    `json:"encoder,omitempty"` // of the video, when it is encoded
	Size      string    `json:"size,omitempty"`
	Kbps      int       `json:"kbps,omitempty"`
	PID       int       `json:"pid,omitempty"` // of ffmpeg
	Since     time.Time `json:"since"`
	Starts    int       `json:"starts"` // of ffmpeg
	Readers   int       `json:"readers"`
	// from the source's frame to the rendition's, smoothed: sound when the picture is passed through
	AddedMs float64 `json:"addedMs"`
	Problem string  `json:"problem,omitempty"`
}

// List shows the renditions, sorted by name.
func (t *Transcoder) List() []Info {
	t.mu.Lock()
	all := make([]*session, 0, len(t.sessions))
	for _, s := range t.sessions {
		all = append(all, s)
	}
	t.mu.Unlock()
	out := make([]Info, 0, len(all))
	for _, s := range all {
		out = append(out, s.info())
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Rendition, b.Rendition) })
	return out
}
