package transcode

import (
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// reorderMost is how much later than decoded a picture is taken to be shown: 16 frames of 5 per second are 3.2 s. What
// a source says beyond that is no time to wait for.
const reorderMost = 4 * time.Second

// publication is the rendition in the hub. Video and audio are written by goroutines of their own.
type publication struct {
	pub *hub.Publication

	mu        sync.Mutex
	inspector *media.Inspector
	facts     time.Time
	begun     bool
	begin     time.Duration // DTS of the first frame
	reach     extent
	onFirst   func()
	now       [2]*media.Track
}

func newPublication(pub *hub.Publication, onFirst func()) *publication {
	return &publication{pub: pub, inspector: media.NewInspector(), onFirst: onFirst, reach: nothing()}
}

// tracks announces the tracks; nil ones are left out.
func (p *publication) tracks(video, audio *media.Track) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == [2]*media.Track{video, audio} {
		return
	}
	p.now = [2]*media.Track{video, audio}
	var all []*media.Track
	for _, t := range p.now {
		if t != nil {
			all = append(all, t)
			p.inspector.Track(t)
		}
	}
	p.pub.SetTracks(all)
	p.pub.SetFacts(p.inspector.Facts())
}

// write publishes a frame, which it takes over. Sound before the first picture is left out, as is what would go back in
// time. Own tells of a picture that frames of the source do not follow: it was encoded here, or has another place in
// the order of decoding.
func (p *publication) write(f *media.Frame, own bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		if !f.Key {
			return nil
		}
		p.begun, p.begin = true, f.DTS
		defer p.onFirst()
	}
	kind := f.Kind()
	if f.DTS < p.begin || f.DTS < p.reach.dts[kind] {
		return nil
	}
	p.reach.dts[kind] = f.DTS
	if kind == media.Video {
		p.reach.shown, p.reach.own = max(p.reach.shown, min(f.PTS, f.DTS+reorderMost)), own
	}
	p.inspector.Frame(f)
	if now := time.Now(); now.Sub(p.facts) > time.Second {
		p.facts = now
		p.pub.SetFacts(p.inspector.Facts())
	}
	return p.pub.Write(f)
}

// reached tells how far it has come.
func (p *publication) reached() extent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reach
}

func (p *publication) end() { p.pub.End() }
