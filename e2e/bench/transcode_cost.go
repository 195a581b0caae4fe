package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/cputime"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/internal/contract/plan"
)

// transcodeCost compares renditions that pass the picture through with ones that encode it: CPU time of ffmpeg for each
// second of media that came out.
func transcodeCost(ctx context.Context, o transcodeOptions, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h, current := hub.New(hub.Options{}), plan.NewCurrent()
	defer h.Close()
	web := plan.Template{
		ID:         "web",
		Space:      host,
		Type:       plan.TemplateH264Origin,
		GOP:        2 * time.Second,
		DropB:      true,
		AudioCodec: "Opus",
	}
	full := web
	full.ID, full.Type, full.Width, full.Height, full.VideoKbps = "full", plan.TemplateH264, o.source.Width,
		o.source.Height, o.source.Kbps/2
	current.Store(plan.NewIndex(&plan.Plan{
		Push: []plan.PushDomain{
			{Hostname: host, Space: host, Auth: plan.Auth{Type: plan.AuthNone}, Duplicate: plan.RejectNew},
		},
		Templates: []plan.Template{web, full},
	}))
	in, err := ingest.New(ingest.Options{Hub: h, Plan: current, Log: logr.Discard()})
	if err != nil {
		return fmt.Errorf("starting the ingest: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	go func() { _ = in.Serve(ctx, l) }()
	t, err := transcode.New(ctx, transcode.Options{Hub: h, Plan: current, Log: logr.Discard(), Encoder: transcode.X264})
	if err != nil {
		return fmt.Errorf("starting the transcoder: %w", err)
	}
	defer t.Close()

	source := o.source
	source.GOPSeconds, source.SampleRate = 2, 44100
	for i := range o.streams {
		to := fmt.Sprintf("rtmp://%s/live/s%d?vhost=%s", l.Addr(), i, host)
		if i == 0 {
			source.URL = to
		} else {
			source.More = append(source.More, to)
		}
	}
	published, err := beep.Publish(ctx, source)
	if err != nil {
		return err
	}
	passed, err := cost(ctx, h, t, published, "web", o.streams, o.seconds, transcode.Copy)
	if err != nil {
		return err
	}
	encoded, err := cost(ctx, h, t, published, "full", min(o.full, o.streams), o.seconds, transcode.Encode)
	if err != nil {
		return err
	}
	n := float64(o.streams)
	fmt.Fprintf(
		w,
		"CPU of ffmpeg for a second of media: picture passed through, AAC to Opus %.4f s (%d streams at once); all "+
			"encoded %.4f s (%d at once)\n",
		passed,
		o.streams,
		encoded,
		min(o.full, o.streams),
	)
	fmt.Fprintf(
		w,
		"%d streams: passed through %.2f cores, encoded %.2f cores: %.1f %% (goal < 10 %%)\n",
		o.streams,
		passed*n,
		encoded*n,
		100*passed/encoded,
	)
	return nil
}

// cost reads n renditions and gives the CPU time of their processes for each second of media that came out of them.
func cost(
	ctx context.Context,
	h *hub.Hub,
	t *transcode.Transcoder,
	from *beep.Source,
	id string,
	n, seconds int,
	video transcode.Task,
) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readers := make([]*hub.Reader, n)
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		for {
			s, err := h.Find(ctx, hub.Key{Space: host, App: "live", Name: name})
			if err == nil && s.Facts().VideoKbps > 0 && time.Since(s.Since()) > 5*time.Second {
				break
			}
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-from.Done():
				return 0, from.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
		find, stop := context.WithTimeout(ctx, time.Minute)
		s, err := t.Find(find, hub.Key{Space: host, App: "live", Name: name + "_" + id})
		stop()
		if err != nil {
			return 0, fmt.Errorf("rendition %s of %s: %w", id, name, err)
		}
		readers[i] = s.NewReader()
		defer readers[i].Close()
	}
	settle(ctx, 3*time.Second)
	var cpu, out time.Duration
	from1, used1, err := progress(ctx, t, readers, id, video)
	if err != nil {
		return 0, err
	}
	settle(ctx, time.Duration(seconds)*time.Second)
	from2, used2, err := progress(ctx, t, readers, id, video)
	if err != nil {
		return 0, err
	}
	out, cpu = from2-from1, used2-used1
	if out <= 0 {
		return 0, fmt.Errorf("nothing came out of the renditions %s", id)
	}
	return cpu.Seconds() / out.Seconds(), nil
}

// progress returns how far all renditions have come, and what their processes have used.
func progress(
	ctx context.Context,
	t *transcode.Transcoder,
	readers []*hub.Reader,
	id string,
	video transcode.Task,
) (played, used time.Duration, err error) {
	for _, r := range readers {
		var last time.Duration
		for {
			f, err := r.TryNext()
			if err != nil {
				return 0, 0, fmt.Errorf("reading a rendition: %w", err)
			}
			if f == nil {
				break
			}
			if f.Kind() == media.Audio {
				last = f.PTS
			}
		}
		played += last
	}
	for _, one := range t.List() {
		if one.Template != id {
			continue
		}
		if one.Video != video || one.Audio != transcode.Encode {
			return 0, 0, fmt.Errorf("%s is made by: picture %s, sound %s", one.Rendition, one.Video, one.Audio)
		}
		d, ok := cputime.Of(one.PID)
		if !ok {
			return 0, 0, fmt.Errorf("the CPU time of process %d is not known", one.PID)
		}
		used += d
	}
	return played, used, ctx.Err()
}
