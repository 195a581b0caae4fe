package feedback

import "time"

// RoundTrip computes the round-trip time of a report (RFC 3550, 6.4.1): the middle of the NTP time of the sender report
// that it answers, and how long that had lain at the player, both in 1/65536 s.
func RoundTrip(now time.Time, lastSR, delay uint32) (time.Duration, bool) {
	if lastSR == 0 {
		return 0, false
	}
	const unixToNTP = 2208988800
	middle := uint32(now.Unix()+unixToNTP)<<16 | uint32(uint64(now.Nanosecond())<<16/1_000_000_000)
	units := middle - lastSR - delay
	if units > 60<<16 { // clocks that were set, or nonsense
		return 0, false
	}
	return time.Duration(units) * time.Second >> 16, true
}
