package play_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/lean"
	"github.com/millrace/millrace/internal/play/meter"
)

// options play one viewer, until the test has seen what it waits for.
func options(url string) play.Options {
	return play.Options{URL: url, Viewers: 1, Duration: 2 * time.Minute, Decrypt: lean.DecryptSample, ReadBuffer: 4 << 20}
}

// watch plays until the condition holds.
func watch(t *testing.T, o play.Options, until func(play.Progress) bool) *play.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(p play.Progress) {
		if until(p) {
			cancel()
		}
	}
	report, err := play.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// settled holds when all viewers have a picture, and figures for rates and latency.
func settled(p play.Progress) bool { return p.Playing == p.Viewers && p.FPS > 0 && p.LatencyP50 > 0 }

// checkPicture wants a viewer with a clean picture.
func checkPicture(t *testing.T, report *play.Report) {
	t.Helper()
	if err := report.Failure(); err != nil {
		t.Fatalf("%v; %+v", err, report.Errors)
	}
	for i := range report.Each {
		s := &report.Each[i]
		if s.Lost != 0 || s.Duplicates != 0 || s.DamagedFrames != 0 {
			t.Errorf("viewer %d: lost %d, duplicates %d, damaged frames %d, want none", i, s.Lost, s.Duplicates, s.DamagedFrames)
		}
		if s.DecodableFrames == 0 || s.FirstFrameMs <= 0 || s.FirstPacketMs <= 0 || s.ConnectMs <= 0 || s.SignallingMs <= 0 {
			t.Errorf("viewer %d: %+v", i, s)
		}
		if strings.Join(s.Codecs, " ") != "Opus H264" && strings.Join(s.Codecs, " ") != "H264 Opus" {
			t.Errorf("viewer %d: codecs %v", i, s.Codecs)
		}
	}
}

func TestEveryClientPlaysEveryDialect(t *testing.T) {
	t.Parallel()
	lite, full := newServer(t, serverOptions{}), newServer(t, serverOptions{full: true})
	tests := []struct {
		name string
		url  string
		edit func(*play.Options)
		srtp string
	}{
		{name: "full client, ARTC", url: lite.artc("s")},
		{name: "full client, WHEP", url: lite.whep("s")},
		{name: "full client, TCP", url: lite.artc("s"), edit: func(o *play.Options) { o.TCP = true }},
		{name: "full client, SHA-1", url: lite.artc("s"), edit: func(o *play.Options) { o.SRTP = "sha1" }, srtp: "SHA1_80"},
		{name: "full client, full server", url: full.artc("s")},
		{
			name: "lean client, ARTC",
			url:  lite.artc("s"),
			edit: func(o *play.Options) { o.Lean, o.SRTP = true, "gcm" },
			srtp: "GCM",
		},
		{name: "lean client, WHEP", url: lite.whep("s"), edit: func(o *play.Options) { o.Lean = true }},
		{name: "lean client, TCP", url: lite.artc("s"), edit: func(o *play.Options) { o.Lean, o.TCP = true, true }},
		{name: "lean client, GRO", url: lite.artc("s"), edit: func(o *play.Options) { o.Lean, o.GRO = true, true }},
		{name: "lean client, SHA-1, all", url: lite.artc("s"), srtp: "SHA1_80", edit: func(o *play.Options) {
			o.Lean, o.SRTP, o.Decrypt = true, "sha1", lean.DecryptAll
		}},
		{name: "lean client is the DTLS server", url: full.artc("s"), edit: func(o *play.Options) { o.Lean = true }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options(test.url)
			if test.edit != nil {
				test.edit(&o)
			}
			report := watch(t, o, settled)
			checkPicture(t, report)
			s := report.Each[0]
			if s.Width != testWidth || s.Height != testHeight {
				t.Errorf("%dx%d, want %dx%d", s.Width, s.Height, testWidth, testHeight)
			}
			if !strings.Contains(s.SRTP, test.srtp) || s.SRTP == "" {
				t.Errorf("SRTP profile %q, want %s", s.SRTP, test.srtp)
			}
			if report.LatencyClock != meter.ClockCapture || report.LatencyMs == nil {
				t.Errorf("latency %+v by %q", report.LatencyMs, report.LatencyClock)
			}
		})
	}
}

func TestManyViewersUseTheLeanClient(t *testing.T) {
	t.Parallel()
	s := newServer(t, serverOptions{})
	o := options(s.whep("s"))
	o.Viewers, o.Ramp = 20, 500*time.Millisecond
	report := watch(t, o, settled)
	checkPicture(t, report)
	if report.Client != "lean" || report.Playing != 20 || len(report.Each) != 20 || report.Load == nil ||
		report.Load.CPUMicrosPerPacket <= 0 {
		t.Errorf("client %s, %d of %d play, load %+v", report.Client, report.Playing, len(report.Each), report.Load)
	}
	if open, deleted := s.sessions(); open != 0 || deleted != 20 {
		t.Errorf("%d sessions open, %d deleted, want 0 and 20", open, deleted)
	}
}

// someLoss drops each seventh of some video packets, after the first picture and long before the end.
func someLoss(n int) bool { return n > 60 && n < 160 && n%7 == 0 }

// pastTheLoss tells that two seconds have gone since the last packet that someLoss drops: all repairs are over by then.
func (s *server) pastTheLoss() bool {
	const packetsPerSecond = 150 // a little more than the server sends
	sent, _ := s.proxy.passed()
	return sent > 160+2*packetsPerSecond
}

func TestLossIsCountedExactly(t *testing.T) {
	t.Parallel()
	for _, leanClient := range []bool{false, true} {
		s := newServer(t, serverOptions{noNACK: true, lose: someLoss})
		o := options(s.artc("s"))
		o.Lean = leanClient
		report := watch(t, o, func(play.Progress) bool { return s.pastTheLoss() })
		if _, dropped := s.proxy.passed(); dropped == 0 || report.Total.Lost != uint64(dropped) ||
			report.Total.Recovered != 0 {
			t.Errorf(
				"lean %v: lost %d, recovered %d, want %d and 0",
				leanClient,
				report.Total.Lost,
				report.Total.Recovered,
				dropped,
			)
		}
		if report.Total.DamagedFrames == 0 {
			t.Errorf("lean %v: no frame is damaged", leanClient)
		}
		if report.Each[0].KeyRequests == 0 {
			t.Errorf("lean %v: no key frame was asked for", leanClient)
		}
	}
}

func TestRepairedLossIsCountedExactly(t *testing.T) {
	t.Parallel()
	for _, leanClient := range []bool{false, true} {
		s := newServer(t, serverOptions{lose: someLoss})
		o := options(s.artc("s"))
		o.Lean = leanClient
		report := watch(t, o, func(p play.Progress) bool { return s.pastTheLoss() && p.Lost == 0 })
		if _, dropped := s.proxy.passed(); dropped == 0 || report.Total.Recovered != uint64(dropped) ||
			report.Total.Lost != 0 {
			t.Errorf(
				"lean %v: recovered %d, lost %d, want %d and 0",
				leanClient,
				report.Total.Recovered,
				report.Total.Lost,
				dropped,
			)
		}
		if report.Total.DamagedFrames != 0 {
			t.Errorf("lean %v: %d damaged frames, want none", leanClient, report.Total.DamagedFrames)
		}
	}
}

func TestEndByTheServerIsTold(t *testing.T) {
	t.Parallel()
	for _, leanClient := range []bool{false, true} {
		s := newServer(t, serverOptions{})
		o := options(s.artc("s"))
		o.Lean = leanClient
		report := watch(t, o, func(p play.Progress) bool {
			if p.Playing == 1 {
				s.endAll()
			}
			return false
		})
		checkPicture(t, report)
		if got := report.Each[0]; got.Ended != meter.EndedByServer {
			t.Errorf("lean %v: ended %q", leanClient, got.Ended)
		}
	}
}

func TestInterruptEndsThePlayWithItsReport(t *testing.T) {
	t.Parallel()
	s := newServer(t, serverOptions{})
	o := options(s.whep("s"))
	o.Duration = 0
	report := watch(t, o, settled)
	checkPicture(t, report)
	if report.Each[0].Ended != "interrupted" {
		t.Errorf("ended: %q", report.Each[0].Ended)
	}
	if open, deleted := s.sessions(); open != 0 || deleted != 1 {
		t.Errorf("%d sessions open, %d deleted, want 0 and 1", open, deleted)
	}
}

func TestFailureSaysWhy(t *testing.T) {
	t.Parallel()
	playing, silent, noKeys := newServer(
		t,
		serverOptions{},
	), newServer(
		t,
		serverOptions{silent: true},
	), newServer(
		t,
		serverOptions{noKeyFrames: true},
	)
	tests := []struct {
		name, url, want string
	}{
		{"unknown stream", playing.artc("missing"), "404 Not Found: no stream of this name is published"},
		{"forbidden", playing.whep("forbidden"), "403 Forbidden: the signature does not match"},
		{"no media", silent.artc("s"), "connected, but no media packet came"},
		{"no key frame", noKeys.artc("s"), "packets came, but no complete key frame"},
	}
	for _, test := range tests {
		for _, leanClient := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lean %v", test.name, leanClient), func(t *testing.T) {
				t.Parallel()
				o := options(test.url)
				o.Lean, o.Duration = leanClient, 5*time.Second
				report, err := play.Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				err = report.Failure()
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "nothing plays: ") {
					t.Errorf("%v, want %q", err, test.want)
				}
			})
		}
	}
}

func TestWaitAsksAgainUntilTheStreamIsThere(t *testing.T) {
	t.Parallel()
	s := newServer(t, serverOptions{})
	o := options(s.artc("soon"))
	o.Wait = time.Minute
	report := watch(t, o, settled)
	checkPicture(t, report)
	if waited := report.Seconds*1000 - report.Each[0].Seconds*1000; report.Each[0].FirstFrameMs > waited-1000 {
		t.Errorf("first picture after %f ms of %f: the time of waiting must not count", report.Each[0].FirstFrameMs, waited)
	}
}

func TestDurationEndsThePlay(t *testing.T) {
	t.Parallel()
	s := newServer(t, serverOptions{})
	o := options(s.artc("s"))
	o.Duration = 5 * time.Second
	report, err := play.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkPicture(t, report)
	if got := report.Each[0].Ended; got != "the duration is over" {
		t.Errorf("ended: %q", got)
	}
}

func TestLatencyBySenderReports(t *testing.T) {
	t.Parallel()
	for _, leanClient := range []bool{false, true} {
		s := newServer(t, serverOptions{noCapture: true})
		o := options(s.artc("s"))
		o.Lean = leanClient
		report := watch(t, o, settled)
		if report.LatencyClock != meter.ClockReport || report.LatencyMs == nil {
			t.Errorf("lean %v: latency %+v by %q", leanClient, report.LatencyMs, report.LatencyClock)
		}
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*play.Options){
		"viewers": func(o *play.Options) { o.Viewers = 0 }, "profile": func(o *play.Options) { o.SRTP = "md5" },
		"decrypt":  func(o *play.Options) { o.Lean, o.Decrypt = true, "some" },
		"duration": func(o *play.Options) { o.Duration = -1 },
		"url":      func(o *play.Options) { o.URL = "rtmp://a/b/c" },
	} {
		o := options("artc://127.0.0.1:1/live/s")
		edit(&o)
		if report, err := play.Run(t.Context(), o); err == nil {
			t.Errorf("%s: got %+v, want an error", name, report)
		}
	}
}
