package transcode

import (
	"fmt"
	"slices"
	"strconv"
)

// Encoder is what encodes H.264.
type Encoder string

// The encoders, as MediaClass names them.
const (
	Auto  Encoder = "Auto"
	X264  Encoder = "x264"
	NVENC Encoder = "NVENC"
	VAAPI Encoder = "VAAPI"
	QSV   Encoder = "QSV"
)

// Encoders returns the encoders that can be asked for.
func Encoders() []Encoder { return []Encoder{Auto, X264, NVENC, VAAPI, QSV} }

// ParseEncoder reads the name of an encoder.
func ParseEncoder(name string) (Encoder, error) {
	e := Encoder(name)
	if !e.known() {
		return "", fmt.Errorf("%q: want one of %v", name, Encoders())
	}
	return e, nil
}

// known reports whether it is one that can be asked for.
func (e Encoder) known() bool { return slices.Contains(Encoders(), e) }

// name is what ffmpeg calls it.
func (e Encoder) name() string {
	switch e {
	case NVENC:
		return "h264_nvenc"
	case VAAPI:
		return "h264_vaapi"
	case QSV:
		return "h264_qsv"
	}
	return "libx264"
}

// device are the options, before the inputs, that open the hardware.
func (e Encoder) device() []string {
	switch e {
	case VAAPI:
		return []string{"-vaapi_device", "/dev/dri/renderD128"}
	case QSV:
		return []string{"-init_hw_device", "qsv=hw", "-filter_hw_device", "hw"}
	}
	return nil
}

// files are those of which one is there when the hardware may be, as patterns; none: it needs none.
func (e Encoder) files() []string {
	switch e {
	case NVENC:
		return []string{"/dev/nvidia[0-9]*", "/dev/dxg"}
	case VAAPI, QSV:
		return []string{"/dev/dri/renderD*"}
	}
	return nil
}

// upload is the end of the filters: the format that the encoder takes.
func (e Encoder) upload() string {
	switch e {
	case VAAPI:
		return "format=nv12,hwupload"
	case QSV:
		return "format=nv12,hwupload=extra_hw_frames=16"
	}
	return "format=yuv420p"
}

// options encode for low latency: no look-ahead, no frame held back.
func (e Encoder) options(w Work, threads int) []string {
	bf, profile := "0", "baseline"
	if w.BFrames {
		bf, profile = "2", "high"
	}
	var out []string
	switch e {
	case NVENC:
		out = []string{
			"-c:v",
			"h264_nvenc",
			"-preset",
			"p2",
			"-tune",
			"ull",
			"-zerolatency",
			"1",
			"-delay",
			"0",
			"-rc",
			"cbr",
			"-forced-idr",
			"1",
			"-profile:v",
			profile,
		}
	case VAAPI:
		if profile == "baseline" {
			profile = "constrained_baseline"
		}
		out = []string{"-c:v", "h264_vaapi", "-rc_mode", "CBR", "-async_depth", "1", "-profile:v", profile}
	case QSV:
		out = []string{
			"-c:v",
			"h264_qsv",
			"-preset",
			"veryfast",
			"-async_depth",
			"1",
			"-look_ahead",
			"0",
			"-forced_idr",
			"1",
			"-profile:v",
			profile,
		}
	default:
		out = []string{
			"-c:v",
			"libx264",
			"-preset",
			"superfast",
			"-tune",
			"zerolatency",
			"-forced-idr",
			"1",
			"-sc_threshold",
			"0",
			"-profile:v",
			profile,
			"-threads",
			strconv.Itoa(threads),
		}
	}
	rate := fmt.Sprintf("%dk", w.Kbps)
	return append(out, "-bf", bf, "-b:v", rate, "-maxrate", rate, "-bufsize", rate)
}
