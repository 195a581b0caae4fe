package door

import (
	"fmt"
	"time"
)

// Reason is one CamelCase word for programs, the same in answers, metrics and docs.
type Reason string

// Refusal is why a viewer gets nothing: a row of the table with the facts filled in.
type Refusal struct {
	Status       int
	Reason       string
	Message      string // what is wrong and what to do, for people
	RetryAfter   time.Duration
	NetStream    string   // the code of an RTMP onStatus
	Alternatives []string // URLs that would play
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// Row is a kind of refusal.
type Row struct {
	Reason     Reason
	Status     int           // of HTTP
	Message    string        // template of package fmt
	Remedy     string        // what the viewer or the operator can do; empty where the message says it
	RetryAfter time.Duration // 0: asking again changes nothing
}

// NetStream returns the code with which RTMP refuses (Adobe ActionScript 3, NetStatusEvent).
func (r *Row) NetStream() string {
	if r.Reason == StreamNotFound {
		return "NetStream.Play.StreamNotFound"
	}
	return "NetStream.Play.Failed"
}

// Refuse makes a refusal of a row; args fill its message in. A reason that has no row is one that a Finder brings from
// another process: it is unavailable, and args are its message.
func Refuse(reason Reason, args ...any) *Refusal {
	row := Row{Reason: reason, Status: unavailable, Message: "%v", RetryAfter: retrySoon}
	for _, one := range Table() {
		if one.Reason == reason {
			row = one
			break
		}
	}
	message := fmt.Sprintf(row.Message, args...)
	if row.Remedy != "" {
		message += "; " + row.Remedy
	}
	return &Refusal{
		Status: row.Status, Reason: string(reason), Message: message, RetryAfter: row.RetryAfter,
		NetStream: row.NetStream(),
	}
}
