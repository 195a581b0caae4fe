package relay

import (
	"errors"
	"net/http"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/relay/sdp"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/internal/contract/plan"
)

// repaired chooses what a player of the plain URL is served: the stream, or, where the domain has autoRepair and the
// player cannot play the stream as it is, its shared repaired rendition. Where no rendition can be made at all it is
// the stream.
func (r *Relay) repaired(req *http.Request, pass *door.Pass, ask *signal.Ask, offer *sdp.Offer) *signal.Refusal {
	if !pass.Domain.AutoRepair || pass.Stream.Publisher().Yields || plays(pass.Stream, ask, offer) {
		return nil
	}
	key := pass.Stream.Key
	key.Name += "_" + plan.RepairID
	s, err := r.door.Find(req.Context(), key)
	if errors.Is(err, hub.ErrNotFound) {
		return nil
	}
	if err != nil {
		return door.NotFound(err, key.App, key.Name)
	}
	pass.Stream = s
	return nil
}

// plays reports whether a player shows all that it wants of a stream. Those that offer AAC, or say that they order
// B-frames, are made for sources as they come.
func plays(s *hub.Stream, ask *signal.Ask, offer *sdp.Offer) bool {
	if offer.AcceptsAAC() || offer.AcceptsBFrames() {
		return true
	}
	if video := s.Track(media.Video); video != nil && !ask.NoVideo {
		facts := s.Facts()
		if facts.BFrames || facts.Refreshed || !offer.Accepts(video.Codec) {
			return false
		}
		if video.Codec == media.H264 && !video.ForBrowsers() {
			return false
		}
	}
	audio := s.Track(media.Audio)
	return audio == nil || ask.NoAudio || audio.Codec != media.AAC
}
