package transcode

import (
	"sync"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

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

// write publishes a frame, which it takes over. Sound before the first picture is left out, as is what would go back in time.
func (p *publication) write(f *media.Frame) error {
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
		p.reach.shown = max(p.reach.shown, f.PTS)
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
