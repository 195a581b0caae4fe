package relay

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/dataplane/relay/ice"
	"github.com/millrace/millrace/dataplane/relay/sdp"
	"github.com/millrace/millrace/dataplane/relay/signal"
	"github.com/millrace/millrace/internal/contract/plan"
)

// join makes a session for an offer.
func (r *Relay) join(
	req *http.Request,
	dialect string,
	pass *door.Pass,
	ask *signal.Ask,
) (*signal.Answer, *signal.Refusal) {
	offer, err := sdp.ParseOffer(ask.SDP)
	if err != nil {
		return nil, door.Refuse(door.InvalidOffer, err)
	}
	if !strings.HasPrefix(offer.Fingerprint, "sha-256 ") {
		return nil, door.Refuse(door.InvalidOffer, "a=fingerprint must be sha-256")
	}
	if refusal := r.repaired(req, pass, ask, offer); refusal != nil {
		return nil, refusal
	}
	source, refusal := r.source(pass, ask, offer)
	if refusal != nil {
		return nil, refusal
	}
	selection, err := sdp.Negotiate(offer, source)
	if err != nil {
		return nil, r.repairable(pass, door.Refuse(door.CodecNotOffered, err), ask)
	}
	pass.Expect(mbps(pass.Stream.Facts(), selection))
	s := r.newSession(dialect, pass, offer, selection)
	if !r.sessions.add(s) {
		r.feeds.release(s.feed)
		return nil, door.Refuse(door.Shutdown)
	}
	pass.OnDisplaced(func() { s.close("not connected, others need the place", nil) })
	// A Plan that came between the decision and this line saw no session to end.
	if refusal := pass.Allowed(); refusal != nil {
		s.close("right lost", refusal)
		return nil, refusal
	}
	_, local := addresses(req)
	s.local.UDP, s.local.TCP = r.candidates(local)
	return &signal.Answer{
		SDP:     sdp.Answer(offer, selection, s.local),
		Session: s.id,
		ETag:    s.etag,
		Notice:  r.notice(pass, selection),
	}, nil
}

// mbps is the bit rate of what a player gets, as far as it is known.
func mbps(f media.Facts, selection *sdp.Selection) float64 {
	kbps := 0
	if selection.Video != nil {
		kbps += f.VideoKbps
	}
	if selection.Audio != nil && !selection.Silent {
		kbps += f.AudioKbps
	}
	return float64(kbps) / 1000
}

// source returns the tracks of the stream that this player can have, or says why it cannot have the picture: B-frames
// and missing codecs are never sent to a player that cannot show them.
func (r *Relay) source(pass *door.Pass, ask *signal.Ask, offer *sdp.Offer) (sdp.Source, *signal.Refusal) {
	var src sdp.Source
	if !ask.NoVideo {
		src.Video = pass.Stream.Track(media.Video)
	}
	if !ask.NoAudio {
		src.Audio = pass.Stream.Track(media.Audio)
	}
	if src.Video == nil {
		return src, nil
	}
	if pass.Stream.Facts().BFrames && !offer.AcceptsBFrames() {
		return src, r.repairable(pass, door.Refuse(door.BFramesPresent), ask)
	}
	if src.Video.Codec == media.H265 && !offer.Accepts(media.H265) {
		return src, r.repairable(pass, door.Refuse(door.H265Source), ask)
	}
	return src, nil
}

// repairable adds to a refusal the renditions which would play.
func (r *Relay) repairable(pass *door.Pass, refusal *signal.Refusal, ask *signal.Ask) *signal.Refusal {
	name := strings.TrimSuffix(pass.Stream.Key.Name, "_"+plan.RepairID) // nobody asks for that by its name
	for _, tpl := range pass.Index.RepairFor(pass.Domain.Space, pass.Right.App) {
		if tpl.RepairsVideo() {
			u := url.URL{Scheme: "artc", Host: ask.Host + ask.Port, Path: "/" + pass.Right.App + "/" + name + "_" + tpl.ID}
			refusal.Alternatives = append(refusal.Alternatives, u.String())
		}
	}
	if len(refusal.Alternatives) > 0 {
		refusal.Message += ", or play " + strings.Join(refusal.Alternatives, " or ")
	} else {
		refusal.Message += ", or add an RTSTranscodeTemplate to the main play domain"
	}
	return refusal
}

// notice tells what of the stream the player does not get.
func (r *Relay) notice(pass *door.Pass, selection *sdp.Selection) string {
	audio := pass.Stream.Track(media.Audio)
	if !selection.Silent || audio == nil {
		return ""
	}
	text := fmt.Sprintf("No sound: the source's audio is %s, and browsers play Opus over RTS", audio.Codec)
	for _, tpl := range pass.Index.RepairFor(pass.Domain.Space, pass.Right.App) {
		if tpl.RepairsAudio() {
			return text + "; template " + tpl.ID + " makes it"
		}
	}
	return text
}

func (r *Relay) newSession(dialect string, pass *door.Pass, offer *sdp.Offer, selection *sdp.Selection) *session {
	s := &session{
		relay: r, id: token(18), etag: `"` + token(9) + `"`, dialect: dialect, created: time.Now(),
		right: pass.Right, pass: pass, key: pass.Stream.Key,
		bFrames: offer.AcceptsBFrames() || selection.Video == nil, feed: r.feeds.acquire(pass.Stream),
		ufrag: iceToken(6), pwd: iceToken(18), remoteUfrag: offer.Ufrag, fingerprint: offer.Fingerprint, selection: selection,
	}
	s.auth, s.asking = ice.NewAuthenticator(s.pwd), ice.NewAuthenticator(offer.Pwd)
	s.touch()
	s.local = sdp.Local{
		SessionID: rand.Uint64() >> 2, Ufrag: s.ufrag, Pwd: s.pwd, Fingerprint: r.identity.Fingerprint, CNAME: token(9),
	}
	// All packets of a session are sealed with one key: an SSRC must not be used twice (RFC 3711, 9.1).
	s.local.VideoSSRC = ssrc()
	s.local.AudioSSRC = ssrc(s.local.VideoSSRC)
	if selection.Video != nil && selection.Video.RTXType > 0 {
		s.local.VideoRTX = ssrc(s.local.VideoSSRC, s.local.AudioSSRC)
	}
	return s
}

// ssrc is a random SSRC that is not 0 (RFC 3550, 8.1) and not among those used.
func ssrc(used ...uint32) uint32 {
	for {
		if n := rand.Uint32(); n != 0 && !slices.Contains(used, n) {
			return n
		}
	}
}

// SessionInfo is what is shown of a session.
type SessionInfo struct {
	ID        string        `json:"id"`
	Stream    string        `json:"stream"`
	Domain    string        `json:"domain"`
	Dialect   string        `json:"dialect"`
	Connected bool          `json:"connected"`
	Since     time.Time     `json:"since"`
	Packets   uint64        `json:"packets"`
	Bytes     uint64        `json:"bytes"`
	Repeats   uint64        `json:"repeats"`
	Skipped   uint64        `json:"skippedFrames"`
	Type      plan.PlayType `json:"type"`
}

// List shows the sessions. The ids are cut, for whoever has one can end the session.
func (r *Relay) List() []SessionInfo {
	out := []SessionInfo{}
	for _, s := range r.sessions.all() {
		i := SessionInfo{
			ID:        s.id[:8],
			Stream:    s.key.String(),
			Domain:    s.right.Host,
			Dialect:   s.dialect,
			Connected: s.connected.Load(),
			Since:     s.created,
			Type:      plan.RTS,
		}
		if v := s.viewer.Load(); v != nil {
			i.Packets, i.Bytes = v.Counts.Packets.Load(), v.Counts.Bytes.Load()
			i.Repeats, i.Skipped = v.Counts.Repeats.Load(), v.Counts.SkippedFrames.Load()
		}
		out = append(out, i)
	}
	return out
}
