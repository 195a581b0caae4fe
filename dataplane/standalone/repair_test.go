package standalone

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/transcode"
	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// A source with B-frames and AAC is refused under its plain URL with the rendition's, which plays; with autoRepair the
// plain URL plays too, from one shared rendition.
func TestRenditionsMakeASourcePlayable(t *testing.T) {
	template := quickstart + `
---
apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: web}
spec: {templateID: rts-web, type: H264Origin, playDomainRef: {name: rts}, video: {bFrames: Drop}}
`
	p := start(t, template, func(o *Options) { o.Encoder = transcode.X264 })
	p.publish(
		"push.example.com",
		testsrc.Options{
			Width: 320, Height: 180, FPS: 15, Audio: true, BFrames: 3, GOPSeconds: 8, ExtraArgs: []string{"-ar", "44100"},
		},
	)
	run := func(name string, viewers int) (*play.Report, error) {
		return play.Run(t.Context(), play.Options{
			URL: "artc://rts.example.com/live/" + name, Join: join.Options{Connect: p.at.HTTP.String()}, Viewers: viewers,
			Duration: 10 * time.Second, Wait: 10 * time.Second,
		})
	}
	said := func(r *play.Report, err error) string {
		if err == nil {
			err = r.Failure()
		}
		if err == nil {
			return ""
		}
		return err.Error()
	}
	if text := said(run("stream", 1)); !strings.Contains(text, "stream_rts-web") {
		t.Errorf("the plain URL: %q, want a refusal that names the rendition", text)
	}
	plays := func(name string) {
		t.Helper()
		testkit.Eventually(t, name+" plays", func() bool { // a busy machine loses packets
			text := said(run(name, 2))
			t.Log(name, text)
			return text == ""
		})
	}
	plays("stream_rts-web")
	p.write("service.yaml", strings.Replace(template, "type: RTS}", "type: RTS, rts: {autoRepair: Enabled}}", 1))
	p.awaitOutput("Changed:")
	plays("stream")
	renditions := p.state().Renditions
	if len(renditions) != 2 || renditions[1].Video != transcode.Encode || renditions[1].Starts != 1 {
		t.Errorf("renditions %+v", renditions)
	}
}

// A source that sends one IDR picture and then recovery points plays under its plain URL with autoRepair: what is wrong
// with it is seen while it is live.
func TestASourceWithoutIDRPicturesIsRepaired(t *testing.T) {
	p := start(t, strings.Replace(quickstart, "type: RTS}", "type: RTS, rts: {autoRepair: Enabled}}", 1),
		func(o *Options) { o.Encoder = transcode.X264 })
	p.publish("push.example.com", testsrc.Options{
		ExtraArgs: []string{"-x264-params", "keyint=30:intra-refresh=1"},
	})
	testkit.Eventually(t, "recovery points as places to join", func() bool {
		s := p.state().Streams
		return len(s) == 1 && s[0].Source.Refreshed
	})
	testkit.Eventually(t, "the plain URL plays", func() bool { // a busy machine loses packets
		report, err := play.Run(t.Context(), play.Options{
			URL: "artc://rts.example.com/live/stream", Join: join.Options{Connect: p.at.HTTP.String()}, Viewers: 1,
			Duration: 5 * time.Second, Wait: 10 * time.Second,
		})
		if err == nil {
			err = report.Failure()
		}
		t.Log(err)
		return err == nil
	})
	if r := p.state().Renditions; len(r) != 1 || r[0].Video != transcode.Encode {
		t.Errorf("renditions %+v", r)
	}
}
