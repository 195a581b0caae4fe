package transcode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/transcode/nut"
)

// pass is the making of a rendition while neither its source nor its work changes: one process of ffmpeg, or none when
// all is passed through.
type pass struct {
	session      *session
	work         Work
	video, audio *media.Track // of the source
	epoch        uint64

	opusOrAAC *media.Track // of the result
	process   *process
	queue     chan nut.Frame
	trackOf   [3]int // by media.Kind: the track in what goes to ffmpeg
	clocks    [3]clock
	from      start
	edge      time.Duration // the stream's live edge when the pass began
	joined    bool          // of a picture that is passed through after it was encoded, a key frame has come

	fed      atomic.Int64 // Unix nanoseconds of the first frame that was given since the last came out; 0: none
	lateness atomic.Int64 // added, ns, smoothed
}

// queueSize is what waits for ffmpeg at most, in frames: a whole GOP of a stream that is joined.
const queueSize = 2048

func (p *pass) run(ctx context.Context) error {
	published := nothing()
	if pub := p.session.pub; pub != nil {
		published = pub.reached()
	}
	r := p.reader(published)
	defer r.Close()
	backlog, err := p.backlog(ctx, r)
	if err != nil {
		return err
	}
	backlog = p.current(backlog)
	p.from = findStart(p.work, backlog, p.edge, published)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	if err := p.begin(ctx, cancel, &wg); err != nil {
		return err
	}
	if p.process != nil {
		defer func() {
			p.process.kill()
			p.session.t.metrics.cpu(p.process)
		}()
	}
	defer cancel(nil)
	for _, f := range backlog {
		if err := p.take(ctx, f); err != nil {
			return p.cause(ctx, err)
		}
	}
	reviewed := time.Now()
	for {
		f, err := r.Next(ctx)
		if err != nil {
			return p.cause(ctx, err)
		}
		if err := p.take(ctx, f); err != nil {
			return p.cause(ctx, err)
		}
		if now := time.Now(); now.Sub(reviewed) > time.Second {
			reviewed = now
			if p.outgrown() {
				return errChanged
			}
		}
	}
}

// cause prefers the reason for which the context was cancelled.
func (p *pass) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// What is on its way from the ring of another pod is waited for until it is this fresh, or nothing comes for a moment:
// clocks may differ.
const (
	liveAge    = 150 * time.Millisecond // since the ingest
	burstPause = 100 * time.Millisecond
	burstMost  = 500 * time.Millisecond
)

// frames is a hub.Reader.
type frames interface {
	Next(ctx context.Context) (*media.Frame, error)
	TryNext() (*media.Frame, error)
}

// backlog takes what the reader has at once, and finds the live edge: the pass begins there, so that a long GOP costs
// decoding only. Of a source that has just been fetched this takes what is on its way, too.
func (p *pass) backlog(ctx context.Context, r frames) ([]*media.Frame, error) {
	var all []*media.Frame
	f, err := r.Next(ctx) // it may be described before anything of it has come
	for began := time.Now(); err == nil && f != nil; {
		all = append(all, f)
		p.edge = max(p.edge, f.DTS)
		age := time.Since(f.Ingest)
		if f, err = r.TryNext(); err == nil && f == nil && age > liveAge && time.Since(began) < burstMost {
			f, err = nextWithin(ctx, r, burstPause)
		}
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// nextWithin returns the next frame if it comes soon.
func nextWithin(ctx context.Context, r frames, d time.Duration) (*media.Frame, error) {
	soon, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	f, err := r.Next(soon)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return f, err
}

// outgrown reports whether the work does not do any more: what is passed through turned out not to fit.
func (p *pass) outgrown() bool {
	now, err := p.session.decide(p.video, p.audio)
	return err != nil || p.work.Video == Copy && now.Video == Encode
}

// begin starts ffmpeg when there is work for it, and publishes.
func (p *pass) begin(ctx context.Context, cancel context.CancelCauseFunc, wg *sync.WaitGroup) error {
	s := p.session
	if err := p.result(); err != nil {
		return err
	}
	if s.pub == nil {
		by := s.source.Publisher()
		pub, err := s.t.opt.Hub.Publish(s.key, hub.Publisher{Remote: by.Remote, Yields: true})
		if err != nil {
			return fmt.Errorf("publishing the rendition: %w", err)
		}
		s.stream = pub.Stream()
		s.pub = newPublication(pub, func() { close(s.ready) })
	}
	if p.work.Video != Encode {
		s.pub.tracks(p.video, p.opusOrAAC)
	}
	pid := 0
	if p.work.processed() {
		if err := p.launch(ctx, cancel, wg); err != nil {
			return err
		}
		pid = p.process.cmd.Process.Pid
	}
	s.note(func(i *Info) {
		i.Video, i.Audio, i.PID, i.Encoder, i.Size, i.Kbps = p.work.Video, p.work.Audio, pid, "", "", 0
		if pid != 0 {
			i.Starts++
		}
		if p.work.Video == Encode {
			i.Encoder, i.Size, i.Kbps = string(s.tool.encoder), fmt.Sprintf("%dx%d", p.work.Width, p.work.Height), p.work.Kbps
		} else if p.video != nil {
			i.Size = fmt.Sprintf("%dx%d", p.video.Width, p.video.Height)
		}
	})
	return nil
}

// result makes the track of the sound that comes out.
func (p *pass) result() (err error) {
	switch {
	case p.work.Audio == Copy:
		p.opusOrAAC = p.audio
	case p.work.Audio == Encode && p.work.AudioCodec == media.Opus:
		p.opusOrAAC, err = media.NewOpusTrack(p.work.Channels)
	case p.work.Audio == Encode:
		p.opusOrAAC, err = aacTrack(p.work.SampleRate, p.work.Channels)
	}
	return err
}

// take does with a frame of the source what is to be done.
func (p *pass) take(ctx context.Context, f *media.Frame) error {
	if err := p.same(f); err != nil {
		return err
	}
	kind := f.Kind()
	task := p.work.Video
	if kind == media.Audio {
		task = p.work.Audio
	}
	switch task {
	case Copy:
		out := *f // the hub writes into frames that are published
		if p.continues(&out) {
			return p.session.pub.write(&out, f.DTS <= p.from.published.dts[kind])
		}
		return nil
	case Encode:
		if kind == media.Audio && f.DTS < p.from.decode {
			return nil
		}
		// it would be decoded for nobody: no picture refers to it, and it is not shown
		if f.Disposable && f.PTS < p.from.picture {
			return nil
		}
		return p.feed(ctx, f)
	}
	return nil
}

// same reports whether a frame belongs to what the pass was made for.
func (p *pass) same(f *media.Frame) error {
	if f.Epoch != p.epoch {
		return errChanged
	}
	was := p.video
	if f.Kind() == media.Audio {
		was = p.audio
	}
	if was == f.Track || was != nil && equal(was, f.Track) {
		return nil
	}
	return errChanged
}

// equal reports whether decoders go on over a change from one track to the other: parameter sets of pictures stand
// before key frames anyway.
func equal(a, b *media.Track) bool {
	return a.Codec == b.Codec && string(a.SPS) == string(b.SPS) && string(a.VPS) == string(b.VPS) &&
		string(a.Config) == string(b.Config) && a.Channels == b.Channels && a.Largest == b.Largest
}

// feed queues a frame for ffmpeg. Beside a picture that is passed through, sound never makes anybody wait.
func (p *pass) feed(ctx context.Context, f *media.Frame) error {
	now := time.Now()
	kind := f.Kind()
	p.clocks[kind].add(arrival{pts: f.PTS, zero: f.Ingest.Add(-f.DTS), taken: now})
	one := nut.Frame{Track: p.trackOf[kind], Key: f.Key || kind == media.Audio, Data: payload(f)}
	if kind == media.Video {
		one.PTS = ticks(f.PTS+timeShift, videoClock)
	} else {
		one.PTS = ticks(f.PTS+timeShift, audioClock)
	}
	if first := p.fed.Load(); first == 0 {
		p.fed.CompareAndSwap(0, now.UnixNano())
	} else if now.Sub(time.Unix(0, first)) > stuckTime {
		return fmt.Errorf("%w for %s%s", errStuck, stuckTime, p.said())
	}
	select {
	case p.queue <- one:
		return nil
	default:
	}
	if p.work.Video != Encode {
		p.session.t.metrics.dropped.Inc()
		return nil
	}
	select {
	case p.queue <- one:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(stuckTime):
		return fmt.Errorf("%w for %s%s", errStuck, stuckTime, p.said())
	}
}

// said is what ffmpeg said last, to be put behind an error.
func (p *pass) said() string {
	if p.process == nil {
		return ""
	}
	if line := p.process.said.last(); line != "" {
		return ": " + line
	}
	return ""
}

// exitTime is how long a process that has closed its output may take to end.
const exitTime = 2 * time.Second

// failed words the end of ffmpeg. What it said last is told when it gave up, not when it was killed: that is some
// warning of long ago.
func (p *pass) failed(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case !errors.Is(err, errExited):
		return fmt.Errorf("ffmpeg: %w%s", err, p.said())
	}
	select {
	case <-p.process.exited: // a moment after the end of its pipes
	case <-time.After(exitTime):
		return fmt.Errorf("%w its output, but runs on%s", errExited, p.said())
	}
	how := p.process.cmd.ProcessState
	if how == nil || how.Exited() {
		return fmt.Errorf("%w: %v%s", errExited, how, p.said())
	}
	return fmt.Errorf("%w: %v", errExited, how)
}
