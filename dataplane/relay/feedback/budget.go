package feedback

import "time"

// Budget bounds what one viewer may ask of the workers, which serve others too.
type Budget struct {
	left float64
	at   time.Time
}

const (
	asksPerSecond = 2000 // packets and key frames: several times what a player of 6 Mbit/s asks for at 30 % loss
	asksAtOnce    = 2000
)

// Take reports whether the viewer may ask for n packets or key frames more, and counts them then.
func (b *Budget) Take(n int, now time.Time) bool {
	if b.at.IsZero() {
		b.left = asksAtOnce
	} else {
		b.left = min(asksAtOnce, b.left+asksPerSecond*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left < float64(n) {
		return false
	}
	b.left -= float64(n)
	return true
}
