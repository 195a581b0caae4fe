package browser

// Senses is what a page saw and heard of a source that flashes and beeps (package beep), and what the browser counted.
type Senses struct {
	FlashesMs []float64 `json:"flashes"` // when the compositor was to show them, on the page's clock
	BeepsMs   []float64 `json:"beeps"`   // when they were to be heard, on the same clock
	// every second, how much later sound is played than its picture, by estimatedPlayoutTimestamp
	ApartMs []float64 `json:"apart"`
	Problem string    `json:"problem"`

	// How late the page sees and hears what is given to a video element and an AudioContext at a known moment, when it was
	// asked to tell.
	EyesMs *float64 `json:"eyesMs"`
	EarsMs *float64 `json:"earsMs"`

	AudioEnergy   float64 `json:"totalAudioEnergy"`
	AudioSamples  float64 `json:"totalSamplesReceived"`
	Concealed     float64 `json:"concealedSamples"`
	AudioCodec    string  `json:"audioCodec"`
	FramesDecoded int     `json:"framesDecoded"`
	KeyFrames     int     `json:"keyFramesDecoded"`
	VideoBufferMs float64 `json:"videoBufferMs"` // mean over all pictures
	AudioBufferMs float64 `json:"audioBufferMs"` // mean over all samples
}

// Own is how much later than pictures the page hears sound by itself; false when it was not measured.
func (s *Senses) Own() (ms float64, ok bool) {
	if s.EyesMs == nil || s.EarsMs == nil {
		return 0, false
	}
	return *s.EarsMs - *s.EyesMs, true
}
