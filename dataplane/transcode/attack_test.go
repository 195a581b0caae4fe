package transcode

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testsrc"
)

// A stranger asks for renditions of streams that nobody publishes. They take no place from who watches, or comes.
func TestNamesThatDoNotExistTakeNoPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, []plan.Template{origin()}, func(o *Options) { o.MaxSessions = 2 })
	r.publish("a", testsrc.Options{Audio: true})
	r.await("a")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := r.trans.Find(t.Context(), key(fmt.Sprintf("nosuch%d_web", i)))
			if !errors.Is(err, hub.ErrNotFound) {
				t.Errorf("nosuch%d_web: %v", i, err)
			}
		})
	}
	s := r.find("a_web") // meanwhile
	reader := s.NewReader()
	defer reader.Close()
	wg.Wait()
	if n := r.trans.Sessions(); n != 1 {
		t.Errorf("%d sessions, one rendition is played", n)
	}
	if _, err := reader.Next(t.Context()); err != nil {
		t.Errorf("the one that is played: %v", err)
	}
}

// One main play domain does not get all sessions.
func TestADomainHasAShare(t *testing.T) {
	t.Parallel()
	tr := &Transcoder{opt: Options{MaxSessions: 4}, sessions: map[hub.Key]*session{}, headroom: newHeadroom(0)}
	for i := range 3 {
		if err := tr.room("greedy.example.com"); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		tr.sessions[hub.Key{Space: "greedy.example.com", Name: fmt.Sprint(i)}] = &session{}
	}
	unavailable, ok := errors.AsType[*hub.UnavailableError](tr.room("greedy.example.com"))
	if !ok || unavailable.Reason != "DomainTranscodesFull" {
		t.Errorf("the fourth: %v", unavailable)
	}
	if err := tr.room("other.example.com"); err != nil {
		t.Errorf("another domain: %v", err)
	}
	for _, c := range []struct{ max, share int }{{1, 1}, {2, 2}, {4, 3}, {64, 48}} {
		tr.opt.MaxSessions = c.max
		if got := tr.share(); got != c.share {
			t.Errorf("of %d sessions a domain gets %d, want %d", c.max, got, c.share)
		}
	}
}

// What reaches ffmpeg is judged by every size that the source can switch to.
func TestALargeSecondSetIsRefused(t *testing.T) {
	tpl := origin()
	small := &media.Track{Codec: media.H264, SPS: []byte{0x67, 66}, Width: 320, Height: 180, Largest: 320 * 180}
	for largest, refused := range map[int]bool{320 * 180: false, mostPixels: false, 8192 * 4096: true, math.MaxInt: true} {
		video := *small
		video.Largest = largest
		w, err := decide(&tpl, &video, nil, media.Facts{})
		if w.Video != Encode || (err != nil) != refused {
			t.Errorf("%d pixels: %v, %v", largest, w, err)
		}
		if !equal(small, &video) != (largest != small.Largest) {
			t.Errorf("%d pixels: a pass goes on", largest)
		}
	}
}
