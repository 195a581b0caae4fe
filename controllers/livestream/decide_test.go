package livestream

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/observe"
	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
)

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func id() announce.ID { return announce.ID{Space: "play.example.com", App: "live", Name: "one"} }

func source(change func(*announce.Stream)) observe.Stream {
	s := announce.Stream{
		ID: id(), PushDomain: "push.example.com", Epoch: 7, State: announce.Live, Since: now().Add(-time.Minute),
		Remote: "192.0.2.1:5000",
		Facts: media.Facts{
			VideoCodec: media.H264,
			Profile:    "High",
			Width:      1280,
			Height:     720,
			FPS:        29.97,
			GOP:        2003 * time.Millisecond,
			VideoKbps:  2468,
			AudioCodec: media.AAC,
			SampleRate: 48000,
			Channels:   2,
			AudioKbps:  96,
		},
	}
	if change != nil {
		change(&s)
	}
	return observe.Stream{Stream: s, Pod: "ingest-1"}
}

func domain() Domain { return Domain{Namespace: "tenant", MaxGOP: 3 * time.Second} }

func want(change func(*announce.Stream)) v1alpha1.LiveStreamStatus {
	return Want(source(change), &observe.Snapshot{}, domain(), now())
}

func TestTheVerdictOnASource(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*announce.Stream)
		status metav1.ConditionStatus
		reason v1alpha1.Reason
		remedy string
	}{
		"AAC": {nil, metav1.ConditionTrue, v1alpha1.ReasonCompliant, "browsers do not play by RTS; publish Opus"},
		"AAC alone": {func(s *announce.Stream) { s.Facts = media.Facts{AudioCodec: media.AAC} }, metav1.ConditionTrue,
			v1alpha1.ReasonCompliant, "the sound is AAC"},
		"compliant": {nil, metav1.ConditionTrue, v1alpha1.ReasonCompliant, ""},
		"B-frames": {func(s *announce.Stream) { s.Facts.BFrames = true }, metav1.ConditionFalse,
			v1alpha1.Reason(check.BFramesPresent), "set B-frames to 0"},
		"8 s GOP": {func(s *announce.Stream) { s.Facts.GOP = 8 * time.Second }, metav1.ConditionFalse,
			v1alpha1.Reason(check.GOPTooLong), "key frame interval to 3s"},
		"H.265": {func(s *announce.Stream) { s.Facts.VideoCodec = media.H265 }, metav1.ConditionFalse,
			v1alpha1.Reason(check.H265Source), "H.264"},
		"audio alone": {func(s *announce.Stream) { s.Facts = media.Facts{AudioCodec: media.Opus} }, metav1.ConditionTrue,
			v1alpha1.ReasonCompliant, ""},
		"nothing is seen": {func(s *announce.Stream) { s.Facts = media.Facts{} }, metav1.ConditionUnknown,
			v1alpha1.ReasonUnknown, ""},
	} {
		st := want(c.change)
		got := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionSourceCompliant)
		if got == nil || got.Status != c.status || got.Reason != string(c.reason) ||
			!strings.Contains(got.Message, c.remedy) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	both := want(func(s *announce.Stream) { s.Facts.BFrames, s.Facts.GOP = true, 9*time.Second })
	c := meta.FindStatusCondition(both.Conditions, v1alpha1.ConditionSourceCompliant)
	if !strings.Contains(c.Message, "B-frames") || !strings.Contains(c.Message, "key frame") {
		t.Errorf("two faults: %s", c.Message)
	}
}

// That any browser can play a source is said only when that is so of its sound.
func TestTheVerdictOnSound(t *testing.T) {
	const whole = "Any browser can play the source as it is"
	message := func(sound media.Codec, made map[string]media.Facts) string {
		snap := &observe.Snapshot{Made: map[announce.ID]map[string]media.Facts{id(): made}}
		st := Want(source(func(s *announce.Stream) { s.Facts.AudioCodec = sound }), snap, domain(), now())
		return meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionSourceCompliant).Message
	}
	opus, aac := media.Facts{AudioCodec: media.Opus}, media.Facts{AudioCodec: media.AAC}
	if m := message(media.Opus, nil); m != whole {
		t.Errorf("Opus: %s", m)
	}
	for name, made := range map[string]map[string]media.Facts{"no rendition": nil, "a rendition in AAC": {"hd": aac}} {
		if m := message(media.AAC, made); !strings.HasPrefix(m, "Any browser can play the video") ||
			!strings.Contains(m, "AAC") {
			t.Errorf("AAC, %s: %s", name, m)
		}
	}
	if m := message(media.AAC, map[string]media.Facts{"hd": opus}); !strings.Contains(m, "as Opus in a rendition") ||
		strings.Contains(m, "publish Opus") {
		t.Errorf("AAC beside a rendition in Opus: %s", m)
	}
}

func TestWhatIsShown(t *testing.T) {
	snap := &observe.Snapshot{
		Made: map[announce.ID]map[string]media.Facts{id(): {"hd": {}}},
		Viewers: map[announce.ID]map[string]int{
			id(): {
				"artc": 2,
				"whep": 1,
			}, {Space: "play.example.com", App: "live", Name: "one_hd"}: {"artc": 3}, {Space: "play.example.com", App: "live",
				Name: "two"}: {"artc": 9},
		},
	}
	st := Want(source(nil), snap, domain(), now())
	if st.Video.Size != "1280x720" || st.Video.FPS != 30 || st.Video.GOPMilliseconds != 2000 ||
		st.Video.BitrateKbps != 2500 ||
		st.Video.BFrames != "Absent" ||
		st.Audio.Codec != "AAC" {
		t.Errorf("facts: %+v %+v", st.Video, st.Audio)
	}
	if st.TotalViewers != 6 || len(st.Viewers) != 2 || st.Viewers[0] != (v1alpha1.LiveViewers{Kind: "artc", Count: 5}) ||
		len(st.Renditions) != 1 {
		t.Errorf("viewers: %d, %+v, %v", st.TotalViewers, st.Viewers, st.Renditions)
	}
	held := want(func(s *announce.Stream) { s.State = announce.Held })
	if c := meta.FindStatusCondition(held.Conditions, v1alpha1.ConditionLive); c.Status != metav1.ConditionFalse ||
		c.Reason != string(v1alpha1.ReasonEncoderLost) {
		t.Errorf("held: %+v", c)
	}
}

func TestWhenAnObjectIsWritten(t *testing.T) {
	base := want(nil)
	later := func(change func(*announce.Stream)) *v1alpha1.LiveStreamStatus {
		st := Want(source(change), &observe.Snapshot{}, domain(), now().Add(time.Hour))
		return &st
	}
	ended := Over(base, now().Add(-59*time.Second))
	over := Over(base, now().Add(-60*time.Second))
	for name, c := range map[string]struct {
		have    v1alpha1.LiveStreamStatus
		want    *v1alpha1.LiveStreamStatus
		written time.Duration // ago
		action  Action
	}{
		"nothing changed": {base, later(nil), time.Hour, Action{}},
		"a tremble that rounding swallows": {base, later(func(s *announce.Stream) {
			s.Facts.VideoKbps, s.Facts.FPS,
				s.Facts.GOP = 2460, 30.02, 1998*time.Millisecond
		}), time.Hour, Action{}},
		"another bit rate, soon": {base, later(func(s *announce.Stream) { s.Facts.VideoKbps = 4000 }), 5 * time.Second,
			Action{Again: 10 * time.Second}},
		"another bit rate, 15 s later": {base, later(func(s *announce.Stream) { s.Facts.VideoKbps = 4000 }), 15 * time.Second,
			Action{Write: true}},
		"B-frames, at once": {base, later(func(s *announce.Stream) { s.Facts.BFrames = true }), time.Second,
			Action{Write: true}},
		"the encoder is lost, at once": {base, later(func(s *announce.Stream) { s.State = announce.Held }), time.Second,
			Action{Write: true}},
		"it publishes anew, at once": {base, later(func(s *announce.Stream) { s.Since = now() }), time.Second,
			Action{Write: true}},
		"the end, at once":            {base, nil, time.Second, Action{Write: true, Again: keepEnded}},
		"59 s after the end":          {ended, nil, time.Hour, Action{Again: time.Second}},
		"60 s after the end":          {over, nil, time.Hour, Action{Delete: true}},
		"it comes back after its end": {over, later(nil), time.Second, Action{Write: true}},
	} {
		if got := Decide(&c.have, c.want, now().Add(-c.written), now()); got != c.action {
			t.Errorf("%s: %+v, want %+v", name, got, c.action)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, spec := range []v1alpha1.LiveStreamSpec{
		{PushDomain: "push.example.com", App: "live", Stream: "Studio_1"}, {PushDomain: "push.example.com", App: "live",
			Stream: "studio_1"},
		{PushDomain: "push.example.com", App: "live", Stream: "studio-1"}, {PushDomain: "push.example.com", App: "other",
			Stream: "studio_1"},
		{PushDomain: "push.example.com", App: "live", Stream: "東京"}, {PushDomain: "push.example.com", App: "live",
			Stream: strings.Repeat("x", 256)},
	} {
		name := Name(spec)
		if seen[name] || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			name[0] == '-' {
			t.Errorf("%v is named %q", spec, name)
		}
		seen[name] = true
	}
}
