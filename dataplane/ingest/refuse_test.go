package ingest

import (
	"context"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

const key = "pushdemokey12345"

func contains(t *testing.T, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("ffmpeg said:\n%s\nwant: %s", text, want)
	}
}

func domains(d ...plan.PushDomain) []plan.PushDomain { return d }

// TestRefusalsAsFFmpegShowsThem: each way of being refused, and the words that the encoder's operator reads.
func TestRefusalsAsFFmpegShowsThem(t *testing.T) {
	signed := domain()
	signed.Hostname, signed.Auth = "signed.example.com", plan.Auth{Type: plan.AuthA, Primary: key}
	offline := domain()
	offline.Hostname, offline.Offline = "offline.example.com", true
	lone := domain()
	lone.Hostname, lone.Space = "lone.example.com", ""
	r := newRig(t, domains(domain(), signed, offline, lone))

	plain, _ := url.Parse("rtmp://signed.example.com/live/s")
	old, err := urlauth.Sign(signed.Auth, plain, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want, reason string }{
		"unknown domain": {"/live/s?vhost=other.example.com", "other.example.com is not a push domain here; check " +
			"the host of the URL", "unknown_domain"},
		"no domain": {"/live/s", "127.0.0.1 is not a push domain here", "unknown_domain"},
		"offline domain": {"/live/s?vhost=offline.example.com", "push domain offline.example.com is offline; ask its " +
			"operator", "offline"},
		"unassociated domain": {"/live/s?vhost=lone.example.com", "push domain lone.example.com is not associated with a " +
			"play domain", "unassociated"},
		"not signed": {"/live/s?vhost=signed.example.com", "INVALID AUTH_KEY: the URL is not signed: append " +
			"?auth_key=", "unauthorized"},
		"bad hash": {"/live/s?vhost=signed.example.com&auth_key=9999999999-0-0-00000000000000000000000000000000",
			"INVALID MD5HASH", "unauthorized"},
		"expired": {"/live/s?vhost=signed.example.com&" + old.RawQuery, "INVALID TIMESTAMP: the signature has " +
			"expired", "unauthorized"},
		"bad character": {"/live/s%20x?vhost=" + pushHost, "the stream name may only have letters", "bad_name"},
		"too long": {"/live/" + strings.Repeat("n", 300) + "?vhost=" + pushHost, "the stream name is longer " +
			"than 256", "bad_name"},
		"a path in the name": {"/live/a/b/c?vhost=" + pushHost, "with one app and one stream name", "bad_name"},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.count("millrace_ingest_refused_total", c.reason)
			p := r.publish(testsrc.Options{URL: "rtmp://" + r.address + c.path})
			contains(t, r.refusal(p), c.want)
			r.wait(
				"the refusal to be counted",
				func() bool { return r.count("millrace_ingest_refused_total", c.reason) == before+1 },
			)
		})
	}
	if len(r.hub.Streams()) != 0 {
		t.Errorf("streams: %v", r.hub.Streams())
	}
}

func TestASignedURLPublishes(t *testing.T) {
	for _, typ := range []plan.AuthType{plan.AuthA, plan.AuthB, plan.AuthC} {
		t.Run(string(typ), func(t *testing.T) {
			d := domain()
			d.Auth = plan.Auth{Type: typ, Primary: "thenewkey1234567", Backup: key, Validity: time.Hour}
			r := newRig(t, domains(d))
			u, _ := url.Parse(r.url("/live/signed"))
			signed, err := urlauth.Sign(plan.Auth{Type: typ, Primary: key}, u, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r.publish(testsrc.Options{URL: signed.String()})
			r.stream("live", "signed", media.Video)
		})
	}
}

func TestASecondPublisherIsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.publish(testsrc.Options{URL: r.url("/live/one")})
	s := r.stream("live", "one", media.Video)
	second := r.publish(testsrc.Options{URL: r.url("/live/one")})
	contains(
		t,
		r.refusal(second),
		"stream live/one is being published already; stop the other encoder, or set duplicatePublish to ReplaceOld",
	)
	if !s.Live() || s.Epoch() != 1 {
		t.Error("the first publisher was disturbed")
	}
}

func TestASecondPublisherReplacesTheFirst(t *testing.T) {
	d := domain()
	d.Duplicate = plan.ReplaceOld
	r := newRig(t, domains(d))
	first := r.publish(testsrc.Options{URL: r.url("/live/one")})
	s := r.stream("live", "one", media.Video)
	reader := s.NewReader()
	defer reader.Close()
	old := next(t, reader, anyVideo)
	r.publish(testsrc.Options{URL: r.url("/live/one")})
	contains(t, r.refusal(first), "another encoder publishes this stream now")
	if f := next(t, reader, func(f *media.Frame) bool { return f.Epoch > old.Epoch }); !f.Key {
		t.Errorf("the new publisher's first frame: %s", describe(f))
	}
}

func TestTheDomainsStreamsAreLimited(t *testing.T) {
	d := domain()
	d.MaxStreams = 1
	r := newRig(t, domains(d))
	first := r.publish(testsrc.Options{URL: r.url("/live/one")})
	r.stream("live", "one", media.Video)
	second := r.publish(testsrc.Options{URL: r.url("/live/two")})
	contains(t, r.refusal(second), "push domain push.example.com has its 1 streams already (maxStreams)")
	first.Stop(testkit.Patience())
	r.wait("the place to be free", func() bool { return len(r.hub.Streams()) == 0 })
	r.publish(testsrc.Options{URL: r.url("/live/two")})
	r.stream("live", "two", media.Video)
}

func TestTooHighABitRateIsClosed(t *testing.T) {
	d := domain()
	d.MaxBitrateKbps = 100
	r := newRig(t, domains(d))
	p := r.publish(testsrc.Options{URL: r.url("/live/fat"), BitrateKbps: 1500})
	contains(
		t,
		r.refusal(p),
		"more than the 100 of push domain push.example.com (maxBitrateKbps); lower the encoder's bit rate",
	)
}

func TestBFramesAreRejectedWithinTheFirstGOP(t *testing.T) {
	d := domain()
	d.BFrames = plan.Reject
	r := newRig(t, domains(d))
	p := r.publish(testsrc.Options{URL: r.url("/live/b"), BFrames: 2, GOPSeconds: 2})
	contains(t, r.refusal(p), "the video has B-frames, which make the picture jump in browsers; set B-frames to 0")
	r.wait(
		"the end to be counted",
		func() bool { return r.count("millrace_ingest_ended_total", string(check.BFramesPresent)) == 1 },
	)
}

func TestARightTakenAwayClosesThePublisher(t *testing.T) {
	for name, after := range map[string]struct {
		domains []plan.PushDomain
		want    string
	}{
		"removed": {domains(), "push domain push.example.com does not exist any more"},
		"offline": {domains(func() plan.PushDomain { d := domain(); d.Offline = true; return d }()),
			"push domain push.example.com is offline"},
		"moved": {domains(func() plan.PushDomain { d := domain(); d.Space = "other.example.com"; return d }()),
			"does not feed rts.example.com any more"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.publish(testsrc.Options{URL: r.url("/live/s")})
			s := r.stream("live", "s", media.Video)
			reader := s.NewReader()
			defer reader.Close()
			next(t, reader, anyVideo)
			// A change that takes nothing away disturbs nobody.
			d := domain()
			d.Auth, d.MaxStreams, d.BFrames = plan.Auth{Type: plan.AuthA, Primary: key}, 1, plan.Reject
			r.current.Store(plan.NewIndex(&plan.Plan{Push: domains(d)}))
			next(t, reader, anyVideo)
			r.current.Store(plan.NewIndex(&plan.Plan{Push: after.domains}))
			contains(t, r.refusal(p), after.want)
			atEnd(t, reader)
			if s.Epoch() != 1 {
				t.Errorf("epoch %d: the publisher was interrupted before", s.Epoch())
			}
		})
	}
}

func TestUnsupportedCodecsAreNamed(t *testing.T) {
	r := newRig(t, nil)
	testkit.NeedFFmpeg(t)
	for name, c := range map[string]struct{ codecs, want string }{
		"video": {"-c:v flv1", "video codec Sorenson H.263 is not supported; set the encoder to H.264"},
		"audio": {"-f lavfi -i sine -c:v libx264 -preset ultrafast -c:a libmp3lame -ar 44100",
			"audio codec MP3 is not supported; set the encoder to AAC"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
			defer cancel()
			args := strings.Fields("-hide_banner -loglevel warning -re -f lavfi -i testsrc=size=160x90:rate=25 " + c.codecs)
			out, err := exec.CommandContext(ctx, "ffmpeg", append(args, "-f", "flv", r.url("/live/odd"))...).CombinedOutput()
			if err == nil || ctx.Err() != nil {
				t.Fatalf("ffmpeg ended with %v", err)
			}
			contains(t, string(out), c.want)
		})
	}
}

func TestPlayersAreToldWhereToPlay(t *testing.T) {
	r := newRig(t, nil)
	testkit.NeedFFmpeg(t)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "warning", "-i", r.url("/live/s"), "-f",
		"null", "-").
		CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("ffmpeg ended with %v", err)
	}
	contains(t, string(out), "this port takes streams in; play by the play domain's URL")
}
