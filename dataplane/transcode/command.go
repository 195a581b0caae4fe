package transcode

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// timeShift is added to all time stamps on the way in and taken off on the way out, so that none is negative: encoders
// begin before the first sample.
const timeShift = 10 * time.Second

// Where ffmpeg writes: file descriptors of its own.
const (
	videoOut = "pipe:1"
	audioOut = "pipe:3"
)

// opusComplexity, 0 to 10, is WebRTC's default on phones. With 10, that of libopus in ffmpeg, a process that makes Opus
// of AAC takes about 1.6 times the CPU.
const opusComplexity = "5"

// command makes the arguments of ffmpeg. Each output has one track, so that none waits for another.
func command(e Encoder, w Work, from start, threads int) []string {
	args := []string{"-hide_banner", "-nostats", "-nostdin", "-loglevel", "warning"}
	if w.Video == Encode {
		args = append(args, e.device()...)
	}
	// Nothing is analysed: the headers say all (and no "nobuffer", which throws away what was read for it: the key frame).
	// Slices, not frames, are decoded in parallel, for a frame in a thread is a frame late.
	args = append(args, "-probesize", "32", "-analyzeduration", "0", "-max_pixels", strconv.Itoa(mostPixels),
		"-threads", strconv.Itoa(threads), "-thread_type", "slice")
	if w.Video == Encode && !w.Reordered {
		args = append(args, "-flags", "low_delay")
	}
	args = append(args, "-f", "nut", "-i", "pipe:0", "-filter_threads", "1", "-copyts", "-vsync", "passthrough")
	if w.Video == Encode {
		args = append(args, "-map", "0:v:0", "-vf", videoFilter(e, w, from.picture), "-enc_time_base:v", "1:90000")
		args = append(args, e.options(w, threads)...)
		frame := 1 / w.FPS
		args = append(args, "-g", strconv.Itoa(int(2*w.GOP.Seconds()*w.FPS)+1), "-force_key_frames",
			fmt.Sprintf("expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+%.4f))", max(w.GOP.Seconds()-0.75*frame, frame/2)))
		args = append(args, output(videoOut)...)
	}
	if w.Audio == Encode {
		args = append(
			args,
			"-map",
			"0:a:0",
			"-af",
			audioFilter(w, from.sound),
			"-ac",
			strconv.Itoa(w.Channels),
			"-ar",
			strconv.Itoa(w.SampleRate),
		)
		if w.AudioCodec == media.AAC {
			args = append(args, "-c:a", "aac")
		} else {
			args = append(args, "-c:a", "libopus", "-application", "audio", "-frame_duration", "20", "-compression_level",
				opusComplexity)
		}
		args = append(args, "-b:a", fmt.Sprintf("%dk", w.AudioKbps))
		args = append(args, output(audioOut)...)
	}
	return args
}

func output(to string) []string {
	return []string{"-avoid_negative_ts", "disabled", "-write_index", "0", "-flush_packets", "1", "-f", "nut", to}
}

func videoFilter(e Encoder, w Work, from time.Duration) string {
	var f []string
	keep := fmt.Sprintf("gte(t,%.4f)", (from+timeShift).Seconds()-0.0005)
	if w.MaxFPS > 0 {
		// One picture of each period, with its own time: nothing is doubled, held back or moved.
		keep += fmt.Sprintf("*if(isnan(prev_selected_t),1,gt(floor(t*%[1]g+0.1),floor(prev_selected_t*%[1]g+0.1)))", w.MaxFPS)
	}
	f = append(f, "select='"+keep+"'")
	if w.Deinterlace {
		f = append(f, "yadif=mode=send_frame:deint=interlaced")
	}
	if w.Scale {
		f = append(f, fmt.Sprintf("scale=%d:%d:flags=bilinear", w.Width, w.Height))
	}
	if w.Square {
		f = append(f, "setsar=1")
	}
	return strings.Join(append(f, e.upload()), ",")
}

// audioFilter changes the rate. The number of samples follows the source's time stamps: what they are apart by less
// than 5 ms stays, more is stretched away by 1 % at most, and beyond 100 ms silence is put in or samples are left out.
// So sound does not drift from the picture, and the time stamps of the result go in steps of exactly one frame. From is
// the first sample, 0: the first that comes.
func audioFilter(w Work, from int64) string {
	f := fmt.Sprintf("aresample=%d:async=%d:min_comp=0.005:min_hard_comp=0.1", w.SampleRate, w.SampleRate/100)
	if from > 0 {
		f += fmt.Sprintf(",atrim=start_pts=%d", from)
	}
	return f
}
