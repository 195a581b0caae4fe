package standalone

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

func TestRTSPToolsLookIntoARunningSystem(t *testing.T) {
	p := start(t, quickstart, func(o *Options) { o.RTSPAddr = "127.0.0.1:0" })
	url := "rtsp://" + p.at.RTSP.String()
	if listening := p.out.String(); !strings.Contains(listening, "RTSP "+url) {
		t.Errorf("the start does not show %s:\n%s", url, listening)
	}
	p.publish("push.example.com", testsrc.Options{Audio: true})
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	shown, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries",
		"stream=codec_name", "-of", "csv=p=0",
		url+"/rts.example.com/live/stream").
		CombinedOutput()
	if err != nil || strings.Join(strings.Fields(string(shown)), " ") != "h264 aac" {
		t.Errorf("ffprobe says %s, %v", shown, err)
	}
}
