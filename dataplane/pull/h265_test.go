package pull

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

// h265Recording is what ffmpeg encodes, without reordering.
func h265Recording(t *testing.T) ([]*media.Track, []*media.Frame) {
	t.Helper()
	testkit.NeedFFmpeg(t)
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	stream, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25",
		"-frames:v", "60",
		"-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
		"bframes=0:keyint=25:min-keyint=25:scenecut=0:aud=1:log-level=none", "-f", "hevc", "-").
		Output()
	if err != nil {
		t.Fatalf("encoding H.265: %v", err)
	}
	units := media.NewAccessUnits(media.H265)
	var all []*media.Frame
	var au [][]byte
	zero := time.Now().Add(-time.Hour).Round(0)
	flush := func() {
		f, err := units.Frame(au)
		au = nil
		if err != nil && !errors.Is(err, media.ErrNoParameterSets) {
			t.Fatal(err)
		}
		if f != nil {
			f.DTS = time.Duration(len(all)) * 40 * time.Millisecond
			f.PTS, f.Ingest = f.DTS, zero.Add(f.DTS)
			all = append(all, f)
		}
	}
	const accessUnitDelimiter = 35
	for _, unit := range bytes.Split(bytes.ReplaceAll(stream, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1}) {
		if len(unit) < 3 {
			continue
		}
		if unit[0]>>1&0x3F == accessUnitDelimiter {
			flush()
		}
		au = append(au, unit)
	}
	flush()
	if len(all) != 60 {
		t.Fatalf("%d frames, want 60", len(all))
	}
	return []*media.Track{units.Track()}, all
}

func TestFFmpegReadsH265(t *testing.T) {
	tracks, frames := h265Recording(t)
	h := newHub(t)
	pub := publish(t, h, tracks...)
	for _, f := range frames {
		write(t, pub, f)
	}
	r := serve(t, h, nil)
	problems := make(chan string, 1)
	go func() {
		_, said := tool(
			t,
			"ffmpeg",
			"-v",
			"error",
			"-rtsp_transport",
			"tcp",
			"-i",
			"rtsp://"+r.address+streamPath,
			"-f",
			"null",
			"-",
		)
		problems <- said
	}()
	testkit.Eventually(t, "ffmpeg plays", func() bool { return r.count(t, "millrace_pull_readers", "") == 1 })
	pub.End()
	if said := <-problems; said != "" {
		t.Errorf("ffmpeg decodes with errors: %s", said)
	}
}
