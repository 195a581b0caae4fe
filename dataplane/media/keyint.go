package media

import (
	"bytes"
	"time"
)

// x264 writes its settings as text into an SEI message of the first access unit: user_data_unregistered (ITU-T H.264,
// D.1.7), which begins with this.
const x264UUID = "\xdc\x45\xe9\xbd\xe6\xd9\x48\xb7\x96\x2c\xd8\x20\xd9\x23\xee\xef"

// keyInterval returns the longest distance of key frames, in frames, that the encoder of a frame says it was set to; 0
// when it says none or no bound. It is no more than a hint: key frames may be forced, or come at a cut of the scene.
func keyInterval(f *Frame) int {
	if f.Track.Codec != H264 {
		return 0
	}
	for _, unit := range f.Units {
		if nalType(H264, unit) != h264SEI {
			continue
		}
		if _, text, ok := bytes.Cut(unit, []byte(x264UUID)); ok {
			return setting(text, []byte(" keyint="))
		}
	}
	return 0
}

// setting reads the number, of at most 6 digits, behind a name.
func setting(text, name []byte) int {
	_, value, _ := bytes.Cut(text, name)
	n := 0
	for i, c := range value {
		if c < '0' || c > '9' {
			break
		}
		if i == 6 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

const (
	// overdueAfter is the time without a second key frame from which on the encoder's word is believed: key frames that
	// are forced mostly come every 2 s or more often.
	overdueAfter = 2*time.Second + gopTolerance
	// longestAnnounced is the longest GOP that anybody means; encoders whose key frames are all forced are set to more.
	longestAnnounced = time.Minute
)

// announced returns how long a GOP that has not ended will become by the encoder's word, or 0 while there is no reason
// to believe it.
func (in *Inspector) announced() time.Duration {
	if in.keyInterval == 0 || in.keys.seen != 1 || in.keys.now-in.keys.lastKey < overdueAfter {
		return 0
	}
	seconds := float64(in.keyInterval) / in.video.perSecond() // +Inf while the rate is unknown
	if seconds > longestAnnounced.Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}
