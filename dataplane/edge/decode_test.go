package edge

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testsrc"
)

// decodeTime is how much is decoded of each form: MILLRACE_DECODE_SECONDS, else a few seconds.
func decodeTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("MILLRACE_DECODE_SECONDS")
	if text == "" {
		return 6 * time.Second
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("MILLRACE_DECODE_SECONDS: %v", err)
	}
	return time.Duration(n) * time.Second
}

// ffmpeg decodes every form of a stream with B-frames and sound without a complaint; every frame of the source is
// there, and time goes on evenly.
func TestFFmpegDecodesEveryForm(t *testing.T) {
	r := newRig(t, nil)
	r.publish(testsrc.Options{FPS: 25, BFrames: 2, Audio: true})
	seconds := decodeTime(t)
	host := "Host: " + playHost + "\r\n"
	for name, input := range map[string][]string{
		"rtmp":     {"-i", fmt.Sprintf("rtmp://%s/live/stream?vhost=%s", r.rtmp, playHost)},
		"flv":      {"-headers", host, "-i", r.web.URL + "/live/stream.flv"},
		"hls ts":   {"-headers", host, "-i", r.web.URL + "/live/stream.m3u8?format=ts"},
		"hls fmp4": {"-headers", host, "-i", r.web.URL + "/live/stream.m3u8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := fmt.Sprintf("%.1f", seconds.Seconds())
			out := ffmpeg(
				t,
				append(input, "-t", length, "-f", "null", "-", "-t", length, "-c", "copy", "-f", "framecrc", "pipe:1")...)
			packets := framecrc(t, out)
			checkEven(t, packets[0], 40*time.Millisecond, seconds)
			checkEven(t, packets[1], 1024*time.Second/48000, seconds)
		})
	}
}

type packet struct{ dts, pts time.Duration }

// framecrc reads ffmpeg's framecrc by stream.
func framecrc(t *testing.T, text string) map[int][]packet {
	t.Helper()
	scale := map[int]int64{} // ticks per second
	out := map[int][]packet{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		var stream int
		var num, den int64
		if n, _ := fmt.Sscanf(line, "#tb %d: %d/%d", &stream, &num, &den); n == 3 {
			scale[stream] = den / num
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, ",")
		if len(f) < 6 {
			t.Fatalf("line %q", line)
		}
		var v [3]int64
		for i := range v {
			var err error
			if v[i], err = strconv.ParseInt(strings.TrimSpace(f[i]), 10, 64); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
		}
		at := func(ticks int64) time.Duration { return time.Duration(ticks * int64(time.Second) / scale[int(v[0])]) }
		out[int(v[0])] = append(out[int(v[0])], packet{at(v[1]), at(v[2])})
	}
	return out
}

// checkEven looks for frames that are missing and for jumps.
func checkEven(t *testing.T, all []packet, step, seconds time.Duration) {
	t.Helper()
	if want := int(seconds / step * 9 / 10); len(all) < want {
		t.Errorf("%d frames in %v, at least %d were to come", len(all), seconds, want)
	}
	for i := 1; i < len(all); i++ {
		if d := all[i].dts - all[i-1].dts; d < step-12*time.Millisecond || d > step+12*time.Millisecond {
			t.Errorf("frame %d comes %v after the one before, %v would be even", i, d, step)
		}
		if all[i].pts < all[i].dts {
			t.Errorf("frame %d is shown %v before it is decoded", i, all[i].dts-all[i].pts)
		}
	}
}
