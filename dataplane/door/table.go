package door

import (
	"net/http"
	"slices"
	"time"
)

// The reasons of the door itself.
const (
	UnknownDomain     Reason = "UnknownDomain"
	DomainOffline     Reason = "DomainOffline"
	ProtocolNotServed Reason = "ProtocolNotServed"
	AddressNotAllowed Reason = "AddressNotAllowed"
	RefererNotAllowed Reason = "RefererNotAllowed"
	SignatureMissing  Reason = "SignatureMissing"
	SignatureInvalid  Reason = "SignatureInvalid"
	SignatureExpired  Reason = "SignatureExpired"
	NotAStream        Reason = "NotAStream"
	StreamNotFound    Reason = "StreamNotFound"
	NotAllowedNow     Reason = "NotAllowedNow"
	TooManyJoins      Reason = "TooManyJoins"
	TooManyViewers    Reason = "TooManyViewers"
	Busy              Reason = "Busy"
	EgressFull        Reason = "EgressFull"
	Shutdown          Reason = "Shutdown"
)

// The reasons of requests that cannot be read or answered.
const (
	MethodNotAllowed    Reason = "MethodNotAllowed"
	BodyUnreadable      Reason = "BodyUnreadable"
	BodyTooLarge        Reason = "BodyTooLarge"
	InvalidJSON         Reason = "InvalidJSON"
	InvalidOffer        Reason = "InvalidOffer"
	InvalidStreamURL    Reason = "InvalidStreamURL"
	OfferMissing        Reason = "OfferMissing"
	OneStream           Reason = "OneStream"
	OtherDomain         Reason = "OtherDomain"
	PublishNotServed    Reason = "PublishNotServed"
	SessionMissing      Reason = "SessionMissing"
	SessionNotFound     Reason = "SessionNotFound"
	ETagMismatch        Reason = "ETagMismatch"
	NotAFragment        Reason = "NotAFragment"
	RestartNotSupported Reason = "RestartNotSupported"
	BFramesPresent      Reason = "BFramesPresent"
	H265Source          Reason = "H265Source"
	CodecNotOffered     Reason = "CodecNotOffered"
	SegmentNotFound     Reason = "SegmentNotFound"
	InvalidDirective    Reason = "InvalidDirective"
	StreamStalled       Reason = "StreamStalled"
	Cancelled           Reason = "Cancelled"
	NoWebSocket         Reason = "NoWebSocket"
)

const (
	unavailable = http.StatusServiceUnavailable
	retrySoon   = 2 * time.Second
)

// Table returns all refusals of viewers, those of the door in the order in which it asks.
func Table() []Row {
	return slices.Concat(atTheDoor(), ofRequests(), ofFinders())
}

// ofFinders are the words with which a hub.Finder says why a stream cannot come now (hub.UnavailableError). It brings
// the message and the time to ask again.
func ofFinders() []Row {
	var all []Row
	for _, reason := range []Reason{
		"RenditionNotReady", "TranscoderFull", "TranscoderBusy", "DomainTranscodesFull", "TranscodeFailed", "SourceNotTranscoded",
		"TranscoderBroken", "NoTranscoder", "TranscodersFull", "OriginSlow", "OriginUnreachable", "OriginUnavailable",
		"Draining", "TooManyStreams",
	} {
		all = append(all, Row{Reason: reason, Status: unavailable, Message: "%v", RetryAfter: retrySoon})
	}
	return all
}

func atTheDoor() []Row {
	const later = "try again later, or add servers"
	return []Row{
		{Reason: UnknownDomain, Status: http.StatusNotFound, Message: "%q is not %s of this server"},
		{Reason: DomainOffline, Status: http.StatusForbidden, Message: "play domain %s is offline"},
		{Reason: ProtocolNotServed, Status: http.StatusForbidden, Message: "play domain %s %s"},
		{Reason: AddressNotAllowed, Status: http.StatusForbidden, Message: "play domain %s does not serve this address"},
		{Reason: RefererNotAllowed, Status: http.StatusForbidden, Message: "play domain %s does not serve this page"},
		{Reason: SignatureMissing, Status: http.StatusForbidden, Message: "%v"},
		{Reason: SignatureInvalid, Status: http.StatusForbidden, Message: "%v"},
		{Reason: SignatureExpired, Status: http.StatusForbidden, Message: "%v"},
		{Reason: NotAStream, Status: http.StatusNotFound, Message: "a stream's path is %s"},
		{
			Reason: StreamNotFound, Status: http.StatusNotFound, Message: "stream %s/%s is not being published",
			Remedy: "it plays as soon as it is", RetryAfter: retrySoon,
		},
		{Reason: NotAllowedNow, Status: http.StatusForbidden, Message: "%v"},
		{
			Reason: TooManyJoins, Status: http.StatusTooManyRequests,
			Message: "%d viewers of this address have not connected yet (--max-joins-per-address)",
			Remedy:  "try again in a moment", RetryAfter: retrySoon,
		},
		{
			Reason: TooManyViewers, Status: unavailable, Message: "%s has its %d viewers (%s)", Remedy: later,
			RetryAfter: retrySoon,
		},
		{
			Reason: Busy, Status: unavailable, Message: "this server has no CPU left for more viewers (--max-cpu)",
			Remedy: later, RetryAfter: retrySoon,
		},
		{
			Reason: EgressFull, Status: unavailable, Message: "%s sends as much as it may (%s)", Remedy: later,
			RetryAfter: retrySoon,
		},
		{
			Reason: Shutdown, Status: unavailable, Message: "the server is shutting down", Remedy: "connect again",
			RetryAfter: retrySoon,
		},
	}
}

func ofRequests() []Row {
	return []Row{
		{Reason: MethodNotAllowed, Status: http.StatusMethodNotAllowed, Message: "%s"},
		{Reason: BodyUnreadable, Status: http.StatusBadRequest, Message: "the request's body could not be read"},
		{
			Reason: BodyTooLarge, Status: http.StatusRequestEntityTooLarge,
			Message: "the request's body is larger than %d bytes",
		},
		{
			Reason: InvalidJSON, Status: http.StatusBadRequest,
			Message: "the request's body is not the JSON that this path expects: %v",
		},
		{Reason: InvalidOffer, Status: http.StatusBadRequest, Message: "%v"},
		{
			Reason: InvalidStreamURL, Status: http.StatusBadRequest,
			Message: "streamurl must be a URL such as webrtc://play.example.com/app/stream",
		},
		{Reason: OfferMissing, Status: http.StatusBadRequest, Message: "%s"},
		{
			Reason: OneStream, Status: http.StatusBadRequest,
			Message: "pull_streams has %d entries; one stream is served per connection",
		},
		{
			Reason: OtherDomain, Status: http.StatusForbidden,
			Message: "streamurl names %q, but the request was sent to %q", Remedy: "send it to the domain of the stream",
		},
		{
			Reason: PublishNotServed, Status: http.StatusMethodNotAllowed, Message: "this domain plays",
			Remedy: "publish over RTMP to the push domain",
		},
		{
			Reason: SessionMissing, Status: http.StatusBadRequest,
			Message: "svrsig must be that of the answer to pullstream",
		},
		{Reason: SessionNotFound, Status: http.StatusNotFound, Message: "there is no such session, or it has ended"},
		{Reason: ETagMismatch, Status: http.StatusPreconditionFailed, Message: "If-Match is not the ETag of the session"},
		{Reason: NotAFragment, Status: http.StatusUnsupportedMediaType, Message: "send Content-Type: %s"},
		{
			Reason: RestartNotSupported, Status: http.StatusUnprocessableEntity, Message: "ICE restart is not supported",
			Remedy: "make a new session by POST",
		},
		{
			Reason: BFramesPresent, Status: http.StatusUnsupportedMediaType,
			Message: "the source has B-frames, which WebRTC players show out of order",
			Remedy:  "encode without them (x264: bframes=0)",
		},
		{
			Reason: H265Source, Status: http.StatusUnsupportedMediaType,
			Message: "the source is H.265, which this player does not offer", Remedy: "publish H.264",
		},
		{Reason: CodecNotOffered, Status: http.StatusUnsupportedMediaType, Message: "%v"},
		{Reason: SegmentNotFound, Status: http.StatusNotFound, Message: "%v"},
		{Reason: InvalidDirective, Status: http.StatusBadRequest, Message: "%v"},
		{Reason: StreamStalled, Status: unavailable, Message: "%v", RetryAfter: retrySoon},
		{Reason: Cancelled, Status: unavailable, Message: "the request was given up", RetryAfter: retrySoon},
		{Reason: NoWebSocket, Status: http.StatusNotImplemented, Message: "WebSocket is served over HTTP/1.1 alone"},
	}
}
