package pod

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/directory"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
)

// lookEvery is how often the streams are looked at; a new publisher and a stream's end are told at once.
const lookEvery = 250 * time.Millisecond

// epoch is the announced epoch of a publisher.
type epoch struct {
	local uint64 // hub.Stream.Epoch that it was chosen for
	value uint64
}

// announce keeps the board true until the context ends. Its rounds are the pulse that /livez looks at.
func (p *process) announce(ctx context.Context) {
	stop := p.hub.Watch(func(*hub.Stream, bool) { p.wake() })
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		p.board.SetStreams(p.streams())
		p.board.SetStatus(p.status())
		p.beat.Store(time.Now().UnixNano())
		select {
		case <-ctx.Done():
			return
		case <-p.nudge:
		case <-tick.C:
		}
	}
}

// wake has the board looked after at once.
func (p *process) wake() {
	select {
	case p.nudge <- struct{}{}:
	default:
	}
}

func (p *process) streams() []announce.Stream {
	before := p.board.Streams()
	var out []announce.Stream
	var published []announce.ID
	seen := map[announce.ID]struct{}{}
	for _, s := range p.hub.Streams() {
		one := announce.Stream{ID: directory.ID(s.Key)}
		if !p.role.describe(s, &one) {
			continue
		}
		by := s.Publisher()
		one.PushDomain, one.Remote, one.Since, one.State = by.Domain, by.Remote, s.Since().
			UTC().
			Truncate(time.Millisecond),
			announce.Held
		if s.Live() {
			one.State = announce.Live
		}
		one.Epoch = p.epochOf(s, one)
		was := before[one.ID]
		one.Facts = s.Facts()
		if was.Epoch == one.Epoch && like(was.Facts, one.Facts) &&
			p.judgedAlike(one.PushDomain, was.Facts, one.Facts) {
			one.Facts = was.Facts
		}
		if was.Epoch != one.Epoch || was.State != one.State {
			published = append(published, one.ID)
		}
		out = append(out, one)
		seen[one.ID] = struct{}{}
	}
	for id := range p.epochs {
		if _, ok := seen[id]; !ok {
			delete(p.epochs, id)
		}
	}
	if len(published) > 0 {
		// What is published here may be published elsewhere too; the board has to know of it first.
		p.board.SetStreams(out)
		p.role.appeared(published)
	}
	slices.SortFunc(out, func(a, b announce.Stream) int { return int(int64(a.Epoch) - int64(b.Epoch)) })
	return out
}

// epochOf returns a publisher's epoch: the time of the publish, but more than what other pods announce of the stream,
// whose clocks may differ.
func (p *process) epochOf(s *hub.Stream, one announce.Stream) uint64 {
	local := s.Epoch()
	if e, ok := p.epochs[one.ID]; ok && e.local == local {
		return e.value
	}
	value := uint64(max(one.Since.UnixMilli(), 0))
	if e, ok := p.epochs[one.ID]; ok {
		value = max(value, e.value+1)
	}
	for _, o := range p.mirror.Origins(one.ID) {
		value = max(value, o.Stream.Epoch+1)
	}
	p.epochs[one.ID] = epoch{local, value}
	return value
}

// judgedAlike reports whether the checks of the push domain say the same of both facts: what they say is told however
// little has changed.
func (p *process) judgedAlike(domain string, a, b media.Facts) bool {
	d := p.current.Load().Push(domain)
	return d == nil || check.Alike(a, b, check.PoliciesOf(d))
}

// like reports whether facts differ so little that it is not worth telling everybody.
func like(a, b media.Facts) bool {
	near := func(x, y, share float64) bool { return math.Abs(x-y) <= share*math.Max(x, y) }
	same := a
	same.FPS, same.GOP, same.AnnouncedGOP, same.VideoKbps, same.AudioKbps =
		b.FPS, b.GOP, b.AnnouncedGOP, b.VideoKbps, b.AudioKbps
	return same == b && near(a.FPS, b.FPS, 0.03) && near(a.LikelyGOP().Seconds(), b.LikelyGOP().Seconds(), 0.1) &&
		near(float64(a.VideoKbps), float64(b.VideoKbps), 0.25) && near(float64(a.AudioKbps), float64(b.AudioKbps), 0.25)
}

func (p *process) status() announce.Status {
	var s announce.Status
	p.role.status(&s)
	s.PlanHash, s.Ready, s.Draining = p.plans.Hash(), p.ready(), p.draining.Load()
	s.Headroom = math.Round(s.Headroom*100) / 100
	s.EgressMbps = math.Round(s.EgressMbps*10) / 10
	for host, d := range s.Domains {
		d.EgressKbps = math.Round(d.EgressKbps)
		s.Domains[host] = d
	}
	return s
}
