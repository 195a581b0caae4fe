package meter

import "time"

// The names of the clocks that latency was measured by.
const (
	ClockCapture = "abs-capture-time" // the RTP header extension of the frame
	ClockReport  = "sender-report"    // RTCP sender reports
)

// clockMap finds the time at which a frame was captured.
type clockMap struct {
	captureWall int64 // newest capture time in Unix ns, and the RTP timestamp it belongs to
	captureTime uint32
	srWall      int64 // newest sender report, Unix ns and RTP timestamp
	srTime      uint32
	srNTP       uint32 // middle 32 bits, for receiver reports
	srArrival   time.Time
	latency     Histogram
}

// wall returns the capture time of a frame in Unix ns: its own, or reckoned from the newest one of the stream, because
// a sender need not put it on every frame; without any, reckoned from the sender report.
func (s *stream) wall(ts uint32, capture int64) (int64, bool) {
	switch {
	case capture != 0:
		return capture, true
	case s.captureWall != 0:
		return s.captureWall + s.ticks(ts-s.captureTime), true
	case s.srWall != 0:
		return s.srWall + s.ticks(ts-s.srTime), true
	}
	return 0, false
}

// remember keeps the capture time of a frame for the next ones.
func (s *stream) remember(ts uint32, capture int64) {
	if capture != 0 {
		s.captureWall, s.captureTime = capture, ts
	}
}

// ticks turns a signed distance of RTP timestamps into ns.
func (s *stream) ticks(distance uint32) int64 {
	return int64(int32(distance)) * int64(time.Second) / s.clock
}

func (s *stream) clockName() string {
	switch {
	case s.captureWall != 0:
		return ClockCapture
	case s.srWall != 0:
		return ClockReport
	}
	return ""
}
