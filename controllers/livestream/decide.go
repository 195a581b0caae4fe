// Package livestream writes a LiveStream object for each stream that is published, from what the pods announce,
// sparingly: at its start, at its end, and in between only what has changed to the eye.
package livestream

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/observe"
	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
)

const (
	writeEvery = 15 * time.Second // between two writes of one object, its start and its end left out
	keepEnded  = 60 * time.Second // an object of a stream that is over
)

// Domain is what is known of a push domain: where its streams are shown, and what it asks of a source.
type Domain struct {
	Namespace string
	MaxGOP    time.Duration
}

// Name is the name of the object of a stream: something to read, and a hash that makes it unique.
func Name(spec v1alpha1.LiveStreamSpec) string {
	sum := sha256.Sum256([]byte(spec.PushDomain + "\x00" + spec.App + "\x00" + spec.Stream))
	readable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, spec.Stream)
	readable = strings.Trim(readable[:min(len(readable), 40)], "-")
	return strings.TrimPrefix(readable+"-", "-") + hex.EncodeToString(sum[:5])
}

// Spec is the identity of an announced stream.
func Spec(s announce.Stream) v1alpha1.LiveStreamSpec {
	return v1alpha1.LiveStreamSpec{PushDomain: s.PushDomain, App: s.App, Stream: s.Name}
}

// Want is the status of a stream that is announced.
func Want(s observe.Stream, snap *observe.Snapshot, d Domain, now time.Time) v1alpha1.LiveStreamStatus {
	f := s.Facts
	st := v1alpha1.LiveStreamStatus{
		ObservedGeneration: 1, MainPlayDomain: s.Space, Pod: cut(s.Pod, 253), Client: cut(s.Remote, 64),
		Since: &metav1.Time{Time: s.Since.Truncate(time.Second)},
		Video: v1alpha1.LiveVideo{
			Codec: cut(codec(f.VideoCodec), 16), Profile: cut(f.Profile, 64), FPS: int32(clamp(math.Round(f.FPS), 1000)),
			GOPMilliseconds: int32(
				clamp(math.Round(float64(f.LikelyGOP().Milliseconds())/100)*100, 86400000),
			), BitrateKbps: rounded(f.VideoKbps, 10_000_000),
		},
		Audio: v1alpha1.LiveAudio{
			Codec: cut(
				codec(f.AudioCodec),
				16,
			), SampleRateHz: int32(clamp(float64(f.SampleRate), 768000)), Channels: int32(clamp(float64(f.Channels), 64)),
			BitrateKbps: rounded(f.AudioKbps, 10_000),
		},
	}
	if f.Width > 0 {
		st.Video.Size = fmt.Sprintf("%dx%d", f.Width, f.Height)
	}
	if f.VideoCodec != 0 {
		st.Video.BFrames = "Absent"
		if f.BFrames {
			st.Video.BFrames = "Present"
		}
	}
	st.Renditions = slices.Sorted(maps.Keys(snap.Made[s.ID]))
	st.Renditions = st.Renditions[:min(len(st.Renditions), 32)]
	st.Viewers, st.TotalViewers = viewers(s, snap, st.Renditions)
	live := metav1.Condition{
		Type:    v1alpha1.ConditionLive,
		Status:  metav1.ConditionTrue,
		Reason:  string(v1alpha1.ReasonPublishing),
		Message: "The encoder sends to pod " + st.Pod,
	}
	if s.State == announce.Held {
		live.Status, live.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonEncoderLost)
		live.Message = "The connection of the encoder broke; viewers wait for it a moment. Check the encoder and its network"
	}
	set(&st, live, now)
	set(&st, compliance(f, d, snap.Made[s.ID]), now)
	return st
}

func set(st *v1alpha1.LiveStreamStatus, c metav1.Condition, now time.Time) {
	c.ObservedGeneration, c.LastTransitionTime = st.ObservedGeneration, metav1.Time{Time: now}
	meta.SetStatusCondition(&st.Conditions, c)
}

// codec returns the name of a codec; "" for none.
func codec(c media.Codec) string {
	name, _ := c.MarshalText() // never fails
	return string(name)
}

// compliance reports whether any browser can play a source by RTS as it is, and what to do if not. Sound that browsers
// do not play is told with what to do while no rendition has it as Opus.
func compliance(f media.Facts, d Domain, made map[string]media.Facts) metav1.Condition {
	c := metav1.Condition{
		Type:    v1alpha1.ConditionSourceCompliant,
		Status:  metav1.ConditionTrue,
		Reason:  string(v1alpha1.ReasonCompliant),
		Message: "Any browser can play the source as it is",
	}
	if f.VideoCodec == 0 && f.AudioCodec == 0 {
		c.Status, c.Reason = metav1.ConditionUnknown, string(v1alpha1.ReasonUnknown)
		c.Message = "Nothing is known of the source yet"
		return c
	}
	said := check.Describe(f, check.Policies{MaxGOP: d.MaxGOP})
	var messages []string
	if len(said.Faults) > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, string(said.Faults[0].Reason)
	} else if len(said.Notices) > 0 && f.VideoCodec != 0 {
		messages = append(messages, "Any browser can play the video as it is")
	}
	for _, v := range said.Faults {
		messages = append(messages, v.Message)
	}
	for _, v := range said.Notices {
		if v.Reason == check.AACSound && inOpus(made) {
			v.Message = "the sound is AAC, which browsers play as Opus in a rendition"
		}
		messages = append(messages, v.Message)
	}
	if len(messages) > 0 {
		c.Message = strings.Join(messages, "; ")
	}
	return c
}

// inOpus reports whether one of the renditions has sound in Opus.
func inOpus(made map[string]media.Facts) bool {
	for _, f := range made {
		if f.AudioCodec == media.Opus {
			return true
		}
	}
	return false
}

// viewers counts those who watch a stream or one of its renditions, by kind.
func viewers(s observe.Stream, snap *observe.Snapshot, renditions []string) ([]v1alpha1.LiveViewers, int32) {
	sum := map[string]int{}
	total := 0
	add := func(id announce.ID) {
		for kind, n := range snap.Viewers[id] {
			sum[cut(kind, 32)] += n
			total += n
		}
	}
	add(s.ID)
	for _, template := range renditions {
		add(announce.ID{Space: s.Space, App: s.App, Name: s.Name + "_" + template})
	}
	var out []v1alpha1.LiveViewers
	for _, kind := range slices.Sorted(maps.Keys(sum)) {
		if len(out) < 16 {
			out = append(out, v1alpha1.LiveViewers{Kind: cmp.Or(kind, "other"), Count: rounded(sum[kind], 100_000_000)})
		}
	}
	return out, rounded(total, 100_000_000)
}

// rounded keeps two digits, so that a number that trembles is not written again and again.
func rounded(n, most int) int32 {
	n = min(max(n, 0), most)
	if n < 100 {
		return int32(n)
	}
	step := math.Pow(10, math.Floor(math.Log10(float64(n)))-1)
	return int32(math.Round(float64(n)/step) * step)
}

func clamp(x, most float64) float64 { return min(max(x, 0), most) }

func cut(s string, most int) string { return s[:min(len(s), most)] }

// Action is what is to be done about an object.
type Action struct {
	Write  bool
	Delete bool
	Again  time.Duration // when to look again; 0: when something changes
}

// Decide compares an object's status with what is wanted; want is nil when the stream is announced by nobody. written
// is when it was written last, zero when not by this process.
func Decide(have *v1alpha1.LiveStreamStatus, want *v1alpha1.LiveStreamStatus, written, now time.Time) Action {
	if want == nil {
		if have.Ended == nil {
			return Action{Write: true, Again: keepEnded}
		}
		if left := keepEnded - now.Sub(have.Ended.Time); left > 0 {
			return Action{Again: left}
		}
		return Action{Delete: true}
	}
	if have.Ended != nil || state(have) != state(want) {
		return Action{Write: true}
	}
	if like(*have, *want) {
		return Action{}
	}
	if left := writeEvery - now.Sub(written); left > 0 {
		return Action{Again: left}
	}
	return Action{Write: true}
}

// state is what is written at once when it changes: whether the stream is live and where, and whether its source is
// fit.
func state(st *v1alpha1.LiveStreamStatus) string {
	var b strings.Builder
	for _, kind := range []string{v1alpha1.ConditionLive, v1alpha1.ConditionSourceCompliant} {
		if c := meta.FindStatusCondition(st.Conditions, kind); c != nil {
			fmt.Fprintf(&b, "%s %s/", c.Status, c.Reason)
		}
	}
	if st.Since != nil {
		fmt.Fprintf(&b, "%d", st.Since.Unix())
	}
	return b.String() + st.Pod
}

// like compares all but the times of the conditions.
func like(a, b v1alpha1.LiveStreamStatus) bool {
	strip := func(st *v1alpha1.LiveStreamStatus) {
		st.Conditions = slices.Clone(st.Conditions)
		for i := range st.Conditions {
			st.Conditions[i].LastTransitionTime = metav1.Time{}
		}
		slices.SortFunc(st.Conditions, func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
		if st.Since != nil {
			st.Since = &metav1.Time{Time: time.Unix(st.Since.Unix(), 0)}
		}
		if len(st.Renditions) == 0 {
			st.Renditions = nil
		}
		if len(st.Viewers) == 0 {
			st.Viewers = nil
		}
	}
	strip(&a)
	strip(&b)
	return reflect.DeepEqual(a, b)
}

// Over is the status of an object whose stream is announced by nobody any more.
func Over(have v1alpha1.LiveStreamStatus, now time.Time) v1alpha1.LiveStreamStatus {
	st := *have.DeepCopy()
	st.Ended = &metav1.Time{Time: now.Truncate(time.Second)}
	st.Viewers, st.TotalViewers, st.Renditions = nil, 0, nil
	set(
		&st,
		metav1.Condition{
			Type:    v1alpha1.ConditionLive,
			Status:  metav1.ConditionFalse,
			Reason:  string(v1alpha1.ReasonEnded),
			Message: "The stream is over; this object is deleted a minute after its end",
		},
		now,
	)
	return st
}
