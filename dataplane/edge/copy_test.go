package edge

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// What a viewer copies into a file has exactly the tracks of the stream, whenever it joined: libavformat takes metadata
// with a time stamp for a track of subtitles, which no container of video takes.
func TestALateViewerCopiesTheTracksOfTheStream(t *testing.T) {
	r := newRig(t, nil)
	_, stream := r.publish(testsrc.Options{FPS: 25, BFrames: 2, Audio: true})
	host := "Host: " + playHost + "\r\n"
	inputs := map[string][]string{
		"rtmp": {"-i", fmt.Sprintf("rtmp://%s/live/stream?vhost=%s", r.rtmp, playHost)},
		"flv":  {"-headers", host, "-i", r.web.URL + "/live/stream.flv"},
	}
	testkit.Eventually(t, "some seconds of the stream", func() bool {
		reader := stream.NewReplay()
		defer reader.Close()
		f, err := reader.TryNext()
		return err == nil && f != nil && f.DTS > 2*time.Second
	})
	for name, input := range inputs {
		for _, ending := range []string{"mkv", "mp4", "m3u8"} {
			t.Run(name+" to "+ending, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "copy."+ending)
				ffmpeg(t, append(input, "-c", "copy", "-t", "2", file)...)
				ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
				defer cancel()
				out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-show_entries",
					"stream=codec_type:packet=codec_type,flags", "-of", "compact", file).CombinedOutput()
				if err != nil {
					t.Fatalf("ffprobe: %v: %s", err, out)
				}
				tracks := map[string]bool{}
				first := ""
				for line := range strings.Lines(string(out)) {
					section, fields, _ := strings.Cut(strings.TrimSpace(line), "|")
					kind, flags, _ := strings.Cut(strings.TrimPrefix(fields, "codec_type="), "|flags=")
					switch {
					case section == "stream":
						tracks[kind] = true
					case section == "packet" && first == "" && kind == "video":
						first = flags
					}
				}
				if len(tracks) != 2 || !tracks["video"] || !tracks["audio"] {
					t.Errorf("tracks %v", tracks)
				}
				if !strings.HasPrefix(first, "K") {
					t.Errorf("the first picture has the flags %q", first)
				}
			})
		}
	}
}
