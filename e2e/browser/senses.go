package browser

// Senses is what a page saw and heard of a source that flashes and beeps (package beep), and what the browser counted.
type Senses struct {
	FlashesMs []float64 `json:"flashes"` // when the compositor was to show them, on the page's clock
	BeepsMs   []float64 `json:"beeps"`   // when they were to be heard, on the same clock
	ApartMs   []float64 `json:"apart"`   // every second, how much later sound is played than its picture, by estimatedPlayoutTimestamp
	Problem   string    `json:"problem"`

	AudioEnergy   float64 `json:"totalAudioEnergy"`
	AudioSamples  float64 `json:"totalSamplesReceived"`
	Concealed     float64 `json:"concealedSamples"`
	AudioCodec    string  `json:"audioCodec"`
	FramesDecoded int     `json:"framesDecoded"`
	KeyFrames     int     `json:"keyFramesDecoded"`
	VideoBufferMs float64 `json:"videoBufferMs"` // mean over all pictures
	AudioBufferMs float64 `json:"audioBufferMs"` // mean over all samples
}
