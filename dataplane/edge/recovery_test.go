package edge

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// Sources that send one IDR picture and then recovery points can be joined at any time, by each protocol.
func TestALateViewerJoinsAtARecoveryPoint(t *testing.T) {
	for name, o := range map[string]testsrc.Options{
		"intra refresh": {FPS: 25, Audio: true, ExtraArgs: []string{"-x264-params", "keyint=25:intra-refresh=1"}},
		"open GOPs":     {FPS: 25, BFrames: 2, Audio: true, ExtraArgs: []string{"-x264-params", "keyint=25:open-gop=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			_, stream := r.publish(o)
			testkit.Eventually(t, "the end of the first GOP", func() bool { return stream.Facts().Refreshed })
			header := "Host: " + playHost + "\r\n"
			for kind, input := range map[string][]string{
				"rtmp": {"-i", fmt.Sprintf("rtmp://%s/live/stream?vhost=%s", r.rtmp, playHost)},
				"flv":  {"-headers", header, "-i", r.web.URL + "/live/stream.flv"},
				"hls":  {"-headers", header, "-i", r.web.URL + "/live/stream.m3u8"},
			} {
				t.Run(kind, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
					defer cancel()
					// Each picture that is decoded has a line with its checksum.
					args := append([]string{"-v", "error"}, input...)
					out, err := exec.CommandContext(ctx, "ffmpeg", append(args, "-map", "0:v", "-frames:v", "25", "-f", "framemd5",
						"-")...).Output()
					if err != nil {
						t.Fatalf("ffmpeg: %v", err)
					}
					pictures := 0
					for line := range strings.Lines(string(out)) {
						if !strings.HasPrefix(line, "#") {
							pictures++
						}
					}
					if pictures != 25 {
						t.Errorf("%d pictures, want 25", pictures)
					}
				})
			}
		})
	}
}
