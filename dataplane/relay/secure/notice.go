package secure

import "github.com/pion/dtls/v3/pkg/protocol/alert"

// Notice is one of the two ways in which a viewer is told that its connection is over. What players do by themselves
// differs: close_notify ends the DTLS transport alone, which pages have to ask for (the official SDK does, once a
// second); a fatal alert makes the peer connection "failed", which they hear of at once and join again for.
type Notice int

const (
	// NoNotice is the zero value: the connection is not over.
	NoNotice Notice = iota
	// StreamOver is close_notify: nothing comes any more (RFC 5246, 7.2.1).
	StreamOver
	// JoinAgain is the fatal alert "internal_error": "an internal error unrelated to the peer or the correctness of the
	// protocol makes it impossible to continue" (RFC 5246, 7.2.2).
	JoinAgain
)

func (n Notice) alert() alert.Alert {
	if n == JoinAgain {
		return alert.Alert{Level: alert.Fatal, Description: alert.InternalError}
	}
	return alert.Alert{Level: alert.Warning, Description: alert.CloseNotify}
}
