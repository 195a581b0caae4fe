package fanout

import "github.com/millrace/millrace/dataplane/media"

// Cause is why a viewer did not get a frame.
type Cause uint8

// The causes. Which of the first three is at work, the viewer's owner finds out of what the player reports.
const (
	CauseBandwidth  Cause = iota // the player estimates less bandwidth than the stream needs
	CauseLoss                    // the network loses much
	CauseDelay                   // the round-trip time has grown: a queue on the way is filling
	CauseConnection              // a TCP connection takes less than the stream needs
	CauseNoKey                   // there is no key frame to begin with
	causes
)

// String names the cause as metrics show it.
func (c Cause) String() string {
	switch c {
	case CauseBandwidth:
		return "bandwidth"
	case CauseLoss:
		return "loss"
	case CauseDelay:
		return "delay"
	case CauseConnection:
		return "connection"
	}
	return "no_key_frame"
}

// Causes lists all causes.
func Causes() []Cause {
	return []Cause{CauseBandwidth, CauseLoss, CauseDelay, CauseConnection, CauseNoKey}
}

// Thin leaves frames out from now on that no other frame refers to: what remains plays on.
func (v *Viewer) Thin(cause Cause) { v.worker.post(event{kind: eventThin, viewer: v, cause: cause}) }

// Full sends all frames again.
func (v *Viewer) Full() { v.worker.post(event{kind: eventFull, viewer: v}) }

// Skip leaves out all video up to the next key frame.
func (v *Viewer) Skip(cause Cause) { v.worker.post(event{kind: eventSkip, viewer: v, cause: cause}) }

// lateTCP is how many packs a viewer over TCP may be behind before it gets only those that others refer to: half a
// second.
const lateTCP = 40

// drops reports whether a pack of video that nobody refers to is left out.
func (v *Viewer) drops(p *Pack) (Cause, bool) {
	switch {
	case !p.Disposable || v.burst.active:
		return 0, false
	case v.thin:
		return v.thinFor, true
	case v.cfg.TCP != nil && v.feed.head.Load()-p.Seq > lateTCP:
		return CauseConnection, true
	}
	return 0, false
}

// skip waits for the next key pack, unless the viewer does already or is about to begin.
func (v *Viewer) skip(cause Cause) {
	if v.joined && !v.waitKey && v.lane(media.Video) != nil {
		v.waitKey, v.waitsFor, v.burst.active = true, cause, false
	}
}

// leftOut counts frames that the viewer does not get.
func (v *Viewer) leftOut(cause Cause, frames uint64) {
	v.Counts.SkippedFrames.Add(frames)
	v.worker.counts.leftOut[cause].Add(frames)
}
